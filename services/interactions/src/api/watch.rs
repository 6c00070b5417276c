use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, stream};
use rapport_events::{Cursor, Event, FeedBatch};
use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::watch_interactions_response::Change;
use rapport_rpc::until_stopped;
use rapport_server::Context;
use rapport_store::Store;
use rapport_types::error::{Collector, Error};
use rapport_types::{TenantId, Uuid};

use super::convert::{to_interaction, too_many};
use crate::domain::{Direction, InteractionName, Medium, PartyName, Slug};
use crate::queries::find_versions;

/// How many interactions are read at a time.
const READ: usize = 100;
/// How often a watcher to whom nothing happens is told how far it is.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// What is wanted. An empty set wants everything.
struct Wanted {
    parties: HashSet<Uuid>,
    kinds: HashSet<String>,
    media: HashSet<i32>,
    directions: HashSet<i32>,
}

impl Wanted {
    fn parse(fields: &Collector, request: &proto::WatchInteractionsRequest) -> Wanted {
        Wanted {
            parties: set(fields, "parties", 100, &request.parties, |name| Ok(PartyName::parse(name)?.uuid())),
            kinds: set(fields, "kinds", 32, &request.kinds, |kind| Ok(Slug::parse(kind)?.to_string())),
            media: set(fields, "media", 32, &request.media, |code| Medium::parse(*code).map(|_| *code)),
            directions: set(fields, "directions", 8, &request.directions, |code| {
                Direction::parse(*code).map(|_| *code)
            }),
        }
    }

    fn recorded(&self, event: &proto::InteractionRecorded) -> bool {
        self.interaction(&event.kind, event.channel.as_ref(), event.direction, &event.participants)
    }

    fn retracted(&self, event: &proto::InteractionRetracted) -> bool {
        self.interaction(&event.kind, event.channel.as_ref(), event.direction, &event.participants)
    }

    fn interaction(
        &self,
        kind: &str,
        channel: Option<&proto::Channel>,
        direction: i32,
        participants: &[proto::RecordedParticipant],
    ) -> bool {
        let medium = channel.map_or(0, |channel| channel.medium);
        let party = |participant: &proto::RecordedParticipant| {
            let origin = Uuid::try_parse(&participant.origin).ok();
            let party = PartyName::parse(&participant.party).ok().map(|name| name.uuid());
            [origin, party].into_iter().flatten().any(|id| self.parties.contains(&id))
        };
        (self.parties.is_empty() || participants.iter().any(party))
            && (self.kinds.is_empty() || self.kinds.contains(kind))
            && (self.media.is_empty() || self.media.contains(&medium))
            && (self.directions.is_empty() || self.directions.contains(&direction))
    }

    fn attributed(&self, event: &proto::OriginAttributed) -> bool {
        let party = PartyName::parse(&event.party).ok().map(|name| name.uuid());
        self.parties.is_empty() || party.is_some_and(|party| self.parties.contains(&party))
    }
}

fn set<T, U: std::hash::Hash + Eq>(
    fields: &Collector,
    field: &str,
    most: usize,
    values: &[T],
    parse: impl Fn(&T) -> Result<U, rapport_types::FieldError>,
) -> HashSet<U> {
    if values.len() > most {
        fields.check::<()>(field, Err(too_many(most)));
        return HashSet::new();
    }
    let parsed =
        values.iter().enumerate().filter_map(|(at, value)| fields.check(&format!("{field}[{at}]"), parse(value)));
    parsed.collect()
}

/// What is shown of an event that is wanted.
enum Shown {
    /// An interaction in the version that the event speaks of.
    Version(Uuid, i64, fn(proto::Interaction) -> Change),
    Attributed(proto::OriginAttribution),
}

/// Changes of a tenant's interactions from a cursor on. Ends when the server stops.
///
/// # Errors
/// Invalid; OutOfRange `CURSOR_EXPIRED`; Unavailable.
pub(crate) async fn changes(
    cx: &Context,
    tenant: TenantId,
    request: proto::WatchInteractionsRequest,
) -> Result<impl Stream<Item = Result<proto::WatchInteractionsResponse, Error>> + Send + 'static, Error> {
    let fields = Collector::new();
    let cursor = match request.cursor.as_str() {
        "" => None,
        text => fields.check("cursor", text.parse::<Cursor>()),
    };
    let wanted = Wanted::parse(&fields, &request);
    fields.finish()?;
    let after = match cursor {
        Some(cursor) => cursor,
        None => cx.feed.head().await?,
    };
    let batches = cx.feed.subscribe(Some(after.clone()), Some(tenant.clone())).await?;
    let store = cx.store.clone();
    let begin = stream::iter([Ok(only(&after))]);
    let watcher = Watcher { store, tenant, wanted, told: Instant::now() };
    let rest = batches
        .scan(watcher, |watcher, batch| {
            // The state has to be lent to the future and taken back.
            let messages = match batch {
                Ok(batch) => watcher.select(batch),
                Err(error) => Err(error),
            };
            let (store, tenant) = (watcher.store.clone(), watcher.tenant.clone());
            async move {
                Some(match messages {
                    Ok(selected) => show(&store, &tenant, selected).await,
                    Err(error) => vec![Err(error)],
                })
            }
        })
        .flat_map(stream::iter);
    Ok(until_stopped(begin.chain(rest), cx.stopping.clone()))
}

struct Watcher {
    store: Store,
    tenant: TenantId,
    wanted: Wanted,
    told: Instant,
}

/// What is told of a batch: changes with their cursors, and a cursor for the end.
struct Selected {
    changes: Vec<(Cursor, Shown)>,
    through: Option<Cursor>,
}

impl Watcher {
    fn select(&mut self, batch: FeedBatch) -> Result<Selected, Error> {
        let mut changes = Vec::new();
        for event in &batch.events {
            if let Some(shown) = self.shown(event)? {
                changes.push((event.cursor(), shown));
            }
        }
        let quiet = changes.is_empty() && self.told.elapsed() >= CHECKPOINT;
        if quiet || !changes.is_empty() {
            self.told = Instant::now();
        }
        Ok(Selected { changes, through: quiet.then_some(batch.through) })
    }

    fn shown(&self, event: &Event) -> Result<Option<Shown>, Error> {
        if let Some(recorded) = event.decode::<proto::InteractionRecorded>() {
            let recorded = recorded?;
            let name = InteractionName::parse(&recorded.interaction).ok();
            let wanted = name.filter(|_| self.wanted.recorded(&recorded));
            return Ok(wanted.map(|name| Shown::Version(name.uuid(), recorded.version, Change::Recorded)));
        }
        if let Some(amended) = event.decode::<proto::InteractionAmended>() {
            let proto::InteractionAmended { after, replaced, .. } = amended?;
            let after = after.unwrap_or_default();
            let name = InteractionName::parse(&after.interaction).ok();
            // Whoever watches a party learns too that something is no longer theirs.
            let left = || proto::InteractionRecorded { participants: replaced, ..after.clone() };
            let wanted = name.filter(|_| self.wanted.recorded(&after) || self.wanted.recorded(&left()));
            return Ok(wanted.map(|name| Shown::Version(name.uuid(), after.version, Change::Amended)));
        }
        if let Some(retracted) = event.decode::<proto::InteractionRetracted>() {
            let retracted = retracted?;
            let name = InteractionName::parse(&retracted.interaction).ok();
            let wanted = name.filter(|_| self.wanted.retracted(&retracted));
            return Ok(wanted.map(|name| Shown::Version(name.uuid(), retracted.version, Change::Retracted)));
        }
        if let Some(attributed) = event.decode::<proto::OriginAttributed>() {
            let attributed = attributed?;
            let wanted = self.wanted.attributed(&attributed);
            let proto::OriginAttributed { origin, party } = attributed;
            return Ok(wanted.then_some(Shown::Attributed(proto::OriginAttribution { origin, party })));
        }
        Ok(None)
    }
}

async fn show(
    store: &Store,
    tenant: &TenantId,
    selected: Selected,
) -> Vec<Result<proto::WatchInteractionsResponse, Error>> {
    let mut messages = Vec::with_capacity(selected.changes.len() + 1);
    let mut changes = selected.changes.into_iter().peekable();
    while changes.peek().is_some() {
        let part: Vec<(Cursor, Shown)> = changes.by_ref().take(READ).collect();
        let names: Vec<(Uuid, i64)> = part
            .iter()
            .filter_map(|(_, shown)| match shown {
                Shown::Version(id, version, _) => Some((*id, *version)),
                Shown::Attributed(_) => None,
            })
            .collect();
        let views = match find_versions(store, tenant, &names).await {
            Ok(views) => views,
            Err(error) => {
                messages.push(Err(error));
                return messages;
            }
        };
        let mut found: HashMap<(Uuid, i64), proto::Interaction> =
            views.into_iter().map(|view| ((view.row.id, view.row.version), to_interaction(view))).collect();
        for (cursor, shown) in part {
            let change = match shown {
                Shown::Version(id, version, change) => found.remove(&(id, version)).map(change),
                Shown::Attributed(attributed) => Some(Change::Attributed(attributed)),
            };
            messages.push(Ok(proto::WatchInteractionsResponse { cursor: cursor.to_string(), change }));
        }
    }
    messages.extend(selected.through.map(|through| Ok(only(&through))));
    messages
}

/// A cursor without a change.
fn only(cursor: &Cursor) -> proto::WatchInteractionsResponse {
    proto::WatchInteractionsResponse { cursor: cursor.to_string(), change: None }
}
