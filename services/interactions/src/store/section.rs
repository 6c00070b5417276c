use std::collections::{BTreeMap, BTreeSet};

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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// Forgets what is kept of parties, of one sort and of every facet, where it knows less of the source's feed than
/// `position`.
pub(crate) async fn section_drop(
    tx: &Tx,
    parties: &BTreeSet<(TenantId, Uuid)>,
    kind: SectionKind,
    position: i64,
) -> Result<(), StoreError> {
    let parties: Vec<&(TenantId, Uuid)> = parties.iter().collect();
    for some in parties.chunks(5_000) {
        let values = some.iter().flat_map(|(tenant, party)| [Value::from(tenant.as_str()), Value::from(*party)]);
        Sql::new(tx.db(), "DELETE FROM desk_section WHERE ")
            .in_rows(&["tenant", "party"], values.collect())
            .text(" AND kind = ")
            .bind(kind.code())
            .text(" AND position < ")
            .bind(position)
            .execute(tx.db())
            .await?;
    }
    Ok(())
}

/// What is kept of some parties, of one sort or of all.
///
/// # Errors
/// Unavailable.
pub(crate) async fn section_find(
    store: &Store,
    tenant: &TenantId,
    parties: &[Uuid],
    kind: Option<SectionKind>,
) -> Result<BTreeMap<SectionKey, Known>, Error> {
    let rows = rows(store.reader(), tenant, parties, kind).await.map_err(read_error)?;
    let sealed: Vec<(Subject, Vec<u8>)> =
        rows.iter().map(|(key, _, sealed)| (subject(tenant, key.party), sealed.clone())).collect();
    if sealed.is_empty() {
        return Ok(BTreeMap::new());
    }
    let opened = store.unseal_many(SECTION, &sealed).await?;
    let known = rows
        .into_iter()
        .zip(opened)
        .filter_map(|((key, (position, as_of), _), plain)| Some((key, Known { position, as_of, plain: plain? })));
    Ok(known.collect())
}

/// Which section of whom is kept, and how new it is.
pub(crate) type Mark = (Uuid, i16, String, i64, i64);

/// What is kept of some parties, of one sort or of all, without what it says: to notice that something was learned,
/// whichever replica learned it.
pub(crate) async fn section_marks(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    parties: &[Uuid],
    kind: Option<SectionKind>,
) -> Result<Vec<Mark>, DbErr> {
    if parties.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(db, "SELECT party, kind, facet, position, as_of FROM desk_section WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND ")
        .in_list("party", parties.iter().map(|party| Value::from(*party)).collect());
    if let Some(kind) = kind {
        sql = sql.text(" AND kind = ").bind(kind.code());
    }
    let mut marks = Vec::new();
    for row in sql.all(db).await? {
        marks.push((
            row.try_get_by_index(0)?,
            row.try_get_by_index(1)?,
            row.try_get_by_index(2)?,
            row.try_get_by_index(3)?,
            row.try_get_by_index(4)?,
        ));
    }
    marks.sort_unstable();
    Ok(marks)
}

type Row = (SectionKey, (i64, Timestamp), Vec<u8>);

async fn rows(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    parties: &[Uuid],
    kind: Option<SectionKind>,
) -> Result<Vec<Row>, DbErr> {
    let mut sql = Sql::new(db, "SELECT party, kind, facet, position, as_of, sealed FROM desk_section WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND ");
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
        found.push((key, (row.try_get_by_index(3)?, as_of), row.try_get_by_index(5)?));
    }
    Ok(found)
}
