use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::{join3, join5};
use rapport_proto::interactions::v1 as proto;
use rapport_rpc::{Call, wire};
use rapport_server::Context;
use rapport_types::Uuid;
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use tonic::metadata::{Ascii, MetadataValue};

use super::convert::to_interaction;
use super::convert_case::to_case;
use super::convert_commitment::to_commitment;
use crate::domain::{Medium, SectionKind};
use crate::queries::{
    Asked, Asking, CaseList, CommitmentList, Heard, Section, Timeline, Unasked, get_timeline, hear, list_cases,
    list_commitments, section_status, settle, why,
};
use crate::store::{Filter, Known, SectionKey, case_filter, commitment_filter, section_find};

/// How many interactions are shown.
const INTERACTIONS: usize = 10;
/// How many cases are shown.
const CASES: usize = 10;
/// How many promises are shown.
const PROMISES: usize = 10;
/// Which promises are shown: those that are to be kept. What is due first comes first, and so does what is late.
const OPEN: &str = r#"state == "open""#;
/// Which cases are shown: those that are not solved.
const UNSOLVED: &str = r#"status in ["new", "in_progress", "waiting"]"#;

/// Whose context is put together, for whom, until when.
pub(super) struct About<'a> {
    pub(super) cx: &'a Context,
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
    /// What is worth keeping of them.
    pub(super) keep: Vec<(SectionKey, Known)>,
    /// The stakeholders service said that there is no such party.
    pub(super) no_such_party: bool,
}

/// What was kept of a party before.
type Kept = BTreeMap<SectionKey, Known>;

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

    /// Puts the sections together: every service at once, each until the time is up.
    pub(super) async fn sections(&self) -> Sections {
        let kept = match self.party {
            Some(party) => {
                let parties = [party];
                let read = section_find(&self.cx.store, self.call.tenant(), &parties, None);
                match tokio::time::timeout_at(self.until.into(), read).await {
                    Ok(Ok(kept)) => kept,
                    // Nothing kept is what there is then.
                    Ok(Err(_)) | Err(_) => Kept::new(),
                }
            }
            None => Kept::new(),
        };
        let stakeholders = self.asked("stakeholders");
        let (scoring, loyalty) = (self.asked("scoring"), self.asked("loyalty"));
        let own = join3(self.history(), self.cases(), self.promises());
        let others = join5(self.card(), self.scores(), self.value(), self.loyalty(), self.consents());
        let ((history, cases, promises), heard, network) = join3(own, others, self.network(stakeholders)).await;
        let (card, scores, value, members, consents) = heard;
        let no_such_party = matches!(card, Heard::Nothing(_));
        let mut keep = Vec::new();
        Sections {
            card: self.settled(card, stakeholders, "", &kept, &mut keep),
            history,
            cases,
            promises,
            scores: self.settled(scores, scoring, "", &kept, &mut keep),
            value: self.settled(value, scoring, "", &kept, &mut keep),
            loyalty: self.settled(members, loyalty, "", &kept, &mut keep),
            consents: self.settled(consents, stakeholders, self.channel(), &kept, &mut keep),
            network,
            keep,
            no_such_party,
        }
    }

    fn settled<S: Section>(
        &self,
        heard: Heard<S>,
        asked: Asked,
        facet: &str,
        kept: &Kept,
        keep: &mut Vec<(SectionKey, Known)>,
    ) -> S {
        let key = self.party.map(|party| self.key(party, S::KIND, facet));
        let known = key.as_ref().and_then(|key| kept.get(key));
        let (section, new) = settle(heard, asked, known);
        keep.extend(key.zip(new));
        section
    }

    fn key(&self, party: Uuid, kind: SectionKind, facet: &str) -> SectionKey {
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

    /// The own sections, read until the time is up.
    async fn read<T>(&self, permission: &'static str, read: impl Future<Output = Result<T, Error>>) -> Heard<T> {
        if let Err(unasked) = self.permitted(permission) {
            return unasked.into();
        }
        match tokio::time::timeout_at(self.until.into(), read).await {
            Ok(Ok(read)) => Heard::Said(read),
            Ok(Err(error)) => Heard::Failed(error),
            Err(_) => Heard::Late,
        }
    }

    async fn history(&self) -> proto::HistorySection {
        let asked = self.asked("interactions");
        let filter = Filter::all();
        let timeline = Timeline {
            party: self.party.unwrap_or_default(),
            filter: &filter,
            include_retracted: false,
            as_of: None,
            as_known_at: None,
            after: None,
            limit: INTERACTIONS,
        };
        let read = get_timeline(&self.cx.store, self.call.tenant(), &timeline);
        let (status, views) = own(self.read("interactions.interactions.read", read).await, asked);
        let interactions = views.unwrap_or_default().into_iter().map(|view| {
            let interaction = to_interaction(view);
            proto::Interaction { body: String::new(), ..interaction }
        });
        proto::HistorySection { status: Some(status), interactions: interactions.collect() }
    }

    async fn cases(&self) -> proto::CaseSection {
        let asked = self.asked("interactions");
        let read = async {
            let filter = case_filter(UNSOLVED)?;
            let list = CaseList { party: self.party, filter: &filter, ascending: false, after: None, limit: CASES + 1 };
            list_cases(&self.cx.store, self.call.tenant(), &list).await
        };
        let (status, views) = own(self.read("interactions.cases.read", read).await, asked);
        let views = views.unwrap_or_default();
        let truncated = views.len() > CASES;
        let cases = views.into_iter().take(CASES).map(|view| {
            let case = to_case(view);
            proto::Case { description: String::new(), ..case }
        });
        proto::CaseSection { status: Some(status), cases: cases.collect(), truncated }
    }

    async fn promises(&self) -> proto::CommitmentSection {
        let asked = self.asked("interactions");
        let read = async {
            let filter = commitment_filter(OPEN)?;
            let list = CommitmentList {
                party: self.party,
                case: None,
                filter: &filter,
                descending: false,
                after: None,
                limit: PROMISES + 1,
            };
            list_commitments(&self.cx.store, self.call.tenant(), &list).await
        };
        let (status, views) = own(self.read("interactions.commitments.read", read).await, asked);
        let views = views.unwrap_or_default();
        let truncated = views.len() > PROMISES;
        let commitments = views.into_iter().take(PROMISES).map(|view| {
            let commitment = to_commitment(view, asked.at);
            proto::Commitment { description: String::new(), ..commitment }
        });
        proto::CommitmentSection { status: Some(status), commitments: commitments.collect(), truncated }
    }
}

/// The status of a section of our own.
fn own<T>(heard: Heard<T>, asked: Asked) -> (proto::SectionStatus, Option<T>) {
    use proto::SectionState::{Fresh, Missing, Pending, Redacted};
    let reason = why(&heard, "interactions");
    let state = match &heard {
        Heard::Said(_) => Fresh,
        Heard::Nothing(_) | Heard::Nobody => Missing,
        Heard::Forbidden(_) => Redacted,
        Heard::Behind(_) | Heard::Failed(_) | Heard::Late => Pending,
    };
    match heard {
        Heard::Said(said) => (section_status("interactions", state, reason, Some(asked)), Some(said)),
        _ => (section_status("interactions", state, reason, None), None),
    }
}

/// The context with the age of every section, counted from `now`.
pub(super) fn aged(mut context: proto::AgentContext, now: Timestamp) -> proto::AgentContext {
    let statuses = [
        context.caller.as_mut().and_then(|section| section.status.as_mut()),
        context.card.as_mut().and_then(|section| section.status.as_mut()),
        context.history.as_mut().and_then(|section| section.status.as_mut()),
        context.cases.as_mut().and_then(|section| section.status.as_mut()),
        context.promises.as_mut().and_then(|section| section.status.as_mut()),
        context.scores.as_mut().and_then(|section| section.status.as_mut()),
        context.value.as_mut().and_then(|section| section.status.as_mut()),
        context.loyalty.as_mut().and_then(|section| section.status.as_mut()),
        context.consents.as_mut().and_then(|section| section.status.as_mut()),
        context.network.as_mut().and_then(|section| section.status.as_mut()),
    ];
    for status in statuses.into_iter().flatten() {
        let said = status.as_of_time.as_ref().and_then(|time| wire::timestamp(time).ok());
        status.age = said.map(|said| wire::to_duration(now.since(said)));
    }
    context
}
