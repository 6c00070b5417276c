use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{join, join5};
use rapport_proto::interactions::v1 as proto;
use rapport_rpc::{Call, wire};
use rapport_server::Context;
use rapport_types::Uuid;
use rapport_types::time::Timestamp;
use tonic::metadata::{Ascii, MetadataValue};

use super::network::Network;
use super::own::Own;
use crate::domain::{Bond, Medium, SectionKind};
use crate::events::DESK;
use crate::queries::{Asked, Asking, Heard, Positions, Rests, Section, Standing, Unasked, hear, serve, settle};
use crate::store::{Held, Known, SectionKey, section_held};
use crate::workers::Memory;

/// A feed that says nothing for so long cannot be reached: it says something every second.
const SILENCE: Duration = Duration::from_millis(3_500);
/// What was recorded so long ago should be applied: less is told by the position.
const LAG: Duration = Duration::from_secs(1);

/// Whose context is put together, for whom, until when.
pub(super) struct About<'a> {
    pub(super) cx: &'a Context,
    /// What is in memory.
    pub(super) memory: &'a Memory,
    pub(super) call: &'a Call,
    /// What the caller has seen of other feeds.
    pub(super) at_least: Option<MetadataValue<Ascii>>,
    pub(super) party: Option<Uuid>,
    pub(super) medium: Medium,
    /// The purposes whose consents are shown.
    pub(super) purposes: &'a [String],
    /// No answer is waited for any longer.
    pub(super) until: Instant,
}

/// The sections of a context.
pub(super) struct Sections {
    pub(super) card: proto::CardSection,
    pub(super) history: proto::HistorySection,
    pub(super) cases: proto::CaseSection,
    pub(super) promises: proto::CommitmentSection,
    pub(super) scores: proto::ScoreSection,
    pub(super) value: proto::ValueSection,
    pub(super) loyalty: proto::LoyaltySection,
    pub(super) consents: proto::ConsentSection,
    pub(super) network: proto::NetworkSection,
    /// The ties that bind the party to others, with the roles that those hold.
    pub(super) bonds: Vec<Bond>,
    /// What is worth keeping of them.
    pub(super) keep: Vec<(SectionKey, Known)>,
    /// What was missing, and up to where it is wanted: it is asked for beside the answer.
    pub(super) want: Vec<(SectionKey, i64)>,
    /// What they rest on, where all of them are as they are kept.
    pub(super) rests: Option<Rests>,
    /// The stakeholders service said that there is no such party.
    pub(super) no_such_party: bool,
}

impl Sections {
    /// Sections that say nothing but this.
    pub(super) fn all(status: impl Fn() -> Option<proto::SectionStatus>) -> Sections {
        Sections {
            card: proto::CardSection { status: status(), ..Default::default() },
            history: proto::HistorySection { status: status(), ..Default::default() },
            cases: proto::CaseSection { status: status(), ..Default::default() },
            promises: proto::CommitmentSection { status: status(), ..Default::default() },
            scores: proto::ScoreSection { status: status(), ..Default::default() },
            value: proto::ValueSection { status: status(), ..Default::default() },
            loyalty: proto::LoyaltySection { status: status(), ..Default::default() },
            consents: proto::ConsentSection { status: status(), ..Default::default() },
            network: proto::NetworkSection { status: status(), ..Default::default() },
            bonds: Vec::new(),
            keep: Vec::new(),
            want: Vec::new(),
            rests: None,
            no_such_party: false,
        }
    }
}

/// A section, and what is to be kept of it.
pub(super) struct Told<S> {
    pub(super) section: S,
    pub(super) keep: Option<(SectionKey, Known)>,
    /// Its service says that there is nothing.
    pub(super) nothing: bool,
}

/// The rows of a party, and those that speak of everybody.
pub(super) type Book = BTreeMap<SectionKey, Held>;

impl<'a> About<'a> {
    /// Questions to other services within the time that is left.
    pub(super) fn asking(&self) -> Asking<'_> {
        let left = self.until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        Asking::new(self.cx, self.call.tenant(), left, self.call.traceparent.as_deref()).at_least(self.at_least.clone())
    }

    /// When a service is asked, and how far its feed is known.
    pub(super) fn asked(&self, source: &str) -> Asked {
        let position = if source == self.cx.store.service() {
            *self.cx.store.position().borrow()
        } else {
            self.cx.cursors.applied().get(source).copied().unwrap_or_default()
        };
        Asked { at: self.cx.world.now(), position }
    }

    /// The party, if there is one and the caller may know.
    pub(super) fn permitted(&self, permission: &'static str) -> Result<Uuid, Unasked> {
        let Some(party) = self.party else { return Err(Unasked::Nobody) };
        if self.call.allows(permission) { Ok(party) } else { Err(Unasked::Forbidden(permission)) }
    }

    /// The channel of consents.
    pub(super) fn channel(&self) -> &'static str {
        let word = Medium::ALL.iter().find(|(medium, _, _)| *medium == self.medium);
        word.map_or("phone", |(_, _, word)| *word)
    }

    /// Puts the sections together: what the projection holds, and what it lacks from every service at once, each until
    /// the time is up.
    pub(super) async fn sections(&self) -> Sections {
        // First how far the feeds are applied, then what is there: so everything up to there is.
        let stakeholders = self.standing("stakeholders");
        let (scoring, loyalty) = (self.standing("scoring"), self.standing("loyalty"));
        let book = self.book([&stakeholders, &scoring, &loyalty]).await;
        let others = join5(
            self.told(&book, &stakeholders, "", |_: &proto::CardSection| true, || self.card()),
            self.told(&book, &scoring, "", |_: &proto::ScoreSection| true, || self.scores()),
            self.told(&book, &scoring, "", |_: &proto::ValueSection| true, || self.value()),
            self.told(&book, &loyalty, "", |section| self.unexpired(section), || self.loyalty()),
            self.told(&book, &stakeholders, self.channel(), |section| self.every_purpose(section), || self.consents()),
        );
        let network = self.network(&book, &stakeholders, &scoring);
        let ((own, told), network) = join(join(self.own(&book), others), network).await;
        let Network { section: network, mut keep, want, bonds } = network;
        let Own { history, cases, promises, keep: own, through } = own;
        let (card, scores, value, members, consents) = told;
        keep.extend(own);
        keep.extend(
            card.keep.into_iter().chain(scores.keep).chain(value.keep).chain(members.keep).chain(consents.keep),
        );
        if let (Some(party), false) = (self.party, keep.is_empty()) {
            self.memory.shelf.forget(self.call.tenant(), party);
        }
        let positions = [&stakeholders, &scoring, &loyalty].map(|standing| standing.position);
        let rests = through.filter(|_| keep.is_empty() && want.is_empty());
        let rests = rests.map(|(own, concerned)| Rests { positions, own, concerned });
        Sections {
            card: card.section,
            history,
            cases,
            promises,
            scores: scores.section,
            value: value.section,
            loyalty: members.section,
            consents: consents.section,
            network,
            bonds,
            keep,
            want,
            rests,
            no_such_party: card.nothing,
        }
    }

    /// The rows of the party, and those of nobody, which speak of everybody.
    async fn book(&self, standings: [&Standing; 3]) -> Arc<Book> {
        let Some(party) = self.party else { return Arc::default() };
        let (tenant, memory) = (self.call.tenant(), &self.memory);
        let now: Positions = standings.map(|standing| standing.position);
        if let Some(shelved) = memory.shelf.get(tenant, party, |read| self.silent(read, now, party)) {
            return shelved;
        }
        let parties = [party, Uuid::nil()];
        let read = section_held(&self.cx.store, tenant, &parties, None);
        match tokio::time::timeout_at(self.until.into(), read).await {
            Ok(Ok(held)) => {
                let held = Arc::new(held);
                memory.shelf.put(tenant, party, now, Arc::clone(&held));
                held
            }
            // Nothing kept is what there is then: every service is asked.
            Ok(Err(error)) => {
                tracing::warn!(%error, "what is kept of a party cannot be read");
                Arc::default()
            }
            Err(_) => Arc::default(),
        }
    }

    /// Whether the feeds spoke of nobody like this between these positions.
    pub(super) fn silent(&self, read: Positions, now: Positions, party: Uuid) -> bool {
        let feeds = [&self.memory.stakeholders, &self.memory.scoring, &self.memory.loyalty];
        feeds.into_iter().zip(read.into_iter().zip(now)).all(|(feed, (read, now))| feed.silent(read, now, party))
    }

    /// Where a service's feed was heard to speak of the party, if the desk's consumer has not applied that yet; else 0.
    pub(super) fn ahead(&self, source: &str, standing: &Standing) -> i64 {
        let heard = self.memory.heard(source).zip(self.party).and_then(|(heard, party)| heard.last(party));
        heard.filter(|heard| *heard > standing.position).unwrap_or_default()
    }

    /// How the desk's consumer of a service's feed stands.
    pub(super) fn standing(&self, source: &str) -> Standing {
        let Some(progress) = self.cx.cursors.of(DESK, source) else {
            let (away, lagging) = (String::new(), false);
            return Standing { position: 0, unknown: true, away, lagging, reached: false };
        };
        let lost = !progress.connected && progress.last_error.is_some();
        // A consumer that has something to do does not listen.
        let silent = progress.behind_since.is_none() && progress.heard.is_none_or(|heard| heard.elapsed() > SILENCE);
        Standing {
            position: progress.position,
            unknown: false,
            away: if lost || silent { format!("{source} is not there") } else { String::new() },
            // What stands in the parking table is before the position, and nobody knows here of whom it speaks.
            lagging: progress.parked > 0 || progress.behind_since.is_some_and(|since| since.elapsed() > LAG),
            reached: self.reached(source, progress.position),
        }
    }

    /// Whether everything that the caller has seen is in what a service told up to a position, as far as one can know:
    /// of the others' feeds only the service itself can say how far it has applied them.
    fn reached(&self, source: &str, position: i64) -> bool {
        let Some(seen) = &self.at_least else { return true };
        // It was read once already; what cannot be read asks for everything.
        let Ok(seen) = seen.to_str() else { return false };
        seen.split(',').all(|one| match one.trim().split_once('@') {
            Some((service, at)) if service == source => at.parse::<i64>().is_ok_and(|at| at <= position),
            // It consumes nobody's feed.
            Some(_) => source == "stakeholders",
            None => false,
        })
    }

    /// Nothing that is shown to expire has expired meanwhile.
    fn unexpired(&self, section: &proto::LoyaltySection) -> bool {
        let now = wire::to_timestamp(self.cx.world.now()).seconds;
        let mut expiries = section.members.iter().flat_map(|member| &member.expiries);
        expiries.all(|expiry| expiry.expire_time.as_ref().is_none_or(|time| time.seconds > now))
    }

    /// The purposes are those that are configured now.
    fn every_purpose(&self, section: &proto::ConsentSection) -> bool {
        section.consents.iter().map(|consent| &consent.purpose).eq(self.purposes.iter())
    }

    /// A section as the projection holds it, else as its service says it.
    pub(super) async fn told<S: Section, F: Future<Output = Heard<S>>>(
        &self,
        book: &Book,
        standing: &Standing,
        facet: &str,
        usable: impl Fn(&S) -> bool,
        ask: impl FnOnce() -> F,
    ) -> Told<S> {
        let key = self.party.map(|party| self.key(party, S::KIND, facet));
        let held = key.as_ref().and_then(|key| book.get(key));
        let at = self.cx.world.now();
        let floor = book.get(&self.key(Uuid::nil(), S::KIND, "")).map_or(0, |floor| floor.wanted);
        let floor = floor.max(self.ahead(S::SOURCE, standing));
        if self.permitted(S::PERMISSION).is_ok()
            && let Some(section) = serve::<S>(held, floor, standing, at).filter(|section| usable(section))
        {
            return Told { section, keep: None, nothing: false };
        }
        // Whatever the feed told of the section, its service knows.
        let wanted = held.map_or(floor, |held| held.wanted.max(floor));
        let asked = Asked { at, position: standing.position.max(wanted) };
        // The way of one context in many, and a long one: it has room of its own, so that the others stay small.
        let heard = Box::pin(ask()).await;
        let nothing = matches!(heard, Heard::Nothing(_));
        let (section, new) = settle(heard, asked, held, floor);
        Told { section, keep: key.zip(new), nothing }
    }

    pub(super) fn key(&self, party: Uuid, kind: SectionKind, facet: &str) -> SectionKey {
        SectionKey { tenant: self.call.tenant().clone(), party, kind, facet: facet.to_owned() }
    }

    async fn card(&self) -> Heard<proto::CardSection> {
        let party = match self.permitted("stakeholders.parties.read") {
            Ok(party) => party,
            Err(unasked) => return unasked.into(),
        };
        let asking = self.asking();
        let cards = hear(self.until, &asking, asking.cards(&[party])).await;
        cards.and(|mut cards| cards.remove(&party).ok_or("there is no such party"))
    }

    async fn scores(&self) -> Heard<proto::ScoreSection> {
        let party = match self.permitted("scoring.scores.read") {
            Ok(party) => party,
            Err(unasked) => return unasked.into(),
        };
        let asking = self.asking();
        let scores = hear(self.until, &asking, asking.scores(&[party], true)).await;
        scores.and(|mut scores| scores.remove(&party).ok_or("there are no scores"))
    }

    async fn value(&self) -> Heard<proto::ValueSection> {
        let party = match self.permitted("scoring.values.read") {
            Ok(party) => party,
            Err(unasked) => return unasked.into(),
        };
        let asking = self.asking();
        hear(self.until, &asking, asking.value(party)).await.and(|value| value)
    }

    async fn loyalty(&self) -> Heard<proto::LoyaltySection> {
        let party = match self.permitted("loyalty.members.read") {
            Ok(party) => party,
            Err(unasked) => return unasked.into(),
        };
        let asking = self.asking();
        hear(self.until, &asking, asking.loyalty(party)).await
    }

    async fn consents(&self) -> Heard<proto::ConsentSection> {
        let party = match self.permitted("stakeholders.consents.read") {
            Ok(party) => party,
            Err(unasked) => return unasked.into(),
        };
        let asking = self.asking();
        hear(self.until, &asking, asking.consents(party, self.channel(), self.purposes)).await
    }
}

/// The context with the age of every section, counted from `now`.
pub(super) fn aged(mut context: proto::AgentContext, now: Timestamp) -> proto::AgentContext {
    for status in context.statuses_mut() {
        let said = status.as_of_time.as_ref().and_then(|time| wire::timestamp(time).ok());
        status.age = said.map(|said| wire::to_duration(now.since(said)));
    }
    context
}
