//! The embedded store: one file per service, one writer connection, read-only readers, one process.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::sqlx::{self, ConnectOptions, Connection};
use sea_orm::{ConnectionTrait, DatabaseConnection, SqlxSqliteConnector};

use crate::checkpoint;
use crate::open::{OpenError, data_folder};
use crate::options::StoreOptions;

/// The first version whose write-ahead log survives a reset race.
const OLDEST: (u32, u32, u32) = (3, 51, 3);

/// How long a statement waits for another process that holds the file (a backup, a shell).
const BUSY: Duration = Duration::from_secs(2);

pub(crate) struct Opened {
    pub(crate) writer: DatabaseConnection,
    pub(crate) lock: File,
}

fn base(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .pragma("temp_store", "memory")
        // Erased rows leave no trace in the file.
        .pragma("secure_delete", "on")
        .pragma("journal_size_limit", "67108864")
        .statement_cache_capacity(500)
        .disable_statement_logging()
}

/// Takes the lock of the service's files: one process at a time.
fn lock(options: &StoreOptions, service: &str) -> Result<File, OpenError> {
    data_folder(options)?;
    let path = options.data.join(format!("{service}.lock"));
    let folder = |source| OpenError::Folder { path: options.data.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: options.data.clone() }),
        Err(TryLockError::Error(source)) => Err(folder(source)),
    }
}

/// Opens the writer; the file is made when missing.
pub(crate) async fn writer(options: &StoreOptions, service: &str) -> Result<Opened, OpenError> {
    let lock = lock(options, service)?;
    let file = options.data.join(format!("{service}.db"));
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // A transaction that could not be rolled back (a full disk does that) leaves the driver believing in one:
        // such a connection is replaced.
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(
            base(&file)
                .create_if_missing(true)
                .pragma("cache_size", "-32000")
                .pragma("wal_autocheckpoint", checkpoint::LIMIT),
        )
        .await?;
    assert_version(&pool).await?;
    Ok(Opened { writer: SqlxSqliteConnector::from_sqlx_sqlite_pool(pool), lock })
}

/// Moves the log into the file and shortens it, which gives space back on a full disk: the log holds every version of a
/// page, the file only one.
pub(crate) async fn make_room(writer: &DatabaseConnection) {
    if let Err(error) = writer.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await {
        tracing::debug!(%error, "a checkpoint on a full disk failed");
    }
}

/// The readers; the file exists by now.
pub(crate) fn reader(options: &StoreOptions, service: &str) -> DatabaseConnection {
    let file = options.data.join(format!("{service}.db"));
    let pool = SqlitePoolOptions::new()
        .max_connections(options.max_readers.max(1))
        .acquire_timeout(options.acquire_timeout)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_lazy_with(base(&file).pragma("query_only", "on"));
    SqlxSqliteConnector::from_sqlx_sqlite_pool(pool)
}

async fn assert_version(pool: &SqlitePool) -> Result<(), OpenError> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(pool).await?;
    let mut parts = found.split('.').map(|part| u32::from_str(part).unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    if (next(), next(), next()) < OLDEST {
        return Err(OpenError::OldSqlite { found });
    }
    Ok(())
}
