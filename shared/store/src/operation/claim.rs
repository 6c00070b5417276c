//! Working on operations: claimed, renewed, let go, ended. Each is a transaction of its own that compares the count of claims.

use std::sync::Arc;

use async_trait::async_trait;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::time::Timestamp;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Value};

use super::cancel::lock;
use super::table::{COLUMNS, failure_text, find, operation};
use super::{Failure, KEEP, LEASE, MOST_LOST, Operation, OperationState, Progress};
use crate::command::{LockKey, Work};
use crate::error::{StoreError, read_error};
use crate::keys::{self, Subject};
use crate::outbox::Outbox;
use crate::rows::Sql;
use crate::store::Store;
use crate::tx::Tx;

/// Rows looked at for one round of claims.
const WINDOW: i64 = 100;

/// The right to work on an operation, until somebody else claims it.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The operation as it was claimed.
    pub operation: Operation,
    /// What it works on.
    pub input: Vec<u8>,
    /// Its number among the claims of the operation.
    number: i64,
}

/// What an operation does to the database, in the transaction that ends it.
#[async_trait]
pub trait Effect: Send + Sync + 'static {
    /// Writes it, and gives the name of the resource that was made, if one was. May run more than once until it commits.
    async fn write(&self, tx: &Tx, operation: &Operation, out: &mut Outbox) -> Result<Option<String>, StoreError>;
}

/// How an operation ends.
pub enum Ending {
    /// It takes effect.
    Done(Arc<dyn Effect>),
    /// It cannot be done.
    Failed(Error),
    /// It was asked to stop.
    Cancelled,
}

impl Store {
    /// Whether another process may write into this database.
    fn is_shared(&self) -> bool {
        self.options().is_postgres()
    }

    /// Makes operations claimable that a process left behind, as far as that can be known at once: a SQLite file has one process,
    /// so whatever is under way at its start is nobody's. Elsewhere their leases run out.
    pub async fn operation_recover(&self) -> Result<(), Error> {
        if self.is_shared() { Ok(()) } else { self.run(Recover).await.map(drop) }
    }

    /// Claims operations of some methods that nobody works on, at most `most`: those of tenants with the fewest `busy` ones first,
    /// then the oldest. One that was left behind too often ends here.
    pub async fn operation_claim(
        &self,
        methods: &[&'static str],
        busy: &[Operation],
        most: usize,
    ) -> Result<Vec<Claim>, Error> {
        let now = self.world().now();
        let mut open = claimable(self.reader(), methods, now).await.map_err(read_error)?;
        let mut claims = Vec::new();
        let mut turns: Vec<_> = busy.iter().map(|operation| operation.tenant.clone()).collect();
        while claims.len() < most && !open.is_empty() {
            let turn = |one: &Operation| turns.iter().filter(|tenant| **tenant == one.tenant).count();
            let Some(next) = (0..open.len()).min_by_key(|at| (turn(&open[*at]), open[*at].id)) else {
                break;
            };
            let operation = open.swap_remove(next);
            let tenant = operation.tenant.clone();
            let work = Take { service: self.service(), operation, methods: methods.to_vec() };
            if let Some(claim) = self.run(work).await?.reply {
                turns.push(tenant);
                claims.push(claim);
            }
        }
        Ok(claims)
    }

    /// Holds a claim for longer and tells how far it is. `None`: somebody else has it, or it ended. Otherwise whether it was
    /// asked to stop.
    pub async fn operation_renew(&self, claim: &Claim, progress: &Progress) -> Result<Option<bool>, Error> {
        let renew = Renew { claim: claim.clone(), progress: progress.clone(), letting_go: None };
        Ok(self.run(renew).await?.reply)
    }

    /// Whether a claimed operation was asked to stop.
    pub async fn operation_cancel_asked(&self, claim: &Claim) -> Result<bool, Error> {
        let found = self.operation(&claim.operation.tenant, claim.operation.id).await?;
        Ok(found.is_some_and(|operation| operation.cancel_asked))
    }

    /// Lets a claim go: anybody may claim the operation from `not_before` on.
    pub async fn operation_release(
        &self,
        claim: &Claim,
        progress: &Progress,
        not_before: Timestamp,
    ) -> Result<(), Error> {
        let release = Renew { claim: claim.clone(), progress: progress.clone(), letting_go: Some(not_before) };
        self.run(release).await.map(drop)
    }

    /// Ends a claimed operation. `false`: the claim was lost, and nothing was written.
    pub async fn operation_end(&self, claim: &Claim, progress: &Progress, ending: Ending) -> Result<bool, Error> {
        let end = End { service: self.service(), claim: claim.clone(), progress: progress.clone(), ending };
        Ok(self.run(end).await?.reply)
    }

    /// Forgets operations that ended long ago.
    pub async fn operation_sweep(&self) -> Result<(), Error> {
        self.run(Forget).await.map(drop)
    }
}

async fn claimable(
    db: &impl ConnectionTrait,
    methods: &[&'static str],
    now: Timestamp,
) -> Result<Vec<Operation>, DbErr> {
    let methods: Vec<Value> = methods.iter().map(|method| (*method).into()).collect();
    let rows = Sql::new(db, &format!("SELECT {COLUMNS} FROM operation WHERE state < 3 AND lease_until <= "))
        .bind(now.as_micros())
        .text(" AND ")
        .in_list("method", methods)
        .text(" ORDER BY lease_until LIMIT ")
        .bind(WINDOW)
        .all(db)
        .await?;
    rows.iter().map(operation).collect()
}

struct Recover;

#[async_trait]
impl Work for Recover {
    type Output = ();

    async fn run(&self, tx: &Tx, _: &mut Outbox) -> Result<(), StoreError> {
        Sql::new(tx.db(), "UPDATE operation SET lease_until = 0 WHERE state = 2 AND lease_until > 0")
            .execute(tx.db())
            .await?;
        Ok(())
    }
}

struct Take {
    service: &'static str,
    operation: Operation,
    methods: Vec<&'static str>,
}

#[async_trait]
impl Work for Take {
    type Output = Option<Claim>;

    fn locks(&self) -> Vec<LockKey> {
        vec![lock(&self.operation.tenant, self.operation.id)]
    }

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<Option<Claim>, StoreError> {
        let Some(row) = self.row(tx).await? else {
            return Ok(None);
        };
        let mut operation = operation(&row)?;
        let (number, lost): (i64, i32) = (row.try_get("", "claims")?, row.try_get("", "lost")?);
        let lost = lost + i32::from(operation.state == OperationState::Running);
        let number = number + 1;
        operation.state = OperationState::Running;
        operation.started_at = operation.started_at.or(Some(tx.now()));
        let done = Sql::new(tx.db(), "UPDATE operation SET state = ")
            .bind(operation.state.code())
            .text(", claims = ")
            .bind(number)
            .text(", lost = ")
            .bind(lost)
            .text(", started_at = ")
            .bind(operation.started_at.map(Timestamp::as_micros))
            .text(", lease_until = ")
            .bind(tx.now().saturating_add(LEASE).as_micros())
            .text(" WHERE tenant = ")
            .bind(operation.tenant.as_str())
            .text(" AND id = ")
            .bind(operation.id)
            .text(" AND state < 3 AND claims = ")
            .bind(number - 1)
            .execute(tx.db())
            .await?;
        if done.rows_affected() != 1 {
            return Ok(None);
        }
        let subject = Subject::of(&operation.tenant, row.try_get("", "subject")?);
        let input = tx.operation_input(subject, &row.try_get::<Vec<u8>>("", "input")?).await?;
        let progress = operation.progress.clone();
        let ending = match &input {
            _ if operation.cancel_asked => Some(Ending::Cancelled),
            _ if lost > MOST_LOST => Some(Ending::Failed(left_behind(lost))),
            None => Some(Ending::Failed(keys::erased())),
            Some(_) => None,
        };
        let claim = Claim { operation, input: input.unwrap_or_default(), number };
        match ending {
            Some(ending) => {
                end(tx, self.service, &claim, &progress, &ending, out).await?;
                Ok(None)
            }
            None => Ok(Some(claim)),
        }
    }
}

impl Take {
    /// The row, if it still may be claimed.
    async fn row(&self, tx: &Tx) -> Result<Option<QueryResult>, DbErr> {
        let lock = if tx.backend() == DbBackend::Postgres { " FOR UPDATE" } else { "" };
        let methods: Vec<Value> = self.methods.iter().map(|method| (*method).into()).collect();
        Sql::new(tx.db(), &format!("SELECT {COLUMNS}, subject, input, claims, lost FROM operation WHERE tenant = "))
            .bind(self.operation.tenant.as_str())
            .text(" AND id = ")
            .bind(self.operation.id)
            .text(" AND state < 3 AND lease_until <= ")
            .bind(tx.now().as_micros())
            .text(" AND ")
            .in_list("method", methods)
            .text(lock)
            .one(tx.db())
            .await
    }
}

fn left_behind(lost: i32) -> Error {
    Error::new(
        Kind::Internal,
        reason::INTERNAL,
        format!("the process that worked on it stopped {lost} times before it was done"),
    )
    .with("times", lost)
}

struct Renew {
    claim: Claim,
    progress: Progress,
    letting_go: Option<Timestamp>,
}

#[async_trait]
impl Work for Renew {
    type Output = Option<bool>;

    fn locks(&self) -> Vec<LockKey> {
        vec![lock(&self.claim.operation.tenant, self.claim.operation.id)]
    }

    async fn run(&self, tx: &Tx, _: &mut Outbox) -> Result<Option<bool>, StoreError> {
        let (state, until) = match self.letting_go {
            Some(not_before) => (OperationState::Pending, not_before),
            None => (OperationState::Running, tx.now().saturating_add(LEASE)),
        };
        let sql = Sql::new(tx.db(), "UPDATE operation SET state = ")
            .bind(state.code())
            .text(", lease_until = ")
            .bind(until.as_micros());
        if !held(tx, sql, &self.claim, &self.progress).await? {
            return Ok(None);
        }
        let found = find(tx.db(), &self.claim.operation.tenant, self.claim.operation.id).await?;
        Ok(found.map(|operation| operation.cancel_asked))
    }
}

/// Finishes a statement with the progress and the comparison; whether the claim still held.
async fn held(tx: &Tx, sql: Sql, claim: &Claim, progress: &Progress) -> Result<bool, DbErr> {
    let done = sql
        .text(", done = ")
        .bind(progress.done)
        .text(", total = ")
        .bind(progress.total)
        .text(", note = ")
        .bind(progress.note.as_str())
        .text(" WHERE tenant = ")
        .bind(claim.operation.tenant.as_str())
        .text(" AND id = ")
        .bind(claim.operation.id)
        .text(" AND state = 2 AND claims = ")
        .bind(claim.number)
        .execute(tx.db())
        .await?;
    Ok(done.rows_affected() == 1)
}

struct End {
    service: &'static str,
    claim: Claim,
    progress: Progress,
    ending: Ending,
}

#[async_trait]
impl Work for End {
    type Output = bool;

    fn locks(&self) -> Vec<LockKey> {
        vec![lock(&self.claim.operation.tenant, self.claim.operation.id)]
    }

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<bool, StoreError> {
        end(tx, self.service, &self.claim, &self.progress, &self.ending, out).await
    }
}

async fn end(
    tx: &Tx,
    service: &str,
    claim: &Claim,
    progress: &Progress,
    ending: &Ending,
    out: &mut Outbox,
) -> Result<bool, StoreError> {
    let mut operation = claim.operation.clone();
    operation.progress = progress.clone();
    if matches!(ending, Ending::Done(_)) {
        operation.progress.done = progress.total;
    }
    operation.ended_at = Some(tx.now());
    (operation.state, operation.failure) = match ending {
        Ending::Done(_) => (OperationState::Succeeded, None),
        Ending::Failed(error) => (OperationState::Failed, Some(Failure::from(error))),
        Ending::Cancelled => (OperationState::Cancelled, None),
    };
    let failure = operation.failure.as_ref().map(failure_text).transpose()?;
    // First the comparison: it locks the row, so that of two claims one ends it.
    let sql = Sql::new(tx.db(), "UPDATE operation SET state = ")
        .bind(operation.state.code())
        .text(", ended_at = ")
        .bind(tx.now().as_micros())
        .text(", failure = ")
        .bind(failure);
    if !held(tx, sql, claim, &operation.progress).await? {
        return Ok(false);
    }
    if let Ending::Done(effect) = ending {
        operation.result = effect.write(tx, &operation, out).await?;
        save_result(tx, &operation).await?;
    }
    operation.tell_end(service, tx.now(), out);
    Ok(true)
}

async fn save_result(tx: &Tx, operation: &Operation) -> Result<(), DbErr> {
    let Some(result) = &operation.result else {
        return Ok(());
    };
    Sql::new(tx.db(), "UPDATE operation SET result = ")
        .bind(result.as_str())
        .text(" WHERE tenant = ")
        .bind(operation.tenant.as_str())
        .text(" AND id = ")
        .bind(operation.id)
        .execute(tx.db())
        .await
        .map(drop)
}

struct Forget;

#[async_trait]
impl Work for Forget {
    type Output = ();

    async fn run(&self, tx: &Tx, _: &mut Outbox) -> Result<(), StoreError> {
        Sql::new(
            tx.db(),
            "DELETE FROM operation WHERE (tenant, id) IN (SELECT tenant, id FROM operation WHERE ended_at < ",
        )
        .bind(tx.now().saturating_sub(KEEP).as_micros())
        .text(" LIMIT 2000)")
        .execute(tx.db())
        .await?;
        Ok(())
    }
}
