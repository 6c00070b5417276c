//! Calls of several legs, handed on, missed and told in any order: one conversation, one interaction.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use prost::{Message, Name};
use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::case_service_server::CaseService;
use rapport_proto::interactions::v1::desk_service_server::DeskService;
use rapport_proto::interactions::v1::interaction_service_server::InteractionService;
use rapport_server::Context;
use rapport_testkit::asserts::violated_fields;
use rapport_testkit::place::StorePlace;
use rapport_testkit::{Code, assert_reason, each_store};
use rapport_types::{Uuid, reason};

use super::{Cases, Desk, Interactions};
use crate::events::{holder, learn};
use crate::fixture::{context, erase, party, request};
use crate::options::InteractionOptions;
use crate::workers::Memory;

pub(super) const NUMBER: &str = "+351912345678";

/// The service at one store.
pub(super) struct Line {
    pub(super) cx: Context,
    pub(super) desk: Desk,
    pub(super) api: Interactions,
    cases: Cases,
}

pub(super) fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: 1_700_000_000 + seconds, nanos: 0 })
}

/// A leg of a call, by a number or by none.
pub(super) fn leg(call_id: &str, leg: &str, number: &str) -> proto::Call {
    proto::Call {
        call_id: call_id.to_owned(),
        leg: leg.to_owned(),
        direction: proto::Direction::Inbound.into(),
        identifier_used: Some(proto::Identifier { scheme: "tel".to_owned(), value: number.to_owned() }),
        started_time: at(0),
        agent: format!("agent {leg}"),
        ..proto::Call::default()
    }
}

pub(super) fn ending(call: proto::Call, seconds: i64) -> proto::EndCallRequest {
    proto::EndCallRequest {
        wrap_up: format!("said on {}", call.leg),
        call: Some(call),
        disposition: proto::CallDisposition::Handled.into(),
        ended_time: at(seconds),
        ..proto::EndCallRequest::default()
    }
}

pub(super) fn missed(call: proto::Call, seconds: i64) -> proto::EndCallRequest {
    let ending = ending(call, seconds);
    proto::EndCallRequest { disposition: proto::CallDisposition::Missed.into(), wrap_up: String::new(), ..ending }
}

impl Line {
    pub(super) async fn open(place: &StorePlace) -> Line {
        Line::over(context(place).await, InteractionOptions::default())
    }

    /// Another one over the same store.
    pub(super) fn twin(&self) -> Line {
        Line::over(self.cx.clone(), InteractionOptions::default())
    }

    fn over(cx: Context, options: InteractionOptions) -> Line {
        let desk = Desk::new(cx.clone(), options.clone(), Memory::default());
        let api = Interactions::new(cx.clone(), options);
        Line { desk, api, cases: Cases::new(cx.clone()), cx }
    }

    pub(super) async fn begin(&self, call: proto::Call) -> proto::Call {
        let message = proto::BeginCallRequest { call: Some(call), ..proto::BeginCallRequest::default() };
        self.desk.begin_call(request("acme", message)).await.unwrap().into_inner()
    }

    pub(super) async fn end(&self, message: proto::EndCallRequest) -> proto::Call {
        self.desk.end_call(request("acme", message)).await.unwrap().into_inner()
    }

    pub(super) async fn transfer(&self, message: proto::TransferCallRequest) -> proto::Call {
        self.desk.transfer_call(request("acme", message)).await.unwrap().into_inner()
    }

    pub(super) async fn interactions(&self) -> Vec<proto::Interaction> {
        let message = proto::ListInteractionsRequest::default();
        self.api.list_interactions(request("acme", message)).await.unwrap().into_inner().interactions
    }

    /// The one interaction that there is.
    pub(super) async fn one(&self) -> proto::Interaction {
        let mut all = self.interactions().await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    pub(super) async fn cases(&self) -> Vec<proto::Case> {
        let mut message = proto::ListCasesRequest {
            order_by: "opened_time asc".to_owned(),
            page_size: 500,
            ..proto::ListCasesRequest::default()
        };
        let mut all = Vec::new();
        loop {
            let page = self.cases.list_cases(request("acme", message.clone())).await.unwrap().into_inner();
            all.extend(page.cases);
            if page.next_page_token.is_empty() {
                return all;
            }
            message.page_token = page.next_page_token;
        }
    }

    pub(super) async fn get(&self, name: &str, version: i64) -> proto::Interaction {
        let message = proto::GetInteractionRequest { name: name.to_owned(), version };
        self.api.get_interaction(request("acme", message)).await.unwrap().into_inner()
    }

    pub(super) async fn context(&self, call: &proto::Call) -> proto::AgentContext {
        let about = Some(proto::get_agent_context_request::About::Call(call.name.clone()));
        let message = proto::GetAgentContextRequest { about, ..proto::GetAgentContextRequest::default() };
        self.desk.get_agent_context(request("acme", message)).await.unwrap().into_inner()
    }

    pub(super) async fn timeline(&self, id: u128) -> Vec<String> {
        let message = proto::GetTimelineRequest { party: party(id), ..proto::GetTimelineRequest::default() };
        let page = self.api.get_timeline(request("acme", message)).await.unwrap().into_inner();
        page.interactions.into_iter().map(|one| one.name).collect()
    }

    /// Everything of one sort that was told to other services.
    pub(super) async fn published<E: Message + Name + Default>(&self) -> Vec<E> {
        let page = self.cx.store.scan_events(0, 1_000, None).await.unwrap();
        let of = page.events.iter().filter(|event| event.kind == E::full_name());
        of.map(|event| E::decode(event.payload.as_slice()).unwrap()).collect()
    }

    /// What was noted in a case's history.
    pub(super) async fn notes(&self, case: &str) -> Vec<String> {
        let message = proto::ListCaseEventsRequest { case: case.to_owned(), ..Default::default() };
        let page = self.cases.list_case_events(request("acme", message)).await.unwrap().into_inner();
        page.case_events.into_iter().map(|step| step.note).collect()
    }

    pub(super) async fn resolve(&self, case: &str) {
        let message = proto::TransitionCaseRequest {
            name: case.to_owned(),
            status: proto::CaseStatus::Resolved.into(),
            note: "called back".to_owned(),
            ..proto::TransitionCaseRequest::default()
        };
        self.cases.transition_case(request("acme", message)).await.unwrap();
    }
}

/// A handover of leg `from`, to a new leg or to nobody but another agent.
pub(super) fn handover(call_id: &str, from: &str, to: &str) -> proto::TransferCallRequest {
    proto::TransferCallRequest {
        call_id: call_id.to_owned(),
        leg: from.to_owned(),
        to_agent: "second line".to_owned(),
        to_leg: to.to_owned(),
        note: "knows about the vase".to_owned(),
        transferred_time: at(60),
        ..proto::TransferCallRequest::default()
    }
}

each_store! {
    async fn all_legs_of_a_call_become_one_interaction(place: StorePlace) {
        let line = Line::open(&place).await;
        let first = line.begin(leg("1", "a", NUMBER)).await;
        let second = line.begin(leg("1", "b", "")).await;
        assert_ne!(first.name, second.name);
        // Nobody told of the second leg who it is: it is the same conversation.
        assert_eq!(second.identifier_used, first.identifier_used);
        assert_eq!(second.resolution, first.resolution);

        let ended = line.end(ending(leg("1", "a", ""), 100)).await;
        let one = line.one().await;
        assert_eq!((one.name.as_str(), one.version, one.body.as_str()), (ended.interaction.as_str(), 1, "said on a"));
        // The second one ends later, and says more.
        let later = line.end(proto::EndCallRequest {
            disposition: proto::CallDisposition::Complaint.into(),
            topics: vec!["delivery".to_owned()],
            valence: Some(proto::Valence { value: -0.5, method: proto::ValenceMethod::Agent.into(), confidence: None }),
            effort: Some(4),
            role_type: "customer".to_owned(),
            ..ending(leg("1", "b", ""), 200)
        }).await;
        assert_eq!((later.interaction.as_str(), later.state()), (ended.interaction.as_str(), proto::CallState::Ended));
        let one = line.one().await;
        assert_eq!((one.version, one.kind.as_str(), one.version_reason.as_str()), (2, "complaint", "another-leg"));
        assert_eq!((one.body.as_str(), one.topics.len(), one.effort), ("said on a\n\nsaid on b", 1, Some(4)));
        assert_eq!(one.participants[0].role_type, "customer");
        assert_eq!(one.occurred_time, at(0));
        // One that ended before both and says nothing new changes nothing.
        let silent = proto::EndCallRequest { wrap_up: String::new(), ..ending(leg("1", "c", ""), 50) };
        assert_eq!(line.end(silent).await.interaction, one.name);
        assert_eq!(line.one().await.version, 2);
        assert_eq!(line.published::<proto::InteractionRecorded>().await.len(), 1);
        assert_eq!(line.published::<proto::InteractionAmended>().await.len(), 1);
        // A leg that begins after all of it is no news either.
        let late = line.begin(leg("1", "d", NUMBER)).await;
        assert_eq!((late.state(), late.interaction.as_str()), (proto::CallState::Open, ""));
        assert_eq!(line.one().await.version, 2);
        line.cx.store.close().await;
    }

    async fn what_somebody_amended_stays_under_a_later_leg(place: StorePlace) {
        let line = Line::open(&place).await;
        line.end(ending(leg("1", "a", NUMBER), 100)).await;
        let one = line.one().await;
        let message = proto::AmendInteractionRequest {
            interaction: Some(proto::Interaction {
                name: one.name.clone(), body: "put right".to_owned(), kind: "inquiry".to_owned(), ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["body".to_owned(), "kind".to_owned()] }),
            reason: "corrected".to_owned(),
            ..proto::AmendInteractionRequest::default()
        };
        line.api.amend_interaction(request("acme", message)).await.unwrap();
        line.end(ending(leg("1", "b", NUMBER), 200)).await;
        let one = line.one().await;
        assert_eq!((one.body.as_str(), one.kind.as_str(), one.version), ("put right\n\nsaid on b", "inquiry", 3));
        // Retracted it counts for nothing: a leg that ends then refers to it all the same.
        let message = proto::RetractInteractionRequest {
            name: one.name.clone(), reason: "test-data".to_owned(), ..proto::RetractInteractionRequest::default()
        };
        line.api.retract_interaction(request("acme", message)).await.unwrap();
        assert_eq!(line.end(ending(leg("1", "c", NUMBER), 300)).await.interaction, one.name);
        assert!(line.interactions().await.is_empty());
        line.cx.store.close().await;
    }

    async fn whom_one_leg_is_with_all_legs_are_with(place: StorePlace) {
        let line = Line::open(&place).await;
        learn(&line.cx, &[holder(1, &[(NUMBER, false)])]).await;
        let bare = line.end(ending(leg("1", "b", ""), 200)).await;
        assert_eq!(bare.resolution.unwrap().r#match(), proto::CallMatch::Withheld);
        // The other leg tells the number, later than everything.
        let told = line.begin(leg("1", "a", NUMBER)).await;
        assert_eq!(told.resolution.unwrap().party, party(1));
        assert_eq!(line.timeline(1).await, std::slice::from_ref(&bare.interaction));
        let one = line.one().await;
        assert_eq!((one.version, one.version_reason.as_str()), (2, "identified"));
        assert_eq!(one.participants[0].attribution(), proto::Attribution::Resolved);
        let again = line.end(ending(leg("1", "b", ""), 200)).await;
        assert_eq!((again.resolution.unwrap().party, again.identifier_used.unwrap().value.as_str()), (party(1), NUMBER));
        // An agent says it is somebody else, at the end of the other one.
        let picked = line.end(proto::EndCallRequest { party: party(7), ..ending(leg("1", "a", ""), 300) }).await;
        let resolution = picked.resolution.unwrap();
        assert_eq!((resolution.party, resolution.reason.as_str()), (party(7), "the agent said so"));
        assert_eq!((line.timeline(1).await.len(), line.timeline(7).await.len()), (0, 1));
        let amended = line.published::<proto::InteractionAmended>().await;
        let replaced: Vec<&str> = amended.iter().flat_map(|one| &one.replaced).map(|one| one.party.as_str()).collect();
        assert_eq!(replaced, ["", party(1).as_str()]);
        line.cx.store.close().await;
    }

    async fn a_call_is_handed_on_with_all_that_is_known(place: StorePlace) {
        let line = Line::open(&place).await;
        learn(&line.cx, &[holder(1, &[(NUMBER, false)])]).await;
        let begun = line.begin(leg("1", "a", NUMBER)).await;
        let new = line.transfer(handover("1", "a", "b")).await;
        assert_ne!(new.name, begun.name);
        assert_eq!((new.leg.as_str(), new.agent.as_str(), new.state()), ("b", "second line", proto::CallState::Open));
        assert_eq!((&new.resolution, &new.identifier_used), (&begun.resolution, &begun.identifier_used));
        assert_eq!(new.direction(), proto::Direction::Inbound);
        let [transfer] = new.transfers.as_slice() else { panic!("{new:?}") };
        assert_eq!((transfer.from_call.as_str(), transfer.to_call.as_str()), (begun.name.as_str(), new.name.as_str()));
        assert_eq!((transfer.from_agent.as_str(), transfer.to_agent.as_str()), ("agent a", "second line"));
        assert_eq!((transfer.note.as_str(), transfer.transferred_time), ("knows about the vase", at(60)));
        // Told twice, by its name and by what the telephony calls it: the same answer.
        assert_eq!(line.transfer(handover("1", "a", "b")).await, new);
        let named = proto::TransferCallRequest {
            name: begun.name.clone(), call_id: String::new(), leg: String::new(), ..handover("1", "a", "b")
        };
        assert_eq!(line.transfer(named).await, new);
        let shown = line.context(&new).await;
        assert_eq!((shown.party, shown.caller.unwrap().transfers), (party(1), new.transfers.clone()));

        // Within the new leg to somebody else: the same call, with its new agent.
        let within = proto::TransferCallRequest {
            to_agent: "third line".to_owned(), transferred_time: at(90), ..handover("1", "b", "")
        };
        let same = line.transfer(within.clone()).await;
        assert_eq!((same.name.as_str(), same.agent.as_str(), same.transfers.len()), (new.name.as_str(), "third line", 2));
        assert_eq!(same.transfers[1].from_agent, "second line");
        assert_eq!(line.transfer(within).await, same);
        // The telephony tells of the new leg itself, and of both ends.
        let told = line.begin(proto::Call { agent: String::new(), ..leg("1", "b", "") }).await;
        assert_eq!((told.agent.as_str(), &told.transfers), ("third line", &same.transfers));
        line.end(ending(leg("1", "a", ""), 61)).await;
        line.end(ending(leg("1", "b", ""), 120)).await;
        assert_eq!(line.one().await.body, "said on a\n\nsaid on b");
        assert_eq!(line.timeline(1).await.len(), 1);
        line.cx.store.close().await;
    }

    async fn a_call_that_is_over_or_was_never_told_is_handed_on_all_the_same(place: StorePlace) {
        let line = Line::open(&place).await;
        let ended = line.end(ending(leg("1", "a", NUMBER), 100)).await;
        let kept = line.transfer(handover("1", "a", "")).await;
        assert_eq!((kept.name.as_str(), kept.state(), kept.transfers.len()), (ended.name.as_str(), proto::CallState::Ended, 1));
        let one = line.one().await;
        assert_eq!((one.version, one.name.as_str()), (1, ended.interaction.as_str()));
        // Handed on before it began.
        let new = line.transfer(handover("2", "a", "b")).await;
        assert_eq!((new.state(), new.resolution.as_ref().unwrap().r#match()), (proto::CallState::Open, proto::CallMatch::Withheld));
        assert_eq!(line.interactions().await.len(), 1);
        let begun = line.begin(leg("2", "a", NUMBER)).await;
        assert_eq!((begun.agent.as_str(), begun.transfers[0].from_agent.as_str()), ("agent a", "agent a"));
        let shown = line.context(&new).await;
        assert_eq!(shown.caller.as_ref().unwrap().identifier.as_ref().unwrap().value, NUMBER);
        assert_eq!(shown.caller.unwrap().transfers[0].from_agent, "agent a");
        line.end(ending(leg("2", "b", ""), 90)).await;
        line.end(ending(leg("2", "a", ""), 61)).await;
        assert_eq!(line.interactions().await.len(), 2);
        // Nobody to hand it to, nothing to hand on, and itself.
        let nothing = proto::TransferCallRequest::default();
        let status = assert_reason!(line.desk.transfer_call(request("acme", nothing)).await, Code::InvalidArgument, reason::INVALID_FIELDS);
        assert_eq!(violated_fields(&status), ["call_id", "to_agent"]);
        let both = proto::TransferCallRequest { name: new.name.clone(), ..handover("2", "a", "b") };
        let status = assert_reason!(line.desk.transfer_call(request("acme", both)).await, Code::InvalidArgument, reason::INVALID_FIELDS);
        assert_eq!(violated_fields(&status), ["call_id"]);
        let itself = line.desk.transfer_call(request("acme", handover("2", "a", "a"))).await;
        assert_eq!(violated_fields(&assert_reason!(itself, Code::InvalidArgument, reason::INVALID_FIELDS)), ["to_leg"]);
        let unknown = proto::TransferCallRequest {
            name: format!("calls/{}", Uuid::from_u128(7)), call_id: String::new(), leg: String::new(), ..handover("2", "a", "b")
        };
        assert_reason!(line.desk.transfer_call(request("acme", unknown)).await, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        line.cx.store.close().await;
    }

    async fn what_was_noted_goes_when_the_caller_is_erased(place: StorePlace) {
        let line = Line::open(&place).await;
        learn(&line.cx, &[holder(1, &[(NUMBER, false)])]).await;
        line.begin(leg("1", "a", NUMBER)).await;
        let new = line.transfer(handover("1", "a", "b")).await;
        let origin = line.end(ending(leg("1", "a", ""), 61)).await;
        let origin = Uuid::parse_str(&line.one().await.participants[0].origin).map(|id| (id, origin.name)).unwrap();
        erase(&line.cx, "acme", origin.0).await;
        let shown = line.context(&new).await.caller.unwrap();
        assert!(shown.transfers.is_empty() && shown.identifier.is_none(), "{shown:?}");
        // What goes on is nobody's, and still one interaction.
        let ended = line.end(ending(leg("1", "b", ""), 90)).await;
        assert_eq!(ended.resolution.unwrap().party, "");
        assert_eq!(line.interactions().await.len(), 1);
        line.cx.store.close().await;
    }

    async fn a_missed_call_is_followed_up_once(place: StorePlace) {
        let line = Line::open(&place).await;
        learn(&line.cx, &[holder(1, &[(NUMBER, false), ("+351999999999", false)])]).await;
        line.begin(leg("1", "a", NUMBER)).await;
        let first = line.end(missed(leg("1", "a", ""), 20)).await;
        assert_eq!(line.end(missed(leg("1", "a", ""), 20)).await, first);
        let cases = line.cases().await;
        let [case] = cases.as_slice() else { panic!("{cases:?}") };
        assert_eq!((case.r#type.as_str(), case.title.as_str(), &case.name), ("callback", "missed call", &first.case));
        assert_eq!((&case.interactions, case.party.as_str()), (&vec![first.interaction.clone()], party(1).as_str()));
        // The same party again, by another of its numbers: the same case.
        let second = line.end(missed(leg("2", "a", "+351999999999"), 30)).await;
        assert_eq!((second.case.as_str(), line.cases().await.len()), (first.case.as_str(), 1));
        let linked = &line.cases().await[0];
        assert_eq!(linked.interactions, [first.interaction.clone(), second.interaction.clone()]);
        assert_ne!(linked.etag, case.etag);
        // A stranger has their own, by the number.
        let stranger = line.end(missed(leg("3", "a", "+12025550100"), 30)).await;
        let again = line.end(missed(leg("4", "a", "+12025550100"), 40)).await;
        assert_eq!((again.case.as_str(), line.cases().await.len()), (stranger.case.as_str(), 2));
        // Once it is resolved, the next one is new.
        line.resolve(&first.case).await;
        let third = line.end(missed(leg("5", "a", NUMBER), 50)).await;
        assert_ne!(third.case, first.case);
        assert_eq!(line.cases().await.len(), 3);
        // Nobody can be called back; we called; and one that somebody asked a case for.
        assert_eq!(line.end(missed(leg("6", "a", ""), 60)).await.case, "");
        let outbound = proto::Call { direction: proto::Direction::Outbound.into(), ..leg("7", "a", "+12025550101") };
        assert_eq!(line.end(missed(outbound, 60)).await.case, "");
        let asked = proto::CallCase { r#type: "inquiry".to_owned(), title: "asked".to_owned(), ..Default::default() };
        let asked = proto::EndCallRequest { open_case: Some(asked), ..missed(leg("8", "a", "+12025550102"), 60) };
        line.end(asked).await;
        assert_eq!(line.cases().await.iter().filter(|one| one.r#type == "callback").count(), 3);
        assert_eq!(line.published::<proto::CaseOpened>().await.len(), 4);
        let off = InteractionOptions { missed_call_case: String::new(), ..InteractionOptions::default() };
        let off = Line::over(line.cx.clone(), off);
        assert_eq!(off.end(missed(leg("9", "a", "+12025550103"), 60)).await.case, "");
        line.cx.store.close().await;
    }

    async fn a_call_that_one_leg_took_is_not_missed(place: StorePlace) {
        let line = Line::open(&place).await;
        line.begin(leg("1", "a", NUMBER)).await;
        line.begin(leg("1", "b", NUMBER)).await;
        // It rang at two desks, and goes on at one of them.
        line.end(missed(leg("1", "a", ""), 20)).await;
        line.end(ending(leg("1", "b", ""), 90)).await;
        assert!(line.cases().await.is_empty());
        assert_eq!(line.one().await.body, "said on b");
        // Nobody took it at either.
        line.begin(leg("2", "a", NUMBER)).await;
        line.begin(leg("2", "b", NUMBER)).await;
        assert_eq!(line.end(missed(leg("2", "a", ""), 20)).await.case, "");
        assert_ne!(line.end(missed(leg("2", "b", ""), 21)).await.case, "");
        assert_eq!(line.cases().await.len(), 1);
        line.cx.store.close().await;
    }

    async fn many_misses_at_once_are_one_case(place: StorePlace) {
        let line = Line::open(&place).await;
        // Two replicas, where the store can have them.
        let second = if place.is_postgres() { context(&place).await } else { line.cx.clone() };
        let other = Line::over(second, InteractionOptions::default());
        learn(&line.cx, &[holder(1, &[(NUMBER, false)])]).await;
        let ids: Vec<String> = (0..12).map(|call| format!("{}", call / 2)).collect();
        let ends = ids.iter().enumerate().map(|(at, id)| {
            let at_line = if at % 2 == 0 { &line } else { &other };
            at_line.end(missed(leg(id, "a", NUMBER), 20))
        });
        let ended = futures::future::join_all(ends).await;
        assert_eq!(line.interactions().await.len(), 6);
        let cases = line.cases().await;
        assert_eq!(cases.len(), 1, "{cases:?}");
        assert_eq!(cases[0].interactions.len(), 6);
        assert!(ended.iter().all(|call| call.case == cases[0].name));
        other.cx.store.close().await;
        line.cx.store.close().await;
    }
}
