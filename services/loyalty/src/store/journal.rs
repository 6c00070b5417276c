//! The journal and the lots, as they are read.

use std::collections::{BTreeSet, HashMap};

use rapport_store::Sql;
use rapport_store::sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use rapport_types::{TenantId, Timestamp, Uuid};

use super::catalog::coded;
use super::ledger::LOT;
use super::{MOST_KEYS, key_of, time};
use crate::domain::{Account, Entry, EntryKind, Key, Lot, Months};

/// The columns of an entry that is read.
const ENTRY: &str = "sequence, unit_type_id, kind, transaction_id, giver, taker, amount, previous_balance, new_balance, \
    rule_id, source, effective_at, recorded_at, sealed";

/// An entry that is read.
#[derive(Debug)]
pub(crate) struct EntryRow {
    pub(crate) entry: Entry,
    pub(crate) sealed: Option<Vec<u8>>,
}

/// A page of a member's journal, newest first: of one unit type, or of all.
pub(crate) async fn entry_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    member: Uuid,
    unit_type: Option<Uuid>,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<EntryRow>, DbErr> {
    let mut sql = Sql::new(db, &format!("SELECT {ENTRY} FROM entry WHERE tenant = "))
        .bind(tenant.as_str())
        .text(" AND member_id = ")
        .bind(member);
    if let Some(unit_type) = unit_type {
        sql = sql.text(" AND unit_type_id = ").bind(unit_type);
    }
    if let Some(before) = before {
        sql = sql.text(" AND sequence < ").bind(before);
    }
    let rows = sql.text(" ORDER BY sequence DESC").limit(limit).all(db).await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &QueryResult) -> Result<EntryRow, DbErr> {
    let entry = Entry {
        sequence: row.try_get("", "sequence")?,
        unit_type: row.try_get("", "unit_type_id")?,
        kind: coded(row, "kind", EntryKind::from_code)?,
        transaction: row.try_get("", "transaction_id")?,
        giver: coded(row, "giver", Account::from_code)?,
        taker: coded(row, "taker", Account::from_code)?,
        amount: row.try_get("", "amount")?,
        previous: row.try_get("", "previous_balance")?,
        next: row.try_get("", "new_balance")?,
        rule: row.try_get("", "rule_id")?,
        source: row.try_get("", "source")?,
        effective_at: time(row, "effective_at")?,
        recorded_at: time(row, "recorded_at")?,
    };
    Ok(EntryRow { entry, sealed: row.try_get("", "sealed")? })
}

/// What these transactions entered into the journals of these members, by member and transaction.
pub(crate) async fn entry_of(
    db: &impl ConnectionTrait,
    wanted: &BTreeSet<(Key, Uuid)>,
) -> Result<HashMap<(Key, Uuid), Entry>, DbErr> {
    let wanted: Vec<&(Key, Uuid)> = wanted.iter().collect();
    let mut found = HashMap::new();
    for some in wanted.chunks(MOST_KEYS) {
        let values = some.iter().flat_map(|((tenant, member), transaction)| {
            [Value::from(tenant.as_str()), (*member).into(), (*transaction).into()]
        });
        let rows = Sql::new(db, &format!("SELECT tenant, member_id, {ENTRY} FROM entry WHERE "))
            .in_rows(&["tenant", "member_id", "transaction_id"], values.collect())
            .all(db)
            .await?;
        for row in &rows {
            let entry = entry(row)?.entry;
            if let Some(transaction) = entry.transaction {
                found.insert((key_of(row, "member_id")?, transaction), entry);
            }
        }
    }
    Ok(found)
}

/// A lot of a row.
pub(super) fn lot(row: &QueryResult) -> Result<Lot, DbErr> {
    Ok(Lot {
        expires_at: time(row, "expires_at")?,
        earned_at: time(row, "earned_at")?,
        id: row.try_get("", "id")?,
        unit_type: row.try_get("", "unit_type_id")?,
        available_at: time(row, "available_at")?,
        amount: row.try_get("", "amount")?,
        remaining: row.try_get("", "remaining")?,
        expired: row.try_get("", "expired")?,
        recorded_at: time(row, "recorded_at")?,
    })
}

/// The open lots of a member, in the order in which they are used.
pub(crate) async fn lots_open(db: &impl ConnectionTrait, tenant: &TenantId, member: Uuid) -> Result<Vec<Lot>, DbErr> {
    let rows = Sql::new(db, &format!("SELECT {LOT} FROM lot WHERE remaining > 0 AND tenant = "))
        .bind(tenant.as_str())
        .text(" AND member_id = ")
        .bind(member)
        .text(" ORDER BY expires_at, earned_at, id")
        .all(db)
        .await?;
    rows.iter().map(lot).collect()
}

/// The lots of a member that had not expired then, as they stood: what was used later is put back. One statement, so that
/// nothing is counted twice or not at all while units are taken.
pub(crate) async fn lots_as_of(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    member: Uuid,
    at: Timestamp,
) -> Result<Vec<Lot>, DbErr> {
    let rows = Sql::new(
        db,
        "SELECT l.expires_at, l.earned_at, l.id, l.unit_type_id, l.available_at, l.amount, l.expired, l.recorded_at, \
         CAST(l.remaining + coalesce(u.used, 0) AS BIGINT) AS remaining FROM lot AS l \
         LEFT JOIN (SELECT lot_id, sum(amount) AS used FROM lot_use WHERE tenant = ",
    )
    .bind(tenant.as_str())
    .text(" AND member_id = ")
    .bind(member)
    .text(" AND effective_at > ")
    .bind(at.as_micros())
    .text(" GROUP BY lot_id) AS u ON u.lot_id = l.id WHERE l.tenant = ")
    .bind(tenant.as_str())
    .text(" AND l.member_id = ")
    .bind(member)
    .text(" AND l.expires_at > ")
    .bind(at.as_micros())
    .text(" AND l.earned_at <= ")
    .bind(at.as_micros())
    .text(" ORDER BY l.expires_at, l.earned_at, l.id")
    .all(db)
    .await?;
    rows.iter().map(lot).collect()
}

/// A place in the list of lots.
pub(crate) type LotPlace = (i64, i64, Uuid);

/// What a page of lots is asked for by.
pub(crate) struct LotPage {
    pub(crate) unit_type: Option<Uuid>,
    /// Only those with something left that expires after this; all when none.
    pub(crate) open_at: Option<Timestamp>,
    pub(crate) after: Option<LotPlace>,
    pub(crate) limit: usize,
}

/// A page of a member's lots, in the order in which they are used.
pub(crate) async fn lot_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    member: Uuid,
    page: &LotPage,
) -> Result<Vec<Lot>, DbErr> {
    let mut sql = Sql::new(db, &format!("SELECT {LOT} FROM lot WHERE tenant = "))
        .bind(tenant.as_str())
        .text(" AND member_id = ")
        .bind(member);
    if let Some(open_at) = page.open_at {
        sql = sql.text(" AND remaining > 0 AND expires_at > ").bind(open_at.as_micros());
    }
    if let Some(unit_type) = page.unit_type {
        sql = sql.text(" AND unit_type_id = ").bind(unit_type);
    }
    if let Some((expires_at, earned_at, id)) = page.after {
        sql = sql
            .text(" AND (expires_at, earned_at, id) > (")
            .bind(expires_at)
            .text(", ")
            .bind(earned_at)
            .text(", ")
            .bind(id)
            .text(")");
    }
    let rows = sql.text(" ORDER BY expires_at, earned_at, id").limit(page.limit).all(db).await?;
    rows.iter().map(lot).collect()
}

/// What was earned of one unit type by then, and taken away by hand: when, and how much.
pub(crate) async fn earned_until(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    member: Uuid,
    unit_type: Uuid,
    at: Timestamp,
) -> Result<Vec<(Timestamp, i64)>, DbErr> {
    // What was taken back counts no longer where it was earned, by whichever rule that was.
    let rows = Sql::new(
        db,
        "SELECT CASE WHEN e.rule_id IS NOT NULL AND e.kind = 2 THEN COALESCE((SELECT MAX(a.effective_at) FROM entry AS a \
         WHERE a.tenant = e.tenant AND a.member_id = e.member_id AND a.kind = 1 AND a.rule_id = e.rule_id \
         AND a.source = e.source), e.effective_at) ELSE e.effective_at END AS effective_at, \
         CASE WHEN e.taker = 1 THEN e.amount ELSE -e.amount END AS earned FROM entry AS e WHERE e.tenant = ",
    )
    .bind(tenant.as_str())
    .text(" AND e.member_id = ")
    .bind(member)
    .text(" AND e.unit_type_id = ")
    .bind(unit_type)
    .text(" AND e.kind <> ")
    .bind(EntryKind::Expiry.code())
    .text(" AND e.effective_at <= ")
    .bind(at.as_micros())
    .all(db)
    .await?;
    rows.iter().map(|row| Ok((time(row, "effective_at")?, row.try_get("", "earned")?))).collect()
}

/// What was earned of one unit type, month by month, as of now: what the journal says, added up as it was written.
pub(crate) async fn months_of(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    member: Uuid,
    unit_type: Uuid,
) -> Result<Months, DbErr> {
    let rows = Sql::new(db, "SELECT month, units FROM earned_month WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND member_id = ")
        .bind(member)
        .text(" AND unit_type_id = ")
        .bind(unit_type)
        .all(db)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("", "month")?, row.try_get("", "units")?))).collect()
}

/// Some members, of any tenant, of whom something has expired and is not booked, or whose tier may have fallen.
pub(crate) async fn due_list(db: &impl ConnectionTrait, now: Timestamp, limit: usize) -> Result<BTreeSet<Key>, DbErr> {
    let mut due = BTreeSet::new();
    for (table, column) in [("account", "next_expires_at"), ("member_ledger", "tier_until")] {
        let rows = Sql::new(db, &format!("SELECT tenant, member_id FROM {table} WHERE {column} <= "))
            .bind(now.as_micros())
            .text(&format!(" ORDER BY {column}"))
            .limit(limit)
            .all(db)
            .await?;
        for row in &rows {
            due.insert(key_of(row, "member_id")?);
        }
    }
    Ok(due)
}
