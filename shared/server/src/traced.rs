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

    fn batch(&self) -> usize {
        self.consumer.batch()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    struct Greedy;

    #[async_trait]
    impl Consumer for Greedy {
        type Gathered = ();

        fn name(&self) -> &'static str {
            "greedy"
        }

        fn source(&self) -> &'static str {
            "stakeholders"
        }

        fn batch(&self) -> usize {
            7_000
        }

        async fn gather(&self, _: &[Event]) -> Result<(), Error> {
            Ok(())
        }

        async fn apply(&self, _: &Tx, _: &[Event], (): &(), _: &mut Outbox) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[test]
    fn a_traced_consumer_is_driven_as_it_asks() {
        let traced = Traced::new(Greedy, None);
        assert_eq!((traced.name(), traced.source(), traced.batch()), ("greedy", "stakeholders", 7_000));
    }
}
