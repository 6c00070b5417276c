//! Rows of operations.

use rapport_types::Uuid;
use rapport_types::error::Error;
use rapport_types::tenant::TenantId;
use rapport_types::time::Timestamp;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::{Failure, Key, NewOperation, Operation, OperationState, Progress};
use crate::error::{StoreError, read_error};
use crate::feed;
use crate::keys::Subject;
use crate::rows::{Rows, Sql};
use crate::store::Store;
use crate::tx::Tx;

pub(super) const COLUMNS: &str = "tenant, id, method, principal, state, done, total, note, result, failure, cancel_asked, \
    created_at, started_at, ended_at";
/// The column of the input, to which its bytes are sealed.
pub(super) const FIELD: &str = "operation.input";

/// Which operations a list gives, newest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct OperationList {
    /// Those in this state only.
    pub state: Option<OperationState>,
    /// Those older than this one.
    pub before: Option<Uuid>,
    /// How many at most.
    pub limit: usize,
}

impl Tx {
    /// Keeps new operations.
    pub async fn operation_insert(&self, operations: Vec<NewOperation>) -> Result<(), StoreError> {
        if operations.is_empty() {
            return Ok(());
        }
        let subjects: Vec<Subject> = operations.iter().map(|new| new.subject.clone()).collect();
        let keys = self.keys(&subjects).await?;
        let mut rows = Rows::new(
            "operation",
            &[
                "tenant",
                "id",
                "method",
                "principal",
                "state",
                "subject",
                "input",
                "done",
                "total",
                "note",
                "cancel_asked",
                "created_at",
                "claims",
                "lost",
                "lease_until",
            ],
        );
        for NewOperation { operation, input, subject } in operations {
            rows.push([
                operation.tenant.as_str().into(),
                operation.id.into(),
                operation.method.into(),
                operation.principal.into(),
                operation.state.code().into(),
                subject.id.into(),
                keys.seal(&subject, FIELD, &input)?.into(),
                operation.progress.done.into(),
                operation.progress.total.into(),
                operation.progress.note.into(),
                operation.cancel_asked.into(),
                operation.created_at.as_micros().into(),
                0_i64.into(),
                0_i32.into(),
                0_i64.into(),
            ]);
        }
        rows.insert(self.db()).await?;
        Ok(())
    }
}

impl Store {
    /// One operation.
    pub async fn operation(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Operation>, Error> {
        find(self.reader(), tenant, id).await.map_err(read_error)
    }

    /// A tenant's operations, newest first.
    pub async fn operation_list(&self, tenant: &TenantId, list: OperationList) -> Result<Vec<Operation>, Error> {
        let db = self.reader();
        let mut sql = Sql::new(db, &format!("SELECT {COLUMNS} FROM operation WHERE tenant = ")).bind(tenant.as_str());
        if let Some(before) = list.before {
            sql = sql.text(" AND id < ").bind(before);
        }
        if let Some(state) = list.state {
            sql = sql.text(" AND state = ").bind(state.code());
        }
        let rows = sql.text(" ORDER BY id DESC").limit(list.limit).all(db).await.map_err(read_error)?;
        rows.iter().map(operation).collect::<Result<_, _>>().map_err(read_error)
    }
}

pub(super) async fn find(db: &impl ConnectionTrait, tenant: &TenantId, id: Uuid) -> Result<Option<Operation>, DbErr> {
    let row = Sql::new(db, &format!("SELECT {COLUMNS} FROM operation WHERE tenant = "))
        .bind(tenant.as_str())
        .text(" AND id = ")
        .bind(id)
        .one(db)
        .await?;
    row.as_ref().map(operation).transpose()
}

pub(super) async fn find_many(db: &impl ConnectionTrait, keys: &[(TenantId, Uuid)]) -> Result<Vec<Operation>, DbErr> {
    let values: Vec<Value> = keys.iter().flat_map(|(tenant, id)| [tenant.as_str().into(), (*id).into()]).collect();
    let rows = Sql::new(db, &format!("SELECT {COLUMNS} FROM operation WHERE "))
        .in_rows(&["tenant", "id"], values)
        .all(db)
        .await?;
    rows.iter().map(operation).collect()
}

/// Changes operations that compare as `only` says (`("state <", 3)`), and gives back how many there were.
pub(super) async fn update(
    tx: &Tx,
    operations: &[Key<'_>],
    set: Vec<(&str, Value)>,
    only: Vec<(&str, Value)>,
) -> Result<u64, DbErr> {
    if operations.is_empty() {
        return Ok(0);
    }
    let mut sql = Sql::new(tx.db(), "UPDATE operation SET ");
    for (at, (column, value)) in set.into_iter().enumerate() {
        sql = sql.text(if at == 0 { "" } else { ", " }).text(column).text(" = ").bind(value);
    }
    let keys = operations.iter().flat_map(|(tenant, id)| [tenant.as_str().into(), (*id).into()]).collect();
    sql = sql.text(" WHERE ").in_rows(&["tenant", "id"], keys);
    for (compared, value) in only {
        sql = sql.text(" AND ").text(compared).text(" ").bind(value);
    }
    Ok(sql.execute(tx.db()).await?.rows_affected())
}

pub(super) fn operation(row: &QueryResult) -> Result<Operation, DbErr> {
    let state: i16 = row.try_get("", "state")?;
    let failure: Option<String> = row.try_get("", "failure")?;
    let time = |column: &str| -> Result<Option<Timestamp>, DbErr> {
        Ok(row.try_get::<Option<i64>>("", column)?.map(Timestamp::from_micros))
    };
    Ok(Operation {
        tenant: feed::tenant(&row.try_get::<String>("", "tenant")?)?,
        id: row.try_get("", "id")?,
        method: row.try_get("", "method")?,
        principal: row.try_get("", "principal")?,
        state: OperationState::from_code(state.into())
            .ok_or_else(|| DbErr::Type("a stored state of an operation is unknown".to_owned()))?,
        progress: Progress {
            done: row.try_get("", "done")?,
            total: row.try_get("", "total")?,
            note: row.try_get("", "note")?,
        },
        result: row.try_get("", "result")?,
        failure: failure.map(|text| read_failure(&text)).transpose()?,
        cancel_asked: row.try_get("", "cancel_asked")?,
        created_at: Timestamp::from_micros(row.try_get("", "created_at")?),
        started_at: time("started_at")?,
        ended_at: time("ended_at")?,
    })
}

pub(super) fn failure_text(failure: &Failure) -> Result<String, DbErr> {
    serde_json::to_string(failure).map_err(|error| DbErr::Json(error.to_string()))
}

fn read_failure(text: &str) -> Result<Failure, DbErr> {
    serde_json::from_str(text).map_err(|error| DbErr::Json(error.to_string()))
}
