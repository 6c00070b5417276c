//! What a store can be told.

use std::path::PathBuf;
use std::time::Duration;

use crate::failpoint::Failpoints;

/// Where a service's data lives and within which bounds the store works. `Default` is the embedded SQLite store in
/// the folder `data`.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `sqlite` (one file per service in `data`) or a `postgres://` URL (one schema per service in that database).
    pub url: String,
    /// The data folder: the SQLite files, and the key file unless `key_file` names another. Created when missing.
    pub data: PathBuf,
    /// The file with the key-encryption key; `<data>/rapport.key` when absent. Made at first start, never overwritten.
    /// Replicas that share a database share this key.
    pub key_file: Option<PathBuf>,
    /// Connections for reads.
    pub max_readers: u32,
    /// Connections that reads and writes on PostgreSQL each begin with, and keep: opening a store waits for them.
    pub ready_connections: u32,
    /// Batches that may run at once on PostgreSQL (SQLite always has one). The store goes down to two by itself as the
    /// queue deepens, because few large batches then do more than many small ones.
    pub batches_in_flight: usize,
    /// Items in one batch at most.
    pub max_batch: usize,
    /// Writes that may wait or be under way at once; more are refused with `QUEUE_FULL`. One tenant may hold half.
    pub queue_limit: usize,
    /// How long to wait for a connection, a connect included, before a call answers `STORE_UNAVAILABLE`.
    pub acquire_timeout: Duration,
    /// How long a statement may wait for a lock held by somebody else's transaction.
    pub lock_timeout: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
    /// How long an idempotency record is kept; a request id sent again later is a new request.
    pub request_retention: Duration,
    /// How long events stay in the feed; `None` keeps them for ever. A cursor older than the oldest event has expired.
    pub feed_retention: Option<Duration>,
    /// Faults to inject at commit boundaries; for tests.
    pub failpoints: Failpoints,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            url: "sqlite".to_owned(),
            data: PathBuf::from("data"),
            key_file: None,
            max_readers: 8,
            ready_connections: 4,
            batches_in_flight: 8,
            max_batch: 512,
            queue_limit: 16_384,
            acquire_timeout: Duration::from_millis(700),
            lock_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
            request_retention: Duration::from_secs(25 * 60 * 60),
            feed_retention: None,
            failpoints: Failpoints::default(),
        }
    }
}

impl StoreOptions {
    /// The embedded store in a folder.
    pub fn sqlite(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// A PostgreSQL database; the folder holds the key file only.
    pub fn postgres(url: impl Into<String>, data: impl Into<PathBuf>) -> Self {
        Self { url: url.into(), data: data.into(), ..Self::default() }
    }

    /// Whether the URL names PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres://") || self.url.starts_with("postgresql://")
    }

    /// The file that holds the key-encryption key.
    pub fn key_path(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data.join("rapport.key"))
    }
}
