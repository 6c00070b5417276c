//! One batch: attempts, and what a failed one means for its items.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use rapport_types::error::Error;
use rapport_types::tenant::TenantId;
use sea_orm::{ConnectionTrait, DbBackend};

use super::Engine;
use super::group::Group;
use super::queue::Job;
use crate::command::LockKey;
use crate::error::{Class, StoreError, outcome_unknown};
use crate::failpoint::Boundary;
use crate::idempotency::{self, Known};
use crate::outbox::{self, Outbox, Written};
use crate::sequencer::{Placed, raise};
use crate::sqlite;
use crate::tx::Tx;

/// How often an item that loses races is tried.
const TRIES: u32 = 5;
/// How often a batch is tried as a whole before it is halved.
const WHOLE_TRIES: u32 = 2;

/// How many dead connections in a row are tried: more than there are.
const DEAD: u32 = 20;

type Groups = Vec<Box<dyn Group>>;

/// A failed attempt.
struct Failure {
    error: StoreError,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No transaction was begun.
    Begin,
    /// It was rolled back.
    Inside,
    /// The commit was sent and not answered: it may have happened.
    Commit,
}

/// A part of the batch that is still to be committed.
struct Part {
    groups: Groups,
    tries: u32,
    /// Somebody outside holds a lock that one of the batch needs: wait less for it, to find out which.
    hurry: bool,
    /// Look for what was done before. Nearly no request is: the first try writes, and the records' key tells.
    sure: bool,
}

/// Commits jobs, each alone if need be, and sees that every one is answered. Returns when the keys of the batch may be
/// released: everything is committed, though perhaps not yet numbered and answered.
pub(crate) async fn run(engine: &Arc<Engine>, jobs: Vec<Job>) {
    if engine.counters.batches.fetch_add(1, Ordering::Relaxed).is_power_of_two() {
        engine.counters.doubled.notify_one();
    }
    engine.counters.items.fetch_add(jobs.len() as u64, Ordering::Relaxed);
    let sure = !jobs.iter().any(Job::may_be_repeated);
    let mut parts = vec![Part { groups: grouped(jobs), tries: 0, hurry: false, sure }];
    while let Some(mut part) = parts.pop() {
        part.tries += 1;
        match attempt(engine, &mut part).await {
            Ok(None) => {
                let newest = *engine.position.borrow();
                forget(engine, &part.groups);
                for group in part.groups {
                    group.finish(None, newest);
                }
            }
            Ok(Some(written)) => answer(engine, part.groups, written).await,
            Err(failure) => retry(engine, part, failure, &mut parts).await,
        }
    }
}

fn grouped(jobs: Vec<Job>) -> Groups {
    let mut groups: Groups = Vec::new();
    for job in jobs {
        let kind = job.entry.kind();
        match groups.iter_mut().find(|group| group.kind() == kind) {
            Some(group) => group.push(job.entry.into_any()),
            None => groups.push(job.entry.group()),
        }
    }
    groups
}

async fn attempt(engine: &Engine, part: &mut Part) -> Result<Option<Written>, Failure> {
    let at = |stage| move |error| Failure { error, stage };
    engine.failpoints.hit(Boundary::BeforeBegin).map_err(at(Stage::Begin))?;
    let tx = Tx::begin(engine, engine.world.now()).await.map_err(at(Stage::Begin))?;
    let filled = AssertUnwindSafe(fill(engine, &tx, part))
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(StoreError::Panicked(panic_text(panic.as_ref()))))
        .and_then(|written| {
            engine.failpoints.hit(Boundary::BeforeCommit)?;
            Ok(written)
        });
    let written = match filled {
        Ok(Some(written)) => written,
        Ok(None) => {
            tx.rollback().await;
            return Ok(None);
        }
        Err(error) => {
            tx.rollback().await;
            return Err(at(Stage::Inside)(error));
        }
    };
    tx.commit().await.map_err(|error| {
        // The database says that it did not commit; anything else leaves it open.
        let stage = match error.class() {
            Class::Contention | Class::Full | Class::Busy => Stage::Inside,
            _ => Stage::Commit,
        };
        Failure { error, stage }
    })?;
    engine.counters.wrote.notify_one();
    engine.failpoints.hit(Boundary::AfterCommit).map_err(at(Stage::Commit))?;
    Ok(Some(written))
}

async fn fill(engine: &Engine, tx: &Tx, part: &mut Part) -> Result<Option<Written>, StoreError> {
    let groups = &mut part.groups;
    if part.hurry && tx.backend() == DbBackend::Postgres {
        tx.db().execute_unprepared("SET LOCAL lock_timeout = 100").await?;
    }
    let mut locks = Vec::new();
    for group in groups.iter_mut() {
        group.stamp(tx.now());
        group.locks(&mut locks);
    }
    locks.sort_unstable();
    locks.dedup();
    let shared = tx.backend() == DbBackend::Postgres;
    // The statement that takes the locks looks too, though it sees what was there before it waited for them.
    if part.sure || (shared && !locks.is_empty()) {
        replay(tx, groups, &locks).await?;
    }
    // Another replica may do one of these requests between our look and our load: a decision that sees its effect may
    // refuse, and that is believed only after a look at the same state or a later one. SQLite has one state per transaction.
    let looked = part.sure && !shared;

    let mut out = Outbox::default();
    let mut requests = Vec::new();
    let mut any = false;
    for group in groups.iter_mut() {
        any |= group.perform(tx, looked, &mut out, &mut requests).await?;
    }
    // An earlier answer that is given again must be durable first; on PostgreSQL that takes a pass, hence a batch row.
    let replays = groups.iter().any(|group| group.replays());
    let needed = any || (replays && shared);
    if !needed {
        return Ok(None);
    }
    let alone = engine.queue.is_all(open(groups).len());
    outbox::write(tx, out, requests, alone).await.map(Some)
}

/// Takes the locks, and takes out of the groups what was done before.
async fn replay(tx: &Tx, groups: &mut Groups, locks: &[LockKey]) -> Result<(), StoreError> {
    let mut scopes = Vec::new();
    let mut starts = Vec::with_capacity(groups.len());
    for group in groups.iter() {
        starts.push(scopes.len());
        group.scopes(&mut scopes);
    }
    let known = idempotency::begin(tx, locks, &scopes).await?;
    let mut by_group: HashMap<usize, HashMap<usize, Known>> = HashMap::new();
    for (at, known) in known {
        let group = starts.partition_point(|start| *start <= at) - 1;
        by_group.entry(group).or_default().insert(at - starts[group], known);
    }
    for (at, known) in by_group {
        groups[at].settle(known);
    }
    Ok(())
}

/// Answers once the batch is durable. On PostgreSQL that is after a pass, which the worker does not wait for.
async fn answer(engine: &Arc<Engine>, groups: Groups, written: Written) {
    if let Written::Numbered { first, newest } = written {
        engine.position.send_if_modified(|known| raise(known, newest));
        finish(engine, groups, Ok(Placed { first, newest }));
        return;
    }
    let task = engine.clone();
    engine.tasks.spawn(async move {
        let placed = match &task.sequencer {
            Some(sequencer) => sequencer.place(written).await,
            None => Err(StoreError::lost("no sequencer")),
        };
        finish(&task, groups, placed);
    });
}

fn finish(engine: &Engine, groups: Groups, placed: Result<Placed, StoreError>) {
    let placed = placed.and_then(|placed| {
        engine.failpoints.hit(Boundary::BeforeReply)?;
        Ok(placed)
    });
    match placed {
        Ok(placed) => {
            forget(engine, &groups);
            for group in groups {
                group.finish(Some(placed), placed.newest);
            }
        }
        Err(error) => {
            fail(engine, groups, &outcome_unknown().caused_by(error));
        }
    }
}

fn fail(engine: &Engine, groups: Groups, error: &Error) {
    forget(engine, &groups);
    for group in groups {
        group.fail(error);
    }
}

/// These are about to be answered: their places in the queue are free.
fn forget(engine: &Engine, groups: &Groups) {
    engine.queue.answered(open(groups));
}

/// The tenants of everybody to be answered.
fn open(groups: &Groups) -> Vec<Option<TenantId>> {
    let mut tenants = Vec::new();
    for group in groups {
        group.tenants(&mut tenants);
    }
    tenants
}

async fn retry(engine: &Engine, mut part: Part, failure: Failure, parts: &mut Vec<Part>) {
    let Failure { error, stage } = failure;
    let class = error.class();
    let items: usize = part.groups.iter().map(|group| group.len()).sum();
    if stage == Stage::Commit {
        tracing::warn!(%error, items, "a commit was not answered");
        fail(engine, part.groups, &outcome_unknown().caused_by(error));
        return;
    }
    engine.counters.retries.fetch_add(1, Ordering::Relaxed);
    match class {
        // It may be that one of its requests was done before: look, before anybody is told of a failure.
        Class::Contention | Class::Domain | Class::Bug if !part.sure => {
            parts.push(Part { tries: 0, sure: true, ..part });
        }
        // The connection broke inside the transaction, so nothing happened: once more on another one.
        Class::Unavailable if stage == Stage::Inside && part.tries == 1 => parts.push(part),
        // A connection that had died in the pool; the pool drops it. (No connection at all is a timeout.)
        Class::Unavailable if stage == Stage::Begin && !error.timed_out() && part.tries <= DEAD => {
            parts.push(part);
        }
        Class::Full if part.tries == 1 && engine.writer.get_database_backend() == DbBackend::Sqlite => {
            sqlite::make_room(&engine.writer).await;
            parts.push(part);
        }
        Class::Unavailable | Class::Full => {
            tracing::warn!(?error, items, "a batch failed: the database is not available");
            let answer = error.into_error();
            fail(engine, part.groups, &answer);
            for part in parts.drain(..) {
                fail(engine, part.groups, &answer);
            }
            if stage == Stage::Begin {
                engine.queue.fail_waiting(&answer);
            }
        }
        Class::Contention if part.tries < if items > 1 { WHOLE_TRIES } else { TRIES } => {
            pause(part.tries).await;
            parts.push(part);
        }
        Class::Busy if stage == Stage::Begin => fail(engine, part.groups, &error.into_error()),
        _ if items > 1 => {
            tracing::debug!(?error, items, "a batch failed and is halved");
            let second = halve(&mut part.groups);
            let hurry = part.hurry || class == Class::Busy;
            for groups in [second, part.groups] {
                parts.push(Part { groups, tries: 0, hurry, sure: part.sure });
            }
        }
        _ => fail(engine, part.groups, &error.into_error()),
    }
}

/// Takes the second half out.
fn halve(groups: &mut Groups) -> Groups {
    // A group that has nothing left to perform would not make the other half smaller.
    groups.sort_by_key(|group| group.len() == 0);
    let performing = groups.iter().filter(|group| group.len() > 0).count();
    if performing > 1 {
        return groups.split_off(performing / 2);
    }
    groups.first_mut().and_then(|group| group.split()).into_iter().collect()
}

/// Waits a little, and not as long as the one we lost against.
async fn pause(tries: u32) {
    let most = 4_000u32 << tries.min(5);
    let some = getrandom::u32().unwrap_or(most / 2) % most;
    tokio::time::sleep(Duration::from_micros(u64::from(some) + 500)).await;
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}
