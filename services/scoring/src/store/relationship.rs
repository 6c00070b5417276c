//! Relationships between parties, and how far each tenant's are known.

use std::collections::{BTreeMap, BTreeSet};

use rapport_store::{Rows, Sql};
use rapport_types::{TenantId, Timestamp, Uuid};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use super::{MOST_KEYS, key_of, key_values};
use crate::domain::{Key, Tie};

const COLUMNS: &str = "tenant, relationship_id, version, kind, from_party, to_party, weight, since_at, until_at";

/// The relationships stored under these keys.
pub(crate) async fn relationship_find(
    db: &impl ConnectionTrait,
    relationships: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, Tie>, DbErr> {
    let relationships: Vec<&Key> = relationships.iter().collect();
    let mut found = BTreeMap::new();
    for keys in relationships.chunks(MOST_KEYS) {
        let rows = Sql::new(db, &format!("SELECT {COLUMNS} FROM relationship_edge WHERE "))
            .in_rows(&["tenant", "relationship_id"], key_values(keys))
            .all(db)
            .await?;
        for row in &rows {
            found.insert(key_of(row, "relationship_id")?, tie(row)?);
        }
    }
    Ok(found)
}

/// Writes relationships as they are now.
pub(crate) async fn relationship_save(db: &impl ConnectionTrait, ties: BTreeMap<Key, Tie>) -> Result<(), DbErr> {
    let mut rows = Rows::new(
        "relationship_edge",
        &["tenant", "relationship_id", "version", "kind", "from_party", "to_party", "weight", "since_at", "until_at"],
    );
    for ((tenant, relationship), tie) in ties {
        rows.push([
            tenant.as_str().into(),
            relationship.into(),
            tie.version.into(),
            tie.kind.into(),
            tie.from.into(),
            tie.to.into(),
            tie.weight_micros.into(),
            tie.since.as_micros().into(),
            tie.until.as_micros().into(),
        ]);
    }
    rows.insert_with(
        db,
        "ON CONFLICT (tenant, relationship_id) DO UPDATE SET version = excluded.version, kind = excluded.kind, \
         from_party = excluded.from_party, to_party = excluded.to_party, weight = excluded.weight, \
         since_at = excluded.since_at, until_at = excluded.until_at",
    )
    .await
    .map(drop)
}

/// All relationships of a tenant, whenever they hold, between the parties that their ends belong to now; at most `limit`.
pub(crate) async fn relationship_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    limit: u32,
) -> Result<Vec<Tie>, DbErr> {
    let rows = Sql::new(
        db,
        "SELECT e.version, e.kind, COALESCE(f.party, e.from_party) AS from_party, \
         COALESCE(t.party, e.to_party) AS to_party, e.weight, e.since_at, e.until_at FROM relationship_edge e \
         LEFT JOIN alias f ON f.tenant = e.tenant AND f.origin = e.from_party \
         LEFT JOIN alias t ON t.tenant = e.tenant AND t.origin = e.to_party WHERE e.tenant = ",
    )
    .bind(tenant.as_str())
    .text(&format!(" LIMIT {limit}"))
    .all(db)
    .await?;
    rows.iter().map(tie).collect()
}

/// The position of the last event that changed each tenant's relationships.
pub(crate) async fn network_save(db: &impl ConnectionTrait, positions: BTreeMap<TenantId, i64>) -> Result<(), DbErr> {
    let mut rows = Rows::new("network", &["tenant", "position"]);
    for (tenant, position) in positions {
        rows.push([tenant.as_str().into(), position.into()]);
    }
    rows.insert_with(db, "ON CONFLICT (tenant) DO UPDATE SET position = excluded.position").await.map(drop)
}

/// The position of the last event that changed a tenant's relationships; 0 where none did.
pub(crate) async fn network_position(db: &impl ConnectionTrait, tenant: &TenantId) -> Result<i64, DbErr> {
    let row = Sql::new(db, "SELECT position FROM network WHERE tenant = ").bind(tenant.as_str()).one(db).await?;
    row.map_or(Ok(0), |row| row.try_get("", "position"))
}

fn tie(row: &QueryResult) -> Result<Tie, DbErr> {
    let time = |column: &str| row.try_get("", column).map(Timestamp::from_micros);
    let party = |column: &str| -> Result<Uuid, DbErr> { row.try_get("", column) };
    Ok(Tie {
        version: row.try_get("", "version")?,
        kind: row.try_get("", "kind")?,
        from: party("from_party")?,
        to: party("to_party")?,
        weight_micros: row.try_get("", "weight")?,
        since: time("since_at")?,
        until: time("until_at")?,
    })
}
