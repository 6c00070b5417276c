//! What each interaction says about an order or a return: one row per interaction, its greatest version.

use std::collections::{BTreeMap, BTreeSet};

use rapport_store::{Rows, Sql};
use rapport_types::Uuid;
use rapport_types::money::{Currency, Money};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::{MOST_KEYS, key_of, key_values, units_and_nanos};
use crate::domain::{BookLine, Day, Key, Purchase, PurchaseKind};

/// The lines of these interactions, as far as there are any.
pub(crate) async fn order_line_find(
    db: &impl ConnectionTrait,
    interactions: &BTreeSet<Key>,
) -> Result<Vec<(Key, BookLine)>, DbErr> {
    let interactions: Vec<&Key> = interactions.iter().collect();
    let mut found = Vec::new();
    for keys in interactions.chunks(MOST_KEYS) {
        let rows = Sql::new(
            db,
            "SELECT tenant, interaction_id, version, superseded, kind, origin, role_type, day, currency, units, nanos \
             FROM order_line WHERE ",
        )
        .in_rows(&["tenant", "interaction_id"], key_values(keys))
        .all(db)
        .await?;
        for row in &rows {
            found.push((key_of(row, "interaction_id")?, line(row)?));
        }
    }
    Ok(found)
}

/// Writes lines, new ones and changed ones.
pub(crate) async fn order_line_save(db: &impl ConnectionTrait, lines: BTreeMap<Key, BookLine>) -> Result<(), DbErr> {
    let mut rows = Rows::new(
        "order_line",
        &[
            "tenant",
            "interaction_id",
            "version",
            "superseded",
            "kind",
            "origin",
            "role_type",
            "day",
            "currency",
            "units",
            "nanos",
        ],
    );
    for ((tenant, interaction), line) in lines {
        let purchase = line.purchase;
        let amount = purchase.as_ref().map(|purchase| units_and_nanos(purchase.nanos)).transpose()?;
        rows.push([
            tenant.as_str().into(),
            interaction.into(),
            line.version.into(),
            line.superseded.into(),
            Value::SmallInt(purchase.as_ref().map(|purchase| purchase.kind.code())),
            Value::Uuid(purchase.as_ref().map(|purchase| purchase.origin)),
            Value::String(purchase.as_ref().map(|purchase| purchase.role_type.clone())),
            Value::Int(purchase.as_ref().map(|purchase| purchase.day.number())),
            Value::String(purchase.as_ref().map(|purchase| purchase.currency.code().to_owned())),
            Value::BigInt(amount.map(|(units, _)| units)),
            Value::BigInt(amount.map(|(_, nanos)| nanos)),
        ]);
    }
    rows.insert_with(
        db,
        "ON CONFLICT (tenant, interaction_id) DO UPDATE SET version = excluded.version, \
         superseded = excluded.superseded, kind = excluded.kind, origin = excluded.origin, \
         role_type = excluded.role_type, day = excluded.day, currency = excluded.currency, units = excluded.units, \
         nanos = excluded.nanos",
    )
    .await
    .map(drop)
}

fn line(row: &QueryResult) -> Result<BookLine, DbErr> {
    let kind: Option<i16> = row.try_get("", "kind")?;
    let purchase = match kind {
        None => None,
        Some(kind) => {
            let units: i64 = row.try_get("", "units")?;
            let nanos: i64 = row.try_get("", "nanos")?;
            Some(Purchase {
                kind: PurchaseKind::from_code(kind)
                    .ok_or_else(|| DbErr::Type("a stored kind of purchase is unknown".to_owned()))?,
                origin: row.try_get::<Uuid>("", "origin")?,
                role_type: row.try_get("", "role_type")?,
                day: Day::from_number(row.try_get("", "day")?),
                currency: currency(row)?,
                nanos: super::nanos_of(units, nanos),
            })
        }
    };
    Ok(BookLine { version: row.try_get("", "version")?, superseded: row.try_get("", "superseded")?, purchase })
}

/// The currency of a row.
pub(super) fn currency(row: &QueryResult) -> Result<Currency, DbErr> {
    let code: String = row.try_get("", "currency")?;
    Money::parse(0, 0, &code).map(Money::currency).map_err(|_| DbErr::Type("a stored currency is unknown".to_owned()))
}
