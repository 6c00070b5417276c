use std::collections::HashMap;
use std::time::{Duration, Instant};

use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::desk_service_server::DeskService;
use rapport_proto::interactions::v1::get_agent_context_request::About as Named;
use rapport_rpc::{Call, Reply, handle, header, wire, written};
use rapport_server::Context;
use rapport_store::{Committed, read_error};
use rapport_types::error::{Collector, Error, FieldError};
use rapport_types::{Uuid, reason};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Response};

use super::advice::{next_best_action, warnings};
use super::context::About;
use super::convert_call::{ending, identifier, medium, to_call, to_identifier, to_resolution, told};
use crate::commands::{BeginCall, EndCall};
use crate::domain::{CallName, Identifier, Match, Medium, PartyName, Resolution, Route, Told};
use crate::options::InteractionOptions;
use crate::queries::{Asked, Asking, Caller, find_caller, section_status};
use crate::store::{CallRow, alias_find, call_find};
use crate::workers::Keeper;

/// What an answer may take when nobody says otherwise, and what may be asked for, in milliseconds.
const BUDGET: i32 = 300;
const LEAST_BUDGET: i32 = 10;
const MOST_BUDGET: i32 = 5_000;

/// `rapport.interactions.v1.DeskService`.
#[derive(Clone)]
pub(crate) struct Desk {
    cx: Context,
    options: InteractionOptions,
    keeper: Keeper,
}

impl Desk {
    /// The service over its parts.
    pub(crate) fn new(cx: Context, options: InteractionOptions, keeper: Keeper) -> Desk {
        Desk { cx, options, keeper }
    }
}

#[tonic::async_trait]
impl DeskService for Desk {
    async fn begin_call(&self, request: Request<proto::BeginCallRequest>) -> Reply<proto::Call> {
        let started = Instant::now();
        handle(request, |call, request| self.begin(call, request, started)).await
    }

    async fn get_agent_context(&self, request: Request<proto::GetAgentContextRequest>) -> Reply<proto::AgentContext> {
        let started = Instant::now();
        let at_least = request.metadata().get(header::AT_LEAST).cloned();
        handle(request, |call, request| self.context(call, request, at_least, started)).await
    }

    async fn end_call(&self, request: Request<proto::EndCallRequest>) -> Reply<proto::Call> {
        handle(request, |call, request| self.end(call, request)).await
    }
}

/// A budget in milliseconds.
fn budget(given: i32) -> Result<Duration, FieldError> {
    match given {
        0 => Ok(BUDGET),
        given if (LEAST_BUDGET..=MOST_BUDGET).contains(&given) => Ok(given),
        _ => Err(FieldError::new(
            reason::OUT_OF_RANGE,
            format!("must be 0, or from {LEAST_BUDGET} to {MOST_BUDGET} milliseconds"),
        )),
    }
    .map(|millis| Duration::from_millis(u64::from(millis.unsigned_abs())))
}

/// When to stop waiting for others: a tenth of the budget stays for the answer itself.
fn until(started: Instant, budget: Duration) -> Instant {
    started + budget - (budget / 10).min(Duration::from_millis(50))
}

/// Who a context is about, and how that was found.
struct Target {
    call: Option<CallRow>,
    party: Option<Uuid>,
    resolution: Option<Resolution>,
    identifier: Option<Identifier>,
    named: HashMap<Uuid, (String, Vec<String>)>,
}

impl Desk {
    async fn begin(
        &self,
        call: Call,
        request: proto::BeginCallRequest,
        started: Instant,
    ) -> Result<Response<proto::Call>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let budget = fields.check("budget_ms", budget(request.budget_ms));
        let message = fields.required("call", request.call.as_ref());
        let told = message.and_then(|message| told(&fields.at("call"), message, store.world().now(), true));
        fields.finish()?;
        let (Some(mut told), Some(budget), Some(message)) = (told, budget, message) else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let id = store.blind(call.tenant(), "call", &told.key());
        let until = until(started, budget);
        let caller = match self.row(&call, id).await? {
            // Told before: nobody is asked again.
            Some(row) if row.begun => Caller::unasked(row.resolution),
            _ => {
                let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                let asking = Asking::new(&self.cx, call.tenant(), left, call.traceparent.as_deref());
                let country = message.country_code.to_ascii_uppercase();
                find_caller(store, &asking, call.tenant(), told.identifier.as_ref(), &country, until).await?
            }
        };
        let Caller { resolution, identifier, named, own } = caller;
        told.identifier = identifier.or(told.identifier);
        let route = self.route(&call, id, &told, resolution.party.filter(|_| !own));
        let command = BeginCall { id, told, resolution, route };
        let committed = store.submit(scope, command).await?;
        self.answer(&call, committed, &named).await
    }

    async fn end(&self, call: Call, request: proto::EndCallRequest) -> Result<Response<proto::Call>, Error> {
        let store = &self.cx.store;
        let now = store.world().now();
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let message = fields.required("call", request.call.as_ref());
        let told = message.and_then(|message| told(&fields.at("call"), message, now, false));
        let started_at = told.as_ref().and_then(|told| told.started_at);
        let ending = ending(&fields, &request, started_at, now);
        fields.finish()?;
        let (Some(told), Some(ending)) = (told, ending) else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let id = store.blind(call.tenant(), "call", &told.key());
        let route = self.route(&call, id, &told, None);
        let (interaction, case) = (store.world().next_id(), store.world().next_id());
        let command = EndCall { id, told, ending, route, interaction, case };
        let committed = store.submit(scope, command).await?;
        self.answer(&call, committed, &HashMap::new()).await
    }

    /// How the origin of a call is found: by the identifier; by the party that was found, where the own index knows
    /// nothing of the identifier yet; by the call itself where nothing else is known.
    fn route(&self, call: &Call, id: Uuid, told: &Told, party: Option<Uuid>) -> Route {
        match (&told.identifier, party) {
            (Some(identifier), None) => {
                Route::Identifier(self.cx.store.blind(call.tenant(), "identifier", &identifier.comparable()))
            }
            (_, Some(party)) => Route::Party(party),
            (None, None) => Route::Withheld(id),
        }
    }

    async fn row(&self, call: &Call, id: Uuid) -> Result<Option<CallRow>, Error> {
        let names = std::iter::once((call.tenant().clone(), id)).collect();
        Ok(call_find(self.cx.store.reader(), &names).await.map_err(read_error)?.into_values().next())
    }

    /// To whom a call belongs now: an identifier may have been claimed since.
    async fn owner(&self, row: &CallRow) -> Result<Option<Uuid>, Error> {
        let origins = std::iter::once(row.origin.id).collect();
        let owners = alias_find(self.cx.store.reader(), &row.tenant, &origins).await.map_err(read_error)?;
        Ok(owners.get(&row.origin.id).copied().or(row.origin.party))
    }

    async fn answer(
        &self,
        call: &Call,
        committed: Committed<CallRow>,
        named: &HashMap<Uuid, (String, Vec<String>)>,
    ) -> Result<Response<proto::Call>, Error> {
        let store = &self.cx.store;
        let Committed { reply: row, position, replayed } = committed;
        let text = row.open(store).await?;
        let mut message = to_call(&row, &text, self.owner(&row).await?);
        if let Some(resolution) = &mut message.resolution {
            let about = self.about(call, None, Medium::Phone, Instant::now() + Duration::from_millis(200));
            about.introduce(resolution, named).await;
        }
        Ok(written(store.service(), Committed { reply: message, position, replayed }, |message| message))
    }

    fn about<'a>(&'a self, call: &'a Call, party: Option<Uuid>, medium: Medium, until: Instant) -> About<'a> {
        let purposes = &self.options.consent_purposes;
        About { cx: &self.cx, call, at_least: None, party, medium, purposes, until }
    }

    async fn context(
        &self,
        call: Call,
        request: proto::GetAgentContextRequest,
        at_least: Option<MetadataValue<Ascii>>,
        started: Instant,
    ) -> Result<Response<proto::AgentContext>, Error> {
        let fields = Collector::new();
        let named = fields.required("about", request.about.as_ref());
        let country = fields.check("country_code", Told::country(&request.country_code));
        let (mut call_name, mut party, mut by) = (None, None, None);
        match named {
            Some(Named::Call(name)) => call_name = fields.check("call", CallName::parse(name)),
            Some(Named::Party(name)) => party = fields.check("party", PartyName::parse(name)),
            Some(Named::Identifier(message)) => {
                by = identifier(&fields.at("identifier"), Some(message), country.as_deref().unwrap_or_default());
            }
            None => {}
        }
        let wanted = medium(&fields, request.medium);
        let budget = fields.check("budget_ms", budget(request.budget_ms));
        fields.finish()?;
        let (Some(country), Some(wanted), Some(budget)) = (country, wanted, budget) else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        let until = until(started, budget);
        let target = match (call_name, party) {
            (Some(name), _) => self.by_call(&call, name, &country, until).await?,
            (_, Some(party)) => Target {
                call: None,
                party: Some(party.uuid()),
                resolution: None,
                identifier: None,
                named: HashMap::new(),
            },
            _ => self.by_identifier(&call, by.flatten().as_ref(), &country, until).await?,
        };
        let told = target.call.as_ref().and_then(|row| Medium::from_code(i64::from(row.medium)));
        let medium = wanted.or(told).unwrap_or(Medium::Phone);
        let mut about = self.about(&call, target.party, medium, until);
        about.at_least = at_least;
        let mut sections = about.sections().await;
        let nothing = sections.history.interactions.is_empty() && sections.cases.cases.is_empty();
        if let (Some(party), true, true) = (party, sections.no_such_party, nothing) {
            return Err(Error::not_found(party));
        }
        self.keeper.keep(std::mem::take(&mut sections.keep));

        let now = self.cx.world.now();
        let caller = self.caller(&about, &target).await;
        let resolution = target.resolution.as_ref();
        let context = proto::AgentContext {
            call: target.call.as_ref().map(|row| row.name().to_string()).unwrap_or_default(),
            party: super::convert::to_party(target.party),
            as_of_time: Some(wire::to_timestamp(now)),
            spent_ms: i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX),
            medium: i32::from(medium.code()),
            warnings: warnings(&sections, resolution),
            next_best_action: next_best_action(&sections, target.party.is_some(), resolution, now),
            caller: Some(caller),
            card: Some(sections.card),
            history: Some(sections.history),
            cases: Some(sections.cases),
            scores: Some(sections.scores),
            value: Some(sections.value),
            loyalty: Some(sections.loyalty),
            consents: Some(sections.consents),
            network: Some(sections.network),
        };
        Ok(Response::new(super::context::aged(context, now)))
    }

    /// A call that was told. Whoever was not found when it began is looked for again.
    async fn by_call(&self, call: &Call, name: CallName, country: &str, until: Instant) -> Result<Target, Error> {
        let row = self.row(call, name.uuid()).await?.ok_or_else(|| Error::not_found(name))?;
        let identifier = row.told(row.open(&self.cx.store).await?).identifier;
        if let Some(party) = self.owner(&row).await?.or(row.resolution.party) {
            let resolution = match row.resolution.party {
                Some(_) => row.resolution.clone(),
                None => Resolution::claimed(party),
            };
            let named = HashMap::new();
            return Ok(Target { party: Some(party), resolution: Some(resolution), identifier, named, call: Some(row) });
        }
        let again = self.by_identifier(call, identifier.as_ref(), country, until).await?;
        let known = again.resolution.as_ref().is_some_and(|found| found.matched() != Match::Pending);
        let resolution = if known { again.resolution } else { Some(row.resolution.clone()) };
        Ok(Target { call: Some(row), resolution, ..again })
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
        let caller = find_caller(&self.cx.store, &asking, call.tenant(), identifier, country, half).await?;
        Ok(Target {
            call: None,
            party: caller.resolution.party,
            resolution: Some(caller.resolution),
            identifier: caller.identifier,
            named: caller.named,
        })
    }

    async fn caller(&self, about: &About<'_>, target: &Target) -> proto::CallerSection {
        use proto::SectionState::{Fresh, Missing, Pending};
        let Some(resolution) = &target.resolution else {
            let status =
                section_status("interactions", Missing, "a party was asked for, not a caller".to_owned(), None);
            return proto::CallerSection { status: Some(status), ..proto::CallerSection::default() };
        };
        let asked: Asked = about.asked("stakeholders");
        let status = match resolution.matched() {
            Match::Pending => section_status("stakeholders", Pending, resolution.reason.clone(), None),
            _ => section_status("stakeholders", Fresh, String::new(), Some(asked)),
        };
        let mut message = to_resolution(resolution, target.party);
        about.introduce(&mut message, &target.named).await;
        proto::CallerSection {
            status: Some(status),
            resolution: Some(message),
            identifier: target.identifier.as_ref().map(to_identifier),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_budget_is_bounded_and_leaves_time_for_the_answer() {
        assert_eq!(budget(0).unwrap(), Duration::from_millis(300));
        assert_eq!(budget(10).unwrap(), Duration::from_millis(10));
        for wrong in [-1, 1, 9, 5_001, i32::MAX, i32::MIN] {
            assert_eq!(budget(wrong).unwrap_err().reason, reason::OUT_OF_RANGE, "{wrong}");
        }
        let now = Instant::now();
        assert_eq!(until(now, Duration::from_millis(300)), now + Duration::from_millis(270));
        assert_eq!(until(now, Duration::from_millis(5_000)), now + Duration::from_millis(4_950));
    }
}
