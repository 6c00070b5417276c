//! A write transaction.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use rapport_types::time::Timestamp;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, TransactionOptions, TransactionTrait};

use crate::committer::Engine;
use crate::error::StoreError;
use crate::keys::{DataKey, KeyRing, Subject, SubjectKeys};

/// The transaction of a batch (or of a [`crate::Work`]). It derefs to sea-orm's transaction: any statement works on it.
/// Committing is the store's business.
pub struct Tx {
    inner: DatabaseTransaction,
    now: Timestamp,
    keys: Arc<KeyRing>,
    /// Keys read, made or destroyed here; shared with other batches once committed.
    fresh: Mutex<Vec<(Subject, DataKey)>>,
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
        let inner = engine.writer.begin_with_options(options).await?;
        Ok(Self { inner, now, keys: engine.keys.clone(), fresh: Mutex::new(Vec::new()) })
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
            fresh.retain(|(known, _)| *known != subject);
            fresh.push((subject, key));
        }
    }

    pub(crate) fn remembered(&self, subject: &Subject) -> Option<DataKey> {
        let fresh = self.fresh.lock().ok()?;
        fresh.iter().find(|(known, _)| known == subject).map(|(_, key)| key.clone())
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        self.inner.commit().await?;
        if let Ok(fresh) = self.fresh.into_inner() {
            for (subject, key) in fresh {
                self.keys.share(subject, key);
            }
        }
        Ok(())
    }

    pub(crate) async fn rollback(self) {
        if let Err(error) = self.inner.rollback().await {
            // The connection is checked before its next use, so this is only worth a line.
            tracing::debug!(%error, "a rollback failed");
        }
    }
}
