use std::collections::{HashMap, HashSet};

use rapport_store::sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Value};
use rapport_store::{Rows, Sql, StoreError, Tx};
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};
use serde::{Deserialize, Serialize};

use super::Filter;
use super::by_time::{ByTime, of_origins};
use super::case_history::{Step, changed, history_insert};
use crate::domain::{Assignee, Case, CaseStatus, Origin};

/// The columns of `case_file`, in the order in which rows are read and written.
const COLUMNS: &[&str] = &[
    "tenant",
    "id",
    "version",
    "status",
    "opened_at",
    "first_response_at",
    "resolved_at",
    "closed_at",
    "reopen_count",
    "moved_at",
    "origin",
    "named",
    "role_type",
    "kind",
    "priority",
    "source_system",
    "sealed",
    "recorded_at",
    "updated_at",
    "assignee_kind",
    "assignee",
    "assigned_at",
];

/// A case as it stands. Its texts stay sealed, so that it can be kept for the retry of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CaseRow {
    pub(crate) tenant: TenantId,
    pub(crate) id: Uuid,
    pub(crate) case: Case,
    pub(crate) origin: Origin,
    /// Whether the caller named the party, whose id the origin then is.
    pub(crate) named: bool,
    pub(crate) role_type: Option<String>,
    pub(crate) kind: String,
    pub(crate) priority: i16,
    pub(crate) source_system: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) interactions: Vec<Uuid>,
    pub(crate) recorded_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Who is to see to it, and since when.
    pub(crate) assignment: Option<(Assignee, Timestamp)>,
}

/// One step of a case's history.
pub(crate) struct CaseMove {
    pub(crate) tenant: TenantId,
    pub(crate) id: Uuid,
    /// The status before; none when the case was opened.
    pub(crate) from: Option<CaseStatus>,
    pub(crate) to: CaseStatus,
    pub(crate) version: i64,
    pub(crate) occurred_at: Timestamp,
    pub(crate) recorded_at: Timestamp,
    /// Who asked for it.
    pub(crate) principal: String,
    pub(crate) source_system: String,
    pub(crate) sealed: Option<Vec<u8>>,
    /// What it did.
    pub(crate) step: Step,
}

impl CaseMove {
    /// What happened to a case as it stands now, for somebody: no change of its status, and no note.
    pub(crate) fn beside(row: &CaseRow, step: Step, now: Timestamp, (principal, source_system): (&str, &str)) -> Self {
        Self {
            tenant: row.tenant.clone(),
            id: row.id,
            from: Some(row.case.status()),
            to: row.case.status(),
            version: row.case.version,
            occurred_at: now,
            recorded_at: now,
            principal: principal.to_owned(),
            source_system: source_system.to_owned(),
            sealed: None,
            step,
        }
    }
}

/// Writes new cases with the first step of their history, each with who opened it.
pub(crate) async fn case_insert(tx: &Tx, opened: &[(CaseRow, String)]) -> Result<(), StoreError> {
    let mut cases = Rows::new("case_file", COLUMNS);
    let mut links = Rows::new("case_interaction", &["tenant", "case_id", "ordinal", "interaction_id"]);
    let mut moves = Vec::with_capacity(opened.len());
    for (row, principal) in opened {
        push(&mut cases, row);
        for (ordinal, interaction) in row.interactions.iter().enumerate() {
            links.push([
                row.tenant.as_str().into(),
                row.id.into(),
                i16::try_from(ordinal).unwrap_or(i16::MAX).into(),
                (*interaction).into(),
            ]);
        }
        moves.push(CaseMove {
            tenant: row.tenant.clone(),
            id: row.id,
            from: None,
            to: row.case.status(),
            version: row.case.version,
            occurred_at: row.case.opened_at,
            recorded_at: row.recorded_at,
            principal: principal.clone(),
            source_system: row.source_system.clone(),
            sealed: None,
            step: Step::Moved,
        });
    }
    cases.insert(tx.db()).await?;
    links.insert(tx.db()).await?;
    history_insert(tx, &moves).await?;
    Ok(())
}

/// Writes what became of cases, and the steps that led there.
pub(crate) async fn case_update(
    tx: &Tx,
    cases: &HashMap<(TenantId, Uuid), CaseRow>,
    moves: &[CaseMove],
) -> Result<(), StoreError> {
    let mut rows = Rows::new(
        "case_file",
        &[
            "tenant",
            "id",
            "version",
            "status",
            "first_response_at",
            "resolved_at",
            "closed_at",
            "reopen_count",
            "moved_at",
            "updated_at",
        ],
    );
    for row in changed(cases, moves) {
        rows.push([
            row.tenant.as_str().into(),
            row.id.into(),
            row.case.version.into(),
            row.case.status().code().into(),
            row.case.first_response_at.map(Timestamp::as_micros).into(),
            row.case.resolved_at.map(Timestamp::as_micros).into(),
            row.case.closed_at.map(Timestamp::as_micros).into(),
            row.case.reopen_count.into(),
            row.case.moved_at.as_micros().into(),
            row.updated_at.as_micros().into(),
        ]);
    }
    rows.update_by(tx.db(), &["tenant", "id"]).await?;
    history_insert(tx, moves).await?;
    Ok(())
}

fn push(rows: &mut Rows, row: &CaseRow) {
    rows.push([
        row.tenant.as_str().into(),
        row.id.into(),
        row.case.version.into(),
        row.case.status().code().into(),
        row.case.opened_at.as_micros().into(),
        row.case.first_response_at.map(Timestamp::as_micros).into(),
        row.case.resolved_at.map(Timestamp::as_micros).into(),
        row.case.closed_at.map(Timestamp::as_micros).into(),
        row.case.reopen_count.into(),
        row.case.moved_at.as_micros().into(),
        row.origin.id.into(),
        row.named.into(),
        row.role_type.as_deref().unwrap_or_default().into(),
        row.kind.as_str().into(),
        row.priority.into(),
        row.source_system.as_str().into(),
        row.sealed.clone().into(),
        row.recorded_at.as_micros().into(),
        row.updated_at.as_micros().into(),
        row.assignment.as_ref().map(|(assignee, _)| assignee.kind().code()).into(),
        row.assignment.as_ref().map(|(assignee, _)| assignee.text()).into(),
        row.assignment.as_ref().map(|(_, at)| at.as_micros()).into(),
    ]);
}

fn selection() -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|column| format!("c.{column}")).collect();
    format!(
        "SELECT {}, a.party FROM case_file AS c \
         LEFT JOIN alias AS a ON a.tenant = c.tenant AND a.origin = c.origin WHERE c.tenant = ",
        columns.join(", ")
    )
}

fn read(tenant: &TenantId, row: &QueryResult) -> Result<CaseRow, DbErr> {
    let time = |at: usize| -> Result<Timestamp, DbErr> { Ok(Timestamp::from_micros(row.try_get_by_index(at)?)) };
    let maybe = |at: usize| -> Result<Option<Timestamp>, DbErr> {
        Ok(row.try_get_by_index::<Option<i64>>(at)?.map(Timestamp::from_micros))
    };
    let status: i16 = row.try_get_by_index(3)?;
    let status =
        CaseStatus::from_code(i64::from(status)).ok_or_else(|| DbErr::Custom(format!("case_file.status: {status}")))?;
    let origin: Uuid = row.try_get_by_index(10)?;
    let named: bool = row.try_get_by_index(11)?;
    let role_type: String = row.try_get_by_index(12)?;
    let assignee: Option<(i16, String)> = row.try_get_by_index::<Option<i16>>(19)?.zip(row.try_get_by_index(20)?);
    let assignee = assignee.and_then(|(kind, text)| Assignee::stored(kind, text));
    let alias: Option<Uuid> = row.try_get_by_index(COLUMNS.len())?;
    Ok(CaseRow {
        tenant: tenant.clone(),
        id: row.try_get_by_index(1)?,
        case: Case::stored(
            row.try_get_by_index(2)?,
            status,
            time(4)?,
            maybe(5)?,
            maybe(6)?,
            maybe(7)?,
            row.try_get_by_index(8)?,
            time(9)?,
        ),
        origin: Origin { id: origin, party: alias.or(named.then_some(origin)) },
        named,
        role_type: (!role_type.is_empty()).then_some(role_type),
        kind: row.try_get_by_index(13)?,
        priority: row.try_get_by_index(14)?,
        source_system: row.try_get_by_index(15)?,
        sealed: row.try_get_by_index(16)?,
        interactions: Vec::new(),
        recorded_at: time(17)?,
        updated_at: time(18)?,
        assignment: assignee.zip(maybe(21)?),
    })
}

/// The cases with these names; unknown ones are left out.
pub(crate) async fn case_find(
    db: &impl ConnectionTrait,
    wanted: &HashSet<(TenantId, Uuid)>,
) -> Result<HashMap<(TenantId, Uuid), CaseRow>, DbErr> {
    read_all(db, wanted, "").await
}

/// The same of a transaction that writes what becomes of them: until it ends nobody else does. A link to a case is
/// written under other locks than a move, and both make a version of it.
pub(crate) async fn case_hold(
    tx: &Tx,
    wanted: &HashSet<(TenantId, Uuid)>,
) -> Result<HashMap<(TenantId, Uuid), CaseRow>, DbErr> {
    // SQLite has one writer.
    let hold = if tx.backend() == DbBackend::Postgres { " ORDER BY c.id FOR UPDATE OF c" } else { "" };
    read_all(tx.db(), wanted, hold).await
}

async fn read_all(
    db: &impl ConnectionTrait,
    wanted: &HashSet<(TenantId, Uuid)>,
    hold: &str,
) -> Result<HashMap<(TenantId, Uuid), CaseRow>, DbErr> {
    let mut by_tenant: HashMap<&TenantId, Vec<Value>> = HashMap::new();
    for (tenant, id) in wanted {
        by_tenant.entry(tenant).or_default().push(Value::from(*id));
    }
    let mut found = HashMap::new();
    for (tenant, ids) in by_tenant {
        for ids in ids.chunks(5_000) {
            let rows = Sql::new(db, &selection())
                .bind(tenant.as_str())
                .text(" AND ")
                .in_list("c.id", ids.to_vec())
                .text(hold)
                .all(db)
                .await?;
            let mut cases = rows.iter().map(|row| read(tenant, row)).collect::<Result<Vec<_>, _>>()?;
            link(db, tenant, &mut cases).await?;
            found.extend(cases.into_iter().map(|row| ((tenant.clone(), row.id), row)));
        }
    }
    Ok(found)
}

/// Fills in the linked interactions.
async fn link(db: &impl ConnectionTrait, tenant: &TenantId, cases: &mut [CaseRow]) -> Result<(), DbErr> {
    if cases.is_empty() {
        return Ok(());
    }
    let rows = Sql::new(db, "SELECT case_id, interaction_id FROM case_interaction WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND ")
        .in_list("case_id", cases.iter().map(|row| Value::from(row.id)).collect())
        .text(" ORDER BY case_id, ordinal")
        .all(db)
        .await?;
    let mut links: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for row in rows {
        links.entry(row.try_get_by_index(0)?).or_default().push(row.try_get_by_index(1)?);
    }
    for row in cases {
        row.interactions = links.remove(&row.id).unwrap_or_default();
    }
    Ok(())
}

/// A page of cases.
pub(crate) struct CasePage<'a> {
    /// Only those of these origins; those of all when none.
    pub(crate) origins: Option<&'a [Uuid]>,
    /// What is wanted.
    pub(crate) filter: &'a Filter,
    /// Which of them, by the time they were opened.
    pub(crate) by_opening: ByTime,
}

/// The cases of a tenant by the time they were opened.
pub(crate) async fn case_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    page: &CasePage<'_>,
) -> Result<Vec<CaseRow>, DbErr> {
    let mut sql = Sql::new(db, &selection()).bind(tenant.as_str());
    sql = of_origins(sql, "c.origin", page.origins);
    sql = page.filter.append(sql, " AND ");
    let rows = page.by_opening.append(sql, "c.opened_at", "c.id").all(db).await?;
    let mut cases = rows.iter().map(|row| read(tenant, row)).collect::<Result<Vec<_>, _>>()?;
    link(db, tenant, &mut cases).await?;
    Ok(cases)
}
