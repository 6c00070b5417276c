//! When PostgreSQL's planner learns of tables that grow.
//!
//! Without statistics it takes the first column of every key, the tenant, for one that tells rows apart, reads all of a
//! tenant for each of a batch's keys, and keeps that plan. Autovacuum comes by after a minute or two, which is when a
//! first bulk load is over. So a process that writes gathers by itself: as often as the number of its batches doubles,
//! and once a second, of each table that has grown to a multiple of what was known of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};

use crate::rows::Sql;
use crate::store::Store;

/// How often a process that goes on writing looks at its tables.
const LOOK: Duration = Duration::from_secs(1);

/// Of a few pages nothing needs to be known, and only who owns a table may gather. A file's size is known at once, the
/// number of its rows later.
const GROWN: &str = "SELECT format('%I', c.relname) FROM pg_class AS c \
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE') \
    AND pg_relation_size(c.oid) >= 4 * GREATEST(c.relpages, 2) * current_setting('block_size')::int8";

/// Tables of which the planner has not been told that the tenant tells nothing apart.
const UNTOLD: &str = "SELECT format('%I', c.relname) FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid \
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE') \
    AND a.attname = 'tenant' AND NOT COALESCE('n_distinct=1' = ANY(a.attoptions), false)";

async fn tables(db: &DatabaseConnection, which: &str) -> Result<Vec<String>, DbErr> {
    let rows = Sql::new(db, which).all(db).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// Has statistics say from now on what they say on SQLite: however many tenants there are, one may have nearly all rows.
/// The caller holds the lock.
pub(crate) async fn tell_of_tenants(db: &DatabaseConnection) -> Result<(), DbErr> {
    let told: Vec<String> = tables(db, UNTOLD)
        .await?
        .iter()
        .map(|table| format!("ALTER TABLE {table} ALTER COLUMN tenant SET (n_distinct = 1)"))
        .collect();
    if !told.is_empty() {
        db.execute_unprepared(&told.join("; ")).await?;
    }
    Ok(())
}

/// Gathers the statistics of tables that have grown.
async fn gather(db: &DatabaseConnection) -> Result<(), DbErr> {
    for table in tables(db, GROWN).await? {
        // A small sample does until autovacuum comes by. Whoever holds the table gathers too, or changes it.
        let sql = format!("SET LOCAL default_statistics_target = 10; ANALYZE (SKIP_LOCKED) {table}");
        db.execute_unprepared(&sql).await?;
    }
    Ok(())
}

impl Store {
    /// Looks at the tables for as long as the store is open.
    pub(crate) fn gather_from_time_to_time(&self) {
        let (inner, stop) = (Arc::downgrade(&self.inner), self.inner.stop.clone());
        let doubled = Arc::clone(&self.inner.engine.counters.doubled);
        tokio::spawn(async move {
            let (mut seen, mut again) = (0, false);
            loop {
                tokio::select! {
                    () = doubled.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                    () = stop.cancelled() => break,
                }
                let Some(inner) = inner.upgrade() else { break };
                let batches = inner.engine.counters.batches.load(Ordering::Relaxed);
                let wrote = batches != seen;
                if !wrote && !again {
                    continue;
                }
                // A batch is counted before it is committed.
                (seen, again) = (batches, wrote);
                if let Err(error) = gather(&inner.reader).await {
                    tracing::debug!(service = inner.service, %error, "statistics were not gathered");
                }
            }
        });
    }
}
