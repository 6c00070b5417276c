//! Forgetting: old request records, and events beyond their retention.

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::DbErr;

use crate::command::Work;
use crate::error::StoreError;
use crate::outbox::Outbox;
use crate::rows::Sql;
use crate::store::Store;
use crate::tx::Tx;
use rapport_types::error::Error;

/// Rows of one statement: a sweep must not hold up the writes behind it.
const CHUNK: i64 = 2_000;
const CHUNKS: usize = 50;

/// Deletes one chunk of what is too old.
struct Sweep {
    requests: Duration,
    events: Option<Duration>,
}

#[async_trait]
impl Work for Sweep {
    /// Whether there may be more.
    type Output = bool;

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<bool, StoreError> {
        let old = tx.now().saturating_sub(self.requests).as_micros();
        let requests = Sql::new(
            tx.db(),
            "DELETE FROM idempotency WHERE (tenant, request_id, asker) IN \
             (SELECT tenant, request_id, asker FROM idempotency WHERE created_at < ",
        )
        .bind(old)
        .text(" ORDER BY created_at")
        .limit(CHUNK)
        .text(")")
        .execute(tx.db())
        .await?
        .rows_affected();
        // Batches without events only waited for their pass.
        let empty = Sql::new(
            tx.db(),
            "DELETE FROM feed_batch WHERE batch IN (SELECT batch FROM feed_batch WHERE events = 0 \
             AND last_position IS NOT NULL AND recorded_at < ",
        )
        .bind(tx.now().saturating_sub(Duration::from_secs(60)).as_micros())
        .limit(CHUNK)
        .text(")")
        .execute(tx.db())
        .await?
        .rows_affected();
        let events = match self.events {
            Some(keep) => trim(tx, tx.now().saturating_sub(keep).as_micros()).await?,
            None => false,
        };
        Ok(requests >= CHUNK as u64 || empty >= CHUNK as u64 || events)
    }
}

/// Deletes the oldest batches whose time is over, never across one that is younger.
async fn trim(tx: &Tx, old: i64) -> Result<bool, DbErr> {
    let row = Sql::new(
        tx.db(),
        "SELECT max(last_position), count(*) FROM (SELECT last_position, recorded_at FROM feed_batch \
         WHERE events > 0 AND last_position > 0 ORDER BY last_position LIMIT 100) AS oldest WHERE recorded_at < ",
    )
    .bind(old)
    .one(tx.db())
    .await?;
    let Some(row) = row else { return Ok(false) };
    let upto: Option<i64> = row.try_get_by_index(0)?;
    let count: i64 = row.try_get_by_index(1)?;
    let Some(upto) = upto else { return Ok(false) };
    for sql in [
        "DELETE FROM outbox WHERE batch IN (SELECT batch FROM feed_batch WHERE events > 0 AND last_position <= ",
        "DELETE FROM feed_batch WHERE batch IN (SELECT batch FROM feed_batch WHERE events > 0 AND last_position <= ",
    ] {
        Sql::new(tx.db(), sql).bind(upto).text(")").execute(tx.db()).await?;
    }
    Sql::new(tx.db(), "UPDATE feed_state SET trimmed = ")
        .bind(upto)
        .text(" WHERE id = 1 AND trimmed < ")
        .bind(upto)
        .execute(tx.db())
        .await?;
    Ok(count >= 100)
}

impl Store {
    /// Deletes request records and events beyond their retention, in small transactions. The store does this by itself
    /// from time to time; tests call it.
    pub async fn sweep(&self) -> Result<(), Error> {
        for _ in 0..CHUNKS {
            let options = self.options();
            let work = Sweep { requests: options.request_retention, events: options.feed_retention };
            if !self.run(work).await?.reply {
                break;
            }
        }
        Ok(())
    }
}
