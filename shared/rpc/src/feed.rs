use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use prost::bytes::Bytes;
use rapport_events::{Cursor, Cursors, Event, Feed, FeedBatch, FeedStream};
use rapport_proto::events::v1 as proto;
use rapport_proto::events::v1::event_service_server::{EventService, EventServiceServer};
use rapport_store::Store;
use rapport_types::error::{Collector, Error, FieldError, Kind};
use rapport_types::reason;
use rapport_types::tenant::TenantId;
use rapport_types::time::Clock;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, async_trait};

use crate::{Call, Reply, handle, parked, reply_stream, until_stopped, wire};

/// How often a stream without events says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);
const TYPES_MAX: usize = 50;
const BATCH_DEFAULT: usize = 500;
const BATCH_MAX: usize = 1000;

/// `EventService`, once per process for all services it hosts: requests tell them apart by `source`.
#[derive(Clone, Debug)]
pub struct FeedService {
    sources: Arc<BTreeMap<&'static str, Hosted>>,
    stopping: CancellationToken,
    clock: Arc<dyn Clock>,
}

#[derive(Clone, Debug)]
pub(crate) struct Hosted {
    feed: Feed,
    newest: watch::Receiver<i64>,
    pub(crate) store: Store,
    pub(crate) cursors: Cursors,
}

impl FeedService {
    /// Serves the feeds of these stores until `stopping`, and the parked events of their consumers.
    pub fn new(
        feeds: impl IntoIterator<Item = (Store, Feed, Cursors)>,
        clock: Arc<dyn Clock>,
        stopping: CancellationToken,
    ) -> FeedService {
        let sources = feeds
            .into_iter()
            .map(|(store, feed, cursors)| (feed.source(), Hosted { newest: store.position(), feed, store, cursors }))
            .collect();
        FeedService { sources: Arc::new(sources), stopping, clock }
    }

    /// The generated server, with its message limits.
    pub fn server(self) -> EventServiceServer<FeedService> {
        crate::sized!(EventServiceServer::new(self))
    }

    pub(crate) fn hosted(&self, service: &str) -> Result<&Hosted, Error> {
        self.sources.get(service).ok_or_else(|| {
            Error::new(Kind::NotFound, reason::SERVICE_NOT_HOSTED, format!("this process does not host {service}"))
                .with("source", service)
        })
    }

    async fn subscribe(&self, call: Call, request: proto::SubscribeRequest) -> Result<Batches, Error> {
        let wanted = Wanted::parse(request)?;
        let hosted = self.hosted(&wanted.source)?;
        let after = if wanted.start_at_end { Some(hosted.feed.head().await?) } else { wanted.cursor };
        let from = after.clone();
        let tenant = (!call.principal.service).then(|| call.tenant().clone());
        // A process without credentials knows one tenant and no service principals, and its peers have to read it all
        // the same: there the tenant is told to everybody.
        let with_tenant = tenant.as_ref().is_none_or(|tenant| *tenant == TenantId::local());
        let events = hosted.feed.subscribe(after, tenant).await?;
        let mut heartbeat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Batches {
            events,
            newest: hosted.newest.clone(),
            clock: Arc::clone(&self.clock),
            types: wanted.types,
            batch: wanted.batch,
            with_tenant,
            last: from,
            heartbeat,
        })
    }
}

#[async_trait]
impl EventService for FeedService {
    type SubscribeStream = BoxStream<proto::SubscribeResponse>;

    async fn subscribe(&self, request: Request<proto::SubscribeRequest>) -> Reply<Self::SubscribeStream> {
        handle(request, async |call, request| {
            let batches = self.subscribe(call, request).await?;
            let responses = stream::unfold(Some(batches), |batches| async move {
                let mut batches = batches?;
                match batches.next().await? {
                    Ok(responses) => {
                        Some((stream::iter(responses.into_iter().map(Ok).collect::<Vec<_>>()), Some(batches)))
                    }
                    Err(error) => Some((stream::iter(vec![Err(error)]), None)),
                }
            })
            .flatten();
            Ok(Response::new(reply_stream(until_stopped(responses, self.stopping.clone()))))
        })
        .await
    }

    async fn list_parked_events(
        &self,
        request: Request<proto::ListParkedEventsRequest>,
    ) -> Reply<proto::ListParkedEventsResponse> {
        handle(request, async |call, request| parked::list(self, &call, request).await.map(Response::new)).await
    }

    async fn retry_parked_events(
        &self,
        request: Request<proto::RetryParkedEventsRequest>,
    ) -> Reply<proto::RetryParkedEventsResponse> {
        handle(request, async |call, request| parked::retry(self, &call, request).await.map(Response::new)).await
    }

    async fn discard_parked_event(
        &self,
        request: Request<proto::DiscardParkedEventRequest>,
    ) -> Reply<proto::DiscardParkedEventResponse> {
        handle(request, async |call, request| parked::discard(self, &call, request).await.map(Response::new)).await
    }
}

/// A request, checked.
struct Wanted {
    source: String,
    cursor: Option<Cursor>,
    types: Vec<String>,
    batch: usize,
    start_at_end: bool,
}

impl Wanted {
    fn parse(request: proto::SubscribeRequest) -> Result<Wanted, Error> {
        let fields = Collector::new();
        if request.source.is_empty() {
            fields.push("source", reason::REQUIRED, "must be given");
        } else if request.source.len() > 63 {
            fields.push("source", reason::TOO_LONG, "must have at most 63 characters");
        } else if !request.source.bytes().all(|byte| byte.is_ascii_lowercase()) {
            fields.push("source", reason::MALFORMED, "must be the name of a service, such as interactions");
        }
        let cursor = (!request.cursor.is_empty()).then(|| request.cursor.parse::<Cursor>()).transpose();
        let cursor = fields.check("cursor", cursor).flatten();
        if request.types.len() > TYPES_MAX {
            fields.push("types", reason::TOO_MANY, "must name at most 50 types");
        }
        for (index, name) in request.types.iter().take(TYPES_MAX).enumerate() {
            let plain = !name.is_empty()
                && name.len() <= 200
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
            if !plain {
                fields.push(&format!("types[{index}]"), reason::MALFORMED, "must be the full name of a message");
            }
        }
        let batch = match usize::try_from(request.batch_size) {
            Ok(0) => Ok(BATCH_DEFAULT),
            Ok(size) => Ok(size.min(BATCH_MAX)),
            Err(_) => Err(FieldError::new(reason::OUT_OF_RANGE, "must not be negative")),
        };
        let batch = fields.check("batch_size", batch);
        if request.start_at_end && cursor.is_some() {
            fields.push("start_at_end", reason::CONFLICTING_FIELDS, "must not be set together with a cursor");
        }
        fields.finish()?;
        Ok(Wanted {
            source: request.source,
            cursor,
            types: request.types,
            batch: batch.unwrap_or(BATCH_DEFAULT),
            start_at_end: request.start_at_end,
        })
    }
}

/// A feed as responses: filtered, cut to size, with heartbeats between.
struct Batches {
    events: FeedStream,
    newest: watch::Receiver<i64>,
    clock: Arc<dyn Clock>,
    types: Vec<String>,
    batch: usize,
    with_tenant: bool,
    last: Option<Cursor>,
    heartbeat: Interval,
}

impl Batches {
    async fn next(&mut self) -> Option<Result<Vec<proto::SubscribeResponse>, Error>> {
        loop {
            tokio::select! {
                batch = self.events.next() => match batch? {
                    Err(error) => return Some(Err(error)),
                    Ok(batch) => {
                        let responses = self.responses(batch);
                        if !responses.is_empty() {
                            self.heartbeat.reset();
                            return Some(Ok(responses));
                        }
                    }
                },
                _ = self.heartbeat.tick() => return Some(Ok(vec![self.response(Vec::new())])),
            }
        }
    }

    fn responses(&mut self, batch: FeedBatch) -> Vec<proto::SubscribeResponse> {
        let FeedBatch { mut events, through } = batch;
        if !self.types.is_empty() {
            events.retain(|event| self.types.contains(&event.kind));
        }
        let mut responses = Vec::new();
        while events.len() > self.batch {
            let rest = events.split_off(self.batch);
            let part = std::mem::replace(&mut events, rest);
            self.last = part.last().map(Event::cursor);
            responses.push(self.response(part));
        }
        self.last = Some(through);
        if !events.is_empty() {
            responses.push(self.response(events));
        }
        responses
    }

    fn response(&self, events: Vec<Event>) -> proto::SubscribeResponse {
        proto::SubscribeResponse {
            events: events.into_iter().map(|event| to_event(event, self.with_tenant)).collect(),
            cursor: self.last.as_ref().map(ToString::to_string).unwrap_or_default(),
            newest_position: *self.newest.borrow(),
            sent_time: Some(wire::to_timestamp(self.clock.now())),
        }
    }
}

/// An event for the wire; its tenant is told to whoever reads those of several.
pub(crate) fn to_event(event: Event, with_tenant: bool) -> proto::Event {
    proto::Event {
        name: format!("events/{}-{}-{}", event.source, event.epoch, event.position),
        source: event.source,
        epoch: event.epoch,
        position: event.position,
        tenant: if with_tenant { event.tenant.to_string() } else { String::new() },
        aggregate: event.aggregate,
        version: event.version,
        occurred_time: Some(wire::to_timestamp(event.occurred_at)),
        recorded_time: Some(wire::to_timestamp(event.recorded_at)),
        traceparent: event.traceparent.unwrap_or_default(),
        data: Some(any(&event.kind, event.payload)),
        r#type: event.kind,
    }
}

fn any(kind: &str, payload: Bytes) -> prost_types::Any {
    prost_types::Any { type_url: format!("type.googleapis.com/{kind}"), value: payload.into() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn request() -> proto::SubscribeRequest {
        proto::SubscribeRequest { source: "stakeholders".into(), ..Default::default() }
    }

    #[test]
    fn requests_are_checked_as_a_whole() {
        let wanted = Wanted::parse(request()).unwrap();
        assert_eq!((wanted.batch, wanted.cursor, wanted.start_at_end), (500, None, false));
        assert_eq!(Wanted::parse(proto::SubscribeRequest { batch_size: 9999, ..request() }).unwrap().batch, 1000);
        let bad = proto::SubscribeRequest {
            source: String::new(),
            cursor: "junk!".into(),
            types: vec!["no name".into()],
            batch_size: -1,
            start_at_end: true,
        };
        let error = Wanted::parse(bad).err().unwrap();
        let fields: Vec<&str> = error.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["source", "cursor", "types[0]", "batch_size"]);
        let both = proto::SubscribeRequest {
            cursor: Cursor { epoch: "e".into(), position: 1 }.to_string(),
            start_at_end: true,
            ..request()
        };
        assert_eq!(Wanted::parse(both).err().unwrap().violations[0].reason, reason::CONFLICTING_FIELDS);
    }
}
