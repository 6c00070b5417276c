//! A write transaction.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rapport_types::time::Timestamp;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, TransactionOptions, TransactionTrait};

use crate::command::LockKey;
use crate::committer::Engine;
use crate::error::StoreError;
use crate::key_cache::Moment;
use crate::keys::{DataKey, KeyRing, Subject, SubjectKeys};
use crate::postgres::Open;
use crate::rows::{Rows, Sql};

/// The transaction of a batch (or of a [`crate::Work`]). It derefs to sea-orm's transaction: any statement works on it.
/// Committing is the store's business.
pub struct Tx {
    /// Before the transaction: when both are dropped, the doubt is there first.
    open: Open,
    inner: DatabaseTransaction,
    now: Timestamp,
    keys: Arc<KeyRing>,
    /// After the transaction has its connection, before it reads.
    begun: Moment,
    /// Keys read, made or destroyed here; shared with other batches once committed.
    fresh: Mutex<HashMap<Subject, DataKey>>,
    /// Rows that are inserted at the end.
    last: Mutex<Vec<Rows>>,
}

impl Deref for Tx {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.inner
    }
}

impl Tx {
    pub(crate) async fn begin(engine: &Engine, now: Timestamp) -> Result<Self, StoreError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: match engine.writer.get_database_backend() {
                DbBackend::Sqlite => Some(sea_orm::SqliteTransactionMode::Immediate),
                _ => None,
            },
            ..TransactionOptions::default()
        };
        let open = engine.doubt.watch();
        let inner = engine.writer.begin_with_options(options).await?;
        let begun = engine.keys.moment();
        let keys = engine.keys.clone();
        Ok(Self { open, inner, now, keys, begun, fresh: Mutex::default(), last: Mutex::default() })
    }

    /// The connection, for what wants a `ConnectionTrait`.
    pub fn db(&self) -> &DatabaseTransaction {
        &self.inner
    }

    /// Which store this is.
    pub fn backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    /// When this transaction records what it writes: the `now` of every item in it.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Waits until this transaction alone holds these keys, against the writes of other processes and of this one: for
    /// work that learns only inside what it has to have for itself. Call it once, before anything else is read.
    /// (SQLite has one writer and needs no lock.)
    ///
    /// # Errors
    /// Busy when somebody else holds them for too long.
    pub async fn lock(&self, keys: &[LockKey]) -> Result<(), StoreError> {
        if self.backend() != DbBackend::Postgres || keys.is_empty() {
            return Ok(());
        }
        let mut keys: Vec<i64> = keys.iter().map(|key| key.0).collect();
        keys.sort_unstable();
        keys.dedup();
        Sql::new(self.db(), "SELECT count(pg_advisory_xact_lock(key)) FROM unnest(")
            .bind(keys)
            .text("::int8[]) AS k(key)")
            .all(self.db())
            .await?;
        Ok(())
    }

    /// Inserts rows at the end of the transaction, in one round trip with everything else that waits for it. Nothing in
    /// this transaction sees them, and on PostgreSQL no order among them is kept. For rows whose keys nobody else claims at
    /// the same moment: they are written while the feed may be locked.
    pub fn insert_last(&self, rows: Rows) {
        if !rows.is_empty() {
            self.last().push(rows);
        }
    }

    /// Inserts right now what waits for the end in a table, for whoever reads it next in this transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert_waiting_in(&self, table: &str) -> Result<(), StoreError> {
        let (now, last): (Vec<Rows>, Vec<Rows>) = self.take_last().into_iter().partition(|rows| rows.table() == table);
        self.last().extend(last);
        for rows in now {
            rows.insert(&self.inner).await?;
        }
        Ok(())
    }

    /// Inserts right now what waits for the end.
    pub(crate) async fn insert_waiting(&self) -> Result<(), StoreError> {
        for rows in self.take_last() {
            rows.insert(&self.inner).await?;
        }
        Ok(())
    }

    pub(crate) fn take_last(&self) -> Vec<Rows> {
        std::mem::take(&mut *self.last())
    }

    fn last(&self) -> MutexGuard<'_, Vec<Rows>> {
        // Nothing panics while it is held.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The data keys of subjects, made where missing. A subject whose key was destroyed stays destroyed: sealing for
    /// it fails with `ERASED`.
    pub async fn keys(&self, subjects: &[Subject]) -> Result<SubjectKeys, StoreError> {
        self.keys.get_or_make(self, subjects).await
    }

    /// Destroys the data keys of subjects for ever: what was sealed under them can no longer be read, and nothing can
    /// be sealed for them again.
    pub async fn destroy_keys(&self, subjects: &[Subject]) -> Result<(), StoreError> {
        self.keys.destroy(self, subjects).await
    }

    pub(crate) fn remember(&self, subject: Subject, key: DataKey) {
        if let Ok(mut fresh) = self.fresh.lock() {
            fresh.insert(subject, key);
        }
    }

    pub(crate) fn remembered(&self, subject: &Subject) -> Option<DataKey> {
        self.fresh.lock().ok()?.get(subject).cloned()
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        self.inner.commit().await?;
        self.open.ended();
        if let Ok(fresh) = self.fresh.into_inner() {
            for (subject, key) in fresh {
                self.keys.share(self.begun, subject, key);
            }
        }
        Ok(())
    }

    pub(crate) async fn rollback(self) {
        match self.inner.rollback().await {
            Ok(()) => self.open.ended(),
            // The connection is checked before its next use, so this is only worth a line.
            Err(error) => tracing::debug!(%error, "a rollback failed"),
        }
    }
}
