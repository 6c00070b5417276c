//! A context as it changes while an agent reads it.
//!
//! What this service records itself comes by its own feed, which every replica reads. What others said is learned by a
//! consumer, in whichever process it runs, and kept in the database: a watcher looks there a few times a second whether
//! something is newer, and whether every service can still be heard. Either way the context is put together anew, and what
//! differs from what was told is told. A watcher computes only while its reader takes what it is told, so a slow reader
//! holds nothing up and gathers nothing.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, stream};
use rapport_events::{FeedBatch, FeedStream};
use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::get_agent_context_request::About as Named;
use rapport_proto::interactions::v1::watch_agent_context_request::About;
use rapport_rpc::{Call, until_stopped};
use rapport_store::read_error;
use rapport_types::Uuid;
use rapport_types::error::{Error, Kind};

use super::context_change::{changed, kept, only, told, waits};
use super::desk_context::{Composed, Of, Wanted};
use super::desk_service::{Desk, MOST_BUDGET};
use super::seen::{Behind, Seen as Asked};
use crate::domain::{Identifier, MAX_CANDIDATES, Medium, SectionKind};
use crate::events;
use crate::queries::{SOURCES, TIES};
use crate::store::{CallRow, Mark, Tie, alias_origins, call_find, holder_list, section_marks, tie_list};

/// How often the database is looked at for what another process learned.
const LOOK: Duration = Duration::from_millis(500);
/// The least time between two messages.
const PACE: Duration = Duration::from_millis(300);
/// How long the services may take that are asked again, at first; twice as long each time that something is still late.
const PATIENCE: Duration = Duration::from_secs(1);

/// A context, then what changes in it. Ends when the call has ended, or when the server stops.
///
/// # Errors
/// As GetAgentContext.
pub(super) async fn changes(
    desk: &Desk,
    call: Call,
    request: proto::WatchAgentContextRequest,
    seen: Asked,
    started: Instant,
) -> Result<(impl Stream<Item = Result<proto::WatchAgentContextResponse, Error>> + Send + 'static, Behind), Error> {
    let proto::WatchAgentContextRequest { about, country_code, medium, budget_ms } = request;
    let about = about.map(|about| match about {
        About::Call(name) => Named::Call(name),
        About::Identifier(identifier) => Named::Identifier(identifier),
        About::Party(name) => Named::Party(name),
    });
    let wanted = Wanted::parse(&proto::GetAgentContextRequest { about, country_code, medium, budget_ms })?;
    // The feed first: what happens while the context is put together is then seen after it.
    let feed = subscribe(desk, &call).await?;
    let behind = seen.wait(&desk.cx, desk.until(started, wanted.budget)).await;
    let composed = desk.compose(&call, &wanted, seen.header(), started, wanted.budget).await?;
    let ended = ended(&wanted, &composed);
    let first =
        proto::WatchAgentContextResponse { context: Some(composed.context.clone()), changed: Vec::new(), ended };
    let stopping = desk.cx.stopping.clone();
    let watcher = (!ended).then(|| Watcher::new(desk.clone(), call, wanted, feed, composed));
    let rest = stream::unfold(watcher, |watcher| async move {
        let mut watcher = watcher?;
        match watcher.next().await {
            Ok(message) => {
                let over = message.ended;
                Some((Ok(message), (!over).then_some(watcher)))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok((until_stopped(stream::iter([Ok(first)]).chain(rest), stopping), behind))
}

async fn subscribe(desk: &Desk, call: &Call) -> Result<FeedStream, Error> {
    let head = desk.cx.feed.head().await?;
    desk.cx.feed.subscribe(Some(head), Some(call.tenant().clone())).await
}

fn ended(wanted: &Wanted, composed: &Composed) -> bool {
    matches!(wanted.about, Of::Call(_)) && composed.call.as_ref().is_some_and(CallRow::ended)
}

/// What a context rests on, beside what this service records itself: what the database holds, and who can be heard.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// Of each other service whether it is away, and whether what it tells is not all applied.
    unheard: [(bool, bool); 3],
    call: Option<CallRow>,
    sections: Vec<Mark>,
    ties: Vec<Tie>,
    neighbors: Vec<Mark>,
    holders: Vec<(Uuid, bool)>,
}

/// What a context rests on.
struct Basis {
    call: Option<CallRow>,
    party: Option<Uuid>,
    /// The identifier that leads to nobody yet.
    unclaimed: Option<Identifier>,
}

struct Watcher {
    desk: Desk,
    call: Call,
    wanted: Wanted,
    feed: FeedStream,
    /// What was told last.
    told: proto::AgentContext,
    told_at: Instant,
    /// Something is still waited for.
    late: bool,
    basis: Basis,
    /// What was seen before the context was put together; nothing until it was looked at.
    seen: Option<Seen>,
    /// Whose events bear on it.
    origins: HashSet<Uuid>,
    /// How long services may take next time.
    patience: Duration,
}

impl Basis {
    /// What is there now.
    async fn look(&self, desk: &Desk, call: &Call) -> Result<Seen, Error> {
        let db = desk.cx.store.reader();
        let tenant = call.tenant();
        // That a service goes away is nothing that happens to anybody: nothing else would tell of it.
        let about = desk.about(call, None, Medium::Phone, Instant::now());
        let unheard = SOURCES.map(|source| {
            let standing = about.standing(source);
            (!standing.away.is_empty(), standing.lagging)
        });
        let mut seen = Seen { unheard, ..Seen::default() };
        if let Some(row) = &self.call {
            let names = std::iter::once((tenant.clone(), row.id)).collect();
            seen.call = call_find(db, &names).await.map_err(read_error)?.into_values().next();
        }
        if let Some(party) = self.party {
            seen.sections = section_marks(db, tenant, &[party], &[]).await.map_err(read_error)?;
            seen.ties = tie_list(db, tenant, party, desk.cx.world.now(), TIES).await.map_err(read_error)?;
            let near: Vec<Uuid> = seen.ties.iter().map(|tie| tie.neighbor).collect();
            // How they fare, and the roles that they hold.
            let kinds = [SectionKind::Scores, SectionKind::Card];
            seen.neighbors = section_marks(db, tenant, &near, &kinds).await.map_err(read_error)?;
        }
        if let Some(identifier) = &self.unclaimed {
            let index = super::index(&desk.cx.store, tenant, &identifier.comparable());
            seen.holders = holder_list(db, tenant, index, MAX_CANDIDATES).await.map_err(read_error)?;
        }
        Ok(seen)
    }

    /// Whose events bear on the context: of the party by all its origins, of the call, and of who is near.
    async fn origins(&self, desk: &Desk, call: &Call, seen: Option<&Seen>) -> Result<HashSet<Uuid>, Error> {
        let mut origins = HashSet::new();
        if let Some(party) = self.party {
            let own = alias_origins(desk.cx.store.reader(), call.tenant(), party).await.map_err(read_error)?;
            origins.extend(own);
        }
        if let Some(row) = &self.call {
            origins.extend([row.whose().id, row.talk]);
        }
        origins.extend(seen.into_iter().flat_map(|seen| &seen.ties).map(|tie| tie.neighbor));
        Ok(origins)
    }
}

impl Watcher {
    fn new(desk: Desk, call: Call, wanted: Wanted, feed: FeedStream, composed: Composed) -> Watcher {
        Watcher {
            desk,
            call,
            wanted,
            feed,
            late: waits(&composed.context),
            told: composed.context,
            told_at: Instant::now(),
            basis: Basis { call: composed.call, party: composed.party, unclaimed: composed.unclaimed },
            seen: None,
            origins: HashSet::new(),
            patience: PATIENCE,
        }
    }

    /// Waits until there is something to tell.
    async fn next(&mut self) -> Result<proto::WatchAgentContextResponse, Error> {
        loop {
            self.wait().await?;
            // What comes right after one another is told together.
            tokio::time::sleep_until((self.told_at + PACE).into()).await;
            self.seen = Some(self.basis.look(&self.desk, &self.call).await?);
            let started = Instant::now();
            let composed = self.desk.compose(&self.call, &self.wanted, None, started, self.patience).await?;
            let ended = ended(&self.wanted, &composed);
            self.late = waits(&composed.context);
            let Composed { context, call, party, unclaimed, .. } = composed;
            let context = kept(&self.told, context);
            let changed = changed(&self.told, &context);
            let most = Duration::from_millis(u64::from(MOST_BUDGET.unsigned_abs()));
            self.patience = if self.late { (self.patience * 2).min(most) } else { PATIENCE };
            let message = proto::WatchAgentContextResponse {
                context: Some(only(&context, &changed)),
                changed: changed.iter().map(|field| (*field).to_owned()).collect(),
                ended,
            };
            let before = std::mem::take(&mut self.told);
            self.told = told(before, context, &changed);
            self.told_at = Instant::now();
            self.basis = Basis { call, party, unclaimed };
            if ended || !changed.is_empty() {
                return Ok(message);
            }
        }
    }

    /// Waits for a reason to put the context together anew.
    async fn wait(&mut self) -> Result<(), Error> {
        self.origins = self.basis.origins(&self.desk, &self.call, self.seen.as_ref()).await?;
        if self.seen.is_none() {
            // Something may have been learned while the first context was put together: it is looked at once more.
            return Ok(());
        }
        let again = self.told_at + self.patience;
        loop {
            tokio::select! {
                batch = self.feed.next() => match batch {
                    Some(Ok(batch)) => {
                        if self.concerns(&batch) {
                            return Ok(());
                        }
                    }
                    // The reader was so slow that the feed went on without it: all is looked at anew.
                    Some(Err(error)) if error.kind == Kind::OutOfRange => {
                        self.feed = subscribe(&self.desk, &self.call).await?;
                        return Ok(());
                    }
                    Some(Err(error)) => return Err(error),
                    None => return Err(Error::bug("the own feed ended")),
                },
                () = tokio::time::sleep(LOOK) => {
                    let seen = self.basis.look(&self.desk, &self.call).await?;
                    if (self.late && Instant::now() >= again) || self.seen.as_ref() != Some(&seen) {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn concerns(&self, batch: &FeedBatch) -> bool {
        batch.events.iter().any(|event| {
            // Somebody who was nobody's may be known now.
            let known = self.basis.party.is_none() && event.decode::<proto::OriginAttributed>().is_some();
            known || events::named(event).is_none_or(|ids| ids.iter().any(|id| self.origins.contains(id)))
        })
    }
}
