use rapport_events::{Consumer, Event};
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::error::Error;
use tonic::async_trait;
use tracing::Span;

use crate::spans;

/// A consumer whose work shows in the traces of the calls that caused the events.
pub(crate) struct Traced<C> {
    consumer: C,
    /// The service it belongs to; `None` while traces are not exported.
    service: Option<&'static str>,
}

impl<C: Consumer> Traced<C> {
    pub(crate) fn new(consumer: C, service: Option<&'static str>) -> Traced<C> {
        Traced { consumer, service }
    }

    /// One span per event that belongs to a trace, open until they are dropped.
    fn spans(&self, events: &[Event]) -> Vec<Span> {
        let Some(service) = self.service else { return Vec::new() };
        let span = |event: &Event| {
            let traceparent = event.traceparent.as_deref()?;
            Some(spans::consumed(service, self.consumer.name(), event, traceparent))
        };
        events.iter().filter_map(span).collect()
    }
}

#[async_trait]
impl<C: Consumer> Consumer for Traced<C> {
    type Gathered = C::Gathered;

    fn name(&self) -> &'static str {
        self.consumer.name()
    }

    fn source(&self) -> &'static str {
        self.consumer.source()
    }

    async fn gather(&self, events: &[Event]) -> Result<Self::Gathered, Error> {
        self.consumer.gather(events).await
    }

    async fn apply(
        &self,
        tx: &Tx,
        events: &[Event],
        gathered: &Self::Gathered,
        out: &mut Outbox,
    ) -> Result<(), StoreError> {
        let spans = self.spans(events);
        let applied = self.consumer.apply(tx, events, gathered, out).await;
        drop(spans);
        applied
    }
}
