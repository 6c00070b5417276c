//! SQLite's log: it comes into the file while the store is written to, and begins anew.

use std::sync::Arc;

use async_trait::async_trait;
use rapport_store::sea_orm::DatabaseConnection;
use rapport_store::{Outbox, Sql, StoreError, Tx, Work};

use crate::bed::{Bed, run_sqlite};

/// Pages that one [`Fill`] writes, at least.
const PAGES: i64 = 3_000;

/// Writes [`PAGES`] pages of four kilobytes.
struct Fill;

#[async_trait]
impl Work for Fill {
    type Output = ();

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<(), StoreError> {
        Sql::new(tx.db(), "WITH RECURSIVE n (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n WHERE at < ")
            .bind(PAGES)
            .text(") INSERT INTO claim (tenant, name) SELECT 'acme', hex(randomblob(2000)) FROM n")
            .execute(tx.db())
            .await?;
        Ok(())
    }
}

/// How many pages are in the log, and how many of them are in the file too.
async fn pages(db: &DatabaseConnection) -> (i64, i64) {
    let row = Sql::new(db, "PRAGMA wal_checkpoint(NOOP)").one(db).await.unwrap().unwrap();
    (row.try_get_by_index(1).unwrap(), row.try_get_by_index(2).unwrap())
}

#[test]
fn the_log_is_copied_while_the_store_is_open_and_nobody_writes() {
    run_sqlite(|bed: Arc<Bed>| async move {
        let store = bed.store().await;
        let outside = bed.outside().await;
        store.run(Fill).await.unwrap();
        let (log, _) = pages(&outside).await;
        assert!((PAGES..16_000).contains(&log), "{log} pages: less than the writer copies by itself");
        while pages(&outside).await != (log, log) {
            tokio::task::yield_now().await;
        }
        store.close().await;
    });
}

#[test]
fn the_log_waits_for_who_reads_what_was_and_then_begins_anew() {
    run_sqlite(|bed: Arc<Bed>| async move {
        let store = bed.store().await;
        let outside = bed.outside().await;
        let reader = outside.get_sqlite_connection_pool();
        let mut reading = reader.acquire().await.unwrap();
        for sql in ["BEGIN", "SELECT count(*) FROM claim"] {
            rapport_store::sea_orm::sqlx::query(sql).execute(&mut *reading).await.unwrap();
        }
        // Writes do not wait for whoever reads.
        for _ in 0..8 {
            store.run(Fill).await.unwrap();
        }
        let other = bed.outside().await;
        let (log, copied) = pages(&other).await;
        assert!(log > 8 * PAGES && copied < PAGES, "{copied} of {log}");
        rapport_store::sea_orm::sqlx::query("COMMIT").execute(&mut *reading).await.unwrap();
        let mut grown = log;
        // The writer copies the rest with one of the next commits, and begins anew with the one after.
        for _ in 0..3 {
            store.run(Fill).await.unwrap();
            grown = grown.min(pages(&other).await.0);
        }
        assert!(grown < log, "{grown} pages");
        store.close().await;
    });
}
