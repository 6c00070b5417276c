use std::collections::BTreeMap;

use rapport_store::sea_orm::{ConnectionTrait, DbErr, Value};
use rapport_store::{Rows, Sql, Store, StoreError, Subject, Tx, read_error};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::sealing::subject;
use crate::domain::SectionKind;

/// The field that the seal is bound to.
const SECTION: &str = "desk_section";

/// Which section of whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SectionKey {
    pub(crate) tenant: TenantId,
    pub(crate) party: Uuid,
    pub(crate) kind: SectionKind,
    /// Which one of its sort; empty where there is one.
    pub(crate) facet: String,
}

/// The last that a service said, readable.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    /// Everything of the source's feed up to here is in it.
    pub(crate) position: i64,
    /// When the source said it.
    pub(crate) as_of: Timestamp,
    /// The encoded section.
    pub(crate) plain: Vec<u8>,
}

/// Keeps sections, each under its party's key. What knows more of the source's feed stays, and of two that know as
/// much what was said later; somebody whose data was erased stays erased.
pub(crate) async fn section_put(tx: &Tx, sections: &BTreeMap<SectionKey, Known>) -> Result<(), StoreError> {
    if sections.is_empty() {
        return Ok(());
    }
    let subjects: Vec<Subject> = sections.keys().map(|key| subject(&key.tenant, key.party)).collect();
    let keys = tx.keys(&subjects).await?;
    let mut rows = Rows::new("desk_section", &["tenant", "party", "kind", "facet", "position", "as_of", "sealed"]);
    for (key, known) in sections {
        let of = subject(&key.tenant, key.party);
        if keys.is_destroyed(&of) {
            continue;
        }
        rows.push([
            key.tenant.as_str().into(),
            key.party.into(),
            key.kind.code().into(),
            key.facet.as_str().into(),
            known.position.into(),
            known.as_of.as_micros().into(),
            keys.seal(&of, SECTION, &known.plain)?.into(),
        ]);
    }
    rows.insert_with(
        tx.db(),
        "ON CONFLICT (tenant, party, kind, facet) DO UPDATE SET position = excluded.position, as_of = excluded.as_of, \
         sealed = excluded.sealed WHERE desk_section.position < excluded.position \
         OR (desk_section.position = excluded.position AND desk_section.as_of <= excluded.as_of)",
    )
    .await?;
    Ok(())
}

/// A row of the projection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Held {
    /// The last that the service said; none where only the feed spoke of it, and where its key was destroyed.
    pub(crate) known: Option<Known>,
    /// The last position of the source's feed that spoke of it: what is known is behind where this is after it.
    pub(crate) wanted: i64,
}

impl Held {
    /// Whether something is known to have happened that is not in it.
    pub(crate) fn behind(&self) -> bool {
        self.lacks(0)
    }

    /// The same, where something that speaks of everybody was told up to `floor`.
    pub(crate) fn lacks(&self, floor: i64) -> bool {
        self.known.as_ref().is_none_or(|known| known.position < self.wanted.max(floor))
    }
}

/// The rows of some parties, of one sort or of all.
///
/// # Errors
/// Unavailable.
pub(crate) async fn section_held(
    store: &Store,
    tenant: &TenantId,
    parties: &[Uuid],
    kind: Option<SectionKind>,
) -> Result<BTreeMap<SectionKey, Held>, Error> {
    let rows = rows(store.reader(), tenant, parties, kind).await.map_err(read_error)?;
    let said = rows.iter().filter(|row| !row.sealed.is_empty());
    let sealed: Vec<(Subject, Vec<u8>)> =
        said.map(|row| (subject(tenant, row.key.party), row.sealed.clone())).collect();
    let mut opened =
        if sealed.is_empty() { Vec::new() } else { store.unseal_many(SECTION, &sealed).await? }.into_iter();
    let held = rows.into_iter().map(|Row { key, position, as_of, wanted, sealed }| {
        let plain = if sealed.is_empty() { None } else { opened.next().flatten() };
        (key, Held { known: plain.map(|plain| Known { position, as_of, plain }), wanted })
    });
    Ok(held.collect())
}

/// Which section of whom is kept, and how new it is.
pub(crate) type Mark = (Uuid, i16, String, i64, i64, i64);

/// What is kept of some parties, of these sorts, or of all where none is named, without what it says: to notice that
/// something was learned, whichever replica learned it.
pub(crate) async fn section_marks(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    parties: &[Uuid],
    kinds: &[SectionKind],
) -> Result<Vec<Mark>, DbErr> {
    if parties.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(db, "SELECT party, kind, facet, position, as_of, wanted FROM desk_section WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND ")
        .in_list("party", parties.iter().map(|party| Value::from(*party)).collect());
    if !kinds.is_empty() {
        sql = sql.text(" AND ").in_list("kind", kinds.iter().map(|kind| Value::from(kind.code())).collect());
    }
    let mut marks = Vec::new();
    for row in sql.all(db).await? {
        marks.push((
            row.try_get_by_index(0)?,
            row.try_get_by_index(1)?,
            row.try_get_by_index(2)?,
            row.try_get_by_index(3)?,
            row.try_get_by_index(4)?,
            row.try_get_by_index(5)?,
        ));
    }
    marks.sort_unstable();
    Ok(marks)
}

struct Row {
    key: SectionKey,
    position: i64,
    as_of: Timestamp,
    wanted: i64,
    sealed: Vec<u8>,
}

async fn rows(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    parties: &[Uuid],
    kind: Option<SectionKind>,
) -> Result<Vec<Row>, DbErr> {
    let text = "SELECT party, kind, facet, position, as_of, wanted, sealed FROM desk_section WHERE tenant = ";
    let mut sql = Sql::new(db, text).bind(tenant.as_str()).text(" AND ");
    sql = match parties {
        [one] => sql.text("party = ").bind(*one),
        several => sql.in_list("party", several.iter().map(|party| Value::from(*party)).collect()),
    };
    if let Some(kind) = kind {
        sql = sql.text(" AND kind = ").bind(kind.code());
    }
    let mut found = Vec::new();
    for row in sql.all(db).await? {
        let code: i16 = row.try_get_by_index(1)?;
        // What a later version keeps is nothing to this one.
        let Some(kind) = SectionKind::from_code(i64::from(code)) else { continue };
        let key = SectionKey {
            tenant: tenant.clone(),
            party: row.try_get_by_index(0)?,
            kind,
            facet: row.try_get_by_index(2)?,
        };
        let as_of = Timestamp::from_micros(row.try_get_by_index(4)?);
        let (position, wanted) = (row.try_get_by_index(3)?, row.try_get_by_index(5)?);
        found.push(Row { key, position, as_of, wanted, sealed: row.try_get_by_index(6)? });
    }
    Ok(found)
}
