use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use rapport_store::Store;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::tenant::TenantId;
use tokio::sync::watch;

use crate::tail::{PAGE, Tail};
use crate::{Cursor, Event, EventStream, Source};

/// How soon events that another replica committed are seen here; what this process commits wakes readers at once.
const POLL: Duration = Duration::from_millis(25);
/// How often a filtered stream in which nothing of its own happens says how far it has come.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// A store's outbox as an ordered stream that can be resumed: it never skips and never repeats a position.
///
/// Clones share the newest events in memory, so make one per store and clone it.
#[derive(Clone, Debug)]
pub struct Feed {
    store: Store,
    tail: Arc<Tail>,
}

/// What a feed stream yields.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedBatch {
    /// In order; empty when the batch only says how far the stream has come.
    pub events: Vec<Event>,
    /// Where to resume: everything up to here has been delivered or was not asked for.
    pub through: Cursor,
}

/// Batches of a feed, without end.
pub type FeedStream = BoxStream<'static, Result<FeedBatch, Error>>;

impl Feed {
    /// The feed of a store.
    pub fn new(store: Store) -> Feed {
        Feed { tail: Arc::new(Tail::new(store.clone())), store }
    }

    /// The service whose events these are.
    pub fn source(&self) -> &'static str {
        self.store.service()
    }

    /// The cursor behind the newest event: subscribe after it to see only what happens from now on.
    ///
    /// # Errors
    /// Unavailable when the database does not answer.
    pub async fn head(&self) -> Result<Cursor, Error> {
        let (_, newest) = self.store.feed_bounds().await?;
        Ok(self.cursor(newest))
    }

    /// The events after a cursor (`None`: from the oldest that is kept) in order, of one tenant or of all.
    ///
    /// # Errors
    /// OutOfRange `CURSOR_EXPIRED` (metadata `source`, `oldest_position`) when events after the cursor are no longer
    /// kept, or when the cursor belongs to another incarnation of the feed or lies beyond its end; Unavailable when the
    /// database does not answer. Both may also come as the stream's last item.
    pub async fn subscribe(&self, after: Option<Cursor>, tenant: Option<TenantId>) -> Result<FeedStream, Error> {
        let (oldest, newest) = self.store.feed_bounds().await?;
        let position = match after {
            None => (oldest - 1).clamp(0, newest),
            Some(after) => {
                let foreign = after.epoch != self.store.epoch() || after.position > newest;
                if foreign || after.position + 1 < oldest {
                    return Err(self.expired(oldest));
                }
                after.position
            }
        };
        let reader = Reader {
            known: self.store.position(),
            read: self.tail.watch(),
            feed: self.clone(),
            tenant,
            position,
            told: Instant::now(),
        };
        let stream = stream::unfold(Some(reader), |reader| async move {
            let mut reader = reader?;
            match reader.next().await {
                Ok(batch) => Some((Ok(batch), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(stream.boxed())
    }

    fn has_replicas(&self) -> bool {
        self.store.options().url != "sqlite"
    }

    fn cursor(&self, position: i64) -> Cursor {
        Cursor { epoch: self.store.epoch().to_owned(), position }
    }

    fn expired(&self, oldest: i64) -> Error {
        Error::new(
            Kind::OutOfRange,
            reason::CURSOR_EXPIRED,
            "the feed no longer holds what follows this cursor: read the current state and subscribe anew",
        )
        .with("source", self.source())
        .with("oldest_position", oldest.to_string())
    }
}

/// The store in the same process as a source for a consumer.
#[async_trait]
impl Source for Feed {
    async fn subscribe(&self, after: Option<Cursor>) -> Result<EventStream, Error> {
        let batches = Feed::subscribe(self, after, None).await?;
        Ok(batches.map(|batch| batch.map(|batch| batch.events)).boxed())
    }
}

struct Reader {
    feed: Feed,
    tenant: Option<TenantId>,
    position: i64,
    known: watch::Receiver<i64>,
    read: watch::Receiver<i64>,
    told: Instant,
}

impl Reader {
    async fn next(&mut self) -> Result<FeedBatch, Error> {
        loop {
            // Marked as seen before reading: what comes during the read wakes the wait below.
            let known = *self.known.borrow_and_update();
            self.read.borrow_and_update();
            if known > self.position && *self.read.borrow() < known {
                self.feed.tail.reach(known).await?;
            }
            let (events, through) = match self.feed.tail.after(self.position, PAGE, self.tenant.as_ref()) {
                Some(found) => found,
                None => self.page().await?,
            };
            let moved = through > self.position;
            self.position = through;
            if !events.is_empty() || (moved && self.told.elapsed() >= CHECKPOINT) {
                self.told = Instant::now();
                return Ok(FeedBatch { events, through: self.feed.cursor(through) });
            }
            if !moved {
                self.wait().await?;
            }
        }
    }

    /// A page of one's own, for a reader that is behind the shared tail.
    async fn page(&mut self) -> Result<(Vec<Event>, i64), Error> {
        let store = &self.feed.store;
        // What is visible before the page is read is in the page, so an unfilled page reaches at least this far.
        let (_, newest) = store.feed_bounds().await?;
        let stored = store.events_after(self.position, PAGE, self.tenant.as_ref()).await?;
        let full = stored.len() == PAGE;
        let last = stored.last().map_or(self.position, |event| event.position);
        let through = if full { last } else { last.max(newest) };
        // Retention may have passed this reader: after the read, so that what it took meanwhile is noticed.
        let (oldest, _) = store.feed_bounds().await?;
        if through > self.position && self.position + 1 < oldest {
            return Err(self.feed.expired(oldest));
        }
        let events = stored.into_iter().map(|event| Event::stored(store.service(), store.epoch(), event)).collect();
        Ok((events, through))
    }

    /// Until there may be something new.
    async fn wait(&mut self) -> Result<(), Error> {
        tokio::select! {
            changed = self.known.changed() => {
                if changed.is_err() {
                    return Err(Error::unavailable("the store is closed", Duration::from_secs(1)));
                }
            }
            _ = self.read.changed() => {}
            // One of all waiting readers asks, the others find its answer. (SQLite has no other replicas.)
            () = tokio::time::sleep(POLL), if self.feed.has_replicas() => self.feed.tail.poll(POLL / 2).await?,
        }
        Ok(())
    }
}
