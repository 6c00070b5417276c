#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::desk_service_server::DeskService;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::interaction_service_server::InteractionService;
use rapport_server::Context;
use rapport_testkit::asserts::violated_fields;
use rapport_testkit::place::StorePlace;
use rapport_testkit::{Code, assert_reason, each_store};
use rapport_types::reason;

use super::{Cases, Desk, Interactions};
use crate::fixture::{context, party, request, request_id};
use crate::options::InteractionOptions;
use crate::workers::Keeper;

fn desk(cx: &Context) -> Desk {
    Desk::new(cx.clone(), InteractionOptions::default(), Keeper::default())
}

fn call(call_id: &str, number: &str) -> proto::Call {
    proto::Call {
        call_id: call_id.to_owned(),
        direction: proto::Direction::Inbound.into(),
        identifier_used: Some(proto::Identifier { scheme: "tel".to_owned(), value: number.to_owned() }),
        started_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        agent: "maria".to_owned(),
        ..proto::Call::default()
    }
}

async fn begin(desk: &Desk, tenant: &str, call: proto::Call) -> proto::Call {
    let message = proto::BeginCallRequest { call: Some(call), ..proto::BeginCallRequest::default() };
    desk.begin_call(request(tenant, message)).await.unwrap().into_inner()
}

fn ending(call: proto::Call) -> proto::EndCallRequest {
    proto::EndCallRequest {
        call: Some(call),
        disposition: proto::CallDisposition::Complaint.into(),
        subject_line: "Parcel came broken".to_owned(),
        wrap_up: "The vase was in two pieces.".to_owned(),
        valence: Some(proto::Valence { value: -0.8, method: proto::ValenceMethod::Agent.into(), confidence: None }),
        topics: vec!["delivery".to_owned()],
        ended_time: Some(prost_types::Timestamp { seconds: 1_700_000_300, nanos: 0 }),
        open_case: Some(proto::CallCase {
            r#type: "complaint".to_owned(),
            title: "Broken vase".to_owned(),
            priority: proto::CasePriority::High.into(),
            ..proto::CallCase::default()
        }),
        ..proto::EndCallRequest::default()
    }
}

async fn end(desk: &Desk, message: proto::EndCallRequest) -> proto::Call {
    desk.end_call(request("acme", message)).await.unwrap().into_inner()
}

async fn interactions(cx: &Context) -> Vec<proto::Interaction> {
    let api = Interactions::new(cx.clone(), InteractionOptions::default());
    let message = proto::ListInteractionsRequest::default();
    api.list_interactions(request("acme", message)).await.unwrap().into_inner().interactions
}

async fn cases(cx: &Context) -> Vec<proto::Case> {
    use rapport_proto::interactions::v1::case_service_server::CaseService;
    let message = proto::ListCasesRequest::default();
    Cases::new(cx.clone()).list_cases(request("acme", message)).await.unwrap().into_inner().cases
}

async fn about(desk: &Desk, about: About) -> proto::AgentContext {
    let message = proto::GetAgentContextRequest { about: Some(about), ..proto::GetAgentContextRequest::default() };
    desk.get_agent_context(request("acme", message)).await.unwrap().into_inner()
}

each_store! {
    async fn a_call_becomes_one_interaction_and_one_case_however_often_it_is_told(place: StorePlace) {
        let cx = context(&place).await;
        let desk = desk(&cx);
        let begun = begin(&desk, "acme", call("17.1", "+351 912 345 678")).await;
        assert_eq!((begun.state(), begun.interaction.as_str()), (proto::CallState::Open, ""));
        assert_eq!(begun.identifier_used.as_ref().unwrap().value, "+351 912 345 678");
        // Nobody is known here, and there is nobody to ask.
        let resolution = begun.resolution.as_ref().unwrap();
        assert_eq!((resolution.r#match(), resolution.party.as_str()), (proto::CallMatch::Pending, ""));
        assert_eq!(begin(&desk, "acme", call("17.1", "+351 999 999 999")).await, begun);
        // Another leg, and another tenant's call of the same name, are other calls.
        let leg = begin(&desk, "acme", proto::Call { leg: "2".to_owned(), ..call("17.1", "+351912345678") }).await;
        let foreign = begin(&desk, "other", call("17.1", "+351912345678")).await;
        assert!(leg.name != begun.name && foreign.name != begun.name && foreign.name != leg.name);

        let ended = end(&desk, ending(call("17.1", ""))).await;
        assert_eq!((ended.name.as_str(), ended.state()), (begun.name.as_str(), proto::CallState::Ended));
        let mut again = ending(call("17.1", ""));
        again.disposition = proto::CallDisposition::Handled.into();
        assert_eq!(end(&desk, again).await, ended);
        assert_eq!(begin(&desk, "acme", call("17.1", "")).await, ended);

        let recorded = interactions(&cx).await;
        assert_eq!(recorded.len(), 1);
        let one = &recorded[0];
        assert_eq!((one.name.as_str(), one.kind.as_str()), (ended.interaction.as_str(), "complaint"));
        assert_eq!((one.body.as_str(), one.topics.len()), ("The vase was in two pieces.", 1));
        assert_eq!(one.occurred_time.as_ref().unwrap().seconds, 1_700_000_000);
        assert_eq!(one.participants[0].identifier_used.as_ref().unwrap().value, "+351 912 345 678");
        assert_eq!(one.provenance.as_ref().unwrap().actor, "maria");
        let opened = cases(&cx).await;
        assert_eq!(opened.len(), 1);
        assert_eq!((opened[0].name.as_str(), &opened[0].interactions), (ended.case.as_str(), &vec![ended.interaction.clone()]));
        assert_eq!(opened[0].origin, one.participants[0].origin);
        cx.store.close().await;
    }

    async fn an_end_that_comes_before_its_beginning_is_the_one_interaction(place: StorePlace) {
        let cx = context(&place).await;
        let desk = desk(&cx);
        // With the number: recorded by it at once.
        let numbered = end(&desk, ending(call("1", "+351912345678"))).await;
        // With nothing but its id: recorded by that.
        let bare = proto::Call { call_id: "2".to_owned(), ..proto::Call::default() };
        let bare = end(&desk, ending(bare)).await;
        assert_eq!(interactions(&cx).await.len(), 2);
        let begun = begin(&desk, "acme", call("2", "+351912345678")).await;
        assert_eq!((begun.name.as_str(), begun.interaction.as_str()), (bare.name.as_str(), bare.interaction.as_str()));
        assert_eq!(begun.agent, "maria");
        begin(&desk, "acme", call("1", "+351912345678")).await;
        let recorded = interactions(&cx).await;
        assert_eq!(recorded.len(), 2);
        assert_eq!(cases(&cx).await.len(), 2);
        let of = |name: &str| recorded.iter().find(|one| one.name == name).unwrap().participants[0].clone();
        assert_eq!(of(&numbered.interaction).identifier_used.unwrap().value, "+351912345678");
        assert_eq!(of(&bare.interaction).identifier_used.unwrap().scheme, "call");
        cx.store.close().await;
    }

    async fn the_agent_says_who_it_was(place: StorePlace) {
        let cx = context(&place).await;
        let desk = desk(&cx);
        begin(&desk, "acme", call("1", "anonymous")).await;
        let ended = end(&desk, proto::EndCallRequest { party: party(7), ..ending(call("1", "")) }).await;
        assert_eq!(ended.resolution.as_ref().unwrap().party, party(7));
        let recorded = interactions(&cx).await;
        assert_eq!(recorded[0].participants[0].party, party(7));
        assert_eq!(recorded[0].participants[0].attribution(), proto::Attribution::Named);
        assert_eq!(cases(&cx).await[0].party, party(7));
        let context = about(&desk, About::Party(party(7))).await;
        assert_eq!(context.history.unwrap().interactions.len(), 1);
        assert_eq!(context.cases.unwrap().cases.len(), 1);
        assert_eq!(context.next_best_action.unwrap().action(), proto::ActionKind::SolveComplaint);
        cx.store.close().await;
    }

    async fn a_request_id_has_one_effect(place: StorePlace) {
        let cx = context(&place).await;
        let desk = desk(&cx);
        let message = |id: &str| proto::EndCallRequest { request_id: request_id(5), ..ending(call(id, "+351912345678")) };
        let first = end(&desk, message("1")).await;
        let again = desk.end_call(request("acme", message("1"))).await.unwrap();
        assert_eq!(again.metadata().get("rapport-replayed").unwrap(), "true");
        assert_eq!(again.into_inner(), first);
        let reused = desk.end_call(request("acme", message("2"))).await;
        assert_reason!(reused, Code::AlreadyExists, reason::REQUEST_ID_REUSED);
        assert_eq!(interactions(&cx).await.len(), 1);
        cx.store.close().await;
    }

    async fn a_context_comes_within_its_budget_and_says_what_is_missing(place: StorePlace) {
        let cx = context(&place).await;
        let desk = desk(&cx);
        let begun = begin(&desk, "acme", call("1", "+351912345678")).await;
        let started = Instant::now();
        let unknown = about(&desk, About::Call(begun.name.clone())).await;
        assert!(started.elapsed() < Duration::from_secs(5));
        assert_eq!(unknown.party, "");
        let caller = unknown.caller.unwrap();
        assert_eq!(caller.identifier.unwrap().value, "+351912345678");
        assert_eq!(caller.status.unwrap().state(), proto::SectionState::Pending);
        assert_eq!(unknown.card.unwrap().status.unwrap().state(), proto::SectionState::Missing);
        assert_eq!(unknown.next_best_action.unwrap().action(), proto::ActionKind::Identify);
        let kinds: Vec<_> = unknown.warnings.iter().map(proto::ContextWarning::kind).collect();
        assert!(kinds.contains(&proto::WarningKind::UnknownCaller), "{kinds:?}");

        // Peers are nowhere: a party that somebody names is answered for with what is known here.
        let named = about(&desk, About::Party(party(1))).await;
        assert_eq!(named.card.unwrap().status.unwrap().state(), proto::SectionState::Pending);
        assert_eq!(named.scores.unwrap().status.unwrap().state(), proto::SectionState::Pending);
        let history = named.history.unwrap().status.unwrap();
        assert_eq!((history.state(), history.source.as_str()), (proto::SectionState::Fresh, "interactions"));
        let withheld = proto::Identifier { scheme: "tel".to_owned(), value: String::new() };
        let withheld = about(&desk, About::Identifier(withheld)).await;
        let resolution = withheld.caller.unwrap().resolution.unwrap();
        assert_eq!(resolution.r#match(), proto::CallMatch::Withheld);
        let nobodys = format!("calls/{}", rapport_types::Uuid::from_u128(77));
        let message = proto::GetAgentContextRequest { about: Some(About::Call(nobodys)), ..Default::default() };
        assert_reason!(desk.get_agent_context(request("acme", message)).await, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        let message = proto::GetAgentContextRequest { about: Some(About::Call(begun.name)), ..Default::default() };
        assert_reason!(desk.get_agent_context(request("other", message)).await, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        cx.store.close().await;
    }

    async fn everything_that_is_wrong_with_a_call_is_said_at_once(place: StorePlace) {
        let cx = context(&place).await;
        let desk = desk(&cx);
        let wrong = proto::Call {
            leg: "a\u{0}".to_owned(),
            direction: proto::Direction::Mutual.into(),
            identifier_used: Some(proto::Identifier { scheme: "No".to_owned(), value: "x".repeat(301) }),
            country_code: "PRT".to_owned(),
            medium: 99,
            ..proto::Call::default()
        };
        let message = proto::BeginCallRequest { call: Some(wrong), budget_ms: 9, request_id: "no".to_owned() };
        let status = assert_reason!(desk.begin_call(request("acme", message)).await, Code::InvalidArgument, reason::INVALID_FIELDS);
        assert_eq!(violated_fields(&status), [
            "budget_ms",
            "call.call_id",
            "call.country_code",
            "call.direction",
            "call.identifier_used.scheme",
            "call.identifier_used.value",
            "call.leg",
            "call.medium",
            "request_id",
        ]);
        let mut backwards = ending(call("1", ""));
        backwards.ended_time = Some(prost_types::Timestamp { seconds: 1_600_000_000, nanos: 0 });
        backwards.party = "parties/7".to_owned();
        backwards.open_case = Some(proto::CallCase::default());
        let status = assert_reason!(desk.end_call(request("acme", backwards)).await, Code::InvalidArgument, reason::INVALID_FIELDS);
        assert_eq!(violated_fields(&status), ["ended_time", "open_case.title", "open_case.type", "party"]);
        let empty = desk.get_agent_context(request("acme", proto::GetAgentContextRequest::default())).await;
        assert_reason!(empty, Code::InvalidArgument, reason::INVALID_FIELDS);
        assert!(interactions(&cx).await.is_empty());
        cx.store.close().await;
    }
}
