//! Programmes, members and tiers.

use rapport_proto::loyalty::v1::earning_rule::Award;
use rapport_proto::loyalty::v1::*;
use rapport_testkit::asserts::{error_metadata, is_replayed, position};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};

use super::messages::{at, person};
use super::stage::{ACME, AGENT, GLOBEX, READER, Stage, fresh, refused, unknown};
use crate::club::{self, dollars, per_dollar, unit};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn programmes_members_and_tiers(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        a_programme_is_made_of_parts_and_published_once(&stage).await;
        wrong_parts_are_refused(&stage).await;
        a_party_is_a_member_once(&stage).await;
        tiers_run_on_what_was_earned(&stage).await;
        stage.close().await;
    }
}

fn program(display_name: &str) -> Program {
    Program { display_name: display_name.into(), time_zone: "Europe/Lisbon".into(), ..Default::default() }
}

fn create(program: Program) -> CreateProgramRequest {
    CreateProgramRequest { program: Some(program), ..Default::default() }
}

async fn created(stage: &Stage, display_name: &str) -> String {
    stage.programs(ACME).create_program(create(program(display_name))).await.expect("made").into_inner().name
}

fn add(program: &str, unit_type: UnitType) -> CreateUnitTypeRequest {
    CreateUnitTypeRequest { program: program.into(), unit_type: Some(unit_type), ..Default::default() }
}

async fn added(stage: &Stage, program: &str, unit_type: UnitType) -> String {
    stage.programs(ACME).create_unit_type(add(program, unit_type)).await.expect("made").into_inner().name
}

fn rule(program: &str, rule: EarningRule) -> CreateEarningRuleRequest {
    CreateEarningRuleRequest { program: program.into(), earning_rule: Some(rule), ..Default::default() }
}

fn publish(program: &str) -> PublishProgramRequest {
    PublishProgramRequest { name: program.into(), ..Default::default() }
}

async fn a_programme_is_made_of_parts_and_published_once(stage: &Stage) {
    let wanted = Program { tier_window: TierWindow::Quarter.into(), ..program("Miles and more miles") };
    let request = CreateProgramRequest { request_id: fresh(), ..create(wanted.clone()) };
    let answer = stage.programs(ACME).create_program(request.clone()).await.expect("made");
    assert!(position(answer.metadata(), "loyalty") >= 0);
    let draft = answer.into_inner();
    let expected = Program {
        name: draft.name.clone(),
        state: ProgramState::Draft.into(),
        version: 1,
        recorded_time: draft.recorded_time,
        etag: draft.etag.clone(),
        ..wanted
    };
    assert_eq!(draft, expected);
    let name = draft.name.clone();

    let lacking = stage.programs(ACME).publish_program(publish(&name)).await.unwrap_err();
    assert_eq!(error_metadata(&lacking)["lacks"], "a unit type");
    assert_reason!(Err::<(), _>(lacking), Code::FailedPrecondition, "PROGRAM_INCOMPLETE");
    let miles = UnitType {
        minor_digits: 2,
        expiry: Some(Expiry { kind: ExpiryKind::EndOfMonth.into(), count: 24 }),
        pending_days: 14,
        ..unit("miles", UnitKind::Redeemable)
    };
    let made = stage.programs(ACME).create_unit_type(add(&name, miles.clone())).await.expect("made").into_inner();
    assert!(made.name.starts_with(&format!("{name}/unitTypes/")));
    assert_eq!(made, UnitType { name: made.name.clone(), recorded_time: made.recorded_time, ..miles });
    let wanted = EarningRule { max_units: 500, ..per_dollar(&made.name, 3) };
    let request = CreateEarningRuleRequest { request_id: fresh(), ..rule(&name, wanted.clone()) };
    let first = stage.programs(ACME).create_earning_rule(request.clone()).await.expect("made").into_inner();
    let again = stage.programs(ACME).create_earning_rule(request).await.expect("replayed");
    assert!(is_replayed(again.metadata()));
    assert_eq!(again.into_inner(), first);
    let mut expected = EarningRule { name: first.name.clone(), recorded_time: first.recorded_time, ..wanted };
    if let Some(Award::PerAmount(per)) = &mut expected.award {
        per.rounding = Rounding::Down.into();
    }
    assert_eq!(first, expected);

    let stale = PublishProgramRequest { etag: draft.etag.clone(), ..publish(&name) };
    assert_reason!(stage.programs(ACME).publish_program(stale).await, Code::Aborted, "ETAG_MISMATCH");
    let check = PublishProgramRequest { validate_only: true, ..publish(&name) };
    let checked = stage.programs(ACME).publish_program(check).await.expect("it could be published").into_inner();
    assert_eq!(checked.state(), ProgramState::Draft);
    let request = PublishProgramRequest { etag: checked.etag, request_id: fresh(), ..publish(&name) };
    let published = stage.programs(ACME).publish_program(request).await.expect("published").into_inner();
    assert_eq!((published.state(), published.version), (ProgramState::Published, 4));
    assert!(published.published_time.is_some());
    assert_reason!(
        stage.programs(ACME).publish_program(publish(&name)).await,
        Code::FailedPrecondition,
        "INVALID_TRANSITION"
    );
    let got = stage.programs(ACME).get_program(GetProgramRequest { name: name.clone() }).await.expect("there");
    assert_eq!(got.into_inner(), published);
    let replayed = stage.programs(ACME).create_program(create(program("x"))).await;
    assert!(!is_replayed(replayed.expect("made").metadata()));

    // Lists, a page at a time.
    let other = added(stage, &name, unit("credits", UnitKind::Qualifying)).await;
    let mut token = String::new();
    let mut seen = Vec::new();
    loop {
        let request = ListUnitTypesRequest { program: name.clone(), page_size: 1, page_token: token };
        let page = stage.programs(ACME).list_unit_types(request).await.expect("a page").into_inner();
        seen.extend(page.unit_types.into_iter().map(|unit| unit.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [made.name, other]);
    let rules = ListEarningRulesRequest { program: name.clone(), ..Default::default() };
    let rules = stage.programs(ACME).list_earning_rules(rules).await.expect("a page").into_inner();
    assert_eq!(rules.earning_rules, [first]);
    let all = stage.programs(READER).list_programs(ListProgramsRequest::default()).await.expect("a page").into_inner();
    assert!(all.programs.iter().any(|program| program.name == name));
    let foreign = stage.programs(GLOBEX).list_programs(ListProgramsRequest::default()).await.expect("a page");
    assert!(foreign.into_inner().programs.is_empty());
    assert_reason!(
        stage.programs(GLOBEX).get_program(GetProgramRequest { name }).await,
        Code::NotFound,
        "RESOURCE_NOT_FOUND"
    );
    assert_reason!(
        stage.programs(AGENT).create_program(create(program("mine"))).await,
        Code::PermissionDenied,
        "PERMISSION_DENIED"
    );
}

async fn wrong_parts_are_refused(stage: &Stage) {
    let wrong = Program { time_zone: "Lisbon".into(), tier_window: 77, ..Default::default() };
    refused(
        stage.programs(ACME).create_program(create(wrong)).await,
        &[
            ("program.display_name", "REQUIRED"),
            ("program.time_zone", "MALFORMED"),
            ("program.tier_window", "UNKNOWN_ENUM_VALUE"),
        ],
    );
    let name = created(stage, "Wrong parts").await;
    let wrong = UnitType {
        kind: 0,
        minor_digits: 10,
        expiry: Some(Expiry { kind: ExpiryKind::Days.into(), count: 3 }),
        pending_days: 3,
        ..Default::default()
    };
    refused(
        stage.programs(ACME).create_unit_type(add(&name, wrong)).await,
        &[
            ("unit_type.display_name", "REQUIRED"),
            ("unit_type.kind", "REQUIRED"),
            ("unit_type.minor_digits", "OUT_OF_RANGE"),
            ("unit_type.pending_days", "CONFLICTING_FIELDS"),
        ],
    );
    let points = added(stage, &name, unit("points", UnitKind::Redeemable)).await;
    let wrong = EarningRule {
        display_name: "wrong".into(),
        unit_type: format!("{}/unitTypes/018f0000-0000-7000-8000-00000000dead", unknown("programs")),
        trigger: Some(EarningTrigger {
            kind: TriggerKind::SurveyResponse.into(),
            interaction_kind: "order".into(),
            survey_category: "Promoter".into(),
        }),
        award: Some(Award::FixedUnits(0)),
        max_units: -1,
        ..Default::default()
    };
    refused(
        stage.programs(ACME).create_earning_rule(rule(&name, wrong)).await,
        &[
            ("earning_rule.fixed_units", "OUT_OF_RANGE"),
            ("earning_rule.max_units", "OUT_OF_RANGE"),
            ("earning_rule.trigger.interaction_kind", "CONFLICTING_FIELDS"),
            ("earning_rule.trigger.survey_category", "MALFORMED"),
            ("earning_rule.unit_type", "CONFLICTING_FIELDS"),
        ],
    );
    let mut wrong = per_dollar(&points, 0);
    if let Some(Award::PerAmount(per)) = &mut wrong.award {
        per.amount = Some(dollars(-1));
    }
    refused(
        stage.programs(ACME).create_earning_rule(rule(&name, wrong)).await,
        &[("earning_rule.per_amount.amount", "OUT_OF_RANGE"), ("earning_rule.per_amount.units", "OUT_OF_RANGE")],
    );
    let tier = |entry_threshold, keep_threshold| CreateTierRequest {
        program: name.clone(),
        tier: Some(Tier {
            display_name: "gold".into(),
            unit_type: points.clone(),
            entry_threshold,
            keep_threshold,
            ..Default::default()
        }),
        ..Default::default()
    };
    refused(stage.tiers(ACME).create_tier(tier(10, 10)).await, &[("tier.keep_threshold", "OUT_OF_RANGE")]);
    refused(stage.tiers(ACME).create_tier(tier(10, 9)).await, &[("tier.unit_type", "CONFLICTING_FIELDS")]);
    // A draft has no members.
    let party = stage.party(person("Too Early")).await.name;
    assert_reason!(
        stage.members(ACME).enroll_member(enroll(&name, &party)).await,
        Code::FailedPrecondition,
        "PROGRAM_NOT_PUBLISHED"
    );
}

fn enroll(program: &str, party: &str) -> EnrollMemberRequest {
    EnrollMemberRequest {
        program: program.into(),
        member: Some(Member { party: party.into(), ..Default::default() }),
        ..Default::default()
    }
}

async fn a_party_is_a_member_once(stage: &Stage) {
    let party = stage.party(person("Dealer Example")).await.name;
    let channel = stage.sandbox.channel("loyalty");
    let bearer = || rapport_testkit::asserts::Bearer::new(ACME);
    let club = club::make(channel.clone(), bearer(), &party).await;
    let again = stage.members(ACME).enroll_member(enroll(&club.program, &party)).await.unwrap_err();
    assert_eq!(error_metadata(&again)["name"], club.member);
    assert_reason!(Err::<(), _>(again), Code::AlreadyExists, "ALREADY_EXISTS");

    let dealer = stage.party(person("Another Dealer")).await.name;
    let mut request = enroll(&club.program, &dealer);
    request.request_id = fresh();
    request.member = Some(Member {
        party: dealer.clone(),
        role_type: "dealer".into(),
        number: "D-17".into(),
        joined_time: Some(at("2026-01-05T10:00:00Z")),
        ..Default::default()
    });
    let answer = stage.members(ACME).enroll_member(request.clone()).await.expect("enrolled");
    let member = answer.into_inner();
    let wanted = request.member.clone().expect("a member");
    assert_eq!(member, Member { name: member.name.clone(), recorded_time: member.recorded_time, ..wanted });
    let replayed = stage.members(ACME).enroll_member(request).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    assert_eq!(replayed.into_inner(), member);
    let third = stage.party(person("Third")).await.name;
    let mut taken = enroll(&club.program, &third);
    taken.member.as_mut().expect("a member").number = "D-17".into();
    assert_reason!(stage.members(ACME).enroll_member(taken).await, Code::AlreadyExists, "ALREADY_EXISTS");

    // The same party in another programme, and both found by the party.
    let other = club::make(channel, bearer(), &dealer).await;
    let of = |program: &str, party: &str| ListMembersRequest {
        program: program.into(),
        party: party.into(),
        ..Default::default()
    };
    let list = |request: ListMembersRequest| async move {
        let page = stage.members(ACME).list_members(request).await.expect("a page").into_inner();
        page.members.into_iter().map(|member| member.name).collect::<Vec<_>>()
    };
    assert_eq!(list(of("", &dealer)).await, [member.name.clone(), other.member.clone()]);
    assert_eq!(list(of(&club.program, "")).await, [club.member, member.name.clone()]);
    assert_eq!(list(of(&other.program, &dealer)).await, [other.member]);
    refused(stage.members(ACME).list_members(ListMembersRequest::default()).await, &[("party", "REQUIRED")]);
    let get = GetMemberRequest { name: member.name.clone() };
    assert_eq!(stage.members(READER).get_member(get.clone()).await.expect("there").into_inner(), member);
    assert_reason!(stage.members(GLOBEX).get_member(get).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    // A member's name holds its own programme, and no other.
    let id = member.name.rsplit('/').next().expect("an id");
    let wrong = GetMemberRequest { name: format!("{}/members/{id}", other.program) };
    assert_reason!(stage.members(ACME).get_member(wrong).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn tiers_run_on_what_was_earned(stage: &Stage) {
    let party = stage.party(person("Climber")).await.name;
    let bearer = rapport_testkit::asserts::Bearer::new(ACME);
    let club = club::make(stage.sandbox.channel("loyalty"), bearer, &party).await;
    let gold = Tier {
        display_name: "gold".into(),
        unit_type: club.credits.clone(),
        entry_threshold: 300,
        keep_threshold: 250,
        ..Default::default()
    };
    let request = CreateTierRequest { program: club.program.clone(), tier: Some(gold), ..Default::default() };
    let gold = stage.tiers(ACME).create_tier(request.clone()).await.expect("made").into_inner();
    assert_reason!(stage.tiers(ACME).create_tier(request).await, Code::AlreadyExists, "ALREADY_EXISTS");
    let list = ListTiersRequest { program: club.program.clone(), ..Default::default() };
    let tiers = stage.tiers(ACME).list_tiers(list).await.expect("a page").into_inner().tiers;
    assert_eq!(tiers.iter().map(|tier| tier.entry_threshold).collect::<Vec<_>>(), [100, 300]);

    let status = |as_of: Option<&'static str>| {
        let request = GetTierStatusRequest { name: club.member.clone(), as_of: as_of.map(at) };
        async move { stage.tiers(ACME).get_tier_status(request).await.expect("told").into_inner() }
    };
    let before = status(None).await;
    assert_eq!((before.current, before.units_to_next, before.downgrade_ahead), (None, 100, false));
    let earn = |amount, time: &str| PostAccrualRequest {
        member: club.member.clone(),
        unit_type: club.credits.clone(),
        amount,
        occurred_time: Some(at(time)),
        ..Default::default()
    };
    // 320 in 2020, 60 in 2021, nothing after.
    for (amount, time) in [(150, "2020-02-01T00:00:00Z"), (170, "2020-12-31T23:59:59Z"), (60, "2021-01-01T00:00:00Z")] {
        stage.ledger(ACME).post_accrual(earn(amount, time)).await.expect("posted");
    }
    let spring = status(Some("2020-06-01T00:00:00Z")).await;
    assert_eq!(spring.current.as_ref(), Some(&tiers[0]));
    assert_eq!((spring.next.as_ref(), spring.window_units, spring.units_to_next), (Some(&gold), 150, 150));
    assert_eq!(spring.window_start_time, Some(at("2020-01-01T00:00:00Z")));
    assert_eq!(spring.window_end_time, Some(at("2021-01-01T00:00:00Z")));
    let next = status(Some("2021-06-01T00:00:00Z")).await;
    assert_eq!((next.current.as_ref(), next.next.as_ref()), (Some(&gold), None));
    assert_eq!((next.window_units, next.units_to_keep, next.downgrade_ahead), (60, 190, true));
    assert_eq!(next.projected.as_ref(), Some(&tiers[0]));
    assert_eq!(status(Some("2022-06-01T00:00:00Z")).await.current.as_ref(), Some(&tiers[0]));
    assert_eq!(status(Some("2023-06-01T00:00:00Z")).await.current, None);
    assert_eq!(status(None).await.current, None);
    let foreign = GetTierStatusRequest { name: club.member.clone(), as_of: None };
    assert_reason!(stage.tiers(GLOBEX).get_tier_status(foreign).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}
