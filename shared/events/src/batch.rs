use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::FutureExt;
use rapport_store::{Outbox, ParkedEvent, StoreError, Tx, Work};
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::tenant::TenantId;
use rapport_types::time::Timestamp;

use crate::{Consumer, Cursor, Event};

pub(crate) type Aggregate = (TenantId, String);

pub(crate) fn aggregate(event: &Event) -> Aggregate {
    (event.tenant.clone(), event.aggregate.clone())
}

/// Why an event is put aside.
pub(crate) enum Parking {
    /// It failed by itself.
    Failed(Error),
    /// An earlier event of its aggregate is parked.
    Behind,
}

/// The one transaction of a batch.
pub(crate) struct Batch<C: Consumer> {
    pub(crate) consumer: Arc<C>,
    pub(crate) flowing: Vec<Event>,
    pub(crate) gathered: Option<C::Gathered>,
    pub(crate) parked: Vec<(Event, Parking)>,
    pub(crate) from: Option<Cursor>,
    pub(crate) to: Cursor,
    /// The aggregates of the batch, to be looked up among those parked; none when nothing is parked.
    pub(crate) touched: Vec<Aggregate>,
    /// Those of them that were parked when the batch was made up.
    pub(crate) known: BTreeSet<Aggregate>,
    /// Set when the batch is out of date: another replica was first, or parked events were dealt with.
    pub(crate) stale: Arc<AtomicBool>,
}

#[async_trait]
impl<C: Consumer> Work for Batch<C> {
    type Output = ();

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<(), StoreError> {
        let (name, source) = (self.consumer.name(), self.consumer.source());
        // First the compare-and-set: it also locks the row, so that a second replica waits here and then fails.
        let from = self.from.as_ref().map(|from| (from.epoch.as_str(), from.position));
        let moved = tx.advance_cursor(name, source, from, (&self.to.epoch, self.to.position)).await?;
        self.stale.store(!moved, Ordering::Release);
        if !moved {
            return Err(contention("another replica applied these events first"));
        }
        // Somebody may have dealt with parked events since the batch was made up. (None can have been added: whoever
        // parks moves the cursor.)
        if !self.touched.is_empty() {
            let now = tx.parked_among(name, source, &self.touched).await?;
            if now.into_iter().collect::<BTreeSet<_>>() != self.known {
                self.stale.store(true, Ordering::Release);
                return Err(contention("the parked events of this consumer changed"));
            }
        }
        if let Some(gathered) = &self.gathered {
            let applying = self.consumer.apply(tx, &self.flowing, gathered, out);
            match AssertUnwindSafe(applying).catch_unwind().await {
                Ok(applied) => applied?,
                Err(panic) => return Err(panicked(panic).into()),
            }
        }
        if !self.parked.is_empty() {
            let parked = self.parked.iter().map(|(event, why)| parked_event(name, event, why, tx.now()));
            tx.park(parked.collect()).await?;
        }
        Ok(())
    }
}

pub(crate) fn contention(message: &str) -> StoreError {
    Error::new(Kind::Conflict, reason::CONTENTION, message).into()
}

fn parked_event(consumer: &str, event: &Event, why: &Parking, now: Timestamp) -> ParkedEvent {
    let reason = match why {
        // The message holds no personal data, so it may stand in a table for good.
        Parking::Failed(error) => error.to_string(),
        Parking::Behind => "an earlier event of this aggregate is parked".to_owned(),
    };
    ParkedEvent {
        consumer: consumer.to_owned(),
        source: event.source.clone(),
        epoch: event.epoch.clone(),
        position: event.position,
        tenant: event.tenant.clone(),
        kind: event.kind.clone(),
        aggregate: event.aggregate.clone(),
        version: event.version,
        occurred_at: event.occurred_at,
        recorded_at: event.recorded_at,
        traceparent: event.traceparent.clone(),
        payload: event.payload.to_vec(),
        reason,
        parked_at: now,
    }
}

pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Error::bug(format!("a consumer panicked: {text}"))
}
