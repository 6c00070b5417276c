//! Working on operations: claimed, renewed, let go, ended. Each is a transaction of its own that compares the count of claims.

use std::sync::Arc;

use async_trait::async_trait;
use rapport_proto::operations::v1 as proto;
use rapport_types::Uuid;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::tenant::TenantId;
use rapport_types::time::Timestamp;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Value};

use super::cancel::lock;
use super::table::{COLUMNS, FIELD, failure_text, find, operation, update};
use super::{Failure, KEEP, LEASE, MOST_LOST, Operation, OperationState, Progress, name, tell};
use crate::command::{LockKey, Work};
use crate::error::{StoreError, read_error};
use crate::feed;
use crate::keys::{self, Subject};
use crate::outbox::Outbox;
use crate::rows::Sql;
use crate::store::Store;
use crate::tx::Tx;

/// Rows looked at for one round of claims.
const WINDOW: i64 = 100;
/// How many claims of one round may fail for want of the database: others would wait for it as long.
const MOST_FAILED: u32 = 3;

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
    /// then the oldest. One that was left behind too often, or that cannot be read, ends here; one that cannot be claimed at
    /// the moment is left out.
    ///
    /// # Errors
    /// What is open cannot be read.
    pub async fn operation_claim(
        &self,
        methods: &[&'static str],
        busy: &[Operation],
        most: usize,
    ) -> Result<Vec<Claim>, Error> {
        let now = self.world().now();
        let mut open = claimable(self.reader(), methods, now).await.map_err(read_error)?;
        let mut claims = Vec::new();
        let mut failed = 0;
        let mut turns: Vec<_> = busy.iter().map(|operation| operation.tenant.clone()).collect();
        while claims.len() < most && failed < MOST_FAILED {
            let turn = |(tenant, _): &(TenantId, Uuid)| turns.iter().filter(|one| *one == tenant).count();
            let Some(next) = (0..open.len()).min_by_key(|at| (turn(&open[*at]), open[*at].1)) else {
                break;
            };
            let (tenant, id) = open.swap_remove(next);
            let take = Take { service: self.service(), tenant: tenant.clone(), id, methods: methods.to_vec() };
            match self.run(take).await.map(|taken| taken.reply) {
                Ok(Some(claim)) => {
                    turns.push(tenant);
                    claims.push(claim);
                }
                Ok(None) => {}
                Err(error) => {
                    // What was claimed before is held, and the others are no worse for this one.
                    let operation = name(self.service(), id);
                    tracing::warn!(operation, %tenant, %error, source = ?error.source, "an operation cannot be claimed");
                    failed += u32::from(error.kind == Kind::Unavailable);
                }
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

/// Who has what to be claimed: of every tenant the oldest, then of every tenant the second, and so on, so that no tenant's
/// queue hides another's.
async fn claimable(
    db: &impl ConnectionTrait,
    methods: &[&'static str],
    now: Timestamp,
) -> Result<Vec<(TenantId, Uuid)>, DbErr> {
    let methods: Vec<Value> = methods.iter().map(|method| (*method).into()).collect();
    let rows = Sql::new(
        db,
        "SELECT tenant, id FROM (SELECT tenant, id, row_number() OVER (PARTITION BY tenant ORDER BY id) AS turn \
         FROM operation WHERE state < 3 AND lease_until <= ",
    )
    .bind(now.as_micros())
    .text(" AND ")
    .in_list("method", methods)
    .text(") AS o ORDER BY turn, id")
    .limit(WINDOW)
    .all(db)
    .await?;
    let key = |row: &QueryResult| Ok((feed::tenant(&row.try_get_by_index::<String>(0)?)?, row.try_get_by_index(1)?));
    let named = rows.iter().filter_map(|row| {
        let read: Result<_, DbErr> = key(row);
        read.inspect_err(|error| tracing::error!(%error, "an operation's key cannot be read")).ok()
    });
    Ok(named.collect())
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
    tenant: TenantId,
    id: Uuid,
    methods: Vec<&'static str>,
}

/// A row as it is found by who claims it.
struct Found {
    operation: Operation,
    subject: Subject,
    input: Vec<u8>,
    claims: i64,
    lost: i32,
}

impl Found {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let operation = operation(row)?;
        Ok(Self {
            subject: Subject::of(&operation.tenant, row.try_get("", "subject")?),
            operation,
            input: row.try_get("", "input")?,
            claims: row.try_get("", "claims")?,
            lost: row.try_get("", "lost")?,
        })
    }
}

#[async_trait]
impl Work for Take {
    type Output = Option<Claim>;

    fn locks(&self) -> Vec<LockKey> {
        vec![lock(&self.tenant, self.id)]
    }

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<Option<Claim>, StoreError> {
        let Some(row) = self.row(tx).await? else {
            return Ok(None);
        };
        let Found { mut operation, subject, input, claims, lost } = match Found::read(&row) {
            Ok(found) => found,
            Err(why) => {
                self.give_up(tx, &row, &why, out).await?;
                return Ok(None);
            }
        };
        let lost = lost + i32::from(operation.state == OperationState::Running);
        operation.state = OperationState::Running;
        operation.started_at = operation.started_at.or(Some(tx.now()));
        let set = vec![
            ("state", operation.state.code().into()),
            ("claims", (claims + 1).into()),
            ("lost", lost.into()),
            ("started_at", operation.started_at.map(Timestamp::as_micros).into()),
            ("lease_until", tx.now().saturating_add(LEASE).as_micros().into()),
        ];
        if update(tx, &[operation.key()], set, vec![("state <", 3_i16.into()), ("claims =", claims.into())]).await? != 1
        {
            return Ok(None);
        }
        let keys = tx.keys(std::slice::from_ref(&subject)).await?;
        let input = keys.unseal(&subject, FIELD, &input);
        let ending = match &input {
            _ if operation.cancel_asked => Some(Ending::Cancelled),
            _ if lost > MOST_LOST => Some(Ending::Failed(left_behind(lost))),
            Ok(None) => Some(Ending::Failed(keys::erased())),
            Err(why) => Some(Ending::Failed(self.unreadable(why))),
            Ok(Some(_)) => None,
        };
        let progress = operation.progress.clone();
        let input = input.ok().flatten().unwrap_or_default();
        let claim = Claim { operation, input, number: claims + 1 };
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
            .bind(self.tenant.as_str())
            .text(" AND id = ")
            .bind(self.id)
            .text(" AND state < 3 AND lease_until <= ")
            .bind(tx.now().as_micros())
            .text(" AND ")
            .in_list("method", methods)
            .text(lock)
            .one(tx.db())
            .await
    }

    /// Ends an operation whose row does not read: nobody can work on it, and it would be met again for ever.
    async fn give_up(&self, tx: &Tx, row: &QueryResult, why: &DbErr, out: &mut Outbox) -> Result<(), StoreError> {
        let failure = Failure::from(&self.unreadable(why));
        let state = OperationState::Failed.code();
        let set = vec![
            ("state", state.into()),
            ("ended_at", tx.now().as_micros().into()),
            ("failure", failure_text(&failure)?.into()),
        ];
        if update(tx, &[(&self.tenant, self.id)], set, vec![("state <", 3_i16.into())]).await? == 1 {
            let ended = proto::OperationEnded {
                operation: name(self.service, self.id),
                method: row.try_get("", "method").unwrap_or_default(),
                state: state.into(),
                result: String::new(),
            };
            tell(&self.tenant, &ended, tx.now(), out);
        }
        Ok(())
    }

    fn unreadable(&self, why: &dyn std::error::Error) -> Error {
        let (operation, tenant) = (name(self.service, self.id), &self.tenant);
        tracing::error!(operation, %tenant, %why, "an operation cannot be read as it is stored, and ends");
        Error::new(Kind::Internal, reason::INTERNAL, "the operation cannot be read as it is stored")
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
        let set = vec![("state", state.code().into()), ("lease_until", until.as_micros().into())];
        if !held(tx, set, &self.claim, &self.progress).await? {
            return Ok(None);
        }
        let found = find(tx.db(), &self.claim.operation.tenant, self.claim.operation.id).await?;
        Ok(found.map(|operation| operation.cancel_asked))
    }
}

/// Changes a claimed operation and its progress; whether the claim still held.
async fn held(tx: &Tx, set: Vec<(&str, Value)>, claim: &Claim, progress: &Progress) -> Result<bool, DbErr> {
    let mut set = set;
    set.extend([
        ("done", progress.done.into()),
        ("total", progress.total.into()),
        ("note", progress.note.as_str().into()),
    ]);
    let only = vec![("state =", OperationState::Running.code().into()), ("claims =", claim.number.into())];
    Ok(update(tx, &[claim.operation.key()], set, only).await? == 1)
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
    let set = vec![
        ("state", operation.state.code().into()),
        ("ended_at", tx.now().as_micros().into()),
        ("failure", failure.into()),
    ];
    if !held(tx, set, claim, &operation.progress).await? {
        return Ok(false);
    }
    if let Ending::Done(effect) = ending {
        operation.result = effect.write(tx, &operation, out).await?;
        if let Some(result) = &operation.result {
            update(tx, &[operation.key()], vec![("result", result.as_str().into())], Vec::new()).await?;
        }
    }
    operation.tell_end(service, tx.now(), out);
    Ok(true)
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
