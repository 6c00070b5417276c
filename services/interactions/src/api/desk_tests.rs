#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use async_trait::async_trait;
use prost::{Message, Name};
use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::desk_service_server::DeskService;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::interaction_service_server::InteractionService;
use rapport_server::Context;
use rapport_store::{Outbox, Sql, StoreError, Tx, Work};
use rapport_testkit::asserts::violated_fields;
use rapport_testkit::place::StorePlace;
use rapport_testkit::{Code, assert_reason, each_store};
use rapport_types::{Uuid, reason};
use tokio::sync::oneshot;

use super::{Cases, Desk, Interactions};
use crate::domain::SectionKind;
use crate::events::{holder, learn};
use crate::fixture::{Keep, by_tel, complaint, context, erase, keep, party, request, request_id, tenant};
use crate::options::InteractionOptions;
use crate::store::{Known, SectionKey};
use crate::workers::Memory;

const NUMBER: &str = "+351912345678";

fn desk(cx: &Context) -> Desk {
    Desk::new(cx.clone(), InteractionOptions::default(), Memory::default())
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

/// The names of the interactions on a party's timeline.
async fn timeline(cx: &Context, id: u128) -> Vec<String> {
    let api = Interactions::new(cx.clone(), InteractionOptions::default());
    let message = proto::GetTimelineRequest { party: party(id), ..proto::GetTimelineRequest::default() };
    let page = api.get_timeline(request("acme", message)).await.unwrap().into_inner();
    page.interactions.into_iter().map(|one| one.name).collect()
}

/// Everything of one sort that was told to other services.
async fn published<E: Message + Name + Default>(cx: &Context) -> Vec<E> {
    let page = cx.store.scan_events(0, 1_000, None).await.unwrap();
    let of = page.events.iter().filter(|event| event.kind == E::full_name());
    of.map(|event| E::decode(event.payload.as_slice()).unwrap()).collect()
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
        // Another leg of the conversation, and another tenant's call of the same name, are other calls.
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
        let told = interactions(&cx).await;
        assert_eq!(told.len(), 2);
        // Nobody said when it began: the end that was told is when it was.
        let end_told = Some(prost_types::Timestamp { seconds: 1_700_000_300, nanos: 0 });
        assert_eq!((bare.started_time, bare.ended_time), (None, end_told));
        assert_eq!(told.iter().find(|one| one.name == bare.interaction).unwrap().occurred_time, end_told);
        assert_eq!(cases(&cx).await.iter().find(|one| one.name == bare.case).unwrap().opened_time, end_told);
        let begun = begin(&desk, "acme", call("2", "+351912345678")).await;
        assert_eq!((begun.name.as_str(), begun.interaction.as_str()), (bare.name.as_str(), bare.interaction.as_str()));
        assert_eq!((begun.agent.as_str(), begun.ended_time), ("maria", end_told));
        begin(&desk, "acme", call("1", "+351912345678")).await;
        let recorded = interactions(&cx).await;
        assert_eq!(recorded.len(), 2);
        assert_eq!(cases(&cx).await.len(), 2);
        let of = |name: &str| recorded.iter().find(|one| one.name == name).unwrap().participants[0].clone();
        assert_eq!(of(&numbered.interaction).identifier_used.unwrap().value, "+351912345678");
        // Its beginning says who it was: the one record is under the number from then on.
        assert_eq!(of(&bare.interaction).identifier_used.unwrap().value, "+351912345678");
        assert_eq!(of(&bare.interaction).origin, of(&numbered.interaction).origin);
        let versions = recorded.iter().map(|one| (one.name == bare.interaction, one.version)).collect::<Vec<_>>();
        assert!(versions.contains(&(true, 2)) && versions.contains(&(false, 1)), "{versions:?}");
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

    async fn a_number_that_the_end_tells_files_the_call_under_it(place: StorePlace) {
        let cx = context(&place).await;
        let desk = desk(&cx);
        let begun = begin(&desk, "acme", call("1", "anonymous")).await;
        assert_eq!(begun.resolution.unwrap().r#match(), proto::CallMatch::Withheld);
        let ended = end(&desk, ending(call("1", NUMBER))).await;
        assert_eq!((ended.name.as_str(), ended.resolution.unwrap().r#match()), (begun.name.as_str(), proto::CallMatch::Unknown));
        assert_eq!(ended.identifier_used.unwrap().value, NUMBER);
        // Withheld to the end: it stands for itself.
        begin(&desk, "acme", call("2", "anonymous")).await;
        let withheld = end(&desk, ending(call("2", "anonymous"))).await;
        assert_eq!(withheld.resolution.unwrap().r#match(), proto::CallMatch::Withheld);
        // The beginning told one: another one at the end changes nothing.
        begin(&desk, "acme", call("3", NUMBER)).await;
        let other = end(&desk, ending(call("3", "+351999999999"))).await;

        let api = Interactions::new(cx.clone(), InteractionOptions::default());
        let message = proto::RecordInteractionRequest {
            interaction: Some(complaint(by_tel(NUMBER), 900)),
            request_id: String::new(),
        };
        let direct = api.record_interaction(request("acme", message)).await.unwrap().into_inner();
        let recorded = interactions(&cx).await;
        let of = |name: &str| recorded.iter().find(|one| one.name == name).unwrap().participants[0].clone();
        for name in [&ended.interaction, &other.interaction] {
            let participant = of(name);
            assert_eq!(participant.identifier_used.unwrap().value, NUMBER);
            assert_eq!(participant.origin, direct.participants[0].origin);
        }
        assert_ne!(of(&withheld.interaction).origin, direct.participants[0].origin);

        // Somebody claims the number, later on.
        assert!(timeline(&cx, 1).await.is_empty());
        learn(&cx, &[holder(1, &[(NUMBER, false)])]).await;
        let mut theirs = timeline(&cx, 1).await;
        theirs.sort_unstable();
        let mut wanted = vec![ended.interaction.clone(), other.interaction.clone(), direct.name.clone()];
        wanted.sort_unstable();
        assert_eq!(theirs, wanted);
        let case = cases(&cx).await.into_iter().find(|one| one.name == ended.case).unwrap();
        assert_eq!(case.party, party(1));

        // Known by then, the number that the end tells says who it was.
        begin(&desk, "acme", call("4", "anonymous")).await;
        let known = end(&desk, ending(call("4", NUMBER))).await.resolution.unwrap();
        assert_eq!((known.r#match(), known.party), (proto::CallMatch::Resolved, party(1)));
        cx.store.close().await;
    }

    async fn a_number_that_is_claimed_while_the_call_goes_on_says_who_it_was(place: StorePlace) {
        let cx = context(&place).await;
        let desk = desk(&cx);
        let begun = begin(&desk, "acme", call("1", NUMBER)).await;
        assert_eq!(begun.resolution.unwrap().party, "");
        learn(&cx, &[holder(1, &[(NUMBER, false)])]).await;
        let ended = end(&desk, ending(call("1", ""))).await;
        let resolution = ended.resolution.unwrap();
        assert_eq!((resolution.r#match(), resolution.party), (proto::CallMatch::Resolved, party(1)));
        assert_eq!(resolution.reason, "the identifier was claimed since the call began");
        let recorded = published::<proto::InteractionRecorded>(&cx).await;
        assert_eq!((recorded.len(), recorded[0].participants[0].party.as_str()), (1, party(1).as_str()));
        let opened = published::<proto::CaseOpened>(&cx).await;
        assert_eq!((opened.len(), opened[0].party.as_str()), (1, party(1).as_str()));
        assert_eq!(opened[0].origin, recorded[0].participants[0].origin);
        assert_eq!(timeline(&cx, 1).await, std::slice::from_ref(&ended.interaction));
        let participant = interactions(&cx).await.remove(0).participants.remove(0);
        assert_eq!(participant.attribution(), proto::Attribution::Resolved);
        cx.store.close().await;
    }

    async fn somebody_who_was_erased_is_not_named_when_they_call_again(place: StorePlace) {
        let cx = context(&place).await;
        let desk = desk(&cx);
        learn(&cx, &[holder(1, &[(NUMBER, false)])]).await;
        let known = begin(&desk, "acme", call("1", NUMBER)).await;
        assert_eq!(known.resolution.unwrap().party, party(1));
        end(&desk, ending(call("1", ""))).await;
        let open = begin(&desk, "acme", call("2", NUMBER)).await;
        assert_eq!(open.resolution.unwrap().party, party(1));
        let origin = Uuid::parse_str(&interactions(&cx).await[0].participants[0].origin).unwrap();
        erase(&cx, "acme", origin).await;

        let again = begin(&desk, "acme", call("3", NUMBER)).await.resolution.unwrap();
        assert_eq!((again.r#match(), again.party.as_str()), (proto::CallMatch::Unknown, ""));
        assert!(again.candidates.is_empty());
        // Erased while the call goes on: the call is kept, and is nobody's.
        let ended = end(&desk, ending(call("2", ""))).await;
        let resolution = ended.resolution.unwrap();
        assert_eq!((resolution.r#match(), resolution.party.as_str()), (proto::CallMatch::Unknown, ""));
        let recorded = published::<proto::InteractionRecorded>(&cx).await;
        let last = &recorded.last().unwrap().participants[0];
        // It is known by its conversation alone, whose id is that of its interaction.
        assert_eq!((last.party.as_str(), format!("interactions/{}", last.origin)), ("", ended.interaction));
        cx.store.close().await;
    }

    async fn nothing_personal_is_readable_in_what_the_desk_keeps(place: StorePlace) {
        let cx = context(&place).await;
        let desk = desk(&cx);
        let card = proto::CardSection {
            party: party(1), display_name: "Noa Moreira".to_owned(), ..proto::CardSection::default()
        };
        let of = Uuid::from_u128(1);
        let key = SectionKey { tenant: tenant("acme"), party: of, kind: SectionKind::Card, facet: String::new() };
        let known = Known { position: 1, as_of: cx.world.now(), plain: card.encode_to_vec() };
        keep(&cx, Keep { sections: [(key, known)].into(), ..Keep::default() }).await;
        learn(&cx, &[holder(1, &[(NUMBER, false)])]).await;
        let told = proto::Call {
            dialled_number: "+351210000001".to_owned(), ..call("linked-4711", "+351 912 345 678")
        };
        begin(&desk, "acme", told).await;
        // One goes on, and one has ended.
        begin(&desk, "acme", call("linked-4712", NUMBER)).await;
        let case = proto::CallCase {
            r#type: "complaint".to_owned(),
            title: "Broken vase".to_owned(),
            description: "Noa Moreira wants a new one".to_owned(),
            ..proto::CallCase::default()
        };
        end(&desk, proto::EndCallRequest { open_case: Some(case), ..ending(call("linked-4711", "")) }).await;
        let db = cx.store.reader();
        for (table, column, rows) in [
            ("call_leg", "detail", 2),
            ("call_leg", "sealed", 2),
            ("desk_section", "sealed", 1),
            ("case_file", "sealed", 1),
            ("interaction", "detail", 1),
            ("interaction", "sealed", 1),
            ("outbox", "payload", 3),
        ] {
            let found = Sql::new(db, &format!("SELECT {column} FROM {table}")).all(db).await.unwrap();
            assert_eq!(found.len(), rows, "{table}");
            for row in found {
                let bytes: Vec<u8> = row.try_get_by_index(0).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                for secret in
                    ["912345678", "912 345 678", "210000001", "linked-47", "Noa", "Moreira", "maria", "Parcel", "vase", "pieces"]
                {
                    assert!(!text.contains(secret), "{table}.{column} holds {secret}");
                }
            }
        }
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

    async fn a_context_without_peers_says_what_is_missing(place: StorePlace) {
        let cx = context(&place).await;
        let desk = desk(&cx);
        let begun = begin(&desk, "acme", call("1", "+351912345678")).await;
        let unknown = about(&desk, About::Call(begun.name.clone())).await;
        assert_eq!(unknown.party, "");
        let caller = unknown.caller.unwrap();
        assert_eq!(caller.identifier.unwrap().value, "+351912345678");
        assert_eq!(caller.status.unwrap().state(), proto::SectionState::Pending);
        assert_eq!(unknown.card.unwrap().status.unwrap().state(), proto::SectionState::Missing);
        assert_eq!(unknown.next_best_action.unwrap().action(), proto::ActionKind::Identify);
        let kinds: Vec<_> = unknown.warnings.iter().map(proto::ContextWarning::kind).collect();
        assert!(kinds.contains(&proto::WarningKind::UnknownCaller), "{kinds:?}");
        let warning = unknown.warnings.iter().find(|one| one.kind() == proto::WarningKind::UnknownCaller).unwrap();
        assert_eq!(warning.text, "it could not be found out in time who this is");

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

/// Holds a lock on what a context is read from, until it is told to let go.
struct Stall {
    held: std::sync::Mutex<Option<oneshot::Sender<()>>>,
    release: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

#[async_trait]
impl Work for Stall {
    type Output = ();

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<(), StoreError> {
        Sql::new(tx.db(), "LOCK TABLE desk_section, interaction, alias IN ACCESS EXCLUSIVE MODE")
            .execute(tx.db())
            .await?;
        let held = self.held.lock().unwrap().take();
        held.unwrap().send(()).unwrap();
        let release = self.release.lock().await.take();
        let _ = release.unwrap().await;
        Ok(())
    }
}

/// SQLite's readers wait for nobody: the test is of PostgreSQL alone.
#[test]
fn a_context_keeps_its_budget_while_the_own_database_stalls() {
    rapport_testkit::block_on(async {
        let place = StorePlace::postgres().await;
        let cx = context(&place).await;
        let ((held, is_held), (let_go, release)) = (oneshot::channel(), oneshot::channel());
        let stall = Stall { held: Some(held).into(), release: tokio::sync::Mutex::new(Some(release)) };
        let stalled = tokio::spawn({
            let store = cx.store.clone();
            async move { store.run(stall).await }
        });
        is_held.await.unwrap();
        let (about, budget) = (About::Party(party(1)), Duration::from_millis(200));
        let message = proto::GetAgentContextRequest { about: Some(about), budget_ms: 200, ..Default::default() };
        let started = Instant::now();
        let context = desk(&cx).get_agent_context(request("acme", message)).await.unwrap().into_inner();
        let took = started.elapsed();
        // A busy machine may be late by itself; a statement would wait for seconds.
        assert!(took < budget * 5, "{took:?}");
        assert_eq!(context.party, party(1));
        let history = context.history.unwrap().status.unwrap();
        assert_eq!(history.state(), proto::SectionState::Pending, "{history:?}");
        assert!(context.warnings.iter().any(|one| one.kind() == proto::WarningKind::NotFresh));
        let_go.send(()).unwrap();
        stalled.await.unwrap().unwrap();
        cx.store.close().await;
    });
}
