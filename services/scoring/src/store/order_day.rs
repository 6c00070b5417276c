//! What was ordered and returned on each day: the sums of `order_line`.

use std::collections::{BTreeMap, BTreeSet};

use rapport_store::{Rows, Sql, StoreError};
use rapport_types::money::Currency;
use rapport_types::{TenantId, Uuid};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::order_line::currency;
use super::{MOST_KEYS, key_of, key_values, nanos_of, tenant_of, units_and_nanos};
use crate::domain::{Day, DayKey, DaySum, Key};
use crate::error::ScoringError;

const COLUMNS: &str = "tenant, origin, currency, role_type, day, orders, ordered_units, ordered_nanos, returns, \
    returned_units, returned_nanos";

/// Adds to the sums: reads the rows, adds, writes them back. Two replicas never do so at once for long: the consumer's
/// cursor is compared and set in the same transaction, so the later one is rolled back.
pub(crate) async fn order_day_add(
    db: &impl ConnectionTrait,
    changes: BTreeMap<DayKey, DaySum>,
) -> Result<(), StoreError> {
    let keys: Vec<&DayKey> = changes.keys().collect();
    let mut stored: BTreeMap<DayKey, DaySum> = BTreeMap::new();
    for keys in keys.chunks(MOST_KEYS) {
        let values: Vec<Value> = keys
            .iter()
            .flat_map(|key| {
                [
                    key.tenant.as_str().into(),
                    key.origin.into(),
                    key.day.number().into(),
                    key.currency.code().into(),
                    key.role_type.as_str().into(),
                ]
            })
            .collect();
        let rows = Sql::new(db, &format!("SELECT {COLUMNS} FROM order_day WHERE "))
            .in_rows(&["tenant", "origin", "day", "currency", "role_type"], values)
            .all(db)
            .await?;
        for row in &rows {
            stored.insert(key(row)?, sum(row)?);
        }
    }
    let mut rows = Rows::new(
        "order_day",
        &[
            "tenant",
            "origin",
            "currency",
            "role_type",
            "day",
            "orders",
            "ordered_units",
            "ordered_nanos",
            "returns",
            "returned_units",
            "returned_nanos",
        ],
    );
    for (key, change) in changes {
        let sum = stored.get(&key).copied().unwrap_or_default().plus(change);
        let (ordered_units, ordered_nanos) = units_and_nanos(sum.ordered).map_err(|_| ScoringError::TooMuchMoney)?;
        let (returned_units, returned_nanos) = units_and_nanos(sum.returned).map_err(|_| ScoringError::TooMuchMoney)?;
        rows.push([
            key.tenant.as_str().into(),
            key.origin.into(),
            key.currency.code().into(),
            key.role_type.into(),
            key.day.number().into(),
            sum.orders.into(),
            ordered_units.into(),
            ordered_nanos.into(),
            sum.returns.into(),
            returned_units.into(),
            returned_nanos.into(),
        ]);
    }
    rows.insert_with(
        db,
        "ON CONFLICT (tenant, origin, day, currency, role_type) DO UPDATE SET orders = excluded.orders, \
         ordered_units = excluded.ordered_units, ordered_nanos = excluded.ordered_nanos, returns = excluded.returns, \
         returned_units = excluded.returned_units, returned_nanos = excluded.returned_nanos",
    )
    .await?;
    Ok(())
}

/// Those of some origins that have orders or returns, or had some.
pub(crate) async fn order_day_origins(db: &impl ConnectionTrait, origins: &BTreeSet<Key>) -> Result<Vec<Key>, DbErr> {
    let origins: Vec<&Key> = origins.iter().collect();
    let mut found = Vec::new();
    for keys in origins.chunks(MOST_KEYS) {
        let rows = Sql::new(db, "SELECT DISTINCT tenant, origin FROM order_day WHERE ")
            .in_rows(&["tenant", "origin"], key_values(keys))
            .all(db)
            .await?;
        for row in &rows {
            found.push(key_of(row, "origin")?);
        }
    }
    Ok(found)
}

/// The sums of some origins, of all currencies and roles, until a day.
pub(crate) async fn order_day_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    origins: &[Uuid],
    until: Day,
) -> Result<Vec<(DayKey, DaySum)>, DbErr> {
    let mut found = Vec::new();
    for origins in origins.chunks(MOST_KEYS) {
        let rows = Sql::new(db, &format!("SELECT {COLUMNS} FROM order_day WHERE tenant = "))
            .bind(tenant.as_str())
            .text(" AND day <= ")
            .bind(until.number())
            .text(" AND ")
            .in_list("origin", origins.iter().map(|origin| (*origin).into()).collect())
            .all(db)
            .await?;
        for row in &rows {
            found.push((key(row)?, sum(row)?));
        }
    }
    Ok(found)
}

/// The next rows of a tenant behind a key, in the order of the keys, each with the party that its origin was given to; at most
/// `limit`.
pub(crate) async fn order_day_scan(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    after: Option<&DayKey>,
    limit: u32,
) -> Result<Vec<(DayKey, DaySum, Option<Uuid>)>, DbErr> {
    let mut sql = Sql::new(
        db,
        "SELECT d.tenant, d.origin, d.currency, d.role_type, d.day, d.orders, d.ordered_units, d.ordered_nanos, d.returns, \
         d.returned_units, d.returned_nanos, a.party FROM order_day d \
         LEFT JOIN alias a ON a.tenant = d.tenant AND a.origin = d.origin WHERE d.tenant = ",
    )
    .bind(tenant.as_str());
    if let Some(after) = after {
        sql = sql
            .text(" AND (d.origin, d.day, d.currency, d.role_type) > (")
            .bind(after.origin)
            .text(", ")
            .bind(after.day.number())
            .text(", ")
            .bind(after.currency.code())
            .text(", ")
            .bind(after.role_type.as_str())
            .text(")");
    }
    let order = format!(" ORDER BY d.origin, d.day, d.currency, d.role_type LIMIT {limit}");
    let rows = sql.text(&order).all(db).await?;
    rows.iter().map(|row| Ok((key(row)?, sum(row)?, row.try_get("", "party")?))).collect()
}

fn key(row: &QueryResult) -> Result<DayKey, DbErr> {
    let currency: Currency = currency(row)?;
    Ok(DayKey {
        tenant: tenant_of(row)?,
        origin: row.try_get("", "origin")?,
        currency,
        role_type: row.try_get("", "role_type")?,
        day: Day::from_number(row.try_get("", "day")?),
    })
}

fn sum(row: &QueryResult) -> Result<DaySum, DbErr> {
    Ok(DaySum {
        orders: row.try_get("", "orders")?,
        ordered: nanos_of(row.try_get("", "ordered_units")?, row.try_get("", "ordered_nanos")?),
        returns: row.try_get("", "returns")?,
        returned: nanos_of(row.try_get("", "returned_units")?, row.try_get("", "returned_nanos")?),
    })
}
