use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rapport_store::{ParkedEvent, Store};
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::time::Timestamp;
use tokio::sync::watch;

use crate::reapply::Reapply;

/// How soon a waiter sees what another replica has applied.
const POLL: Duration = Duration::from_millis(25);

/// How far this service has applied the feeds it consumes.
///
/// Positions applied by this process are known at once; those applied by another replica are read from the database
/// while somebody waits for them.
#[derive(Clone, Debug)]
pub struct Cursors {
    store: Store,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    sources: Mutex<BTreeMap<String, Consumed>>,
    polled: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Consumed {
    consumers: BTreeMap<&'static str, Known>,
    applied: watch::Sender<i64>,
}

/// A consumer that runs here.
struct Known {
    progress: Progress,
    /// How it applies what was parked, once it runs.
    reapply: Option<Arc<dyn Reapply>>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.progress.fmt(f)
    }
}

/// How one consumer is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The consumer's name.
    pub consumer: String,
    /// The feed it consumes.
    pub source: String,
    /// Everything up to here has been applied or parked.
    pub position: i64,
    /// The newest position of the source that was delivered here; `delivered - position` is the backlog in hand.
    pub delivered: i64,
    /// The newest position of the source that is known here, delivered or not; `newest - position` is what is left to do.
    pub newest: i64,
    /// When the event was recorded that is applied now, or was applied last.
    pub at_work: Option<Timestamp>,
    /// Events that stand in the parking table: each needs somebody to look at it.
    pub parked: u64,
    /// Batches that failed since the start and were tried again.
    pub retries: u64,
    /// Batches that another replica had applied first.
    pub fenced: u64,
    /// Whether the stream from the source is open.
    pub connected: bool,
    /// The last failure, until the next batch is applied.
    pub last_error: Option<String>,
    /// When the source was last heard: a batch, a heartbeat, or that its stream was opened for the first time. `None` after
    /// its stream broke, until it says something again.
    pub heard: Option<Instant>,
    /// When the oldest event was recorded that is at hand and not applied; `None` when all of them are.
    pub behind_since: Option<Instant>,
}

impl Progress {
    /// Events that are left to apply, as far as is known here.
    pub fn behind(&self) -> i64 {
        (self.newest.max(self.delivered) - self.position).max(0)
    }

    /// How long ago the event was recorded that is to be applied next; zero when nothing is left to do.
    pub fn lag(&self, now: Timestamp) -> Duration {
        match self.at_work {
            Some(at_work) if self.behind() > 0 => now.since(at_work),
            _ => Duration::ZERO,
        }
    }
}

/// What waiting for a position came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Everything up to the position asked for has been applied (or is this service's own, and so always visible).
    Reached {
        /// The position applied so far.
        position: i64,
    },
    /// The deadline came first: a reply is behind what was asked for.
    Behind {
        /// The position applied so far.
        position: i64,
    },
    /// This service does not consume that source, so nothing of it can be missing here.
    NotConsumed,
}

impl Freshness {
    /// False only if something that was asked for is not yet visible.
    pub fn is_fresh(&self) -> bool {
        !matches!(self, Freshness::Behind { .. })
    }
}

impl Cursors {
    /// The cursors of the consumers that write into this store.
    pub fn new(store: Store) -> Cursors {
        Cursors { store, state: Arc::default() }
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<String, Consumed>> {
        self.state.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sources that are consumed here, each with the position that all its consumers have applied.
    pub fn applied(&self) -> BTreeMap<String, i64> {
        self.sources().iter().map(|(source, consumed)| (source.clone(), *consumed.applied.borrow())).collect()
    }

    /// How each consumer is doing, for metrics and readiness.
    pub fn progress(&self) -> Vec<Progress> {
        self.sources()
            .values()
            .flat_map(|consumed| consumed.consumers.values().map(|known| known.progress.clone()))
            .collect()
    }

    /// How one consumer of this process is doing; `None` when there is no such consumer here.
    pub fn of(&self, consumer: &str, source: &str) -> Option<Progress> {
        self.sources().get(source)?.consumers.get(consumer).map(|known| known.progress.clone())
    }

    /// Waits until `source` has been applied up to `at_least`, or until the deadline.
    pub async fn wait(&self, source: &str, at_least: i64, deadline: Instant) -> Freshness {
        if source == self.store.service() {
            // Reads see every committed row of the service's own database.
            return Freshness::Reached { position: (*self.store.position().borrow()).max(at_least) };
        }
        let Some(mut applied) = self.sources().get(source).map(|found| found.applied.subscribe()) else {
            return Freshness::NotConsumed;
        };
        loop {
            let position = *applied.borrow_and_update();
            if position >= at_least {
                return Freshness::Reached { position };
            }
            let now = Instant::now();
            if now >= deadline {
                return Freshness::Behind { position };
            }
            tokio::select! {
                _ = applied.changed() => {}
                () = tokio::time::sleep(POLL.min(deadline - now)) => self.poll(deadline).await,
            }
        }
    }

    /// Reads the stored cursors, once for all waiters. Failures are left to the deadline.
    async fn poll(&self, deadline: Instant) {
        let read = async {
            let mut last = self.state.polled.lock().await;
            if last.is_some_and(|last| last.elapsed() < POLL / 2) {
                return;
            }
            *last = Some(Instant::now());
            let Ok(stored) = self.store.cursors().await else {
                return;
            };
            for cursor in stored {
                self.change(&cursor.source, &cursor.consumer, |progress| {
                    progress.position = progress.position.max(cursor.position);
                });
            }
        };
        let _late = tokio::time::timeout_at(deadline.into(), read).await;
    }

    /// Makes a consumer known that is about to run. Whoever waits for its source waits for it from now on: a call that is
    /// answered before it runs would take what nobody has looked at for applied.
    pub fn expect(&self, consumer: &'static str, source: &str) {
        self.know(consumer, source, None);
    }

    /// Makes a consumer known that runs.
    pub(crate) fn register(&self, consumer: &'static str, source: &str, reapply: Arc<dyn Reapply>) {
        self.know(consumer, source, Some(reapply));
    }

    fn know(&self, consumer: &'static str, source: &str, reapply: Option<Arc<dyn Reapply>>) {
        let mut sources = self.sources();
        let consumed = sources
            .entry(source.to_owned())
            .or_insert_with(|| Consumed { consumers: BTreeMap::new(), applied: watch::Sender::new(0) });
        let progress = Progress { consumer: consumer.to_owned(), source: source.to_owned(), ..Progress::default() };
        // One that is started anew goes on with what is known.
        consumed
            .consumers
            .entry(consumer)
            .and_modify(|known| known.reapply.clone_from(&reapply))
            .or_insert(Known { progress, reapply });
    }

    /// Whether a consumer of that name runs here.
    pub fn has(&self, consumer: &str) -> bool {
        self.sources().values().any(|consumed| consumed.consumers.contains_key(consumer))
    }

    /// Applies a parked event after all, and takes it out of the parking table, in one transaction. It must be the first of
    /// its aggregate that is parked.
    ///
    /// # Errors
    /// What the consumer says of the event; it stays parked then. Conflict when it is not the first or not parked any more,
    /// Unavailable when the consumer does not run here.
    pub async fn reapply(&self, parked: ParkedEvent) -> Result<(), Error> {
        let (source, consumer) = (parked.source.clone(), parked.consumer.clone());
        let reapply = self
            .sources()
            .get(&source)
            .and_then(|consumed| consumed.consumers.get(consumer.as_str()))
            .and_then(|known| known.reapply.clone());
        let Some(reapply) = reapply else {
            let text = format!("the consumer {consumer} of {source} does not run in this process");
            return Err(Error::new(Kind::Unavailable, reason::PEER_UNAVAILABLE, text)
                .with("service", &source)
                .retry(Duration::from_secs(1)));
        };
        reapply.reapply(parked).await?;
        self.change(&source, &consumer, |progress| progress.parked = progress.parked.saturating_sub(1));
        Ok(())
    }

    /// Changes what is known of a registered consumer and wakes those who wait for its source.
    pub(crate) fn change(&self, source: &str, consumer: &str, change: impl FnOnce(&mut Progress)) {
        let mut sources = self.sources();
        let Some(consumed) = sources.get_mut(source) else {
            return;
        };
        let Some(known) = consumed.consumers.get_mut(consumer) else {
            return;
        };
        change(&mut known.progress);
        let all = consumed.consumers.values().map(|known| known.progress.position).min().unwrap_or(0);
        consumed.applied.send_if_modified(|applied| std::mem::replace(applied, all) != all);
    }
}
