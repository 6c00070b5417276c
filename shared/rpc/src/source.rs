use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use rapport_events::{Cursor, Event, EventStream, Source};
use rapport_proto::events::v1 as proto;
use rapport_proto::events::v1::event_service_client::EventServiceClient;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::tenant::TenantId;
use tonic::Streaming;

use crate::{Transport, error_of, limits, wire};

/// A stream that says nothing for this long is given up: the other side sends heartbeats.
const SILENCE: Duration = Duration::from_secs(20);
/// How long opening a stream may take.
const OPENING: Duration = Duration::from_secs(5);

/// The feed of a service, read through its `EventService`: in this process or another, by the transport.
#[derive(Clone, Debug)]
pub struct GrpcSource {
    source: String,
    transport: Transport,
    newest: Arc<AtomicI64>,
}

impl GrpcSource {
    /// The feed of `source` over `transport`, which must carry a service principal.
    pub fn new(source: &str, transport: Transport) -> GrpcSource {
        GrpcSource { source: source.to_owned(), transport, newest: Arc::default() }
    }
}

#[async_trait]
impl Source for GrpcSource {
    async fn subscribe(&self, after: Option<Cursor>) -> Result<EventStream, Error> {
        let request = proto::SubscribeRequest {
            source: self.source.clone(),
            cursor: after.map(|cursor| cursor.to_string()).unwrap_or_default(),
            ..Default::default()
        };
        let mut client = EventServiceClient::new(self.transport.clone()).max_decoding_message_size(limits::REPLY_BYTES);
        let opening = tokio::time::timeout(OPENING, client.subscribe(request));
        let stream = match opening.await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Err(error_of(status)),
            Err(_) => return Err(silent(&self.source)),
        };
        let from = self.clone();
        let batches = stream::unfold(Some(stream), move |stream| {
            let from = from.clone();
            async move {
                let mut stream = stream?;
                match from.next(&mut stream).await? {
                    Ok(events) => Some((Ok(events), Some(stream))),
                    Err(error) => Some((Err(error), None)),
                }
            }
        });
        Ok(batches.boxed())
    }

    fn newest(&self) -> i64 {
        self.newest.load(Ordering::Relaxed)
    }
}

impl GrpcSource {
    async fn next(&self, stream: &mut Streaming<proto::SubscribeResponse>) -> Option<Result<Vec<Event>, Error>> {
        match tokio::time::timeout(SILENCE, stream.message()).await {
            Ok(Ok(Some(response))) => {
                self.newest.fetch_max(response.newest_position, Ordering::Relaxed);
                Some(response.events.into_iter().map(event).collect())
            }
            Ok(Ok(None)) => None,
            Ok(Err(status)) => Some(Err(error_of(status))),
            Err(_) => Some(Err(silent(&self.source))),
        }
    }
}

fn silent(source: &str) -> Error {
    Error::new(Kind::Unavailable, reason::PEER_UNAVAILABLE, format!("the feed of {source} does not answer"))
        .with("service", source)
        .retry(Duration::from_secs(1))
}

fn event(event: proto::Event) -> Result<Event, Error> {
    let unreadable = |what: &str| Error::bug(format!("event {} has no readable {what}", event.name));
    let time = |value: &Option<prost_types::Timestamp>, what| {
        value.as_ref().and_then(|value| wire::timestamp(value).ok()).ok_or_else(|| unreadable(what))
    };
    let occurred_at = time(&event.occurred_time, "occurred_time")?;
    let recorded_at = time(&event.recorded_time, "recorded_time")?;
    let tenant = TenantId::parse(&event.tenant).map_err(|_| unreadable("tenant"))?;
    Ok(Event {
        tenant,
        occurred_at,
        recorded_at,
        source: event.source,
        epoch: event.epoch,
        position: event.position,
        kind: event.r#type,
        aggregate: event.aggregate,
        version: event.version,
        traceparent: (!event.traceparent.is_empty()).then_some(event.traceparent),
        payload: event.data.map(|data| data.value.into()).unwrap_or_default(),
    })
}
