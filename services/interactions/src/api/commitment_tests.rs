#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use prost::{Message, Name};
use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::case_service_server::CaseService;
use rapport_proto::interactions::v1::commitment_service_server::CommitmentService;
use rapport_proto::interactions::v1::desk_service_server::DeskService;
use rapport_rpc::wire;
use rapport_server::Context;
use rapport_testkit::asserts::violated_fields;
use rapport_testkit::clock::manual;
use rapport_testkit::place::StorePlace;
use rapport_testkit::{Code, assert_reason, each_store};
use rapport_types::time::Timestamp;
use rapport_types::{Uuid, reason};

use super::{Cases, Commitments, Desk};
use crate::events::{holder, learn};
use crate::fixture::{context, context_at, erase, party, request, request_id};
use crate::options::InteractionOptions;
use crate::workers::{Memory, fall_due};

const NUMBER: &str = "+351912345678";
const US: Duration = Duration::from_micros(1);

fn at(cx: &Context, ahead: Duration) -> Option<prost_types::Timestamp> {
    Some(wire::to_timestamp(cx.world.now().saturating_add(ahead)))
}

/// A promise of ours to a party, due in so long.
fn ours(cx: &Context, id: u128, due: Duration) -> proto::Commitment {
    proto::Commitment {
        party: party(id),
        side: proto::CommitmentSide::Ours.into(),
        promise: "a new vase".to_owned(),
        due_time: at(cx, due),
        ..proto::Commitment::default()
    }
}

async fn make(cx: &Context, tenant: &str, commitment: proto::Commitment) -> proto::Commitment {
    let message = proto::MakeCommitmentRequest { commitment: Some(commitment), ..Default::default() };
    Commitments::new(cx.clone()).make_commitment(request(tenant, message)).await.unwrap().into_inner()
}

fn kept(name: &str) -> proto::FulfilCommitmentRequest {
    proto::FulfilCommitmentRequest { name: name.to_owned(), ..Default::default() }
}

async fn get(cx: &Context, name: &str) -> proto::Commitment {
    let message = proto::GetCommitmentRequest { name: name.to_owned() };
    Commitments::new(cx.clone()).get_commitment(request("acme", message)).await.unwrap().into_inner()
}

async fn of(cx: &Context, id: u128) -> Vec<proto::Commitment> {
    let message = proto::ListCommitmentsRequest { party: party(id), ..Default::default() };
    let page = Commitments::new(cx.clone()).list_commitments(request("acme", message)).await.unwrap();
    page.into_inner().commitments
}

/// Everything of one sort that was told to other services.
async fn published<E: Message + Name + Default>(cx: &Context) -> Vec<E> {
    let page = cx.store.scan_events(0, 1_000, None).await.unwrap();
    let of = page.events.iter().filter(|event| event.kind == E::full_name());
    of.map(|event| E::decode(event.payload.as_slice()).unwrap()).collect()
}

async fn opened(cx: &Context, id: u128) -> proto::Case {
    let case = proto::Case {
        party: party(id),
        r#type: "complaint".to_owned(),
        title: "Broken vase".to_owned(),
        ..proto::Case::default()
    };
    let message = proto::OpenCaseRequest { case: Some(case), ..Default::default() };
    Cases::new(cx.clone()).open_case(request("acme", message)).await.unwrap().into_inner()
}

fn team(slug: &str) -> Option<proto::Assignee> {
    Some(proto::Assignee { to: Some(proto::assignee::To::Team(slug.to_owned())) })
}

each_store! {
    async fn a_promise_is_read_back_whole_and_ends_once(place: StorePlace) {
        let (world, clock) = manual();
        let cx = context_at(&place, &world).await;
        let api = Commitments::new(cx.clone());
        let case = opened(&cx, 1).await;
        let given = proto::Commitment {
            role_type: "customer".to_owned(),
            description: "The same one.\nIn blue.".to_owned(),
            made_time: at(&cx, Duration::ZERO),
            case: case.name,
            owner: team("logistics"),
            provenance: Some(rapport_proto::types::v1::Provenance {
                source_system: "crm".to_owned(),
                actor: "maria".to_owned(),
                ..Default::default()
            }),
            ..ours(&cx, 1, Duration::from_secs(60))
        };
        let message = proto::MakeCommitmentRequest { commitment: Some(given.clone()), request_id: request_id(1) };
        let made = api.make_commitment(request("acme", message.clone())).await.unwrap().into_inner();
        let expected = proto::Commitment {
            name: made.name.clone(),
            state: proto::CommitmentState::Open.into(),
            made_by: "users/ana".to_owned(),
            recorded_time: made.recorded_time,
            updated_time: made.recorded_time,
            etag: made.etag.clone(),
            origin: Uuid::from_u128(1).to_string(),
            ..given
        };
        assert_eq!(made, expected);
        assert_eq!(get(&cx, &made.name).await, made);
        let again = api.make_commitment(request("acme", message)).await.unwrap();
        assert_eq!(again.metadata().get("rapport-replayed").unwrap(), "true");
        assert_eq!(again.into_inner(), made);
        let told: Vec<proto::CommitmentMade> = published(&cx).await;
        assert_eq!((told.len(), &told[0].party, told[0].side()), (1, &made.party, proto::CommitmentSide::Ours));
        assert_eq!((told[0].due_time, &told[0].owner), (made.due_time, &made.owner));

        clock.advance(Duration::from_secs(60));
        let message = proto::FulfilCommitmentRequest {
            note: "by courier".to_owned(),
            etag: made.etag.clone(),
            request_id: request_id(2),
            ..kept(&made.name)
        };
        let ended = api.fulfil_commitment(request("acme", message.clone())).await.unwrap().into_inner();
        assert_eq!((ended.state(), ended.late), (proto::CommitmentState::Kept, false), "due now is in time");
        assert_eq!((ended.end_note.as_str(), ended.ended_by.as_str()), ("by courier", "users/ana"));
        assert_eq!(ended.ended_time, made.due_time);
        assert_eq!(get(&cx, &made.name).await, ended);
        let replayed = api.fulfil_commitment(request("acme", message)).await.unwrap().into_inner();
        assert_eq!(replayed, ended);
        let stale = proto::FulfilCommitmentRequest { etag: made.etag.clone(), ..kept(&made.name) };
        assert_reason!(api.fulfil_commitment(request("acme", stale)).await, Code::Aborted, reason::ETAG_MISMATCH);
        let why = || "no vase left".to_owned();
        let broken = proto::BreakCommitmentRequest { name: made.name.clone(), reason: why(), ..Default::default() };
        let waived = proto::WaiveCommitmentRequest { name: made.name.clone(), reason: why(), ..Default::default() };
        for refused in [
            api.fulfil_commitment(request("acme", kept(&made.name))).await,
            api.break_commitment(request("acme", broken)).await,
            api.waive_commitment(request("acme", waived.clone())).await,
        ] {
            assert_reason!(refused, Code::FailedPrecondition, reason::INVALID_TRANSITION);
        }
        let foreign = api.waive_commitment(request("other", waived)).await;
        assert_reason!(foreign, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        let told: Vec<proto::CommitmentKept> = published(&cx).await;
        assert_eq!((told.len(), told[0].late, told[0].due_time), (1, false, made.due_time));
        clock.advance(Duration::from_secs(60));
        assert_eq!(fall_due(&cx.store).await.unwrap(), 0, "what was kept does not fall due");
        cx.store.close().await;
    }

    async fn each_end_is_told_as_what_it_was(place: StorePlace) {
        let (world, clock) = manual();
        let cx = context_at(&place, &world).await;
        let api = Commitments::new(cx.clone());
        let mut names = Vec::new();
        for _ in 0..3 {
            names.push(make(&cx, "acme", ours(&cx, 1, Duration::from_secs(60))).await.name);
        }
        clock.advance(Duration::from_secs(60) + US);
        assert_eq!(fall_due(&cx.store).await.unwrap(), 3);
        let late = api.fulfil_commitment(request("acme", kept(&names[0]))).await.unwrap().into_inner();
        assert_eq!(late.state(), proto::CommitmentState::KeptLate);
        let why = || "no vase left".to_owned();
        let message = proto::BreakCommitmentRequest { name: names[1].clone(), reason: why(), ..Default::default() };
        let broken = api.break_commitment(request("acme", message)).await.unwrap().into_inner();
        assert_eq!((broken.state(), broken.end_note.as_str()), (proto::CommitmentState::Broken, "no vase left"));
        let message = proto::WaiveCommitmentRequest { name: names[2].clone(), reason: why(), ..Default::default() };
        let waived = api.waive_commitment(request("acme", message)).await.unwrap().into_inner();
        assert_eq!(waived.state(), proto::CommitmentState::Waived);
        assert!([&late, &broken, &waived].iter().all(|one| !one.late && one.fell_due_time.is_some()));
        let kept_late: Vec<proto::CommitmentKept> = published(&cx).await;
        assert_eq!((kept_late.len(), &kept_late[0].commitment, kept_late[0].late), (1, &names[0], true));
        let told: Vec<proto::CommitmentBroken> = published(&cx).await;
        assert_eq!((told.len(), &told[0].commitment, told[0].version), (1, &names[1], 3));
        let told: Vec<proto::CommitmentWaived> = published(&cx).await;
        assert_eq!((told.len(), &told[0].commitment), (1, &names[2]));
        // Nothing of what was said is in an event or in a row in the clear.
        let page = cx.store.scan_events(0, 1_000, None).await.unwrap();
        for secret in ["vase", "no vase left"] {
            assert!(page.events.iter().all(|event| !String::from_utf8_lossy(&event.payload).contains(secret)));
        }
        cx.store.close().await;
    }

    async fn what_falls_due_is_told_once_by_whoever_looks(place: StorePlace) {
        let (world, clock) = manual();
        let cx = context_at(&place, &world).await;
        let mut names = Vec::new();
        for number in 0..7u32 {
            let due = Duration::from_secs(60) + US * number;
            let tenant = if number % 2 == 0 { "acme" } else { "other" };
            names.push(make(&cx, tenant, ours(&cx, 1, due)).await.name);
        }
        let before = get(&cx, &names[0]).await;
        clock.advance(Duration::from_secs(60));
        assert_eq!(fall_due(&cx.store).await.unwrap(), 0, "due now is not late");
        assert!(!get(&cx, &names[0]).await.late);
        clock.advance(US);
        // Late for whoever asks, before anybody told so.
        let late = get(&cx, &names[0]).await;
        assert_eq!((late.late, late.fell_due_time), (true, None));
        assert_eq!(fall_due(&cx.store).await.unwrap(), 1);
        let told = get(&cx, &names[0]).await;
        assert_eq!((told.late, told.etag.as_str()), (true, before.etag.as_str()), "time alone changes no etag");
        assert_eq!(told.fell_due_time, at(&cx, Duration::ZERO));
        // Replicas look at once, in batches that are smaller than what is due.
        clock.advance(Duration::from_secs(1));
        let looked = join_all((0..4).map(|_| fall_due(&cx.store))).await;
        let sum: usize = looked.into_iter().map(Result::unwrap).sum();
        assert!(sum <= 6);
        while fall_due(&cx.store).await.unwrap() > 0 {}
        let events: Vec<proto::CommitmentFellDue> = published(&cx).await;
        let mut found: Vec<&String> = events.iter().map(|event| &event.commitment).collect();
        found.sort();
        found.dedup();
        assert_eq!((events.len(), found.len()), (7, 7));
        assert!(events.iter().all(|event| event.occurred_time == event.due_time && event.version == 2));
        // A clock that goes back unsays nothing, and neither does a restart.
        clock.set(Timestamp::from_micros(clock_start() - 1));
        assert!(get(&cx, &names[0]).await.late);
        cx.store.close().await;
        clock.set(Timestamp::from_micros(clock_start() + 3_600_000_000));
        let cx = context_at(&place, &world).await;
        assert_eq!(fall_due(&cx.store).await.unwrap(), 0);
        assert_eq!(published::<proto::CommitmentFellDue>(&cx).await.len(), 7);
        cx.store.close().await;
    }

    async fn sweeps_and_ends_at_once_leave_one_story_each(place: StorePlace) {
        let (world, clock) = manual();
        let cx = context_at(&place, &world).await;
        let api = Commitments::new(cx.clone());
        let mut names = Vec::new();
        for _ in 0..24 {
            names.push(make(&cx, "acme", ours(&cx, 1, Duration::from_secs(60))).await.name);
        }
        clock.advance(Duration::from_secs(61));
        let ending = join_all(names.iter().enumerate().map(|(place, name)| {
            let api = api.clone();
            async move {
                if place % 3 == 0 {
                    api.fulfil_commitment(request("acme", kept(name))).await.unwrap();
                }
            }
        }));
        // On PostgreSQL another replica sweeps besides, with a queue and connections of its own.
        let replica = if place.is_postgres() { Some(context_at(&place, &world).await) } else { None };
        let other = replica.as_ref().unwrap_or(&cx);
        let sweeping = join_all((0..8).map(|turn| fall_due(if turn % 2 == 0 { &cx.store } else { &other.store })));
        let (_, swept) = futures::join!(ending, sweeping);
        assert!(swept.iter().all(Result::is_ok));
        while fall_due(&cx.store).await.unwrap() > 0 {}
        let page = cx.store.scan_events(0, 1_000, None).await.unwrap();
        let mut stories: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
        for event in page.events {
            let kind = event.kind.rsplit('.').next().unwrap().to_owned();
            stories.entry(event.aggregate).or_default().push((kind, event.version));
        }
        for (place, name) in names.iter().enumerate() {
            let story: Vec<&str> = stories[name].iter().map(|(kind, _)| kind.as_str()).collect();
            let versions: Vec<i64> = stories[name].iter().map(|(_, version)| *version).collect();
            assert_eq!(versions, (1..=versions.len() as i64).collect::<Vec<_>>(), "{story:?}");
            if place % 3 == 0 {
                let ended: [&[&str]; 2] =
                    [&["CommitmentMade", "CommitmentKept"], &["CommitmentMade", "CommitmentFellDue", "CommitmentKept"]];
                assert!(ended.contains(&story.as_slice()), "{story:?}");
            } else {
                assert_eq!(story, ["CommitmentMade", "CommitmentFellDue"]);
            }
        }
        if let Some(replica) = replica {
            replica.store.close().await;
        }
        cx.store.close().await;
    }

    async fn a_promise_by_a_number_goes_to_whoever_claims_it(place: StorePlace) {
        let cx = context(&place).await;
        let by_number = proto::Commitment {
            party: String::new(),
            identifier_used: Some(proto::Identifier { scheme: "tel".to_owned(), value: NUMBER.to_owned() }),
            side: proto::CommitmentSide::Theirs.into(),
            ..ours(&cx, 0, Duration::from_secs(60))
        };
        let made = make(&cx, "acme", by_number).await;
        assert_eq!((made.party.as_str(), made.identifier_used.as_ref().unwrap().value.as_str()), ("", NUMBER));
        assert!(of(&cx, 7).await.is_empty());
        learn(&cx, &[holder(7, &[(NUMBER, false)])]).await;
        let found = of(&cx, 7).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0], proto::Commitment { party: party(7), ..made.clone() });
        // What was promised goes with the person; that something was stays.
        erase(&cx, "acme", made.origin.parse().unwrap()).await;
        let erased = get(&cx, &made.name).await;
        assert_eq!((erased.promise.as_str(), erased.identifier_used, erased.due_time), ("", None, made.due_time));
        cx.store.close().await;
    }

    async fn wrong_promises_are_refused_for_all_that_is_wrong(place: StorePlace) {
        let cx = context(&place).await;
        let api = Commitments::new(cx.clone());
        let refused = async |commitment: proto::Commitment| {
            let message = proto::MakeCommitmentRequest { commitment: Some(commitment), ..Default::default() };
            let status = api.make_commitment(request("acme", message)).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
            violated_fields(&status)
        };
        assert_eq!(
            refused(proto::Commitment::default()).await,
            ["commitment.due_time", "commitment.party", "commitment.promise", "commitment.side"]
        );
        let user = |name: &str| Some(proto::Assignee { to: Some(proto::assignee::To::User(name.to_owned())) });
        let wrong = proto::Commitment {
            promise: "two\nlines".to_owned(),
            case: "cases/7".to_owned(),
            interaction: "interactions/7".to_owned(),
            owner: user("Ana Silva"),
            due_time: at(&cx, Duration::from_secs(3_654 * 86_400)),
            ..ours(&cx, 1, Duration::ZERO)
        };
        assert_eq!(
            refused(wrong).await,
            ["commitment.case", "commitment.due_time", "commitment.interaction", "commitment.owner.user", "commitment.promise"]
        );
        let owned = proto::Commitment {
            side: proto::CommitmentSide::Theirs.into(),
            owner: user("users/ana"),
            made_time: at(&cx, Duration::from_secs(120)),
            ..ours(&cx, 1, Duration::from_secs(60))
        };
        assert_eq!(refused(owned).await, ["commitment.due_time", "commitment.owner"]);
        let nowhere = Uuid::from_u128(9);
        for missing in [
            proto::Commitment { case: format!("cases/{nowhere}"), ..ours(&cx, 1, US) },
            proto::Commitment { interaction: format!("interactions/{nowhere}"), ..ours(&cx, 1, Duration::from_secs(60)) },
        ] {
            let missing = proto::Commitment { due_time: at(&cx, Duration::from_secs(60)), ..missing };
            let message = proto::MakeCommitmentRequest { commitment: Some(missing), ..Default::default() };
            let refused = api.make_commitment(request("acme", message)).await;
            assert_reason!(refused, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        }
        let silent = proto::BreakCommitmentRequest { name: format!("commitments/{nowhere}"), ..Default::default() };
        let status = api.break_commitment(request("acme", silent)).await.unwrap_err();
        assert_eq!(violated_fields(&status), ["reason"]);
        cx.store.close().await;
    }

    async fn the_desk_shows_promises_both_ways_and_the_late_ones_first(place: StorePlace) {
        let (world, clock) = manual();
        let cx = context_at(&place, &world).await;
        let desk = Desk::new(cx.clone(), InteractionOptions::default(), Memory::default());
        let shown = async || {
            let about = Some(proto::get_agent_context_request::About::Party(party(1)));
            let message = proto::GetAgentContextRequest { about, ..Default::default() };
            desk.get_agent_context(request("acme", message)).await.unwrap().into_inner()
        };
        let theirs = proto::Commitment {
            side: proto::CommitmentSide::Theirs.into(),
            description: "all of it".to_owned(),
            ..ours(&cx, 1, Duration::from_secs(120))
        };
        let theirs = make(&cx, "acme", theirs).await;
        let mut all = vec![make(&cx, "acme", ours(&cx, 1, Duration::from_secs(60))).await.name, theirs.name];
        let context = shown().await;
        let promises = context.promises.unwrap();
        let names: Vec<&String> = promises.commitments.iter().map(|one| &one.name).collect();
        assert_eq!(names, all.iter().collect::<Vec<_>>());
        assert_eq!(promises.status.unwrap().state(), proto::SectionState::Fresh);
        assert!(!promises.truncated && promises.commitments.iter().all(|one| !one.late && one.description.is_empty()));
        assert!(context.warnings.iter().all(|warning| warning.kind() != proto::WarningKind::OurPromiseLate));
        clock.advance(Duration::from_secs(61));
        let context = shown().await;
        assert!(context.warnings.iter().any(|warning| warning.kind() == proto::WarningKind::OurPromiseLate));
        let action = context.next_best_action.unwrap();
        assert_eq!((action.action(), action.candidates.len()), (proto::ActionKind::KeepPromise, 11));
        assert!(context.promises.unwrap().commitments[0].late);
        // At most ten.
        for number in 0..9u32 {
            let due = Duration::from_secs(600) + US * number;
            all.push(make(&cx, "acme", ours(&cx, 1, due)).await.name);
        }
        let promises = shown().await.promises.unwrap();
        let names: Vec<&String> = promises.commitments.iter().map(|one| &one.name).collect();
        assert_eq!((names, promises.truncated), (all[..10].iter().collect(), true));
        cx.store.close().await;
    }

    async fn a_case_is_assigned_and_its_history_says_so(place: StorePlace) {
        let cx = context(&place).await;
        let api = Cases::new(cx.clone());
        let case = opened(&cx, 1).await;
        assert_eq!(case.assignment, None);
        let assign = async |assignee: Option<proto::Assignee>, etag: &str| {
            let message = proto::AssignCaseRequest {
                name: case.name.clone(),
                assignee,
                note: "she knows them".to_owned(),
                etag: etag.to_owned(),
                ..Default::default()
            };
            api.assign_case(request("acme", message)).await.map(tonic::Response::into_inner)
        };
        let given = assign(team("desk"), &case.etag).await.unwrap();
        assert_eq!(given.assignment.as_ref().unwrap().assignee, team("desk"));
        assert!(given.assignment.as_ref().unwrap().assigned_time.is_some() && given.etag != case.etag);
        assert_eq!(assign(team("desk"), "").await.unwrap(), given, "who has it keeps it");
        assert_reason!(assign(team("other"), &case.etag).await, Code::Aborted, reason::ETAG_MISMATCH);
        let user = Some(proto::Assignee { to: Some(proto::assignee::To::User("users/ana".to_owned())) });
        let partner = Some(proto::Assignee { to: Some(proto::assignee::To::Partner(party(9))) });
        for other in [&user, &partner] {
            let given = assign(other.clone(), "").await.unwrap();
            assert_eq!(&given.assignment.unwrap().assignee, other);
        }
        assert_eq!(assign(Some(proto::Assignee::default()), "").await.unwrap().assignment, None);
        assert_eq!(assign(None, "").await.unwrap().assignment, None);
        assign(user.clone(), "").await.unwrap();
        let listed = async |filter: &str| {
            let message = proto::ListCasesRequest { filter: filter.to_owned(), ..Default::default() };
            api.list_cases(request("acme", message)).await.unwrap().into_inner().cases.len()
        };
        assert_eq!(listed(r#"user == "users/ana" && assignee_kind == "user""#).await, 1);
        assert_eq!(listed(r#"team == "desk" || !has(assignee_kind)"#).await, 0);
        for status in [proto::CaseStatus::Resolved, proto::CaseStatus::Closed] {
            let message = proto::TransitionCaseRequest {
                name: case.name.clone(),
                status: status.into(),
                ..Default::default()
            };
            let moved = api.transition_case(request("acme", message)).await.unwrap().into_inner();
            assert_eq!(moved.assignment.unwrap().assignee, user, "a case keeps who has it");
        }
        assert_reason!(assign(team("desk"), "").await, Code::FailedPrecondition, reason::INVALID_TRANSITION);
        assert_eq!(published::<proto::CaseAssigned>(&cx).await.len(), 5);

        use proto::CaseEventKind::{Assigned, Opened, Transitioned};
        let (mut steps, mut page_token) = (Vec::new(), String::new());
        loop {
            let message = proto::ListCaseEventsRequest { case: case.name.clone(), page_size: 3, page_token };
            let page = api.list_case_events(request("acme", message)).await.unwrap().into_inner();
            steps.extend(page.case_events);
            if page.next_page_token.is_empty() {
                break;
            }
            page_token = page.next_page_token;
        }
        let kinds: Vec<proto::CaseEventKind> = steps.iter().map(proto::CaseEvent::kind).collect();
        assert_eq!(kinds, [Opened, Assigned, Assigned, Assigned, Assigned, Assigned, Transitioned, Transitioned]);
        assert!(steps.is_sorted_by(|one, next| one.version < next.version));
        assert!(steps.iter().all(|step| step.principal == "users/ana" && step.recorded_time.is_some()));
        let assignees: Vec<Option<proto::Assignee>> = steps[1..6].iter().map(|step| step.assignee.clone()).collect();
        assert_eq!(assignees, [team("desk"), user.clone(), partner, None, user]);
        assert_eq!((steps[1].note.as_str(), steps[1].from(), steps[1].to()), ("she knows them", proto::CaseStatus::New, proto::CaseStatus::New));
        assert_eq!((steps[7].from(), steps[7].to()), (proto::CaseStatus::Resolved, proto::CaseStatus::Closed));
        let foreign = proto::ListCaseEventsRequest { case: case.name, ..Default::default() };
        assert_reason!(api.list_case_events(request("other", foreign)).await, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        cx.store.close().await;
    }
}

/// Where the clock of `manual` begins, in microseconds.
fn clock_start() -> i64 {
    Timestamp::parse("2026-01-15T12:00:00Z").unwrap().as_micros()
}
