//! The contribution log. Rows are only ever added.

use rapport_scoring_models::decayed::{Share, Sign, Weight};
use rapport_store::{Rows, Sql};
use rapport_types::{TenantId, Timestamp, Uuid};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::{MOST_KEYS, key_values, tenant_of};
use crate::domain::{Definition, Direction, Entry, Key};

const COLUMNS: &str = "tenant, interaction_id, origin, definition, version, sign, named, occurred_at, recorded_at, kind, \
    direction, weight, satisfaction, from_valence, joint";

/// Adds rows to the log.
pub(crate) async fn contribution_append(
    db: &impl ConnectionTrait,
    entries: Vec<(TenantId, Entry)>,
) -> Result<(), DbErr> {
    let mut rows = Rows::new(
        "contribution",
        &[
            "tenant",
            "interaction_id",
            "origin",
            "definition",
            "version",
            "sign",
            "named",
            "occurred_at",
            "recorded_at",
            "kind",
            "direction",
            "weight",
            "satisfaction",
            "from_valence",
            "joint",
        ],
    );
    for (tenant, entry) in entries {
        rows.push([
            tenant.as_str().into(),
            entry.interaction.into(),
            entry.origin.into(),
            entry.definition.into(),
            entry.version.into(),
            sign_code(entry.sign).into(),
            entry.named.into(),
            entry.occurred_at.as_micros().into(),
            entry.recorded_at.as_micros().into(),
            entry.kind.into(),
            entry.direction.code().into(),
            micros(entry.weight.micros()),
            micros(entry.satisfaction.micros()),
            entry.from_valence.into(),
            entry.joint.into(),
        ]);
    }
    rows.insert(db).await.map(drop)
}

/// Every row about these interactions.
pub(crate) async fn contribution_find(
    db: &impl ConnectionTrait,
    interactions: impl IntoIterator<Item = &Key>,
) -> Result<Vec<(TenantId, Entry)>, DbErr> {
    let interactions: Vec<&Key> = interactions.into_iter().collect();
    let mut found = Vec::new();
    for keys in interactions.chunks(MOST_KEYS) {
        let rows = Sql::new(db, &format!("SELECT {COLUMNS} FROM contribution WHERE "))
            .in_rows(&["tenant", "interaction_id"], key_values(keys))
            .all(db)
            .await?;
        for row in &rows {
            if let Some(entry) = entry(row)? {
                found.push((tenant_of(row)?, entry));
            }
        }
    }
    Ok(found)
}

/// Which rows of the log are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Of this tenant.
    pub(crate) tenant: &'a TenantId,
    /// Of this definition.
    pub(crate) definition: &'a Definition,
    /// That occurred until then.
    pub(crate) as_of: Timestamp,
    /// That were recorded until then; absent: whenever.
    pub(crate) known_at: Option<Timestamp>,
}

/// The rows of these origins that are asked for, in no order; at most `limit`.
pub(crate) async fn contribution_list(
    db: &impl ConnectionTrait,
    asked: &Asked<'_>,
    origins: &[Uuid],
    limit: u32,
) -> Result<Vec<Entry>, DbErr> {
    let mut entries = Vec::new();
    for origins in origins.chunks(MOST_KEYS) {
        let mut sql = Sql::new(db, &format!("SELECT {COLUMNS} FROM contribution WHERE tenant = "))
            .bind(asked.tenant.as_str())
            .text(" AND definition = ")
            .bind(asked.definition.key)
            .text(" AND occurred_at <= ")
            .bind(asked.as_of.as_micros());
        if let Some(known_at) = asked.known_at {
            sql = sql.text(" AND recorded_at <= ").bind(known_at.as_micros());
        }
        let rows = sql
            .text(" AND ")
            .in_list("origin", origins.iter().map(|origin| (*origin).into()).collect())
            .text(&format!(" LIMIT {limit}"))
            .all(db)
            .await?;
        for row in &rows {
            entries.extend(entry(row)?);
        }
    }
    Ok(entries)
}

/// A row's entry; `None` where its definition is of another version of the product.
fn entry(row: &QueryResult) -> Result<Option<Entry>, DbErr> {
    let definition: String = row.try_get("", "definition")?;
    let Some(definition) = Definition::by_key(&definition) else {
        return Ok(None);
    };
    let direction: i16 = row.try_get("", "direction")?;
    let sign: i16 = row.try_get("", "sign")?;
    Ok(Some(Entry {
        interaction: row.try_get("", "interaction_id")?,
        version: row.try_get("", "version")?,
        sign: if sign < 0 { Sign::Minus } else { Sign::Plus },
        origin: row.try_get("", "origin")?,
        named: row.try_get("", "named")?,
        definition: definition.key,
        occurred_at: Timestamp::from_micros(row.try_get("", "occurred_at")?),
        recorded_at: Timestamp::from_micros(row.try_get("", "recorded_at")?),
        kind: row.try_get("", "kind")?,
        direction: Direction::from_code(i32::from(direction))
            .ok_or_else(|| DbErr::Type("a stored direction is unknown".to_owned()))?,
        weight: Weight::from_micros(stored_micros(row, "weight")?),
        satisfaction: Share::from_micros(stored_micros(row, "satisfaction")?),
        from_valence: row.try_get("", "from_valence")?,
        joint: row.try_get("", "joint")?,
    }))
}

fn sign_code(sign: Sign) -> i16 {
    match sign {
        Sign::Plus => 1,
        Sign::Minus => -1,
    }
}

fn micros(value: u32) -> Value {
    // Weights and shares have 24 bits at most.
    i32::try_from(value).unwrap_or(i32::MAX).into()
}

fn stored_micros(row: &QueryResult, column: &str) -> Result<u32, DbErr> {
    let value: i32 = row.try_get("", column)?;
    u32::try_from(value).map_err(|_| DbErr::Type("a stored weight or share is negative".to_owned()))
}
