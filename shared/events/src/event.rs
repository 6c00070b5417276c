use bytes::Bytes;
use prost::Name;
use rapport_store::{ParkedEvent, StoredEvent};
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::tenant::TenantId;
use rapport_types::time::Timestamp;

use crate::Cursor;

/// One committed event, as every reader of a feed sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The service whose store holds the event, for example `stakeholders`.
    pub source: String,
    /// The incarnation of that store; a feed that was rebuilt has another one.
    pub epoch: String,
    /// The dense position in the source's feed; the first event has 1.
    pub position: i64,
    /// The tenant in whose data it happened.
    pub tenant: TenantId,
    /// The full name of the payload's message, for example `rapport.stakeholders.v1.PartyCreated`.
    pub kind: String,
    /// The resource name of what changed.
    pub aggregate: String,
    /// The aggregate's version after this event; within one aggregate it only grows.
    pub version: i64,
    /// When it happened in the world.
    pub occurred_at: Timestamp,
    /// When the source recorded it.
    pub recorded_at: Timestamp,
    /// The W3C trace context of the call that caused it.
    pub traceparent: Option<String>,
    /// The encoded payload.
    pub payload: Bytes,
}

impl Event {
    /// An event of `source` as its store holds it.
    pub fn stored(source: &str, epoch: &str, stored: StoredEvent) -> Event {
        Event {
            source: source.to_owned(),
            epoch: epoch.to_owned(),
            position: stored.position,
            tenant: stored.tenant,
            kind: stored.kind,
            aggregate: stored.aggregate,
            version: stored.version,
            occurred_at: stored.occurred_at,
            recorded_at: stored.recorded_at,
            traceparent: stored.traceparent,
            payload: Bytes::from(stored.payload),
        }
    }

    /// An event as it was when it was parked.
    pub fn parked(parked: &ParkedEvent) -> Event {
        Event {
            source: parked.source.clone(),
            epoch: parked.epoch.clone(),
            position: parked.position,
            tenant: parked.tenant.clone(),
            kind: parked.kind.clone(),
            aggregate: parked.aggregate.clone(),
            version: parked.version,
            occurred_at: parked.occurred_at,
            recorded_at: parked.recorded_at,
            traceparent: parked.traceparent.clone(),
            payload: Bytes::from(parked.payload.clone()),
        }
    }

    /// The cursor of a reader that has this event behind it.
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch.clone(), position: self.position }
    }

    /// Whether the payload is a `P`.
    pub fn is<P: Name>(&self) -> bool {
        self.kind.strip_suffix(P::NAME).and_then(|head| head.strip_suffix('.')) == Some(P::PACKAGE)
    }

    /// The payload when it is a `P`; `None` for another type. Undecodable bytes are an error of kind Invalid, which a
    /// consumer passes on, so that the event is parked.
    pub fn decode<P: Name + Default>(&self) -> Option<Result<P, Error>> {
        self.is::<P>().then(|| {
            P::decode(self.payload.clone()).map_err(|error| {
                Error::new(
                    Kind::Invalid,
                    reason::UNDECODABLE_MESSAGE,
                    format!("event {} of {} does not decode as {}", self.position, self.source, P::NAME),
                )
                .caused_by(error)
            })
        })
    }
}
