//! Cases: opened, moved as the table allows and no other way, listed.

use rapport_proto::interactions::v1::*;
use rapport_testkit::asserts::{error_metadata, is_replayed, position};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};

use super::interactions::recorded;
use super::messages::{DAY, after, at, by_party, contact, now, person};
use super::stage::{ACME, GLOBEX, Stage, fresh, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn cases_move_as_the_table_allows(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        a_case_comes_back_as_it_was_understood(&stage).await;
        only_the_moves_of_the_table_pass(&stage).await;
        the_times_say_what_the_status_says(&stage).await;
        a_stale_etag_aborts_and_a_retry_moves_once(&stage).await;
        wrong_requests_are_refused(&stage).await;
        lists_are_filtered_ordered_and_paged(&stage).await;
        stage.close().await;
    }
}

use CaseStatus::{Closed, InProgress, New, Resolved, Waiting};

fn complaint(party: &str) -> Case {
    Case { party: party.into(), r#type: "complaint".into(), title: "came late".into(), ..Default::default() }
}

fn open(case: Case) -> OpenCaseRequest {
    OpenCaseRequest { case: Some(case), ..Default::default() }
}

async fn opened(stage: &Stage, case: Case) -> Case {
    stage.cases(ACME).open_case(open(case)).await.expect("opened").into_inner()
}

fn to(case: &Case, status: CaseStatus) -> TransitionCaseRequest {
    TransitionCaseRequest { name: case.name.clone(), status: status.into(), ..Default::default() }
}

async fn moved(stage: &Stage, request: TransitionCaseRequest) -> Case {
    stage.cases(ACME).transition_case(request).await.expect("moved").into_inner()
}

async fn get(stage: &Stage, name: &str) -> Case {
    stage.cases(ACME).get_case(GetCaseRequest { name: name.into() }).await.expect("it is there").into_inner()
}

async fn a_case_comes_back_as_it_was_understood(stage: &Stage) {
    let party = stage.party(person("Complainer")).await.name;
    let cause = recorded(stage, contact("complaint", by_party(&party), now())).await.name;
    let wanted = Case {
        role_type: "customer".into(),
        priority: CasePriority::High.into(),
        description: "It came late.\nVery late.".into(),
        interactions: vec![cause],
        opened_time: Some(at("2026-01-05T10:00:00Z")),
        ..complaint(&party)
    };
    let request = OpenCaseRequest { request_id: fresh(), ..open(wanted.clone()) };
    let answer = stage.cases(ACME).open_case(request.clone()).await.expect("opened");
    assert!(position(answer.metadata(), "interactions") > 0);
    let case = answer.into_inner();
    assert!(case.name.starts_with("cases/") && !case.etag.is_empty());
    let expected = Case {
        name: case.name.clone(),
        status: New.into(),
        recorded_time: case.recorded_time,
        updated_time: case.recorded_time,
        etag: case.etag.clone(),
        origin: party.trim_start_matches("parties/").to_owned(),
        ..wanted
    };
    assert!(case.recorded_time.is_some());
    assert_eq!(case, expected);
    assert_eq!(get(stage, &case.name).await, case);
    let replayed = stage.cases(ACME).open_case(request).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    assert_eq!(replayed.into_inner(), case);
    let plain = opened(stage, complaint(&party)).await;
    assert_eq!(plain.priority(), CasePriority::Normal);
    assert_eq!(plain.opened_time, plain.recorded_time, "opened now");
    let foreign = stage.cases(GLOBEX).get_case(GetCaseRequest { name: case.name }).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
}

const TABLE: [(CaseStatus, &[CaseStatus]); 5] = [
    (New, &[InProgress, Waiting, Resolved]),
    (InProgress, &[Waiting, Resolved]),
    (Waiting, &[InProgress, Resolved]),
    (Resolved, &[Closed, InProgress]),
    (Closed, &[InProgress]),
];

/// A case in a status, by the shortest way.
async fn in_status(stage: &Stage, party: &str, status: CaseStatus) -> Case {
    let way: &[CaseStatus] = match status {
        New => &[],
        Closed => &[Resolved, Closed],
        other => &[other],
    };
    let mut case = opened(stage, complaint(party)).await;
    for step in way {
        case = moved(stage, to(&case, *step)).await;
    }
    assert_eq!(case.status(), status);
    case
}

async fn only_the_moves_of_the_table_pass(stage: &Stage) {
    let party = stage.party(person("Mover")).await.name;
    for (from, followers) in TABLE {
        for status in [New, InProgress, Waiting, Resolved, Closed] {
            let case = in_status(stage, &party, from).await;
            let answer = stage.cases(ACME).transition_case(to(&case, status)).await;
            if followers.contains(&status) {
                let after = answer.expect("allowed").into_inner();
                assert_eq!(after.status(), status, "{from:?} to {status:?}");
                assert_ne!(after.etag, case.etag);
                assert_eq!(get(stage, &case.name).await, after);
            } else {
                let refusal = assert_reason!(answer, Code::FailedPrecondition, "INVALID_TRANSITION");
                let told = error_metadata(&refusal);
                let word = |status: CaseStatus| status.as_str_name().trim_start_matches("CASE_STATUS_").to_lowercase();
                assert_eq!((&told["from"], &told["to"]), (&word(from), &word(status)));
                assert_eq!(told["allowed"], followers.iter().map(|one| word(*one)).collect::<Vec<_>>().join(","));
                assert_eq!(get(stage, &case.name).await, case, "a refused move changes nothing");
            }
        }
    }
}

async fn the_times_say_what_the_status_says(stage: &Stage) {
    let party = stage.party(person("Timed")).await.name;
    let start = at("2026-01-05T10:00:00Z");
    let mut case = opened(stage, Case { opened_time: Some(start), ..complaint(&party) }).await;
    // Status, hours after the opening; then: first response, resolved, closed, reopened.
    let steps = [
        (InProgress, 1, (Some(1), None, None, 0)),
        (Waiting, 2, (Some(1), None, None, 0)),
        (Resolved, 3, (Some(1), Some(3), None, 0)),
        (Closed, 4, (Some(1), Some(3), Some(4), 0)),
        (InProgress, 5, (Some(1), None, None, 1)),
        (Resolved, 5, (Some(1), Some(5), None, 1)),
        (InProgress, 6, (Some(1), None, None, 2)),
    ];
    let hour = |n: i64| after(start, n * 3600);
    for (status, hours, (first_response, resolved, closed, reopened)) in steps {
        case = moved(
            stage,
            TransitionCaseRequest { occurred_time: Some(hour(hours)), note: "on\nit".into(), ..to(&case, status) },
        )
        .await;
        assert_eq!(case.first_response_time, first_response.map(hour), "{status:?}");
        assert_eq!(case.resolved_time, resolved.map(hour), "{status:?}");
        assert_eq!(case.closed_time, closed.map(hour), "{status:?}");
        assert_eq!((case.reopen_count, case.opened_time), (reopened, Some(start)));
    }
    let early = TransitionCaseRequest { occurred_time: Some(hour(5)), ..to(&case, Resolved) };
    let status =
        assert_reason!(stage.cases(ACME).transition_case(early).await, Code::FailedPrecondition, "INVALID_TRANSITION");
    assert_eq!(error_metadata(&status)["last_transition_time"], "2026-01-05T16:00:00Z");
    assert_eq!(get(stage, &case.name).await, case);
}

async fn a_stale_etag_aborts_and_a_retry_moves_once(stage: &Stage) {
    let party = stage.party(person("Contested")).await.name;
    let case = opened(stage, complaint(&party)).await;
    let request = TransitionCaseRequest { etag: case.etag.clone(), request_id: fresh(), ..to(&case, InProgress) };
    let first = stage.cases(ACME).transition_case(request.clone()).await.expect("moved");
    let again = stage.cases(ACME).transition_case(request.clone()).await.expect("replayed");
    assert!(!is_replayed(first.metadata()) && is_replayed(again.metadata()));
    assert_eq!(first.get_ref(), again.get_ref());
    let stale = TransitionCaseRequest { etag: case.etag, ..to(first.get_ref(), Waiting) };
    let status = assert_reason!(stage.cases(ACME).transition_case(stale).await, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(error_metadata(&status)["name"], first.get_ref().name);
    let other = TransitionCaseRequest { status: Waiting.into(), ..request };
    assert_reason!(stage.cases(ACME).transition_case(other).await, Code::AlreadyExists, "REQUEST_ID_REUSED");
    assert_eq!(get(stage, &first.get_ref().name).await, *first.get_ref());
    // Of two who move it at once one is too late: what it saw is no more.
    let seen = first.into_inner();
    let with = |status| TransitionCaseRequest { etag: seen.etag.clone(), ..to(&seen, status) };
    let (mut one, mut other) = (stage.cases(ACME), stage.cases(ACME));
    let (a, b) = futures::join!(one.transition_case(with(Waiting)), other.transition_case(with(Resolved)));
    let lost = match (a, b) {
        (Ok(_), Err(lost)) | (Err(lost), Ok(_)) => lost,
        (a, b) => panic!("{a:?} {b:?}"),
    };
    assert_reason!(Err::<(), _>(lost), Code::Aborted, "ETAG_MISMATCH");
}

async fn wrong_requests_are_refused(stage: &Stage) {
    let mut cases = stage.cases(ACME);
    let party = stage.party(person("Refused")).await.name;
    refused(cases.open_case(OpenCaseRequest::default()).await, &[("case", "REQUIRED")]);
    refused(
        cases.open_case(open(Case::default())).await,
        &[("case.party", "REQUIRED"), ("case.type", "REQUIRED"), ("case.title", "REQUIRED")],
    );
    let linked = unknown("interactions");
    let wrong = Case {
        r#type: "A B".into(),
        title: "two\nlines".into(),
        description: "d".repeat(20_001),
        priority: 99,
        interactions: vec![linked.clone(), "interactions/7".into(), linked.clone()],
        opened_time: Some(after(now(), 2 * DAY)),
        ..complaint("parties/7")
    };
    refused(
        cases.open_case(open(wrong)).await,
        &[
            ("case.party", "MALFORMED_NAME"),
            ("case.type", "MALFORMED"),
            ("case.title", "CONTROL_CHARACTER"),
            ("case.description", "TOO_LONG"),
            ("case.priority", "UNKNOWN_ENUM_VALUE"),
            ("case.interactions[1]", "MALFORMED_NAME"),
            ("case.interactions[2]", "DUPLICATE"),
            ("case.opened_time", "IN_FUTURE"),
        ],
    );
    let nothing_there = cases.open_case(open(Case { interactions: vec![linked.clone()], ..complaint(&party) })).await;
    let status = assert_reason!(nothing_there, Code::NotFound, "RESOURCE_NOT_FOUND");
    assert_eq!(error_metadata(&status)["name"], linked);
    let theirs = recorded(stage, contact("call", by_party(&party), now())).await.name;
    let foreign = Case { interactions: vec![theirs], ..complaint(&party) };
    let foreign = stage.cases(GLOBEX).open_case(open(foreign)).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    refused(
        cases.transition_case(TransitionCaseRequest { note: "\0".into(), ..Default::default() }).await,
        &[("name", "REQUIRED"), ("status", "REQUIRED"), ("note", "CONTROL_CHARACTER")],
    );
    let nobody = TransitionCaseRequest { name: unknown("cases"), status: Waiting.into(), ..Default::default() };
    assert_reason!(cases.transition_case(nobody).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn lists_are_filtered_ordered_and_paged(stage: &Stage) {
    let (ana, bo) = (stage.party(person("Ana")).await.name, stage.party(person("Bo")).await.name);
    let start = at("2001-01-01T00:00:00Z");
    let mut made = Vec::new();
    for (place, (party, kind, priority)) in [
        (&ana, "complaint", CasePriority::High),
        (&ana, "inquiry", CasePriority::Low),
        (&bo, "complaint", CasePriority::Urgent),
        (&ana, "claim", CasePriority::Normal),
        (&bo, "inquiry", CasePriority::Normal),
    ]
    .into_iter()
    .enumerate()
    {
        let opened_time = Some(after(start, i64::try_from(place).expect("small") * DAY));
        let case = Case {
            r#type: kind.into(),
            priority: priority.into(),
            opened_time,
            role_type: "dealer".into(),
            ..complaint(party)
        };
        made.push(opened(stage, case).await);
    }
    made[1] = moved(stage, to(&made[1], Resolved)).await;
    made[1] = moved(stage, to(&made[1], InProgress)).await;
    let list = async |party: &str, filter: &str, order_by: &str| -> Vec<usize> {
        let filter = format!(r#"opened_time < timestamp("2001-02-01T00:00:00Z") && ({filter})"#);
        let request = ListCasesRequest { party: party.into(), filter, order_by: order_by.into(), ..Default::default() };
        let found = stage.cases(ACME).list_cases(request).await.expect("listed").into_inner().cases;
        found.iter().map(|one| made.iter().position(|case| case == one).expect("as it was answered")).collect()
    };
    for (party, filter, order_by, expected) in [
        ("", "true", "", &[4, 3, 2, 1, 0][..]),
        ("", "true", "opened_time asc", &[0, 1, 2, 3, 4]),
        (&ana, "true", "opened_time desc", &[3, 1, 0]),
        (&bo, "true", "", &[4, 2]),
        ("", r#"status in ["in_progress", "waiting"]"#, "", &[1]),
        ("", r#"status == "new" && type == "complaint""#, "", &[2, 0]),
        ("", r#"priority == "high" || priority == "urgent""#, "", &[2, 0]),
        ("", "reopen_count > 0", "", &[1]),
        (&bo, r#"role_type == "dealer" && type != "complaint""#, "", &[4]),
        ("", r#"opened_time >= timestamp("2001-01-04T00:00:00Z")"#, "", &[4, 3]),
        ("", r#"updated_time < timestamp("2020-01-01T00:00:00Z")"#, "", &[]),
        (&unknown("parties"), "true", "", &[]),
    ] {
        assert_eq!(list(party, filter, order_by).await, expected, "{party} {filter} {order_by}");
    }
    let (mut found, mut page_token) = (Vec::new(), String::new());
    let of_ana = ListCasesRequest { party: ana.clone(), page_size: 1, ..Default::default() };
    loop {
        let request = ListCasesRequest { page_token, ..of_ana.clone() };
        let page = stage.cases(ACME).list_cases(request).await.expect("listed").into_inner();
        found.extend(page.cases.into_iter().map(|case| case.name));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
        opened(stage, complaint(&ana)).await;
        for other in [
            ListCasesRequest { party: bo.clone(), ..of_ana.clone() },
            ListCasesRequest { filter: "reopen_count > 0".into(), ..of_ana.clone() },
            ListCasesRequest { order_by: "opened_time asc".into(), ..of_ana.clone() },
        ] {
            let other = ListCasesRequest { page_token: page_token.clone(), ..other };
            assert_reason!(stage.cases(ACME).list_cases(other).await, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
        }
    }
    assert_eq!(found, [3, 1, 0].map(|place: usize| made[place].name.clone()));
    let wrong = ListCasesRequest { party: "parties/7".into(), page_size: -1, ..Default::default() };
    refused(stage.cases(ACME).list_cases(wrong).await, &[("party", "MALFORMED_NAME"), ("page_size", "OUT_OF_RANGE")]);
    for (request, reason) in [
        (ListCasesRequest { filter: "status == \"WAITING\"".into(), ..Default::default() }, "INVALID_FILTER"),
        (ListCasesRequest { order_by: "title".into(), ..Default::default() }, "INVALID_ORDER_BY"),
    ] {
        assert_reason!(stage.cases(ACME).list_cases(request).await, Code::InvalidArgument, reason);
    }
}
