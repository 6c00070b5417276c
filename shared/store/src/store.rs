//! The handle.

use std::fs::File;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use rapport_types::Uuid;
use rapport_types::error::Error;
use rapport_types::id::World;
use rapport_types::tenant::TenantId;
use sea_orm::DatabaseConnection;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::command::{Command, Committed, Scope, Work};
use crate::committer::Engine;
use crate::committer::group::{Alone, Single};
use crate::committer::queue::Job;
use crate::error::{read_error, shutting_down};
use crate::feed::{self, FeedPage, StoredEvent};
use crate::keys::Subject;
use crate::options::StoreOptions;
use crate::page::Pages;
use crate::rows::Sql;
use crate::sequencer::raise;

/// A service's database. Cheap to clone; the store stops when the last clone is dropped, or at [`Store::close`].
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) service: &'static str,
    pub(crate) options: StoreOptions,
    pub(crate) reader: DatabaseConnection,
    pub(crate) engine: Arc<Engine>,
    pub(crate) epoch: String,
    /// Ends what is not waited for.
    pub(crate) stop: CancellationToken,
    /// Held while the store is open, so that no second process opens the same file.
    pub(crate) lock: Mutex<Option<File>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without this the workers would wait for ever.
        self.engine.queue.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.inner.service)
    }
}

/// Figures of a running store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Writes that wait for a batch.
    pub waiting: usize,
    /// Writes not answered yet, the waiting ones included.
    pub open: usize,
    /// Batches run since the store was opened.
    pub batches: u64,
    /// Items in them.
    pub items: u64,
    /// Attempts that failed and were made again, whole or in halves, or given up.
    pub retries: u64,
    /// Newest position of the feed known here.
    pub position: i64,
    /// Data keys held in memory.
    pub keys: u64,
    /// How often a data key was found in memory.
    pub key_hits: u64,
    /// How often one had to be read from the database.
    pub key_misses: u64,
}

impl Store {
    /// For reads outside a write. Cannot write.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.inner.reader
    }

    /// The clock and the ids this store was opened with.
    pub fn world(&self) -> &World {
        &self.inner.engine.world
    }

    /// The service whose data this is.
    pub fn service(&self) -> &'static str {
        self.inner.service
    }

    /// What the store was opened with.
    pub fn options(&self) -> &StoreOptions {
        &self.inner.options
    }

    /// Hands a write over and waits until it is durable. The write runs in the store's own tasks: a caller that leaves
    /// changes nothing about it.
    ///
    /// # Errors
    /// What the command decided; `REQUEST_ID_REUSED`, `QUEUE_FULL`, `STORE_UNAVAILABLE`, `STORE_FULL`, `CONTENTION`,
    /// `SHUTTING_DOWN`. After `STORE_UNAVAILABLE` the write may have happened: the same request id tells.
    pub async fn submit<C: Command>(&self, scope: Scope, command: C) -> Result<Committed<C::Reply>, Error> {
        let (job, reply) = job(scope, command);
        self.inner.engine.queue.push([job]);
        answered(reply).await
    }

    /// Hands many writes over at once, in order; the results come in the same order. One that fails does not fail the
    /// others.
    pub async fn submit_many<C: Command>(&self, writes: Vec<(Scope, C)>) -> Vec<Result<Committed<C::Reply>, Error>> {
        let (jobs, replies): (Vec<_>, Vec<_>) = writes.into_iter().map(|(scope, command)| job(scope, command)).unzip();
        self.inner.engine.queue.push(jobs);
        let mut results = Vec::with_capacity(replies.len());
        for reply in replies {
            results.push(answered(reply).await);
        }
        results
    }

    /// Runs work in a transaction of its own, through the same queue, and waits until it is durable.
    ///
    /// # Errors
    /// What the work returned as [`crate::StoreError::Domain`], and those of [`Store::submit`].
    pub async fn run<W: Work>(&self, work: W) -> Result<Committed<W::Output>, Error> {
        let (sender, reply) = oneshot::channel();
        let locks = work.locks();
        let entry = Alone { work, locks: locks.clone(), output: None, reply: sender };
        let job = Job::new(None, &locks, None, Box::new(entry));
        self.inner.engine.queue.push([job]);
        answered(reply).await
    }

    /// Makes and reads page tokens.
    pub fn pages(&self) -> &Pages {
        self.inner.engine.keys.pages()
    }

    /// The blind index of a value: equal for equal values of the same tenant and label, and nothing else can be told
    /// from it without the key. Another service's index of the same value differs.
    pub fn blind(&self, tenant: &TenantId, label: &str, value: &str) -> Uuid {
        self.inner.engine.keys.blind(tenant, label, value)
    }

    /// Opens what was sealed for a subject; `None` when its key was destroyed (or never made).
    pub async fn unseal(&self, subject: &Subject, field: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let some = [(subject.clone(), sealed.to_vec())];
        Ok(self.unseal_many(field, &some).await?.pop().flatten())
    }

    /// Opens many sealed values of one field, in order; one round trip at most for the keys.
    pub async fn unseal_many(&self, field: &str, sealed: &[(Subject, Vec<u8>)]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let subjects: Vec<_> = sealed.iter().map(|(subject, _)| subject.clone()).collect();
        let keys =
            self.inner.engine.keys.find(self.reader(), &subjects).await.map_err(crate::StoreError::into_error)?;
        sealed
            .iter()
            .map(|(subject, bytes)| keys.unseal(subject, field, bytes).map_err(crate::StoreError::into_error))
            .collect()
    }

    /// The newest durable feed position known here; it changes with this process's own writes. For those of other
    /// replicas see [`Store::poll_position`].
    pub fn position(&self) -> watch::Receiver<i64> {
        self.inner.engine.position.subscribe()
    }

    /// Asks the database for the newest position, and makes it known to [`Store::position`].
    pub async fn poll_position(&self) -> Result<i64, Error> {
        let state = feed::state(self.reader()).await.map_err(read_error)?;
        self.inner.engine.position.send_if_modified(|known| raise(known, state.position));
        Ok(state.position)
    }

    /// Durable events after a position, in order, at most `limit`; of one tenant if asked. Fewer than `limit` means
    /// that the feed has no more at the moment. For one tenant of a long feed rather use [`Store::scan_events`].
    pub async fn events_after(
        &self,
        position: i64,
        limit: usize,
        tenant: Option<&TenantId>,
    ) -> Result<Vec<StoredEvent>, Error> {
        let mut events = Vec::new();
        let mut at = position;
        while events.len() < limit {
            let page = self.scan_events(at, limit - events.len(), tenant).await?;
            events.extend(page.events);
            if tenant.is_none() || page.scanned == at {
                break;
            }
            at = page.scanned;
        }
        Ok(events)
    }

    /// The same, reading a bounded stretch of the feed: there may be no event in it, and more behind it.
    pub async fn scan_events(&self, position: i64, limit: usize, tenant: Option<&TenantId>) -> Result<FeedPage, Error> {
        feed::page(self.reader(), position, limit, tenant).await.map_err(read_error)
    }

    /// The feed's epoch: another one means another history (a database restored from a backup, or made anew).
    pub fn epoch(&self) -> &str {
        &self.inner.epoch
    }

    /// The position of the oldest event still kept and of the newest; `oldest` is `newest + 1` when none is kept.
    pub async fn feed_bounds(&self) -> Result<(i64, i64), Error> {
        let state = feed::state(self.reader()).await.map_err(read_error)?;
        Ok((state.trimmed + 1, state.position))
    }

    /// Whether the database answers.
    pub async fn ready(&self) -> Result<(), Error> {
        Sql::new(self.reader(), "SELECT 1").one(self.reader()).await.map(drop).map_err(read_error)
    }

    /// What the store counted.
    pub fn stats(&self) -> Stats {
        let engine = &self.inner.engine;
        let (waiting, open) = engine.queue.depth();
        let (keys, key_hits, key_misses) = engine.keys.cached();
        Stats {
            waiting,
            open,
            batches: engine.counters.batches.load(Ordering::Relaxed),
            items: engine.counters.items.load(Ordering::Relaxed),
            retries: engine.counters.retries.load(Ordering::Relaxed),
            position: *engine.position.borrow(),
            keys,
            key_hits,
            key_misses,
        }
    }

    /// Refuses new writes, finishes those under way, and closes the database. Further calls on any clone fail.
    pub async fn close(&self) {
        let engine = &self.inner.engine;
        engine.queue.close();
        engine.tasks.close();
        engine.tasks.wait().await;
        self.inner.stop.cancel();
        let _ = self.inner.reader.clone().close().await;
        let _ = engine.writer.clone().close().await;
        if let Ok(mut lock) = self.inner.lock.lock() {
            lock.take();
        }
    }
}

type Pending<T> = oneshot::Receiver<Result<Committed<T>, Error>>;

fn job<C: Command>(scope: Scope, command: C) -> (Job, Pending<C::Reply>) {
    let (sender, reply) = oneshot::channel();
    let locks = command.locks(&scope.tenant);
    let tenant = Some(scope.tenant.clone());
    let request = scope.request_key();
    let entry = Single { scope, command, locks: locks.clone(), reply: sender };
    (Job::new(tenant, &locks, request, Box::new(entry)), reply)
}

async fn answered<T>(reply: Pending<T>) -> Result<Committed<T>, Error> {
    // The sender is dropped only when the runtime goes down under the store.
    reply.await.unwrap_or_else(|_| Err(shutting_down()))
}
