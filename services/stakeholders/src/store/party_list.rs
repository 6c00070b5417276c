//! Lists of parties by keyset.

use std::collections::BTreeMap;

use rapport_expr::{Bind, Lowered};
use rapport_types::{TenantId, Timestamp};
use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::party::{self, SELECTED};
use crate::domain::party::Party;

/// What a list is sorted by; ids break ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// When parties were recorded.
    Created,
    /// When they last changed.
    Updated,
    /// Their name, without regard to case.
    Name,
}

impl Order {
    fn column(self) -> &'static str {
        match self {
            Order::Created => "created_at",
            Order::Updated => "updated_at",
            Order::Name => "display_key",
        }
    }

    /// Where a party stands in a list.
    pub fn mark(self, party: &Party) -> Mark {
        let place = match self {
            Order::Created => Place::Time(party.created_at.as_micros()),
            Order::Updated => Place::Time(party.updated_at.as_micros()),
            Order::Name => Place::Text(party::display_key(&party.profile.display_name)),
        };
        Mark { place, id: party.id }
    }
}

/// A place in a list, as page tokens keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    place: Place,
    id: Uuid,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    Time(i64),
    Text(String),
}

/// What is wanted of a list.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Whose data.
    pub tenant: &'a TenantId,
    /// Its filter, lowered from `$1` on.
    pub filter: Lowered,
    /// Only parties that hold this role type now.
    pub role_type: Option<&'a str>,
    /// When now is.
    pub now: Timestamp,
    /// By what it is sorted.
    pub order: Order,
    /// The greatest first.
    pub descending: bool,
    /// Where the page before ended.
    pub after: Option<Mark>,
    /// At most so many.
    pub most: usize,
}

/// A page of parties.
///
/// # Errors
/// The database's.
pub async fn page(db: &impl ConnectionTrait, wanted: Wanted<'_>) -> Result<Vec<Party>, DbErr> {
    let mut values: Vec<Value> = wanted
        .filter
        .binds
        .into_iter()
        .map(|bind| match bind {
            Bind::Text(text) => text.into(),
            Bind::Int(number) | Bind::Time(number) => number.into(),
            Bind::Bool(flag) => flag.into(),
            Bind::Uuid(id) => id.into(),
        })
        .collect();
    let mut bind = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    let mut sql = format!(
        "SELECT {SELECTED} FROM party p WHERE {} AND p.tenant = {}",
        wanted.filter.sql,
        bind(wanted.tenant.as_str().into())
    );
    if let Some(role_type) = wanted.role_type {
        let now = wanted.now.as_micros();
        sql.push_str(&format!(
            " AND EXISTS (SELECT 1 FROM party_role r WHERE r.tenant = p.tenant AND r.party_id = p.id \
             AND r.role_type = {} AND r.status IN ('active', 'ended') AND r.valid_from <= {} AND r.valid_until > {})",
            bind(role_type.into()),
            bind(now.into()),
            bind(now.into())
        ));
    }
    let column = wanted.order.column();
    if let Some(mark) = wanted.after {
        let place = match mark.place {
            Place::Time(micros) => micros.into(),
            Place::Text(text) => text.into(),
        };
        let past = if wanted.descending { "<" } else { ">" };
        sql.push_str(&format!(" AND (p.{column}, p.id) {past} ({}, {})", bind(place), bind(mark.id.into())));
    }
    let direction = if wanted.descending { " DESC" } else { "" };
    sql.push_str(&format!(
        " ORDER BY p.{column}{direction}, p.id{direction} LIMIT 0 + {}",
        // As in [`rapport_store::Sql::limit`].
        bind(i64::try_from(wanted.most).unwrap_or(i64::MAX).into())
    ));
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let mut order = Vec::new();
    let mut found = BTreeMap::new();
    for row in db.query_all_raw(statement).await? {
        let (key, party) = party::read(&row)?;
        order.push(key.clone());
        found.insert(key, party);
    }
    party::complete(db, &mut found).await?;
    Ok(order.iter().filter_map(|key| found.remove(key)).collect())
}
