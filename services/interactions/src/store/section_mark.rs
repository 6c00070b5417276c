//! What the feeds spoke of: which sections are behind.

use std::collections::BTreeMap;

use rapport_store::sea_orm::{ConnectionTrait, DbErr, Value};
use rapport_store::{Rows, Sql, StoreError, Tx};
use rapport_types::{TenantId, Uuid};

use super::SectionKey;
use crate::domain::SectionKind;

/// How many keys one statement names.
const KEYS: usize = 2_000;

/// Notes up to which position of the source's feed sections are wanted. One that was never kept has a row from then on,
/// which says that it is behind.
pub(crate) async fn section_mark(tx: &Tx, marks: &BTreeMap<SectionKey, i64>) -> Result<(), StoreError> {
    insert(tx, marks.iter().map(|(key, wanted)| (key, 0, *wanted))).await
}

/// Notes a position of the source's feed that every section of a sort of a tenant is wanted up to. The row is nobody's.
pub(crate) async fn section_floor(tx: &Tx, floors: &BTreeMap<(TenantId, SectionKind), i64>) -> Result<(), StoreError> {
    let keys: Vec<(SectionKey, i64)> = floors
        .iter()
        .map(|((tenant, kind), wanted)| {
            (SectionKey { tenant: tenant.clone(), party: Uuid::nil(), kind: *kind, facet: String::new() }, *wanted)
        })
        .collect();
    insert(tx, keys.iter().map(|(key, wanted)| (key, i64::MAX, *wanted))).await
}

async fn insert<'a>(tx: &Tx, rows: impl Iterator<Item = (&'a SectionKey, i64, i64)>) -> Result<(), StoreError> {
    let columns = &["tenant", "party", "kind", "facet", "position", "as_of", "wanted", "sealed"];
    let mut all = Rows::new("desk_section", columns);
    for (key, position, wanted) in rows {
        all.push([
            key.tenant.as_str().into(),
            key.party.into(),
            key.kind.code().into(),
            key.facet.as_str().into(),
            position.into(),
            0_i64.into(),
            wanted.into(),
            Vec::<u8>::new().into(),
        ]);
    }
    if all.is_empty() {
        return Ok(());
    }
    all.insert_with(
        tx.db(),
        "ON CONFLICT (tenant, party, kind, facet) DO UPDATE SET wanted = excluded.wanted \
         WHERE desk_section.wanted < excluded.wanted",
    )
    .await?;
    Ok(())
}

/// Notes up to which position of the source's feed what is kept of parties of one sort, of every facet, is wanted.
pub(crate) async fn section_mark_kept(
    tx: &Tx,
    parties: &BTreeMap<(TenantId, Uuid), i64>,
    kind: SectionKind,
) -> Result<(), StoreError> {
    for ((tenant, party), wanted) in parties {
        Sql::new(tx.db(), "UPDATE desk_section SET wanted = ")
            .bind(*wanted)
            .text(" WHERE tenant = ")
            .bind(tenant.as_str())
            .text(" AND party = ")
            .bind(*party)
            .text(" AND kind = ")
            .bind(kind.code())
            .text(" AND wanted < ")
            .bind(*wanted)
            .execute(tx.db())
            .await?;
    }
    Ok(())
}

/// Sections of a sort that are behind, those wanted longest first, and up to where each is wanted.
pub(crate) async fn section_behind(
    db: &impl ConnectionTrait,
    kind: SectionKind,
    most: usize,
) -> Result<Vec<(SectionKey, i64)>, DbErr> {
    let text = "SELECT tenant, party, facet, wanted FROM desk_section WHERE wanted > position AND kind = ";
    let rows = Sql::new(db, text).bind(kind.code()).text(" ORDER BY wanted").limit(most).all(db).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        // A tenant that cannot be read is nothing that this service wrote.
        let Ok(tenant) = TenantId::parse(&row.try_get_by_index::<String>(0)?) else { continue };
        let key = SectionKey { tenant, party: row.try_get_by_index(1)?, kind, facet: row.try_get_by_index(2)? };
        found.push((key, row.try_get_by_index(3)?));
    }
    Ok(found)
}

/// Forgets those of some sections of a sort that are behind still, though they were asked for up to where each was wanted:
/// there is nothing of them, or nobody any more whose they are.
pub(crate) async fn section_forget(
    tx: &Tx,
    kind: SectionKind,
    asked: &BTreeMap<SectionKey, i64>,
) -> Result<(), StoreError> {
    let Some(wanted) = asked.values().max() else { return Ok(()) };
    let keys: Vec<&SectionKey> = asked.keys().collect();
    for some in keys.chunks(KEYS) {
        let values = some.iter().flat_map(|key| [Value::from(key.tenant.as_str()), Value::from(key.party)]);
        Sql::new(tx.db(), "DELETE FROM desk_section WHERE ")
            .in_rows(&["tenant", "party"], values.collect())
            .text(" AND kind = ")
            .bind(kind.code())
            // Not as the index of those that are behind says it: they are found by their keys.
            .text(" AND position - wanted < 0 AND wanted <= ")
            .bind(*wanted)
            .execute(tx.db())
            .await?;
    }
    Ok(())
}

/// Forgets everything that was learned for the desk, and how far: the consumers read the feeds anew. Gives how far they
/// had been, by source.
pub(crate) async fn desk_reset(tx: &Tx, consumer: &str) -> Result<BTreeMap<String, i64>, StoreError> {
    let rows = Sql::new(tx.db(), "SELECT source, position FROM consumer_cursor WHERE consumer = ")
        .bind(consumer)
        .all(tx.db())
        .await?;
    let mut stood = BTreeMap::new();
    for row in rows {
        stood.insert(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    }
    for text in ["DELETE FROM consumer_cursor WHERE consumer = ", "DELETE FROM parked_event WHERE consumer = "] {
        Sql::new(tx.db(), text).bind(consumer).execute(tx.db()).await?;
    }
    for text in ["DELETE FROM desk_section", "DELETE FROM desk_tie"] {
        Sql::new(tx.db(), text).execute(tx.db()).await?;
    }
    Ok(stood)
}
