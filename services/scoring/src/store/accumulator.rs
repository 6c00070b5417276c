//! The sums of the log: per origin, definition and era.

use std::collections::{BTreeMap, BTreeSet};

use rapport_scoring_models::decayed::Sum;
use rapport_store::{Rows, Sql, StoreError};
use rapport_types::{TenantId, Timestamp, Uuid};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::{MOST_KEYS, key_of, key_values, tenant_of};
use crate::domain::{Accumulator, Definition, Key, SumChange, SumKey};
use crate::error::ScoringError;

const COLUMNS: &str = "tenant, origin, definition, era, pull, weight, contributions, joint, newest_at";

/// Adds to the sums: reads the rows, adds, writes them back. Two replicas never do so at once for long: the consumer's
/// cursor is compared and set in the same transaction, so the later one is rolled back.
pub(crate) async fn accumulator_add(
    db: &impl ConnectionTrait,
    changes: BTreeMap<SumKey, SumChange>,
) -> Result<(), StoreError> {
    let keys: Vec<&SumKey> = changes.keys().collect();
    let mut stored: BTreeMap<SumKey, Accumulator> = BTreeMap::new();
    for keys in keys.chunks(MOST_KEYS) {
        let values: Vec<Value> = keys
            .iter()
            .flat_map(|key| [key.tenant.as_str().into(), key.origin.into(), key.definition.into(), key.era.into()])
            .collect();
        let rows = Sql::new(db, &format!("SELECT {COLUMNS} FROM accumulator WHERE "))
            .in_rows(&["tenant", "origin", "definition", "era"], values)
            .all(db)
            .await?;
        for row in &rows {
            if let Some((definition, row_of)) = accumulator(row)? {
                let key = SumKey {
                    tenant: tenant_of(row)?,
                    origin: row_of.origin,
                    definition: definition.key,
                    era: row_of.era,
                };
                stored.insert(key, row_of);
            }
        }
    }
    let columns = &["tenant", "origin", "definition", "era", "pull", "weight", "contributions", "joint", "newest_at"];
    let (mut fresh, mut changed) = (Rows::new("accumulator", columns), Rows::new("accumulator", columns));
    for (key, change) in changes {
        let before = stored.get(&key);
        let rows = if before.is_some() { &mut changed } else { &mut fresh };
        let mut sum = before.map(|row| row.sum).unwrap_or_default();
        sum.add(&change.sum).map_err(|_| ScoringError::TooManyContributions)?;
        let joint = change.joint + before.map_or(0, |row| row.joint);
        let newest = before.map_or(change.newest, |row| row.newest.max(change.newest));
        rows.push([
            key.tenant.as_str().into(),
            key.origin.into(),
            key.definition.into(),
            key.era.into(),
            sum.pull.to_be_bytes().to_vec().into(),
            sum.weight.to_be_bytes().to_vec().into(),
            sum.count.into(),
            joint.into(),
            newest.as_micros().into(),
        ]);
    }
    // An update of what is there is half the work that an insert which meets it is.
    changed.update_by(db, &["tenant", "origin", "definition", "era"]).await?;
    fresh
        .insert_with(
            db,
            "ON CONFLICT (tenant, origin, definition, era) DO UPDATE SET pull = excluded.pull, weight = excluded.weight, \
             contributions = excluded.contributions, joint = excluded.joint, newest_at = excluded.newest_at",
        )
        .await?;
    Ok(())
}

/// The sums of some origins, for every definition.
pub(crate) async fn accumulator_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    origins: &[Uuid],
) -> Result<Vec<(&'static Definition, Accumulator)>, DbErr> {
    let mut found = Vec::new();
    for origins in origins.chunks(MOST_KEYS) {
        let rows = Sql::new(db, &format!("SELECT {COLUMNS} FROM accumulator WHERE tenant = "))
            .bind(tenant.as_str())
            .text(" AND ")
            .in_list("origin", origins.iter().map(|origin| (*origin).into()).collect())
            .all(db)
            .await?;
        for row in &rows {
            found.extend(accumulator(row)?);
        }
    }
    Ok(found)
}

/// Which of these origins have contributions.
pub(crate) async fn accumulator_origins(db: &impl ConnectionTrait, origins: &BTreeSet<Key>) -> Result<Vec<Key>, DbErr> {
    let origins: Vec<&Key> = origins.iter().collect();
    let mut found = Vec::new();
    for keys in origins.chunks(MOST_KEYS) {
        let rows = Sql::new(db, "SELECT DISTINCT tenant, origin FROM accumulator WHERE ")
            .in_rows(&["tenant", "origin"], key_values(keys))
            .all(db)
            .await?;
        for row in &rows {
            found.push(key_of(row, "origin")?);
        }
    }
    Ok(found)
}

fn accumulator(row: &QueryResult) -> Result<Option<(&'static Definition, Accumulator)>, DbErr> {
    let definition: String = row.try_get("", "definition")?;
    let Some(definition) = Definition::by_key(&definition) else {
        return Ok(None);
    };
    let sum = Sum { pull: wide(row, "pull")?, weight: wide(row, "weight")?, count: row.try_get("", "contributions")? };
    let accumulator = Accumulator {
        origin: row.try_get("", "origin")?,
        era: row.try_get("", "era")?,
        sum,
        joint: row.try_get("", "joint")?,
        newest: Timestamp::from_micros(row.try_get("", "newest_at")?),
    };
    Ok(Some((definition, accumulator)))
}

/// A 128-bit integer: 16 bytes, the highest first, two's complement. No integer column of both stores is as wide.
fn wide(row: &QueryResult, column: &str) -> Result<i128, DbErr> {
    let bytes: Vec<u8> = row.try_get("", column)?;
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| DbErr::Type(format!("stored {column} has not 16 bytes")))?;
    Ok(i128::from_be_bytes(bytes))
}
