use std::collections::HashMap;
use std::time::{Duration, Instant};

use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::desk_service_server::DeskService;
use rapport_rpc::{Call, Reply, handle, reply_stream, wire, written};
use rapport_server::Context;
use rapport_store::{Committed, Scope, read_error};
use rapport_types::error::{Collector, Error, FieldError};
use rapport_types::{Pii, Uuid, reason};
use tonic::codegen::BoxStream;
use tonic::{Request, Response};

use super::convert_call::{Handed, ending, handover, to_call, told};
use super::desk_context::{Wanted, late};
use super::seen::Seen;
use super::{desk_again, watch_context};
use crate::commands::{BeginCall, EndCall, FollowUp, TransferCall};
use crate::domain::{Disposition, Medium, Route, Told};
use crate::options::InteractionOptions;
use crate::queries::{Asking, Caller, Found, ask_caller, known_caller};
use crate::store::{CallRow, alias_find, call_find, call_legs};
use crate::workers::Memory;

/// What an answer may take when nobody says otherwise, and what may be asked for, in milliseconds.
const BUDGET: i32 = 300;
const LEAST_BUDGET: i32 = 10;
pub(super) const MOST_BUDGET: i32 = 5_000;

/// `rapport.interactions.v1.DeskService`.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(super) cx: Context,
    pub(super) options: InteractionOptions,
    pub(super) memory: Memory,
}

impl Desk {
    /// The service over its parts.
    pub(crate) fn new(cx: Context, options: InteractionOptions, memory: Memory) -> Desk {
        Desk { cx, options, memory }
    }
}

#[tonic::async_trait]
impl DeskService for Desk {
    async fn begin_call(&self, request: Request<proto::BeginCallRequest>) -> Reply<proto::Call> {
        let started = Instant::now();
        let seen = Seen::of(&request)?;
        handle(request, |call, request| self.begin(call, request, seen, started)).await
    }

    async fn get_agent_context(&self, request: Request<proto::GetAgentContextRequest>) -> Reply<proto::AgentContext> {
        let started = Instant::now();
        let seen = Seen::of(&request)?;
        handle(request, |call, request| async move {
            let wanted = Wanted::parse(&request)?;
            let behind = seen.wait(&self.cx, self.until(started, wanted.budget)).await;
            let key = desk_again::key(&call, &wanted, &seen);
            if let Some(encoded) = self.again(&call, key.as_ref(), wanted.budget, started).await {
                let mut reply = Response::new(proto::AgentContext::default());
                reply.extensions_mut().insert(encoded);
                return Ok(behind.told(reply));
            }
            let composed = self.compose(&call, &wanted, seen.header(), started, wanted.budget);
            // Every service is waited for until shortly before; the own database may be as slow as any of them.
            let latest = started + wanted.budget - self.memory.lag.get().min(wanted.budget / 4);
            let context = match tokio::time::timeout_at(latest.into(), composed).await {
                Ok(composed) => {
                    let composed = composed?;
                    self.remember(key, &composed);
                    composed.context
                }
                Err(_) => late(&wanted, &self.cx, started),
            };
            Ok(behind.told(Response::new(context)))
        })
        .await
    }

    type WatchAgentContextStream = BoxStream<proto::WatchAgentContextResponse>;

    async fn watch_agent_context(
        &self,
        request: Request<proto::WatchAgentContextRequest>,
    ) -> Reply<Self::WatchAgentContextStream> {
        let started = Instant::now();
        let seen = Seen::of(&request)?;
        handle(request, |call, request| async move {
            let (changes, behind) = watch_context::changes(self, call, request, seen, started).await?;
            Ok(behind.told(Response::new(reply_stream(changes))))
        })
        .await
    }

    async fn transfer_call(&self, request: Request<proto::TransferCallRequest>) -> Reply<proto::Call> {
        handle(request, |call, request| self.transfer(call, request)).await
    }

    async fn end_call(&self, request: Request<proto::EndCallRequest>) -> Reply<proto::Call> {
        handle(request, |call, request| self.end(call, request)).await
    }
}

/// A budget in milliseconds.
pub(super) fn budget(given: i32) -> Result<Duration, FieldError> {
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

/// How much of a budget stays for the answer itself: a tenth. Where this process is late lately, the request was read late and
/// its answer will be sent late: that stays too, half of the budget at most.
fn reserve(budget: Duration, lag: Duration) -> Duration {
    ((budget / 10).min(Duration::from_millis(50)) + 2 * lag).min(budget / 2)
}

/// The cases that were opened with a conversation, which go where it goes.
pub(super) fn opened(legs: &[CallRow]) -> Vec<Uuid> {
    legs.iter().filter(|row| !row.linked).filter_map(|row| row.case).collect()
}

impl Desk {
    /// When to stop waiting for others.
    pub(super) fn until(&self, started: Instant, budget: Duration) -> Instant {
        started + budget - reserve(budget, self.memory.lag.get())
    }

    async fn begin(
        &self,
        call: Call,
        request: proto::BeginCallRequest,
        seen: Seen,
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
        let (id, talk) = self.ids(&call, &told);
        let until = self.until(started, budget);
        let behind = seen.wait(&self.cx, until).await;
        if let Some(committed) = self.begin_known(&call, &scope, (id, talk), &told).await? {
            return Ok(behind.told(self.answer(&call, committed, &HashMap::new()).await?));
        }
        let known = known_caller(store, call.tenant(), told.identifier.as_ref());
        let (legs, known) = futures::future::try_join(self.legs(&call, talk), known).await?;
        let caller = match (legs.iter().find(|row| row.id == id && row.begun), known) {
            // Told before: nobody is asked again.
            (Some(row), _) => Caller::unasked(row.resolution.clone()),
            (None, Ok(caller)) => caller,
            (None, Err(identifier)) => {
                let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                let asking = Asking::new(&self.cx, call.tenant(), left, call.traceparent.as_deref());
                let country = message.country_code.to_ascii_uppercase();
                let away = self.away(&call);
                ask_caller(store, &asking, call.tenant(), identifier, &country, until, away).await?
            }
        };
        let Caller { resolution, identifier, named, found } = caller;
        told.identifier = identifier.or(told.identifier);
        let route = self.route(&call, talk, &told, resolution.party.filter(|_| found != Found::Index));
        if let (Route::Identifier(index), Found::Index) = (route, found) {
            self.memory.callers.note(call.tenant(), index, true);
        }
        let command = BeginCall { id, talk, told, resolution: Some(resolution), route, cases: opened(&legs) };
        let committed = store.submit(scope, command).await?;
        Ok(behind.told(self.answer(&call, committed, &named).await?))
    }

    /// Begins a call of an identifier that led to somebody lately: nothing is read beside the transaction, which looks for
    /// itself. None where it does not lead to anybody.
    async fn begin_known(
        &self,
        call: &Call,
        scope: &Scope,
        (id, talk): (Uuid, Uuid),
        told: &Told,
    ) -> Result<Option<Committed<CallRow>>, Error> {
        let route = self.route(call, talk, told, None);
        let Some(index) = route.index().filter(|index| self.memory.callers.known(call.tenant(), *index)) else {
            return Ok(None);
        };
        let command = BeginCall { id, talk, told: told.clone(), resolution: None, route, cases: Vec::new() };
        match self.cx.store.submit(scope.clone(), command).await {
            Err(error) if error.reason == reason::CONTENTION => {
                self.memory.callers.note(call.tenant(), index, false);
                Ok(None)
            }
            answer => answer.map(Some),
        }
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
        let (id, talk) = self.ids(&call, &told);
        let route = self.route(&call, talk, &told, None);
        let missed = ending.disposition == Disposition::Missed && ending.case.is_none();
        let kind = self.options.missed_call_case().filter(|_| missed);
        let follow_up = kind.map(|kind| FollowUp { id: store.blind(call.tenant(), "missed", &talk.to_string()), kind });
        let case = store.blind(call.tenant(), "call_case", &id.to_string());
        let cases = opened(&self.legs(&call, talk).await?);
        let command = EndCall { id, talk, told, ending, route, case, follow_up, cases };
        let committed = store.submit(scope, command).await?;
        self.answer(&call, committed, &HashMap::new()).await
    }

    async fn transfer(&self, call: Call, request: proto::TransferCallRequest) -> Result<Response<proto::Call>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let read = handover(&fields, &request, store.world().now());
        fields.finish()?;
        let Handed { name, called, handover } =
            read.ok_or_else(|| Error::bug("a request was refused without a reason"))?;
        let (call_id, leg) = match (called, name) {
            (Some(called), _) => called,
            (None, Some(name)) => {
                let row = self.row(&call, name.uuid()).await?.ok_or_else(|| Error::not_found(name))?;
                let text = row.open(store).await?;
                if text.call_id.is_empty() {
                    return Err(crate::error::erased());
                }
                (Pii::new(text.call_id), Pii::new(text.leg))
            }
            (None, None) => return Err(Error::bug("a request was refused without a reason")),
        };
        if !handover.to_leg.expose().is_empty() && handover.to_leg == leg {
            return Err(Error::field("to_leg", reason::DUPLICATE, "is the leg that is handed on"));
        }
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let new = Some(&handover.to_leg).filter(|leg| !leg.expose().is_empty());
        let new = new.map(|leg| self.ids(&call, &Told::bare(call_id.clone(), leg.clone())).0);
        let (id, talk) = self.ids(&call, &Told::bare(call_id.clone(), leg.clone()));
        let command = TransferCall { id, call_id, leg, to: new, talk, handover };
        let committed = store.submit(scope, command).await?;
        self.answer(&call, committed, &HashMap::new()).await
    }

    /// The ids of a call and of its conversation, which is that of the interaction that all its legs become.
    fn ids(&self, call: &Call, told: &Told) -> (Uuid, Uuid) {
        let store = &self.cx.store;
        let tenant = call.tenant();
        (store.blind(tenant, "call", &told.key()), store.blind(tenant, "conversation", told.talk_key()))
    }

    /// Whether the stakeholders service is known to be away: its feed says nothing.
    pub(super) fn away(&self, call: &Call) -> bool {
        let about = self.about(call, None, Medium::Phone, Instant::now());
        !about.standing("stakeholders").away.is_empty()
    }

    async fn legs(&self, call: &Call, talk: Uuid) -> Result<Vec<CallRow>, Error> {
        let talks = std::iter::once((call.tenant().clone(), talk)).collect();
        call_legs(self.cx.store.reader(), &talks).await.map_err(read_error)
    }

    /// How the origin of a call is found: by the identifier; by the party that was found, where the own index knows
    /// nothing of the identifier yet; by the conversation itself where nothing else is known.
    fn route(&self, call: &Call, talk: Uuid, told: &Told, party: Option<Uuid>) -> Route {
        match (&told.identifier, party) {
            (Some(identifier), None) => {
                Route::Identifier(self.cx.store.blind(call.tenant(), "identifier", &identifier.comparable()))
            }
            (_, Some(party)) => Route::Party(party),
            (None, None) => Route::Withheld(talk),
        }
    }

    pub(super) async fn row(&self, call: &Call, id: Uuid) -> Result<Option<CallRow>, Error> {
        let names = std::iter::once((call.tenant().clone(), id)).collect();
        Ok(call_find(self.cx.store.reader(), &names).await.map_err(read_error)?.into_values().next())
    }

    /// To whom a call belongs now: an identifier may have been claimed since.
    pub(super) async fn owner(&self, row: &CallRow) -> Result<Option<Uuid>, Error> {
        let origin = row.whose();
        let origins = std::iter::once(origin.id).collect();
        let owners = alias_find(self.cx.store.reader(), &row.tenant, &origins).await.map_err(read_error)?;
        Ok(owners.get(&origin.id).copied().or(origin.party))
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
        // What was just decided says whose the call is, but for whom an agent said it to be: those may be somebody else by now.
        let asked = replayed || row.picked.is_some();
        let owner = if asked { self.owner(&row).await? } else { row.whose().party };
        let mut message = to_call(&row, &text, owner);
        if let Some(resolution) = &mut message.resolution {
            let about = self.about(call, None, Medium::Phone, Instant::now() + Duration::from_millis(200));
            let _old = about.introduce(resolution, named).await;
        }
        Ok(written(store.service(), Committed { reply: message, position, replayed }, |message| message))
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
        let millis = Duration::from_millis;
        for (budget, lag, stays) in [(300, 0, 30), (5_000, 0, 50), (150, 20, 55), (150, 60, 75), (5_000, 100, 250)] {
            assert_eq!(reserve(millis(budget), millis(lag)), millis(stays), "{budget} {lag}");
        }
    }
}
