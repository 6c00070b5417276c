//! Promises both ways: made, kept, broken and waived; late for whoever asks, and told once when they fall due. And cases
//! that are given to somebody, with their history.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use rapport_proto::events::v1::{Event, SubscribeRequest, SubscribeResponse};
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::*;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_testkit::asserts::{at_least, error_metadata, is_replayed, position};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use tonic::Streaming;

use super::desk::context_of;
use super::interactions::recorded;
use super::messages::{DAY, after, at, by_party, contact, now, person, phone};
use super::stage::{ACME, GLOBEX, Positions, Stage, fresh, next, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn promises_both_ways_are_kept_account_of(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        a_promise_comes_back_as_it_was_understood(&stage).await;
        a_promise_ends_once_and_is_told_as_what_it_was(&stage).await;
        what_falls_due_is_late_at_once_and_told_once(&stage).await;
        a_promise_by_a_number_finds_its_party(&stage).await;
        the_desk_shows_what_is_open(&stage).await;
        lists_are_filtered_ordered_and_paged(&stage).await;
        wrong_requests_are_refused(&stage).await;
        a_case_is_given_to_somebody_and_says_since_when(&stage).await;
        stage.close().await;
    }

    async fn what_fell_due_while_nobody_looked_is_told_once_after_a_restart(sandbox: SandboxBuilder) {
        // Nobody looks but who has just started.
        let mut stage = Stage::open(sandbox.setting("service.interactions.due_seconds", 3_600)).await;
        let party = stage.party(person("Forgotten")).await.name;
        let first = made(&stage, ours(&party, soon(0))).await.name;
        restart(&mut stage).await;
        // Those that came with the start have looked by now.
        assert_eq!(told(&stage, &first).await, [first.as_str()]);
        let second = made(&stage, ours(&party, soon(30))).await;
        let late = until_late(&stage, &second.name).await;
        assert_eq!((late.late, late.fell_due_time, &late.etag), (true, None, &second.etag), "late, and nobody told so");
        restart(&mut stage).await;
        assert_eq!(told(&stage, &second.name).await, [first.as_str(), second.name.as_str()]);
        let after_it = get(&stage, &second.name).await;
        assert!(after_it.late && after_it.fell_due_time.is_some() && after_it.etag == second.etag, "{after_it:?}");
        // What was told once is not told by whoever starts next.
        let third = made(&stage, ours(&party, soon(0))).await.name;
        restart(&mut stage).await;
        assert_eq!(told(&stage, &third).await, [first.as_str(), second.name.as_str(), third.as_str()]);
        stage.close().await;
    }
}

use CommitmentState::{Broken, Kept, KeptLate, Open, Waived};

async fn restart(stage: &mut Stage) {
    stage.sandbox.terminate("interactions").await;
    stage.sandbox.restart("interactions").await;
}

/// This moment and so many milliseconds.
fn soon(millis: u64) -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + Duration::from_millis(millis);
    Timestamp {
        seconds: i64::try_from(since.as_secs()).expect("before the end of time"),
        nanos: i32::try_from(since.subsec_micros() * 1_000).expect("small"),
    }
}

/// A promise of ours that was made a minute ago.
fn ours(party: &str, due: Timestamp) -> Commitment {
    Commitment {
        party: party.into(),
        side: CommitmentSide::Ours.into(),
        promise: "a new vase".into(),
        made_time: Some(after(now(), -60)),
        due_time: Some(due),
        ..Default::default()
    }
}

fn asked(commitment: Commitment) -> MakeCommitmentRequest {
    MakeCommitmentRequest { commitment: Some(commitment), ..Default::default() }
}

async fn made(stage: &Stage, commitment: Commitment) -> Commitment {
    stage.commitments(ACME).make_commitment(asked(commitment)).await.expect("made").into_inner()
}

async fn get(stage: &Stage, name: &str) -> Commitment {
    let request = GetCommitmentRequest { name: name.into() };
    stage.commitments(ACME).get_commitment(request).await.expect("it is there").into_inner()
}

fn kept(name: &str) -> FulfilCommitmentRequest {
    FulfilCommitmentRequest { name: name.into(), ..Default::default() }
}

fn broken(name: &str) -> BreakCommitmentRequest {
    BreakCommitmentRequest { name: name.into(), reason: "no vase left".into(), ..Default::default() }
}

fn waived(name: &str) -> WaiveCommitmentRequest {
    WaiveCommitmentRequest { name: name.into(), reason: "they bought one".into(), ..Default::default() }
}

/// Asks until the due time has passed.
async fn until_late(stage: &Stage, name: &str) -> Commitment {
    loop {
        let commitment = get(stage, name).await;
        if commitment.late {
            return commitment;
        }
        tokio::task::yield_now().await;
    }
}

async fn feed(stage: &Stage, types: &[&str]) -> Streaming<SubscribeResponse> {
    let types = types.iter().map(|kind| format!("rapport.interactions.v1.{kind}")).collect();
    let request = SubscribeRequest { source: "interactions".into(), types, ..Default::default() };
    stage.feed("interactions", ACME).subscribe(request).await.expect("subscribed").into_inner()
}

/// What the feed tells of these types from its beginning until the first event of one type about a resource.
async fn events(stage: &Stage, types: &[&str], last: (&str, &str)) -> Vec<Event> {
    let mut stream = feed(stage, types).await;
    let mut found: Vec<Event> = Vec::new();
    let is_last = |event: &Event| event.r#type.ends_with(last.0) && event.aggregate == last.1;
    let reading = async {
        while !found.iter().any(is_last) {
            found.extend(next(&mut stream).await.events);
        }
    };
    // Heartbeats alone would go on for ever.
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the event comes");
    found
}

/// Which commitments were told to have fallen due, in order, until one was.
async fn told(stage: &Stage, last: &str) -> Vec<String> {
    let found = events(stage, &["CommitmentFellDue"], ("CommitmentFellDue", last)).await;
    found.into_iter().map(|event| event.aggregate).collect()
}

fn payload<E: prost::Message + Default>(event: &Event) -> E {
    E::decode(event.data.as_ref().expect("data").value.as_slice()).expect("it decodes")
}

async fn a_promise_comes_back_as_it_was_understood(stage: &Stage) {
    let party = stage.party(person("Promised")).await.name;
    let call = recorded(stage, contact("call", by_party(&party), now())).await.name;
    let case =
        Case { party: party.clone(), r#type: "claim".into(), title: "a broken vase".into(), ..Default::default() };
    let case = OpenCaseRequest { case: Some(case), ..Default::default() };
    let case = stage.cases(ACME).open_case(case).await.expect("opened").into_inner().name;
    let wanted = Commitment {
        role_type: "customer".into(),
        description: "The same one.\nIn blue.".into(),
        made_time: Some(at("2026-01-05T10:00:00Z")),
        case: case.clone(),
        interaction: call,
        owner: Some(Assignee { to: Some(assignee::To::Team("logistics".into())) }),
        ..ours(&party, after(now(), DAY))
    };
    let request = MakeCommitmentRequest { request_id: fresh(), ..asked(wanted.clone()) };
    let answer = stage.commitments(ACME).make_commitment(request.clone()).await.expect("made");
    assert!(position(answer.metadata(), "interactions") > 0);
    let commitment = answer.into_inner();
    let expected = Commitment {
        name: commitment.name.clone(),
        state: Open.into(),
        made_by: "users/ana".into(),
        recorded_time: commitment.recorded_time,
        updated_time: commitment.recorded_time,
        etag: commitment.etag.clone(),
        origin: party.trim_start_matches("parties/").to_owned(),
        ..wanted
    };
    assert!(commitment.name.starts_with("commitments/") && commitment.recorded_time.is_some());
    assert_eq!(commitment, expected);
    assert_eq!(get(stage, &commitment.name).await, commitment);
    let replayed = stage.commitments(ACME).make_commitment(request).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    assert_eq!(replayed.into_inner(), commitment);
    let about = ListCommitmentsRequest { case, ..Default::default() };
    let about = stage.commitments(ACME).list_commitments(about).await.expect("listed").into_inner().commitments;
    assert_eq!(about, std::slice::from_ref(&commitment));
    let foreign = stage.commitments(GLOBEX).get_commitment(GetCommitmentRequest { name: commitment.name }).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn a_promise_ends_once_and_is_told_as_what_it_was(stage: &Stage) {
    let party = stage.party(person("Ender")).await.name;
    let due = after(now(), -1);
    let mut commitments = stage.commitments(ACME);
    let in_time = made(stage, ours(&party, due)).await;
    let request = FulfilCommitmentRequest {
        occurred_time: Some(due),
        note: "by courier".into(),
        etag: in_time.etag.clone(),
        request_id: fresh(),
        ..kept(&in_time.name)
    };
    let ended = commitments.fulfil_commitment(request.clone()).await.expect("kept").into_inner();
    assert_eq!((ended.state(), ended.ended_time, ended.late), (Kept, Some(due), false), "kept in the last moment");
    assert_eq!((ended.end_note.as_str(), ended.ended_by.as_str()), ("by courier", "users/ana"));
    let again = commitments.fulfil_commitment(request.clone()).await.expect("replayed");
    assert!(is_replayed(again.metadata()));
    assert_eq!(again.into_inner(), ended);
    let stale = FulfilCommitmentRequest { request_id: String::new(), ..request };
    assert_reason!(commitments.fulfil_commitment(stale).await, Code::Aborted, "ETAG_MISMATCH");
    let late = made(stage, ours(&party, due)).await.name;
    assert_eq!(commitments.fulfil_commitment(kept(&late)).await.expect("kept").into_inner().state(), KeptLate);
    let no =
        made(stage, Commitment { side: CommitmentSide::Theirs.into(), ..ours(&party, after(now(), DAY)) }).await.name;
    let ended = commitments.break_commitment(broken(&no)).await.expect("broken").into_inner();
    assert_eq!((ended.state(), ended.end_note.as_str()), (Broken, "no vase left"), "before it is due, too");
    let forgiven = made(stage, ours(&party, due)).await.name;
    assert_eq!(commitments.waive_commitment(waived(&forgiven)).await.expect("waived").into_inner().state(), Waived);
    for name in [&in_time.name, &late, &no, &forgiven] {
        let before = get(stage, name).await;
        for refusal in [
            commitments.fulfil_commitment(kept(name)).await,
            commitments.break_commitment(broken(name)).await,
            commitments.waive_commitment(waived(name)).await,
        ] {
            let status = assert_reason!(refusal, Code::FailedPrecondition, "INVALID_TRANSITION");
            assert!(!error_metadata(&status)["from"].is_empty());
        }
        assert_eq!(get(stage, name).await, before, "a refusal changes nothing");
    }
    let early = FulfilCommitmentRequest { occurred_time: Some(at("2001-01-01T00:00:00Z")), ..kept(&forgiven) };
    assert_reason!(commitments.fulfil_commitment(early).await, Code::FailedPrecondition, "INVALID_TRANSITION");
    let types = ["CommitmentMade", "CommitmentKept", "CommitmentBroken", "CommitmentWaived"];
    let all = events(stage, &types, ("CommitmentWaived", &forgiven)).await;
    let of = |name: &str| all.iter().filter(|event| event.aggregate == name).collect::<Vec<_>>();
    let kinds = |name: &str| {
        of(name).iter().map(|event| event.r#type.rsplit('.').next().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&in_time.name), ["CommitmentMade", "CommitmentKept"]);
    assert_eq!(kinds(&no), ["CommitmentMade", "CommitmentBroken"]);
    let promised: CommitmentMade = payload(of(&no)[0]);
    assert_eq!((&promised.party, promised.side()), (&party, CommitmentSide::Theirs));
    assert!(!payload::<CommitmentKept>(of(&in_time.name)[1]).late && payload::<CommitmentKept>(of(&late)[1]).late);
    let told: CommitmentWaived = payload(of(&forgiven)[1]);
    assert_eq!((told.due_time, &told.party, told.side()), (Some(due), &party, CommitmentSide::Ours));
    assert!(all.iter().all(|event| !format!("{event:?}").contains("vase")), "no personal data");
}

async fn what_falls_due_is_late_at_once_and_told_once(stage: &Stage) {
    let party = stage.party(person("Waiting")).await.name;
    let commitment = made(stage, ours(&party, soon(50))).await;
    until_late(stage, &commitment.name).await;
    let found = events(stage, &["CommitmentFellDue"], ("CommitmentFellDue", &commitment.name)).await;
    let event = found.iter().find(|event| event.aggregate == commitment.name).expect("it is there");
    let told_of: CommitmentFellDue = payload(event);
    assert_eq!((told_of.due_time, told_of.occurred_time), (commitment.due_time, commitment.due_time));
    assert_eq!((&told_of.party, told_of.side()), (&party, CommitmentSide::Ours));
    let late = get(stage, &commitment.name).await;
    assert!(late.late && late.fell_due_time.is_some());
    // Nobody who read it before has to read it again because time passed.
    let request = FulfilCommitmentRequest { etag: commitment.etag, ..kept(&commitment.name) };
    let ended = stage.commitments(ACME).fulfil_commitment(request).await.expect("kept").into_inner();
    assert_eq!((ended.state(), ended.late), (KeptLate, false));
    // A later one is told of: the sweeps in between told the first no second time.
    let later = made(stage, ours(&party, soon(0))).await.name;
    let names = told(stage, &later).await;
    assert_eq!(names.iter().filter(|name| **name == commitment.name).count(), 1);
    let mut each = names.clone();
    each.sort();
    each.dedup();
    assert_eq!(each.len(), names.len(), "each once: {names:?}");
}

async fn a_promise_by_a_number_finds_its_party(stage: &Stage) {
    let number = "+12025550451";
    let by_number = Commitment {
        party: String::new(),
        identifier_used: Some(Identifier { scheme: "tel".into(), value: number.into() }),
        ..ours("", after(now(), DAY))
    };
    let early = made(stage, by_number).await;
    assert_eq!(early.party, "");
    let claimant = stakeholders::Party { contact_media: vec![phone(number)], ..person("Claimant") };
    let (claimant, seen) = stage.party_at(claimant).await;
    let request = at_least(ListCommitmentsRequest { party: claimant.name.clone(), ..Default::default() }, &seen);
    let answer = stage.commitments(ACME).list_commitments(request).await.expect("listed");
    assert!(answer.metadata().get("rapport-stale").is_none(), "{:?}", answer.metadata());
    assert_eq!(answer.into_inner().commitments, [Commitment { party: claimant.name, ..early }]);
}

async fn the_desk_shows_what_is_open(stage: &Stage) {
    let (caller, seen) = stage.party_at(person("Caller")).await;
    let context = async |seen: &Positions| context_of(stage, About::Party(caller.name.clone()), seen).await;
    let nothing = context(&seen).await.promises.expect("promises");
    assert_eq!((nothing.status.expect("a status").state(), nothing.commitments.len()), (SectionState::Fresh, 0));
    let theirs = Commitment { side: CommitmentSide::Theirs.into(), ..ours(&caller.name, after(now(), DAY)) };
    let theirs = made(stage, theirs).await.name;
    let mine = made(stage, ours(&caller.name, soon(0))).await.name;
    until_late(stage, &mine).await;
    let shown = context(&seen).await;
    let promises = shown.promises.expect("promises");
    let order: Vec<(&str, bool)> = promises.commitments.iter().map(|one| (one.name.as_str(), one.late)).collect();
    assert_eq!(order, [(mine.as_str(), true), (theirs.as_str(), false)]);
    assert_eq!(shown.next_best_action.expect("an action").action(), ActionKind::KeepPromise);
    let warned = |warnings: &[ContextWarning]| warnings.iter().any(|one| one.kind() == WarningKind::OurPromiseLate);
    assert!(warned(&shown.warnings));
    stage.commitments(ACME).fulfil_commitment(kept(&mine)).await.expect("kept");
    let shown = context(&seen).await;
    assert_eq!(shown.promises.expect("promises").commitments.len(), 1);
    assert!(!warned(&shown.warnings));
    assert_ne!(shown.next_best_action.expect("an action").action(), ActionKind::KeepPromise);
}

async fn lists_are_filtered_ordered_and_paged(stage: &Stage) {
    let (ana, bo) = (stage.party(person("Ana")).await.name, stage.party(person("Bo")).await.name);
    let start = at("2001-01-01T00:00:00Z");
    let user = Assignee { to: Some(assignee::To::User("users/ana".into())) };
    let mut all = Vec::new();
    for (place, (party, theirs)) in
        [(&ana, false), (&ana, true), (&bo, false), (&ana, false), (&bo, true)].into_iter().enumerate()
    {
        let due = after(start, i64::try_from(place).expect("small") * DAY);
        let side = if theirs { CommitmentSide::Theirs } else { CommitmentSide::Ours };
        let owner = (place == 0).then(|| user.clone());
        let commitment = Commitment {
            side: side.into(),
            owner,
            role_type: "dealer".into(),
            made_time: Some(start),
            ..ours(party, due)
        };
        all.push(made(stage, commitment).await.name);
    }
    stage.commitments(ACME).waive_commitment(waived(&all[3])).await.expect("waived");
    let list = async |party: &str, filter: &str, order_by: &str| -> Vec<usize> {
        let filter = format!(r#"due_time < timestamp("2001-02-01T00:00:00Z") && ({filter})"#);
        let (party, order_by) = (party.into(), order_by.into());
        let request = ListCommitmentsRequest { party, filter, order_by, ..Default::default() };
        let found = stage.commitments(ACME).list_commitments(request).await.expect("listed").into_inner().commitments;
        found.iter().map(|one| all.iter().position(|name| *name == one.name).expect("one of them")).collect()
    };
    for (party, filter, order_by, expected) in [
        ("", "true", "", &[0, 1, 2, 3, 4][..]),
        ("", "true", "due_time desc", &[4, 3, 2, 1, 0]),
        (&ana, "true", "due_time asc", &[0, 1, 3]),
        (&bo, r#"side == "theirs""#, "", &[4]),
        ("", r#"state == "open" && side == "ours""#, "", &[0, 2]),
        ("", r#"state in ["waived", "broken"]"#, "", &[3]),
        ("", r#"owner == "users/ana" && owner_kind == "user""#, "", &[0]),
        ("", "!has(owner)", "", &[1, 2, 3, 4]),
        ("", r#"state == "open" && due_time < timestamp("2001-01-03T00:00:00Z")"#, "", &[0, 1]),
        ("", r#"made_time > timestamp("2001-01-01T00:00:00Z")"#, "", &[]),
        (&unknown("parties"), "true", "", &[]),
    ] {
        assert_eq!(list(party, filter, order_by).await, expected, "{party} {filter} {order_by}");
    }
    let (mut found, mut page_token) = (Vec::new(), String::new());
    let of_ana = ListCommitmentsRequest { party: ana.clone(), page_size: 1, ..Default::default() };
    loop {
        let request = ListCommitmentsRequest { page_token, ..of_ana.clone() };
        let page = stage.commitments(ACME).list_commitments(request).await.expect("listed").into_inner();
        found.extend(page.commitments.into_iter().map(|one| one.name));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
        for other in [
            ListCommitmentsRequest { party: bo.clone(), ..of_ana.clone() },
            ListCommitmentsRequest { case: unknown("cases"), ..of_ana.clone() },
            ListCommitmentsRequest { order_by: "due_time desc".into(), ..of_ana.clone() },
        ] {
            let other = ListCommitmentsRequest { page_token: page_token.clone(), ..other };
            let answer = stage.commitments(ACME).list_commitments(other).await;
            assert_reason!(answer, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
        }
    }
    assert_eq!(found, [0, 1, 3].map(|place: usize| all[place].clone()));
}

async fn wrong_requests_are_refused(stage: &Stage) {
    let mut commitments = stage.commitments(ACME);
    let party = stage.party(person("Refused")).await.name;
    refused(commitments.make_commitment(MakeCommitmentRequest::default()).await, &[("commitment", "REQUIRED")]);
    let wrong = Commitment {
        side: 9,
        promise: "p".repeat(301),
        description: "\0".into(),
        due_time: Some(after(now(), 3_654 * DAY)),
        case: "cases/7".into(),
        owner: Some(Assignee { to: Some(assignee::To::Team("No Team".into())) }),
        ..ours("parties/7", now())
    };
    refused(
        commitments.make_commitment(asked(wrong)).await,
        &[
            ("commitment.party", "MALFORMED_NAME"),
            ("commitment.side", "UNKNOWN_ENUM_VALUE"),
            ("commitment.promise", "TOO_LONG"),
            ("commitment.description", "CONTROL_CHARACTER"),
            ("commitment.due_time", "OUT_OF_RANGE"),
            ("commitment.case", "MALFORMED_NAME"),
            ("commitment.owner.team", "MALFORMED"),
        ],
    );
    let backwards = Commitment {
        side: CommitmentSide::Theirs.into(),
        owner: Some(Assignee { to: Some(assignee::To::User("users/ana".into())) }),
        ..ours(&party, after(now(), -120))
    };
    refused(
        commitments.make_commitment(asked(backwards)).await,
        &[("commitment.due_time", "END_BEFORE_START"), ("commitment.owner", "CONFLICTING_FIELDS")],
    );
    for missing in [
        Commitment { case: unknown("cases"), ..ours(&party, now()) },
        Commitment { interaction: unknown("interactions"), ..ours(&party, now()) },
    ] {
        assert_reason!(commitments.make_commitment(asked(missing)).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    }
    refused(
        commitments.break_commitment(BreakCommitmentRequest::default()).await,
        &[("name", "REQUIRED"), ("reason", "REQUIRED")],
    );
    let nobody = waived(&unknown("commitments"));
    assert_reason!(commitments.waive_commitment(nobody).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let request = ListCommitmentsRequest { filter: r#"state == "late""#.into(), ..Default::default() };
    assert_reason!(commitments.list_commitments(request).await, Code::InvalidArgument, "INVALID_FILTER");
    let request = ListCommitmentsRequest { order_by: "promise".into(), ..Default::default() };
    assert_reason!(commitments.list_commitments(request).await, Code::InvalidArgument, "INVALID_ORDER_BY");
}

async fn a_case_is_given_to_somebody_and_says_since_when(stage: &Stage) {
    let party = stage.party(person("Handed On")).await.name;
    let case =
        Case { party: party.clone(), r#type: "claim".into(), title: "a broken vase".into(), ..Default::default() };
    let case = OpenCaseRequest { case: Some(case), ..Default::default() };
    let case = stage.cases(ACME).open_case(case).await.expect("opened").into_inner();
    let to = |to: assignee::To| AssignCaseRequest {
        name: case.name.clone(),
        assignee: Some(Assignee { to: Some(to) }),
        note: "she knows the vase".into(),
        ..Default::default()
    };
    let team = to(assignee::To::Team("claims".into()));
    let request = AssignCaseRequest { etag: case.etag.clone(), request_id: fresh(), ..team.clone() };
    let given = stage.cases(ACME).assign_case(request.clone()).await.expect("given").into_inner();
    let assignment = given.assignment.clone().expect("somebody has it");
    assert_eq!((assignment.assignee, assignment.assigned_time), (team.assignee.clone(), given.updated_time));
    let again = stage.cases(ACME).assign_case(request).await.expect("replayed");
    assert!(is_replayed(again.metadata()));
    assert_eq!(again.into_inner(), given);
    assert_eq!(stage.cases(ACME).assign_case(team.clone()).await.expect("kept").into_inner(), given, "nothing changes");
    let stale = AssignCaseRequest { etag: case.etag.clone(), ..to(assignee::To::User("users/abe".into())) };
    assert_reason!(stage.cases(ACME).assign_case(stale).await, Code::Aborted, "ETAG_MISMATCH");
    refused(
        stage.cases(ACME).assign_case(to(assignee::To::User("Abe Lincoln".into()))).await,
        &[("assignee.user", "MALFORMED")],
    );
    refused(
        stage.cases(ACME).assign_case(to(assignee::To::Partner("parties/7".into()))).await,
        &[("assignee.partner", "MALFORMED_NAME")],
    );
    let filter = r#"team == "claims" && assignee_kind == "team""#;
    let request = ListCasesRequest { party: party.clone(), filter: filter.into(), ..Default::default() };
    let found = stage.cases(ACME).list_cases(request).await.expect("listed").into_inner().cases;
    assert_eq!(found, [given]);
    let partner = to(assignee::To::Partner(party.clone()));
    stage.cases(ACME).assign_case(partner.clone()).await.expect("given");
    for status in [CaseStatus::Resolved, CaseStatus::Closed] {
        let request = TransitionCaseRequest { name: case.name.clone(), status: status.into(), ..Default::default() };
        stage.cases(ACME).transition_case(request).await.expect("moved");
    }
    let status = assert_reason!(
        stage.cases(ACME).assign_case(team.clone()).await,
        Code::FailedPrecondition,
        "INVALID_TRANSITION"
    );
    assert_eq!(error_metadata(&status)["from"], "closed");
    let history = ListCaseEventsRequest { case: case.name.clone(), ..Default::default() };
    let history = stage.cases(ACME).list_case_events(history).await.expect("listed").into_inner().case_events;
    use CaseEventKind::{Assigned, Opened, Transitioned};
    let kinds: Vec<CaseEventKind> = history.iter().map(CaseEvent::kind).collect();
    assert_eq!(kinds, [Opened, Assigned, Assigned, Transitioned, Transitioned]);
    assert_eq!((&history[1].assignee, &history[2].assignee), (&team.assignee, &partner.assignee));
    assert_eq!((history[1].principal.as_str(), history[1].note.as_str()), ("users/ana", "she knows the vase"));
    let all = events(stage, &["CaseAssigned", "CaseTransitioned"], ("CaseTransitioned", &case.name)).await;
    let given: Vec<CaseAssigned> = all
        .iter()
        .filter(|one| one.aggregate == case.name && one.r#type.ends_with("CaseAssigned"))
        .map(payload)
        .collect();
    assert_eq!(given.iter().map(|one| one.assignee.clone()).collect::<Vec<_>>(), [team.assignee, partner.assignee]);
    assert!(all.iter().all(|event| !format!("{event:?}").contains("vase")), "no personal data");
    let foreign = ListCaseEventsRequest { case: case.name, ..Default::default() };
    assert_reason!(stage.cases(GLOBEX).list_case_events(foreign).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}
