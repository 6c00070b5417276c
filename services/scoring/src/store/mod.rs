//! Rows and statements. Each file is one table; each statement is set-based and starts with the tenant.

mod accumulator;
mod alias;
mod contribution;
mod superseded;

pub(crate) use accumulator::{accumulator_add, accumulator_list, accumulator_origins};
pub(crate) use alias::{alias_find, alias_save, alias_whose};
pub(crate) use contribution::{contribution_append, contribution_find, contribution_list};
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

fn key_of(row: &QueryResult, column: &str) -> Result<Key, DbErr> {
    let id: Uuid = row.try_get("", column)?;
    Ok((tenant_of(row)?, id))
}
