use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use futures::FutureExt;
use rapport_store::{Outbox, ParkedEvent, Store, StoreError, Tx, Work};
use rapport_types::error::{Error, Kind};
use rapport_types::reason;

use crate::batch::{contention, panicked};
use crate::{Consumer, Event};

/// Applies events that were put aside, whatever consumer it was.
#[async_trait]
pub(crate) trait Reapply: Send + Sync {
    /// One transaction: out of the parking table, and its effect.
    async fn reapply(&self, parked: ParkedEvent) -> Result<(), Error>;
}

/// A consumer as the parking table needs it. It does not keep the consumer alive: that is the runner's.
pub(crate) struct Reapplied<C> {
    consumer: Weak<C>,
    store: Store,
}

impl<C: Consumer> Reapplied<C> {
    pub(crate) fn new(consumer: &Arc<C>, store: &Store) -> Reapplied<C> {
        Reapplied { consumer: Arc::downgrade(consumer), store: store.clone() }
    }
}

#[async_trait]
impl<C: Consumer> Reapply for Reapplied<C> {
    async fn reapply(&self, parked: ParkedEvent) -> Result<(), Error> {
        let Some(consumer) = self.consumer.upgrade() else {
            return Err(Error::new(Kind::Unavailable, reason::SHUTTING_DOWN, "the process is stopping"));
        };
        let events = vec![Event::parked(&parked)];
        let gathering = AssertUnwindSafe(consumer.gather(&events)).catch_unwind().await;
        let gathered = gathering.unwrap_or_else(|panic| Err(panicked(panic)))?;
        self.store.run(One { consumer, parked, events, gathered }).await.map(drop)
    }
}

struct One<C: Consumer> {
    consumer: Arc<C>,
    parked: ParkedEvent,
    events: Vec<Event>,
    gathered: C::Gathered,
}

#[async_trait]
impl<C: Consumer> Work for One<C> {
    type Output = ();

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<(), StoreError> {
        // Whoever parks a later event of this aggregate moves the cursor first, and so waits here.
        tx.hold_cursor(&self.parked.consumer, &self.parked.source).await?;
        let first = tx.parked_first(&self.parked).await?;
        let is_next =
            first.is_some_and(|first| (first.position, &first.epoch) == (self.parked.position, &self.parked.epoch));
        // It says that the row was there: of two that apply the same event, one ends here.
        if !is_next || !tx.unpark(&self.parked).await? {
            return Err(contention("another event of this aggregate comes first, or this one was dealt with"));
        }
        let applying = self.consumer.apply(tx, &self.events, &self.gathered, out);
        match AssertUnwindSafe(applying).catch_unwind().await {
            Ok(applied) => applied,
            Err(panic) => Err(panicked(panic).into()),
        }
    }
}
