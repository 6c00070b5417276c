//! One context: who it is about, what every service says within the budget, and what follows from it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::get_agent_context_request::About as Named;
use rapport_rpc::{Call, wire};
use rapport_server::Context;
use rapport_types::Uuid;
use rapport_types::error::{Collector, Error};
use rapport_types::time::Timestamp;
use tonic::metadata::{Ascii, MetadataValue};

use super::advice::{next_best_action, warnings};
use super::context::{About, Sections};
use super::convert_call::{identifier, medium, to_identifier, to_resolution, to_transfers};
use super::desk_service::{Desk, budget};
use crate::domain::{CallName, Identifier, Match, Medium, PartyName, Resolution, Told};
use crate::queries::{Asked, Asking, Found, Rests, ask_caller, known_caller, section_status};
use crate::store::CallRow;

/// What is asked for, checked.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) about: Of,
    /// The country that reads an identifier in national form.
    country: String,
    pub(super) medium: Option<Medium>,
    pub(super) budget: Duration,
}

/// Who is asked about.
#[derive(Clone, Debug)]
pub(super) enum Of {
    /// Whoever is at the other side of a call.
    Call(CallName),
    /// A party.
    Party(PartyName),
    /// Whoever an identifier leads to; nobody's where it was withheld.
    Identifier(Option<Identifier>),
}

impl Wanted {
    /// Reads a request.
    ///
    /// # Errors
    /// Invalid.
    pub(super) fn parse(request: &proto::GetAgentContextRequest) -> Result<Wanted, Error> {
        let fields = Collector::new();
        let named = fields.required("about", request.about.as_ref());
        let country = fields.check("country_code", Told::country(&request.country_code));
        let about = match named {
            Some(Named::Call(name)) => fields.check("call", CallName::parse(name)).map(Of::Call),
            Some(Named::Party(name)) => fields.check("party", PartyName::parse(name)).map(Of::Party),
            Some(Named::Identifier(message)) => {
                let country = country.as_deref().unwrap_or_default();
                identifier(&fields.at("identifier"), Some(message), country).map(Of::Identifier)
            }
            None => None,
        };
        let medium = medium(&fields, request.medium);
        let budget = fields.check("budget_ms", budget(request.budget_ms));
        fields.finish()?;
        let (Some(about), Some(country), Some(medium), Some(budget)) = (about, country, medium, budget) else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        Ok(Wanted { about, country, medium, budget })
    }
}

/// Who a context is about, and how that was found.
struct Target {
    call: Option<CallRow>,
    party: Option<Uuid>,
    resolution: Option<Resolution>,
    found: Found,
    identifier: Option<Identifier>,
    named: HashMap<Uuid, (String, Vec<String>)>,
    transfers: Vec<proto::CallTransfer>,
}

/// A context, and what it rests on.
pub(super) struct Composed {
    pub(super) context: proto::AgentContext,
    /// The call that it is about.
    pub(super) call: Option<CallRow>,
    /// The party that it is of.
    pub(super) party: Option<Uuid>,
    /// The identifier that leads to nobody yet.
    pub(super) unclaimed: Option<Identifier>,
    /// What it rests on, where all of it is as it is kept.
    pub(super) rests: Option<Rests>,
}

impl Desk {
    pub(super) fn about<'a>(
        &'a self,
        call: &'a Call,
        party: Option<Uuid>,
        medium: Medium,
        until: Instant,
    ) -> About<'a> {
        let purposes = &self.options.consent_purposes;
        About { cx: &self.cx, memory: &self.memory, call, at_least: None, party, medium, purposes, until }
    }

    /// Puts a context together within `budget` from `started` on.
    ///
    /// # Errors
    /// NotFound; Unavailable when the own database does not answer.
    pub(super) async fn compose(
        &self,
        call: &Call,
        wanted: &Wanted,
        at_least: Option<MetadataValue<Ascii>>,
        started: Instant,
        budget: Duration,
    ) -> Result<Composed, Error> {
        let until = self.until(started, budget);
        // Before anybody is looked for: what is found holds everything up to here.
        let asked = self.about(call, None, Medium::Phone, until).asked("stakeholders");
        let country = wanted.country.as_str();
        let target = match &wanted.about {
            Of::Call(name) => self.by_call(call, *name, country, until).await?,
            Of::Party(party) => Target {
                call: None,
                party: Some(party.uuid()),
                resolution: None,
                found: Found::Before,
                identifier: None,
                named: HashMap::new(),
                transfers: Vec::new(),
            },
            Of::Identifier(identifier) => self.by_identifier(call, identifier.as_ref(), country, until).await?,
        };
        let told = target.call.as_ref().and_then(|row| Medium::from_code(i64::from(row.medium)));
        let medium = wanted.medium.or(told).unwrap_or(Medium::Phone);
        let mut about = self.about(call, target.party, medium, until);
        about.at_least = at_least;
        let mut sections = about.sections().await;
        let nothing = sections.history.interactions.is_empty()
            && sections.cases.cases.is_empty()
            && sections.promises.commitments.is_empty();
        if let (Of::Party(party), true, true) = (&wanted.about, sections.no_such_party, nothing) {
            return Err(Error::not_found(*party));
        }
        self.memory.keeper.keep(std::mem::take(&mut sections.keep), std::mem::take(&mut sections.want));

        let rests = sections.rests.take();
        let now = self.cx.world.now();
        let caller = self.caller(&about, asked, &target, &sections.card).await;
        let call = target.call.as_ref().map(|row| row.name().to_string()).unwrap_or_default();
        let whom = Whom { call, party: target.party, medium };
        let context = whom.told(sections, caller, target.resolution.as_ref(), now, started);
        let unclaimed = target.identifier.filter(|_| target.party.is_none());
        Ok(Composed { context, call: target.call, party: target.party, unclaimed, rests })
    }

    /// A call that was told. Whoever was not found when it began is looked for again.
    async fn by_call(&self, call: &Call, name: CallName, country: &str, until: Instant) -> Result<Target, Error> {
        let row = self.row(call, name.uuid()).await?.ok_or_else(|| Error::not_found(name))?;
        let text = row.open(&self.cx.store).await?;
        let transfers = to_transfers(&text);
        let identifier = row.told(text).identifier;
        let resolution = row.resolved();
        if let Some(party) = self.owner(&row).await?.or(resolution.party) {
            let resolution = if resolution.party.is_some() { resolution } else { Resolution::claimed(party) };
            return Ok(Target {
                party: Some(party),
                resolution: Some(resolution),
                found: Found::Index,
                identifier,
                named: HashMap::new(),
                call: Some(row),
                transfers,
            });
        }
        let again = self.by_identifier(call, identifier.as_ref(), country, until).await?;
        let known = again.resolution.as_ref().is_some_and(|found| found.matched() != Match::Pending);
        let resolution = if known { again.resolution } else { Some(resolution) };
        Ok(Target { call: Some(row), resolution, transfers, ..again })
    }

    async fn by_identifier(
        &self,
        call: &Call,
        identifier: Option<&Identifier>,
        country: &str,
        until: Instant,
    ) -> Result<Target, Error> {
        // Half of the time: what is known of the party has to be asked for after that.
        let now = Instant::now();
        let half = now + until.saturating_duration_since(now) / 2;
        let left = half.saturating_duration_since(now).max(Duration::from_millis(1));
        let asking = Asking::new(&self.cx, call.tenant(), left, call.traceparent.as_deref());
        let (store, tenant) = (&self.cx.store, call.tenant());
        let caller = match known_caller(store, tenant, identifier).await? {
            Ok(caller) => caller,
            Err(identifier) => ask_caller(store, &asking, tenant, identifier, country, half, self.away(call)).await?,
        };
        Ok(Target {
            call: None,
            party: caller.resolution.party,
            resolution: Some(caller.resolution),
            found: caller.found,
            identifier: caller.identifier,
            named: caller.named,
            transfers: Vec::new(),
        })
    }

    async fn caller(
        &self,
        about: &About<'_>,
        asked: Asked,
        target: &Target,
        card: &proto::CardSection,
    ) -> proto::CallerSection {
        use proto::SectionState::{Fresh, Missing, Pending, Stale};
        let Some(resolution) = &target.resolution else {
            let status =
                section_status("interactions", Missing, "a party was asked for, not a caller".to_owned(), None);
            return proto::CallerSection { status: Some(status), ..proto::CallerSection::default() };
        };
        let standing = about.standing("stakeholders");
        let mut status = match (resolution.matched(), target.found) {
            (Match::Pending, _) => section_status("stakeholders", Pending, resolution.reason.clone(), None),
            (_, Found::Guessed) => {
                ageless(section_status("stakeholders", Stale, resolution.reason.clone(), Some(asked)))
            }
            // The own index is as new as the feed that fills it.
            (_, Found::Index) if !standing.away.is_empty() => {
                ageless(section_status("stakeholders", Stale, standing.away.clone(), Some(asked)))
            }
            (_, Found::Index) if standing.lagging => {
                let reason = "what stakeholders tells is not all applied yet".to_owned();
                section_status("stakeholders", Pending, reason, Some(asked))
            }
            _ => section_status("stakeholders", Fresh, String::new(), Some(asked)),
        };
        let mut message = to_resolution(resolution, target.party);
        // Whoever it is has said who they are in this very context.
        let mut named = target.named.clone();
        if let Some(party) = target.party.filter(|_| !card.display_name.is_empty()) {
            let roles = || card.roles.iter().map(|role| role.role_type.clone()).collect();
            named.entry(party).or_insert_with(|| (card.display_name.clone(), roles()));
        }
        let old = about.introduce(&mut message, &named).await;
        let said =
            card.status.as_ref().filter(|_| target.party.is_some_and(|party| !target.named.contains_key(&party)));
        let late = said.filter(|said| matches!(said.state(), Pending | Stale));
        if let (Fresh, Some(said)) = (status.state(), said.filter(|said| said.position > 0)) {
            status.position = status.position.min(said.position);
        }
        if let (Fresh, Some(late)) = (status.state(), late) {
            // They are known, and what is shown of them is the last that was.
            status = proto::SectionStatus { age: None, next_change_time: None, ..late.clone() };
        } else if status.state() == Fresh && old {
            let reason = "what is said of some of them is the last that was known".to_owned();
            status = section_status("stakeholders", Pending, reason, Some(asked));
        }
        proto::CallerSection {
            status: Some(status),
            resolution: Some(message),
            identifier: target.identifier.as_ref().map(to_identifier),
            transfers: target.transfers.clone(),
        }
    }
}

/// A status of what the feed told at moments of its own.
fn ageless(status: proto::SectionStatus) -> proto::SectionStatus {
    proto::SectionStatus { as_of_time: None, ..status }
}

/// What is told of a party, or of nobody, when the own database does not answer in time: that nothing is known yet.
pub(super) fn late(wanted: &Wanted, cx: &Context, started: Instant) -> proto::AgentContext {
    let status = || {
        let reason = "the desk's own database did not answer in time".to_owned();
        Some(section_status("interactions", proto::SectionState::Pending, reason, None))
    };
    let (call, party, identifier) = match &wanted.about {
        Of::Call(name) => (name.to_string(), None, None),
        Of::Party(party) => (String::new(), Some(party.uuid()), None),
        Of::Identifier(identifier) => (String::new(), None, identifier.as_ref()),
    };
    let medium = wanted.medium.unwrap_or(Medium::Phone);
    let caller = proto::CallerSection {
        status: status(),
        identifier: identifier.map(to_identifier),
        ..proto::CallerSection::default()
    };
    let about = Whom { call, party, medium };
    about.told(Sections::all(status), caller, None, cx.world.now(), started)
}

/// Whom a context is about, and on which medium.
struct Whom {
    /// The name of the call; empty when there is none.
    call: String,
    party: Option<Uuid>,
    medium: Medium,
}

impl Whom {
    /// The context of these sections, with what follows from them.
    fn told(
        self,
        sections: Sections,
        caller: proto::CallerSection,
        resolution: Option<&Resolution>,
        now: Timestamp,
        started: Instant,
    ) -> proto::AgentContext {
        let context = proto::AgentContext {
            call: self.call,
            party: super::convert::to_party(self.party),
            as_of_time: Some(wire::to_timestamp(now)),
            spent_ms: i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX),
            medium: i32::from(self.medium.code()),
            warnings: warnings(&sections, resolution),
            next_best_action: next_best_action(&sections, self.party.is_some(), resolution, now),
            caller: Some(caller),
            card: Some(sections.card),
            history: Some(sections.history),
            cases: Some(sections.cases),
            promises: Some(sections.promises),
            scores: Some(sections.scores),
            value: Some(sections.value),
            loyalty: Some(sections.loyalty),
            consents: Some(sections.consents),
            network: Some(sections.network),
        };
        super::context::aged(context, now)
    }
}
