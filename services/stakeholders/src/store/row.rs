//! Between cells and values.

use rapport_types::{TenantId, Timestamp};
use sea_orm::{DbErr, QueryResult, TryGetable, Value};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::Key;
use crate::domain::period::Period;

/// How many keys one statement takes: well under what can be bound.
pub(super) const CHUNK: usize = 4_000;

/// Cells of a row by name.
pub(super) trait Cells {
    fn cell<T: TryGetable>(&self, column: &str) -> Result<T, DbErr>;

    fn text(&self, column: &str) -> Result<String, DbErr> {
        self.cell(column)
    }

    fn id(&self, column: &str) -> Result<Uuid, DbErr> {
        self.cell(column)
    }

    fn time(&self, column: &str) -> Result<Timestamp, DbErr> {
        Ok(Timestamp::from_micros(self.cell(column)?))
    }

    fn period(&self) -> Result<Period, DbErr> {
        Ok(Period { from: self.time("valid_from")?, until: self.time("valid_until")? })
    }

    fn tenant(&self) -> Result<TenantId, DbErr> {
        TenantId::parse(&self.text("tenant")?).map_err(|_| unreadable("tenant"))
    }

    fn key(&self, column: &str) -> Result<Key, DbErr> {
        Ok((self.tenant()?, self.id(column)?))
    }

    fn document<T: DeserializeOwned>(&self, column: &str) -> Result<T, DbErr> {
        let value: serde_json::Value = self.cell(column)?;
        serde_json::from_value(value).map_err(|_| unreadable(column))
    }

    /// A word of a closed list.
    fn word<T>(&self, column: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, DbErr> {
        read(&self.text(column)?).ok_or_else(|| unreadable(column))
    }
}

impl Cells for QueryResult {
    fn cell<T: TryGetable>(&self, column: &str) -> Result<T, DbErr> {
        self.try_get("", column)
    }
}

/// A cell that this version cannot read: its value stays out of the text.
fn unreadable(column: &str) -> DbErr {
    DbErr::Type(format!("column {column} holds what this version cannot read"))
}

/// A document as a cell.
pub(super) fn json(value: &impl Serialize) -> Result<Value, DbErr> {
    let value = serde_json::to_value(value).map_err(|error| DbErr::Json(error.to_string()))?;
    Ok(Value::Json(Some(Box::new(value))))
}

/// Keys as row-major cells for `in_rows(&["tenant", ...])`.
pub(super) fn keys(keys: &[Key]) -> Vec<Value> {
    keys.iter().flat_map(|(tenant, id)| [tenant.as_str().into(), (*id).into()]).collect()
}
