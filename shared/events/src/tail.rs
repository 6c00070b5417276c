use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rapport_store::Store;
use rapport_types::error::Error;
use rapport_types::tenant::TenantId;
use tokio::sync::watch;

use crate::Event;

/// Events read from the outbox in one statement.
pub(crate) const PAGE: usize = 500;
/// What the tail keeps: enough that a reader which is a few batches behind needs no statement of its own.
const CAPACITY: usize = 4096;
const CAPACITY_BYTES: usize = 4 << 20;

/// The newest events of one outbox in memory, read once for all readers of this process.
///
/// Readers near the head (the usual place) are served from here with their tenant filter, so a wake-up costs one
/// statement however many streams are open. Whoever is further behind reads its own pages.
#[derive(Debug)]
pub(crate) struct Tail {
    store: Store,
    ring: Mutex<Ring>,
    /// Held while reading, so that one reader reads for all; says whether the ring has been placed.
    reading: tokio::sync::Mutex<bool>,
    /// Held while polling; when that was last.
    polled: tokio::sync::Mutex<Option<Instant>>,
    through: watch::Sender<i64>,
}

/// A dense run of events: `events[i]` has position `from + 1 + i`.
#[derive(Debug, Default)]
struct Ring {
    from: i64,
    bytes: usize,
    events: VecDeque<Event>,
}

impl Ring {
    fn through(&self) -> i64 {
        self.from + self.events.len() as i64
    }

    fn restart(&mut self, from: i64) {
        *self = Ring { from, ..Ring::default() };
    }

    fn push(&mut self, event: Event) {
        if event.position <= self.through() {
            return;
        }
        if event.position != self.through() + 1 {
            // Retention took what lay between while nobody was reading.
            self.restart(event.position - 1);
        }
        self.bytes += weight(&event);
        self.events.push_back(event);
        while self.events.len() > CAPACITY || (self.bytes > CAPACITY_BYTES && self.events.len() > 1) {
            if let Some(old) = self.events.pop_front() {
                self.bytes -= weight(&old);
                self.from += 1;
            }
        }
    }
}

fn weight(event: &Event) -> usize {
    size_of::<Event>() + event.payload.len() + event.aggregate.len() + event.kind.len()
}

impl Tail {
    pub(crate) fn new(store: Store) -> Tail {
        Tail {
            store,
            ring: Mutex::new(Ring::default()),
            reading: tokio::sync::Mutex::default(),
            polled: tokio::sync::Mutex::default(),
            through: watch::Sender::new(0),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever the tail has read on.
    pub(crate) fn watch(&self) -> watch::Receiver<i64> {
        self.through.subscribe()
    }

    /// At most `limit` events after `position` that are the tenant's, and the position up to which that is all there
    /// is; `None` when the tail begins later.
    pub(crate) fn after(&self, position: i64, limit: usize, tenant: Option<&TenantId>) -> Option<(Vec<Event>, i64)> {
        let ring = self.ring();
        let skip = usize::try_from(position.checked_sub(ring.from)?).ok()?;
        let mut found = Vec::new();
        for event in ring.events.iter().skip(skip) {
            if tenant.is_none_or(|tenant| *tenant == event.tenant) {
                found.push(event.clone());
                if found.len() == limit {
                    let through = event.position;
                    return Some((found, through));
                }
            }
        }
        Some((found, ring.through().max(position)))
    }

    /// Reads on until `position` is in the tail, if it is not yet.
    pub(crate) async fn reach(&self, position: i64) -> Result<(), Error> {
        let mut placed = self.reading.lock().await;
        if *placed && self.ring().through() >= position {
            return Ok(());
        }
        self.read_on(&mut placed).await
    }

    /// Asks the database whether another replica has written, unless that was done within `recently`. All readers learn
    /// the answer through the store's position.
    pub(crate) async fn poll(&self, recently: Duration) -> Result<(), Error> {
        let mut last = self.polled.lock().await;
        if last.is_none_or(|last| last.elapsed() >= recently) {
            *last = Some(Instant::now());
            self.store.poll_position().await?;
        }
        Ok(())
    }

    async fn read_on(&self, placed: &mut bool) -> Result<(), Error> {
        let known = *self.store.position().borrow();
        let far = |ring: &Ring, newest: i64| newest - ring.through() > CAPACITY as i64;
        if !*placed || far(&self.ring(), known) {
            let (_, newest) = self.store.feed_bounds().await?;
            let mut ring = self.ring();
            if !*placed || far(&ring, newest) {
                ring.restart(newest);
            }
            *placed = true;
        }
        loop {
            let after = self.ring().through();
            let stored = self.store.events_after(after, PAGE, None).await?;
            let full = stored.len() == PAGE;
            {
                let mut ring = self.ring();
                for event in stored {
                    ring.push(Event::stored(self.store.service(), self.store.epoch(), event));
                }
            }
            if !full {
                break;
            }
        }
        let through = self.ring().through();
        self.through.send_if_modified(|seen| std::mem::replace(seen, through) != through);
        Ok(())
    }
}
