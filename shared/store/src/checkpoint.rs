//! When SQLite's log is copied into its file: beside the writes, not within them.
//!
//! Left to itself, SQLite copies its log within the commit that fills it, and every write waits for some sixteen megabytes
//! of pages and their flush. A reader can do that too, while the writer goes on. The writer keeps a limit of its own, which
//! it reaches rarely: only it can begin the log anew, once nobody needs what is in it.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{DatabaseConnection, DbErr};

use crate::rows::Sql;
use crate::store::Store;

/// How long after a write the log is looked at.
const REST: Duration = Duration::from_millis(50);

/// So many pages in the log that are not in the file are worth a flush.
const PAGES: i64 = 2_000;

/// So many pages in the log have the writer copy the rest, and begin it anew: 64 MB.
pub(crate) const LIMIT: &str = "16000";

/// Copies what the log has more than the file, if it is worth it. Nobody waits for that, and it waits for nobody.
async fn copy(db: &DatabaseConnection) -> Result<(), DbErr> {
    let look = Sql::new(db, "PRAGMA wal_checkpoint(NOOP)").one(db).await?;
    let Some(row) = look else { return Ok(()) };
    let (log, copied): (i64, i64) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
    if log - copied >= PAGES {
        Sql::new(db, "PRAGMA wal_checkpoint(PASSIVE)").one(db).await?;
    }
    Ok(())
}

impl Store {
    /// Copies the log of a store on SQLite for as long as it is open and written to.
    pub(crate) fn copy_log_beside_writes(&self) {
        let (inner, stop) = (Arc::downgrade(&self.inner), self.inner.stop.clone());
        let wrote = Arc::clone(&self.inner.engine.counters.wrote);
        tokio::spawn(async move {
            let rested = async || {
                wrote.notified().await;
                tokio::time::sleep(REST).await;
            };
            loop {
                tokio::select! {
                    () = rested() => {}
                    () = stop.cancelled() => break,
                }
                let Some(inner) = inner.upgrade() else { break };
                if let Err(error) = copy(&inner.reader).await {
                    tracing::debug!(service = inner.service, %error, "the log was not copied");
                }
            }
        });
    }
}
