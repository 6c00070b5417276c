//! Events that could not be applied: listed, applied after all, or given up.

use std::time::Duration;

use async_trait::async_trait;
use rapport_events::Event;
use rapport_proto::events::v1 as proto;
use rapport_store::{Binding, Outbox, ParkedEvent, ParkedFilter, ParkedKey, Store, StoreError, Tx, Work};
use rapport_types::error::{Collector, Error, FieldError, Kind};
use rapport_types::page::PageSize;
use rapport_types::reason;
use rapport_types::tenant::TenantId;

use crate::feed::{FeedService, Hosted, to_event};
use crate::{Call, wire};

/// Failures that an answer tells of; the others show in the list.
const TOLD: usize = 50;
/// Resources whose events one call looks at.
const GROUPS: usize = 1_000;
/// What stays of the caller's time for the answer itself.
const MARGIN: Duration = Duration::from_millis(500);

pub(crate) async fn list(
    service: &FeedService,
    call: &Call,
    request: proto::ListParkedEventsRequest,
) -> Result<proto::ListParkedEventsResponse, Error> {
    let fields = Collector::new();
    let parent = fields.check("parent", Parent::parse(&request.parent));
    let size = fields.check("page_size", PageSize::parse(request.page_size)).unwrap_or_default();
    fields.finish()?;
    let parent = parent.ok_or_else(|| Error::bug("a request was refused without a reason"))?;
    let store = &service.hosted(&parent.service)?.store;
    let binding = Binding::new(call.tenant(), call.method, &request.parent, "name");
    let after: Option<ParkedKey> = store.pages().open(&binding, &request.page_token)?;
    let mut events = store.parked_page(parent.filter(tenant(call)), after.as_ref(), size.probe()).await?;
    let more = events.len() > size.get();
    events.truncate(size.get());
    let next_page_token = match events.last().filter(|_| more) {
        Some(last) => store.pages().seal(&binding, &key(last))?,
        None => String::new(),
    };
    let parked_events = events.iter().map(|event| to_parked(call, &parent.service, event, None)).collect();
    Ok(proto::ListParkedEventsResponse { parked_events, next_page_token })
}

pub(crate) async fn retry(
    service: &FeedService,
    call: &Call,
    request: proto::RetryParkedEventsRequest,
) -> Result<proto::RetryParkedEventsResponse, Error> {
    let fields = Collector::new();
    let parent = fields.check("parent", Parent::parse(&request.parent));
    fields.check("aggregate", aggregate(&request.aggregate));
    fields.check("request_id", wire::request_id(&request.request_id));
    fields.finish()?;
    let parent = parent.ok_or_else(|| Error::bug("a request was refused without a reason"))?;
    let hosted = service.hosted(&parent.service)?;
    let asked = parent.filter(tenant(call));
    let filter =
        ParkedFilter { aggregate: (!request.aggregate.is_empty()).then_some(request.aggregate.as_str()), ..asked };
    let (mut applied, mut failures) = (0, Vec::new());
    for first in hosted.store.parked_firsts(filter, GROUPS).await? {
        let mut next = Some(first);
        while let Some(event) = next {
            if call.remaining() < MARGIN {
                return answer(call, &parent, hosted, asked, applied, failures).await;
            }
            match hosted.cursors.reapply(event.clone()).await {
                Ok(()) => applied += 1,
                // Somebody else is at it, or it has been dealt with.
                Err(error) if error.kind == Kind::Conflict && error.reason == reason::CONTENTION => break,
                Err(error) => {
                    tracing::warn!(
                        consumer = event.consumer, source = event.source, position = event.position, %error,
                        "a parked event failed again"
                    );
                    failures.push((event, error));
                    break;
                }
            }
            next = hosted.store.parked_next(&event).await?;
        }
    }
    answer(call, &parent, hosted, asked, applied, failures).await
}

async fn answer(
    call: &Call,
    parent: &Parent,
    hosted: &Hosted,
    asked: ParkedFilter<'_>,
    applied_count: i32,
    failures: Vec<(ParkedEvent, Error)>,
) -> Result<proto::RetryParkedEventsResponse, Error> {
    let remaining = hosted.store.parked_count(asked).await?;
    tracing::info!(
        service = parent.service,
        principal = call.principal.name,
        applied = applied_count,
        failed = failures.len(),
        remaining,
        "parked events were tried again"
    );
    Ok(proto::RetryParkedEventsResponse {
        applied_count,
        remaining_count: i32::try_from(remaining).unwrap_or(i32::MAX),
        failures: failures
            .iter()
            .take(TOLD)
            .map(|(event, error)| to_parked(call, &parent.service, event, Some(error.to_string())))
            .collect(),
    })
}

pub(crate) async fn discard(
    service: &FeedService,
    call: &Call,
    request: proto::DiscardParkedEventRequest,
) -> Result<proto::DiscardParkedEventResponse, Error> {
    let fields = Collector::new();
    let name = fields.check("name", Name::parse(&request.name));
    fields.check("request_id", wire::request_id(&request.request_id));
    fields.finish()?;
    let name = name.ok_or_else(|| Error::bug("a request was refused without a reason"))?;
    let hosted = service.hosted(&name.parent.service)?;
    let found = find(&hosted.store, &name, tenant(call)).await?;
    let found = found.ok_or_else(|| Error::not_found(&request.name))?;
    let discarded = hosted.store.run(Discard(found.clone())).await?.reply;
    if !discarded {
        return Err(Error::not_found(&request.name));
    }
    tracing::warn!(
        parked = request.name,
        principal = call.principal.name,
        kind = found.kind,
        "a parked event was given up"
    );
    Ok(proto::DiscardParkedEventResponse {})
}

/// The parked event of that name, if it is one the caller may see.
async fn find(store: &Store, name: &Name, tenant: Option<&TenantId>) -> Result<Option<ParkedEvent>, Error> {
    let filter = name.parent.filter(tenant);
    let mut after: Option<ParkedKey> = None;
    loop {
        let page = store.parked_page(filter, after.as_ref(), GROUPS).await?;
        let Some(last) = page.last() else { return Ok(None) };
        after = Some(key(last));
        let is_named = |event: &ParkedEvent| {
            (&event.source, &event.epoch, event.position) == (&name.source, &name.epoch, name.position)
        };
        if let Some(event) = page.into_iter().find(is_named) {
            return Ok(Some(event));
        }
    }
}

struct Discard(ParkedEvent);

#[async_trait]
impl Work for Discard {
    type Output = bool;

    async fn run(&self, tx: &Tx, _: &mut Outbox) -> Result<bool, StoreError> {
        tx.hold_cursor(&self.0.consumer, &self.0.source).await?;
        tx.unpark(&self.0).await
    }
}

/// Service principals look after the events of all tenants.
fn tenant(call: &Call) -> Option<&TenantId> {
    (!call.principal.service).then(|| call.tenant())
}

fn key(event: &ParkedEvent) -> ParkedKey {
    let tenant = event.tenant.to_string();
    (tenant, event.consumer.clone(), event.source.clone(), event.epoch.clone(), event.position)
}

fn to_parked(call: &Call, service: &str, event: &ParkedEvent, reason: Option<String>) -> proto::ParkedEvent {
    proto::ParkedEvent {
        name: format!(
            "services/{service}/consumers/{}/parkedEvents/{}-{}-{}",
            event.consumer, event.source, event.epoch, event.position
        ),
        event: Some(to_event(Event::parked(event), call.principal.service)),
        reason: reason.unwrap_or_else(|| event.reason.clone()),
        parked_time: Some(wire::to_timestamp(event.parked_at)),
    }
}

fn aggregate(text: &str) -> Result<(), FieldError> {
    if text.len() > 200 {
        return Err(FieldError::new(reason::TOO_LONG, "must have at most 200 characters"));
    }
    if text.chars().any(char::is_control) {
        return Err(FieldError::new(
            reason::MALFORMED_NAME,
            "must be the name of a resource, without control characters",
        ));
    }
    Ok(())
}

/// `services/{service}/consumers/{consumer}`.
#[derive(Debug, PartialEq, Eq)]
struct Parent {
    service: String,
    /// `None` for all of them.
    consumer: Option<String>,
}

impl Parent {
    fn parse(text: &str) -> Result<Parent, FieldError> {
        if text.is_empty() {
            return Err(FieldError::required());
        }
        Parent::of(text).ok_or_else(|| {
            FieldError::new(
                reason::MALFORMED_NAME,
                "must be a name of the form services/{service}/consumers/{consumer}, - for all consumers",
            )
        })
    }

    fn of(text: &str) -> Option<Parent> {
        let (service, consumer) = text.strip_prefix("services/")?.split_once("/consumers/")?;
        let letters = |text: &str| (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase());
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
        let known = letters(service) && (1..=63).contains(&consumer.len()) && consumer.bytes().all(named);
        known.then(|| Parent { service: service.to_owned(), consumer: (consumer != "-").then(|| consumer.to_owned()) })
    }

    fn filter<'a>(&'a self, tenant: Option<&'a TenantId>) -> ParkedFilter<'a> {
        ParkedFilter { tenant, consumer: self.consumer.as_deref(), aggregate: None }
    }
}

/// `services/{service}/consumers/{consumer}/parkedEvents/{source}-{epoch}-{position}`.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    parent: Parent,
    source: String,
    epoch: String,
    position: i64,
}

impl Name {
    fn parse(text: &str) -> Result<Name, FieldError> {
        if text.is_empty() {
            return Err(FieldError::required());
        }
        Name::of(text).ok_or_else(|| {
            FieldError::new(reason::MALFORMED_NAME, "must be the name of a parked event, as ListParkedEvents gives it")
        })
    }

    fn of(text: &str) -> Option<Name> {
        let (parent, id) = text.split_once("/parkedEvents/")?;
        let parent = Parent::of(parent).filter(|parent| parent.consumer.is_some())?;
        let (source, rest) = id.split_once('-')?;
        let (epoch, position) = rest.rsplit_once('-')?;
        let position = position.parse().ok().filter(|position| *position > 0)?;
        let plain = |text: &str| {
            (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        (plain(source) && plain(epoch)).then(|| Name {
            parent,
            source: source.to_owned(),
            epoch: epoch.to_owned(),
            position,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_are_read_and_junk_is_refused() {
        let parent = Parent::parse("services/scoring/consumers/contributions").unwrap();
        assert_eq!((parent.service.as_str(), parent.consumer.as_deref()), ("scoring", Some("contributions")));
        assert_eq!(Parent::parse("services/scoring/consumers/-").unwrap().consumer, None);
        assert_eq!(Parent::parse("").unwrap_err().reason, reason::REQUIRED);
        for junk in
            ["scoring", "services/scoring", "services/S/consumers/a", "services/s/consumers/", "services/s/consumers/A"]
        {
            assert_eq!(Parent::parse(junk).unwrap_err().reason, reason::MALFORMED_NAME, "{junk}");
        }
        let text = "services/scoring/consumers/contributions/parkedEvents/interactions-0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1-42";
        let name = Name::parse(text).unwrap();
        assert_eq!((name.source.as_str(), name.position), ("interactions", 42));
        assert_eq!(name.epoch, "0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1");
        for junk in ["-", "x", "interactions-e-0", "interactions-e-x", "interactions-42", "-e-1"] {
            let text = format!("services/scoring/consumers/contributions/parkedEvents/{junk}");
            assert_eq!(Name::parse(&text).unwrap_err().reason, reason::MALFORMED_NAME, "{junk}");
        }
        assert!(Name::parse("services/scoring/consumers/-/parkedEvents/interactions-e-1").is_err());
    }
}
