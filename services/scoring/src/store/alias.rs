//! Which party an origin belongs to now. Facts keep their origin for ever; only this map changes.

use std::collections::{BTreeMap, BTreeSet};

use rapport_store::{Rows, Sql};
use rapport_types::{TenantId, Timestamp, Uuid};
use sea_orm::{ConnectionTrait, DbErr};

use super::{MOST_KEYS, key_of, key_values};
use crate::domain::Key;

/// Whose these origins are, where that is known.
pub(crate) async fn alias_find(db: &impl ConnectionTrait, origins: &BTreeSet<Key>) -> Result<Vec<(Key, Uuid)>, DbErr> {
    let origins: Vec<&Key> = origins.iter().collect();
    let mut found = Vec::new();
    for keys in origins.chunks(MOST_KEYS) {
        let rows = Sql::new(db, "SELECT tenant, origin, party FROM alias WHERE ")
            .in_rows(&["tenant", "origin"], key_values(keys))
            .all(db)
            .await?;
        for row in &rows {
            found.push((key_of(row, "origin")?, row.try_get("", "party")?));
        }
    }
    Ok(found)
}

/// Sets whose these origins are.
pub(crate) async fn alias_save(
    db: &impl ConnectionTrait,
    aliases: BTreeMap<Key, Uuid>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let mut rows = Rows::new("alias", &["tenant", "origin", "party", "changed_at"]);
    for ((tenant, origin), party) in aliases {
        rows.push([tenant.as_str().into(), origin.into(), party.into(), now.as_micros().into()]);
    }
    rows.insert_with(
        db,
        "ON CONFLICT (tenant, origin) DO UPDATE SET party = excluded.party, changed_at = excluded.changed_at",
    )
    .await
    .map(drop)
}

/// The party that an id stands for now, and all origins that are its own: itself first.
pub(crate) async fn alias_whose(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    id: Uuid,
) -> Result<(Uuid, Vec<Uuid>), DbErr> {
    let mut party = id;
    let mut rows = pairs(db, tenant, party).await?;
    // An id that was given to another party: the map leads to the one it belongs to now, in one step.
    if let Some((_, other)) = rows.iter().find(|(origin, other)| *origin == id && *other != id) {
        party = *other;
        rows = pairs(db, tenant, party).await?;
    }
    let others =
        rows.into_iter().filter(|(origin, whose)| *whose == party && *origin != party).map(|(origin, _)| origin);
    Ok((party, std::iter::once(party).chain(others).collect()))
}

/// A party as it was asked for, the party that it stands for now, and all origins that are its own: itself first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The id asked for.
    pub(crate) asked: Uuid,
    /// The party.
    pub(crate) party: Uuid,
    /// Its origins.
    pub(crate) origins: Vec<Uuid>,
}

/// [`alias_whose`] for many ids, each of which is to be asked once: two statements for up to 5,000 of them.
pub(crate) async fn alias_whose_each(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    ids: &[Uuid],
) -> Result<Vec<Holder>, DbErr> {
    let mut holders = Vec::with_capacity(ids.len());
    for ids in ids.chunks(MOST_KEYS) {
        let given = pairs_by(db, tenant, "origin", ids).await?;
        let given: BTreeMap<Uuid, Uuid> = given.into_iter().collect();
        let parties: BTreeSet<Uuid> = ids.iter().map(|id| given.get(id).copied().unwrap_or(*id)).collect();
        let parties: Vec<Uuid> = parties.into_iter().collect();
        let mut owned: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for (origin, party) in pairs_by(db, tenant, "party", &parties).await? {
            owned.entry(party).or_default().push(origin);
        }
        holders.extend(ids.iter().map(|id| {
            let party = given.get(id).copied().unwrap_or(*id);
            let others = owned.get(&party).into_iter().flatten().copied().filter(|origin| *origin != party);
            Holder { asked: *id, party, origins: std::iter::once(party).chain(others).collect() }
        }));
    }
    Ok(holders)
}

async fn pairs_by(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    column: &str,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, Uuid)>, DbErr> {
    let rows = Sql::new(db, "SELECT origin, party FROM alias WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND ")
        .in_list(column, ids.iter().map(|id| (*id).into()).collect())
        .all(db)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("", "origin")?, row.try_get("", "party")?))).collect()
}

/// Two searches rather than one with OR, which SQLite answers by reading the tenant's whole map.
async fn pairs(db: &impl ConnectionTrait, tenant: &TenantId, id: Uuid) -> Result<Vec<(Uuid, Uuid)>, DbErr> {
    let rows = Sql::new(db, "SELECT origin, party FROM alias WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND origin = ")
        .bind(id)
        .text(" UNION ALL SELECT origin, party FROM alias WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND party = ")
        .bind(id)
        .all(db)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("", "origin")?, row.try_get("", "party")?))).collect()
}
