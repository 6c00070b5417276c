//! Rows and statements. Each file is one table; each statement is set-based and starts with the tenant.

mod accumulator;
mod alias;
mod clv_model;
mod contribution;
mod order_day;
mod order_line;
mod relationship;
mod revision;
mod superseded;

pub(crate) use accumulator::{accumulator_add, accumulator_list, accumulator_origins};
pub(crate) use alias::{Holder, alias_find, alias_save, alias_whose, alias_whose_each};
pub(crate) use clv_model::{clv_model_find, clv_model_insert, clv_model_list, clv_model_version};
pub(crate) use contribution::{Asked, contribution_append, contribution_find, contribution_list};
pub(crate) use order_day::{order_day_add, order_day_list, order_day_origins, order_day_scan};
pub(crate) use order_line::{order_line_find, order_line_save};
pub(crate) use relationship::{
    network_position, network_save, relationship_find, relationship_list, relationship_save,
};
pub(crate) use revision::{revision_find, revision_save};
pub(crate) use superseded::{superseded_find, superseded_save};

use rapport_types::{TenantId, Uuid};
use sea_orm::{DbErr, QueryResult, Value};

use crate::domain::Key;

/// Keys of one statement at most: below the limits on bound values with four values a key.
const MOST_KEYS: usize = 5_000;

/// Keys row-major, for `Sql::in_rows`.
fn key_values(keys: &[&Key]) -> Vec<Value> {
    keys.iter().flat_map(|(tenant, id)| [tenant.as_str().into(), (*id).into()]).collect()
}

/// The tenant of a row.
fn tenant_of(row: &QueryResult) -> Result<TenantId, DbErr> {
    let text: String = row.try_get("", "tenant")?;
    TenantId::parse(&text).map_err(|_| DbErr::Type("a stored tenant is not a slug".to_owned()))
}

/// The tenant and an id of a row.
pub(crate) fn key_of(row: &QueryResult, column: &str) -> Result<Key, DbErr> {
    let id: Uuid = row.try_get("", column)?;
    Ok((tenant_of(row)?, id))
}

/// Billionths of a unit as whole units and the rest, which has the same sign.
fn units_and_nanos(nanos: i128) -> Result<(i64, i64), DbErr> {
    let units = i64::try_from(nanos / NANOS).map_err(|_| DbErr::Type("an amount does not fit".to_owned()))?;
    // The rest is below a billion.
    Ok((units, i64::try_from(nanos % NANOS).unwrap_or(0)))
}

fn nanos_of(units: i64, nanos: i64) -> i128 {
    i128::from(units) * NANOS + i128::from(nanos)
}

const NANOS: i128 = 1_000_000_000;
