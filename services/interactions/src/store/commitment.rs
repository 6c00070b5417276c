use std::collections::{HashMap, HashSet};

use rapport_store::sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use rapport_store::{LockKey, Rows, Sql, StoreError, Tx};
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};
use serde::{Deserialize, Serialize};

use super::Filter;
use super::by_time::{ByTime, of_origins};
use crate::domain::{Assignee, Commitment, CommitmentName, CommitmentState, Origin};

/// The columns of `commitment`, in the order in which rows are read and written.
const COLUMNS: &[&str] = &[
    "tenant",
    "id",
    "version",
    "state",
    "side",
    "made_at",
    "due_at",
    "fell_due_at",
    "ended_at",
    "origin",
    "named",
    "role_type",
    "owner_kind",
    "owner",
    "case_id",
    "interaction_id",
    "source_system",
    "made_by",
    "ended_by",
    "sealed",
    "ending",
    "recorded_at",
    "updated_at",
    "timer_at",
    "came_origin",
    "came_named",
];

/// A commitment as it stands. Its texts stay sealed, so that it can be kept for the retry of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CommitmentRow {
    pub(crate) tenant: TenantId,
    pub(crate) id: Uuid,
    pub(crate) commitment: Commitment,
    pub(crate) side: i16,
    pub(crate) origin: Origin,
    /// Whether the caller named the party, whose id the origin then is.
    pub(crate) named: bool,
    pub(crate) role_type: String,
    pub(crate) owner: Option<Assignee>,
    pub(crate) case: Option<Uuid>,
    pub(crate) interaction: Option<Uuid>,
    pub(crate) source_system: String,
    /// Who recorded it.
    pub(crate) made_by: String,
    /// Who recorded its end; empty while it is open.
    pub(crate) ended_by: String,
    pub(crate) sealed: Vec<u8>,
    /// What was said of its end.
    pub(crate) ending: Option<Vec<u8>>,
    pub(crate) recorded_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// The origin that it came by, and whether the caller named the party then, where it followed an interaction that turned
    /// out to be somebody else's.
    #[serde(default)]
    pub(crate) came_by: Option<(Uuid, bool)>,
}

impl CommitmentRow {
    /// Its name.
    pub(crate) fn name(&self) -> CommitmentName {
        CommitmentName::new(self.id)
    }
}

/// What nobody else may do meanwhile: end a commitment, or book that it fell due.
pub(crate) fn commitment_lock(tenant: &TenantId, id: Uuid) -> LockKey {
    LockKey::of(tenant, "commitment", id.as_bytes())
}

/// Writes new commitments.
pub(crate) async fn commitment_insert(tx: &Tx, commitments: &[CommitmentRow]) -> Result<(), StoreError> {
    let mut rows = Rows::new("commitment", COLUMNS);
    for row in commitments {
        let micros = |time: Option<Timestamp>| time.map(Timestamp::as_micros);
        rows.push([
            row.tenant.as_str().into(),
            row.id.into(),
            row.commitment.version.into(),
            row.commitment.state().code().into(),
            row.side.into(),
            row.commitment.made_at.as_micros().into(),
            row.commitment.due_at.as_micros().into(),
            micros(row.commitment.fell_due_at).into(),
            micros(row.commitment.ended_at).into(),
            row.origin.id.into(),
            row.named.into(),
            row.role_type.as_str().into(),
            row.owner.as_ref().map(|owner| owner.kind().code()).into(),
            row.owner.as_ref().map(Assignee::text).into(),
            row.case.into(),
            row.interaction.into(),
            row.source_system.as_str().into(),
            row.made_by.as_str().into(),
            row.ended_by.as_str().into(),
            row.sealed.clone().into(),
            row.ending.clone().into(),
            row.recorded_at.as_micros().into(),
            row.updated_at.as_micros().into(),
            micros(row.commitment.timer()).into(),
            Value::Uuid(row.came_by.map(|(origin, _)| origin)),
            row.came_by.is_some_and(|(_, named)| named).into(),
        ]);
    }
    rows.insert(tx.db()).await?;
    Ok(())
}

/// Writes what became of commitments.
pub(crate) async fn commitment_update<'a>(
    tx: &Tx,
    commitments: impl Iterator<Item = &'a CommitmentRow>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(
        "commitment",
        &[
            "tenant",
            "id",
            "version",
            "state",
            "fell_due_at",
            "ended_at",
            "ended_by",
            "ending",
            "updated_at",
            "timer_at",
        ],
    );
    for row in commitments {
        rows.push([
            row.tenant.as_str().into(),
            row.id.into(),
            row.commitment.version.into(),
            row.commitment.state().code().into(),
            row.commitment.fell_due_at.map(Timestamp::as_micros).into(),
            row.commitment.ended_at.map(Timestamp::as_micros).into(),
            row.ended_by.as_str().into(),
            row.ending.clone().into(),
            row.updated_at.as_micros().into(),
            row.commitment.timer().map(Timestamp::as_micros).into(),
        ]);
    }
    rows.update_by(tx.db(), &["tenant", "id"]).await?;
    Ok(())
}

fn selection() -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|column| format!("c.{column}")).collect();
    format!(
        "SELECT {}, a.party FROM commitment AS c \
         LEFT JOIN alias AS a ON a.tenant = c.tenant AND a.origin = c.origin WHERE ",
        columns.join(", ")
    )
}

fn read(row: &QueryResult) -> Result<CommitmentRow, DbErr> {
    let time = |at: usize| -> Result<Timestamp, DbErr> { Ok(Timestamp::from_micros(row.try_get_by_index(at)?)) };
    let maybe = |at: usize| -> Result<Option<Timestamp>, DbErr> {
        Ok(row.try_get_by_index::<Option<i64>>(at)?.map(Timestamp::from_micros))
    };
    let state: i16 = row.try_get_by_index(3)?;
    let state = CommitmentState::from_code(i64::from(state))
        .ok_or_else(|| DbErr::Custom(format!("commitment.state: {state}")))?;
    let tenant: String = row.try_get_by_index(0)?;
    let tenant = TenantId::parse(&tenant).map_err(|error| DbErr::Custom(format!("commitment.tenant: {error}")))?;
    let origin: Uuid = row.try_get_by_index(9)?;
    let named: bool = row.try_get_by_index(10)?;
    let owner: Option<(i16, String)> = row.try_get_by_index::<Option<i16>>(12)?.zip(row.try_get_by_index(13)?);
    let alias: Option<Uuid> = row.try_get_by_index(COLUMNS.len())?;
    Ok(CommitmentRow {
        tenant,
        id: row.try_get_by_index(1)?,
        commitment: Commitment::stored(row.try_get_by_index(2)?, state, (time(5)?, time(6)?), (maybe(7)?, maybe(8)?)),
        side: row.try_get_by_index(4)?,
        origin: Origin { id: origin, party: alias.or(named.then_some(origin)) },
        named,
        role_type: row.try_get_by_index(11)?,
        owner: owner.and_then(|(kind, text)| Assignee::stored(kind, text)),
        case: row.try_get_by_index(14)?,
        interaction: row.try_get_by_index(15)?,
        source_system: row.try_get_by_index(16)?,
        made_by: row.try_get_by_index(17)?,
        ended_by: row.try_get_by_index(18)?,
        sealed: row.try_get_by_index(19)?,
        ending: row.try_get_by_index(20)?,
        recorded_at: time(21)?,
        updated_at: time(22)?,
        came_by: row.try_get_by_index::<Option<Uuid>>(24)?.zip(Some(row.try_get_by_index(25)?)),
    })
}

/// The commitments with these names; unknown ones are left out.
pub(crate) async fn commitment_find(
    db: &impl ConnectionTrait,
    wanted: &HashSet<(TenantId, Uuid)>,
) -> Result<HashMap<(TenantId, Uuid), CommitmentRow>, DbErr> {
    let mut by_tenant: HashMap<&TenantId, Vec<Value>> = HashMap::new();
    for (tenant, id) in wanted {
        by_tenant.entry(tenant).or_default().push(Value::from(*id));
    }
    let mut found = HashMap::new();
    for (tenant, ids) in by_tenant {
        for ids in ids.chunks(5_000) {
            let sql = Sql::new(db, &selection()).text("c.tenant = ").bind(tenant.as_str()).text(" AND ");
            for row in sql.in_list("c.id", ids.to_vec()).all(db).await? {
                let row = read(&row)?;
                found.insert((row.tenant.clone(), row.id), row);
            }
        }
    }
    Ok(found)
}

/// The names of commitments of all tenants whose due time has passed without that having been told, the earliest first.
pub(crate) async fn commitment_due(
    db: &impl ConnectionTrait,
    now: Timestamp,
    most: usize,
) -> Result<Vec<(TenantId, Uuid)>, DbErr> {
    let rows = Sql::new(db, "SELECT tenant, id FROM commitment WHERE timer_at < ")
        .bind(now.as_micros())
        .text(" ORDER BY timer_at, tenant, id")
        .limit(most)
        .all(db)
        .await?;
    let name = |row: &QueryResult| -> Result<(TenantId, Uuid), DbErr> {
        let tenant: String = row.try_get_by_index(0)?;
        let tenant = TenantId::parse(&tenant).map_err(|error| DbErr::Custom(format!("commitment.tenant: {error}")))?;
        Ok((tenant, row.try_get_by_index(1)?))
    };
    rows.iter().map(name).collect()
}

/// A page of commitments.
pub(crate) struct CommitmentPage<'a> {
    /// Only those of these origins; those of all when none.
    pub(crate) origins: Option<&'a [Uuid]>,
    /// Only those about this case.
    pub(crate) case: Option<Uuid>,
    /// What is wanted.
    pub(crate) filter: &'a Filter,
    /// Which of them, by the time they are due.
    pub(crate) by_due: ByTime,
}

/// The commitments of a tenant by the time they are due.
pub(crate) async fn commitment_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    page: &CommitmentPage<'_>,
) -> Result<Vec<CommitmentRow>, DbErr> {
    let mut sql = Sql::new(db, &selection()).text("c.tenant = ").bind(tenant.as_str());
    sql = of_origins(sql, "c.origin", page.origins);
    if let Some(case) = page.case {
        sql = sql.text(" AND c.case_id = ").bind(case);
    }
    sql = page.filter.append(sql, " AND ");
    let rows = page.by_due.append(sql, "c.due_at", "c.id").all(db).await?;
    rows.iter().map(read).collect()
}
