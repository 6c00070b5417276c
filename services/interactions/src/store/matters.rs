//! What parties wait for, counted: their cases that are not solved, and what we promised them.

use std::collections::HashMap;

use rapport_store::Sql;
use rapport_store::sea_orm::{ConnectionTrait, DbErr, Value};
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use crate::domain::{CaseStatus, CommitmentState, Matters, Side};

/// How many keys one statement names.
const KEYS: usize = 5_000;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    /// Cases that are not solved.
    pub(crate) cases: bool,
    /// Promises of ours that are late at the first moment, or due until the second.
    pub(crate) promises: Option<(Timestamp, Timestamp)>,
}

/// What some parties wait for, by all their origins; those who wait for nothing are left out.
pub(crate) async fn matters_count(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    parties: &[Uuid],
    counted: Counted,
) -> Result<HashMap<Uuid, Matters>, DbErr> {
    let mut matters: HashMap<Uuid, Matters> = HashMap::new();
    if parties.is_empty() {
        return Ok(matters);
    }
    let all = |ids: &[Uuid]| ids.iter().map(|id| Value::from(*id)).collect::<Vec<_>>();
    let mut owners: HashMap<Uuid, Uuid> = parties.iter().map(|party| (*party, *party)).collect();
    let rows = Sql::new(db, "SELECT origin, party FROM alias WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND ")
        .in_list("party", all(parties))
        .all(db)
        .await?;
    for row in rows {
        owners.insert(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    }
    let origins: Vec<Uuid> = owners.keys().copied().collect();
    for origins in origins.chunks(KEYS) {
        if counted.cases {
            for (origin, cases, complaints) in cases_of(db, tenant, all(origins)).await? {
                let Some(owner) = owners.get(&origin) else { continue };
                let of = matters.entry(*owner).or_default();
                of.cases = of.cases.saturating_add(cases);
                of.complaints = of.complaints.saturating_add(complaints);
            }
        }
        if let Some(until) = counted.promises {
            for (origin, promises, late) in promises_of(db, tenant, all(origins), until).await? {
                let Some(owner) = owners.get(&origin) else { continue };
                let of = matters.entry(*owner).or_default();
                of.late = of.late.saturating_add(late);
                of.due = of.due.saturating_add(promises.saturating_sub(late));
            }
        }
    }
    Ok(matters)
}

/// Two counts of each origin, of which the second is a part of the first.
type Counts = Vec<(Uuid, usize, usize)>;

async fn cases_of(db: &impl ConnectionTrait, tenant: &TenantId, origins: Vec<Value>) -> Result<Counts, DbErr> {
    let open = CaseStatus::ALL.iter().filter(|(status, _, _)| status.open()).map(|(_, code, _)| Value::from(*code));
    let sql = Sql::new(db, "SELECT origin, COUNT(*), COUNT(CASE WHEN kind = ")
        .bind("complaint")
        .text(" THEN 1 END) FROM case_file WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND ")
        .in_list("origin", origins)
        .text(" AND ")
        .in_list("status", open.collect());
    counts(db, sql).await
}

async fn promises_of(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    origins: Vec<Value>,
    (now, soon): (Timestamp, Timestamp),
) -> Result<Counts, DbErr> {
    let sql = Sql::new(db, "SELECT origin, COUNT(*), COUNT(CASE WHEN fell_due_at IS NOT NULL OR due_at < ")
        .bind(now.as_micros())
        .text(" THEN 1 END) FROM commitment WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND ")
        .in_list("origin", origins)
        .text(" AND state = ")
        .bind(CommitmentState::Open.code())
        .text(" AND due_at <= ")
        .bind(soon.as_micros())
        .text(" AND side = ")
        .bind(Side::Ours.code());
    counts(db, sql).await
}

async fn counts(db: &impl ConnectionTrait, sql: Sql) -> Result<Counts, DbErr> {
    let count = |number: i64| usize::try_from(number).unwrap_or_default();
    let rows = sql.text(" GROUP BY origin").all(db).await?;
    let read = |row: &rapport_store::sea_orm::QueryResult| {
        Ok((row.try_get_by_index(0)?, count(row.try_get_by_index(1)?), count(row.try_get_by_index(2)?)))
    };
    rows.iter().map(read).collect()
}
