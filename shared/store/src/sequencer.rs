//! The sequencer: numbers what PostgreSQL batches committed and, by the same commit, makes them durable.
//!
//! A batch waits for the next pass that starts after its commit. A pass answers for a batch only when it saw the
//! batch's row: after a crash of the database between the batch's commit and the pass, the row is gone, and so is the
//! batch, however well the pass itself went.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::{self, PgPool};
use sea_orm::{DbErr, RuntimeErr};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::error::{Class, StoreError};
use crate::outbox::Written;

/// How often an idle sequencer looks for batches whose own process died before its pass.
const LOOK: Duration = Duration::from_secs(1);

/// Where a batch's events went, durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    /// Position of the batch's first event (one past the newest before it when it has none).
    pub(crate) first: i64,
    /// Newest position of the feed.
    pub(crate) newest: i64,
}

struct Wish {
    batch: i64,
    answer: oneshot::Sender<Result<Placed, StoreError>>,
}

/// The face of the sequencer.
#[derive(Clone)]
pub(crate) struct Sequencer {
    wishes: mpsc::UnboundedSender<Wish>,
}

impl Sequencer {
    /// Waits for the pass that numbers this (committed) batch.
    pub(crate) async fn place(&self, written: Written) -> Result<Placed, StoreError> {
        let batch = match written {
            Written::Numbered { first, newest } => return Ok(Placed { first, newest }),
            Written::Batch(batch) => batch,
        };
        let (answer, reply) = oneshot::channel();
        self.wishes.send(Wish { batch, answer }).map_err(|_| StoreError::lost("the sequencer has stopped"))?;
        reply.await.map_err(|_| StoreError::lost("the sequencer has stopped"))?
    }
}

/// What runs the passes; ends when it is told to, or when every `Sequencer` is gone.
pub(crate) struct Passes {
    pool: PgPool,
    wishes: mpsc::UnboundedReceiver<Wish>,
    position: watch::Sender<i64>,
    stop: CancellationToken,
}

pub(crate) fn new(pool: PgPool, position: watch::Sender<i64>, stop: CancellationToken) -> (Sequencer, Passes) {
    let (sender, wishes) = mpsc::unbounded_channel();
    let passes = Passes { pool, wishes, position, stop };
    (Sequencer { wishes: sender }, passes)
}

impl Passes {
    pub(crate) async fn run(mut self) {
        let mut waiting = Vec::new();
        loop {
            let stop = self.stop.clone();
            tokio::select! {
                received = self.wishes.recv_many(&mut waiting, 1024) => match received {
                    0 => break,
                    _ => self.serve(&mut waiting).await,
                },
                () = tokio::time::sleep(LOOK) => self.look_for_orphans().await,
                () = stop.cancelled() => break,
            }
        }
        self.pool.close().await;
    }

    async fn serve(&self, waiting: &mut Vec<Wish>) {
        let batches: Vec<i64> = waiting.iter().map(|wish| wish.batch).collect();
        let mut outcome = self.pass(&batches).await;
        if outcome.as_ref().is_err_and(|error| error.class() == Class::Unavailable && !error.timed_out()) {
            // A connection that had died. Trying again is safe: a batch that did not survive is not in the answer.
            outcome = self.pass(&batches).await;
        }
        match outcome {
            Ok(mut placed) => {
                for wish in waiting.drain(..) {
                    let answer =
                        placed.remove(&wish.batch).ok_or_else(|| StoreError::lost("the batch did not survive"));
                    let _ = wish.answer.send(answer);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a sequencer pass failed");
                for wish in waiting.drain(..) {
                    let _ = wish.answer.send(Err(error.clone()));
                }
            }
        }
    }

    async fn look_for_orphans(&self) {
        let sql = "SELECT 1 FROM feed_batch WHERE last_position IS NULL LIMIT 1";
        let orphan: Result<Vec<i32>, _> = sqlx::query_scalar(sql).fetch_all(&self.pool).await;
        if orphan.is_ok_and(|rows| !rows.is_empty())
            && let Err(error) = self.pass(&[]).await
        {
            tracing::debug!(%error, "a sequencer pass failed");
        }
    }

    /// One pass, and where the batches asked for went. All rows are fetched: the driver then reads until the server is
    /// ready again, that is until the transaction is committed and flushed.
    async fn pass(&self, asked: &[i64]) -> Result<HashMap<i64, Placed>, StoreError> {
        let sql = "SELECT numbered, first_at, last_at FROM feed_pass()";
        let mut rows: Vec<(i64, i64, i64)> = sqlx::query_as(sql).fetch_all(&self.pool).await.map_err(failed)?;
        let numbered: HashSet<i64> = rows.iter().map(|(batch, ..)| *batch).collect();
        let others: Vec<i64> = asked.iter().copied().filter(|batch| !numbered.contains(batch)).collect();
        if !others.is_empty() {
            // Another replica's pass came first: what it numbered is visible, hence committed and flushed.
            let sql = "SELECT batch, first_position, last_position FROM feed_batch \
                       WHERE batch = ANY ($1) AND last_position IS NOT NULL";
            let more: Vec<(i64, i64, i64)> =
                sqlx::query_as(sql).bind(&others).fetch_all(&self.pool).await.map_err(failed)?;
            rows.extend(more);
        }
        if let Some(newest) = rows.iter().map(|(.., last)| *last).max() {
            self.position.send_if_modified(|known| raise(known, newest));
        }
        let newest = *self.position.borrow();
        Ok(rows.into_iter().map(|(batch, first, _)| (batch, Placed { first, newest })).collect())
    }
}

fn failed(error: sqlx::Error) -> StoreError {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return StoreError::away();
    }
    StoreError::Db(DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))
}

/// Positions never go back.
pub(crate) fn raise(known: &mut i64, newest: i64) -> bool {
    let newer = newest > *known;
    if newer {
        *known = newest;
    }
    newer
}
