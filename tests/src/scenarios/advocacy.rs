//! Promoters become advocates, at once and only if they may: a survey answer leads to an invitation or to the reason for
//! none, and earns by the published rules, each exactly once.

use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::interactions::v1 as contacts;
use rapport_proto::loyalty::v1::*;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_proto::stakeholders::v1::ConsentState;
use rapport_testkit::asserts::{at_least, error_metadata, is_replayed, position, positions};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};

use super::messages::{after, now, person, set_apart};
use super::stage::{ACME, GLOBEX, Positions, READER, Stage, fresh, next, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn promoters_are_invited_if_they_may_be(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        let program = program(&stage).await;
        a_promoter_is_invited_earns_and_answers_once(&stage, &program).await;
        consent_decides(&stage).await;
        an_open_complaint_holds_back(&stage).await;
        somebody_asks_for_an_invitation(&stage, &program).await;
        pages_and_states_hold(&stage).await;
        everything_wrong_is_told_at_once(&stage).await;
        stage.close().await;
    }

    async fn invitations_wait_for_the_morning(sandbox: SandboxBuilder) {
        // Quiet at every hour but the one that begins now: the zone of each party says which that is.
        let stage = Stage::open(
            sandbox
                .setting("service.loyalty.advocacy.quiet_from", "00:00")
                .setting("service.loyalty.advocacy.quiet_until", "23:59")
                .setting("service.loyalty.advocacy.hold_out_percent", 0),
        )
        .await;
        quiet_hours_postpone(&stage).await;
        stage.close().await;
    }

    async fn who_is_held_out_is_never_invited(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox.setting("service.loyalty.advocacy.hold_out_percent", 100)).await;
        everybody_is_held_out(&stage).await;
        stage.close().await;
    }
}

/// A programme in force and what belongs to it.
pub(crate) struct Club {
    pub(crate) program: String,
    pub(crate) points: String,
    pub(crate) social: String,
}

pub(crate) async fn program(stage: &Stage) -> Club {
    let mut programs = stage.programs(ACME);
    let request = CreateProgramRequest {
        program: Some(Program { display_name: "Club".into(), time_zone: "Europe/Lisbon".into(), ..Default::default() }),
        request_id: fresh(),
    };
    let program = programs.create_program(request).await.expect("a programme").into_inner().name;
    let unit = |name: &str, kind: UnitKind| CreateUnitTypeRequest {
        program: program.clone(),
        unit_type: Some(UnitType { display_name: name.into(), kind: kind.into(), ..Default::default() }),
        request_id: fresh(),
    };
    let points = programs.create_unit_type(unit("points", UnitKind::Redeemable)).await.expect("points");
    let points = points.into_inner().name;
    let social = programs.create_unit_type(unit("standing", UnitKind::Social)).await.expect("standing");
    let social = social.into_inner().name;
    let euro = rapport_proto::types::v1::Money { units: 1, nanos: 0, currency_code: "EUR".into() };
    let rules = [
        EarningRule {
            display_name: "a point for each euro".into(),
            unit_type: points.clone(),
            trigger: Some(EarningTrigger {
                kind: TriggerKind::Interaction.into(),
                interaction_kind: "order".into(),
                ..Default::default()
            }),
            award: Some(earning_rule::Award::PerAmount(UnitsPerAmount {
                units: 1,
                amount: Some(euro),
                ..Default::default()
            })),
            ..Default::default()
        },
        EarningRule {
            display_name: "thanks for the answer".into(),
            unit_type: points.clone(),
            trigger: Some(EarningTrigger { kind: TriggerKind::SurveyResponse.into(), ..Default::default() }),
            award: Some(earning_rule::Award::FixedUnits(50)),
            ..Default::default()
        },
    ];
    for rule in rules {
        let request =
            CreateEarningRuleRequest { program: program.clone(), earning_rule: Some(rule), request_id: fresh() };
        programs.create_earning_rule(request).await.expect("a rule");
    }
    let request = PublishProgramRequest { name: program.clone(), request_id: fresh(), ..Default::default() };
    programs.publish_program(request).await.expect("in force");
    Club { program, points, social }
}

pub(crate) async fn enrolled(stage: &Stage, club: &Club, party: &str) -> String {
    let member = Member { party: party.into(), ..Default::default() };
    let request = EnrollMemberRequest { program: club.program.clone(), member: Some(member), request_id: fresh() };
    stage.members(ACME).enroll_member(request).await.expect("a member").into_inner().name
}

pub(super) async fn balance(stage: &Stage, member: &str, unit_type: &str, seen: &Positions) -> i64 {
    let request = at_least(GetBalancesRequest { name: member.into(), ..Default::default() }, seen);
    let reply = stage.ledger(ACME).get_balances(request).await.expect("read");
    assert!(reply.metadata().get("rapport-stale").is_none(), "{:?}", reply.metadata());
    let balances = reply.into_inner().balances;
    balances.iter().find(|one| one.unit_type == unit_type).map_or(0, |one| one.available)
}

async fn consent(stage: &Stage, party: &str, state: ConsentState) -> String {
    let consent = stakeholders::Consent {
        party: party.into(),
        purpose: "advocacy".into(),
        channel: "email".into(),
        state: state.into(),
        ..Default::default()
    };
    let request = stakeholders::RecordConsentRequest { consent: Some(consent), request_id: fresh() };
    stage.privacy(ACME).record_consent(request).await.expect("recorded").into_inner().name
}

/// A person who agreed to be asked.
pub(super) async fn willing(stage: &Stage, name: &str) -> String {
    let party = stage.party(person(name)).await.name;
    consent(stage, &party, ConsentState::Granted).await;
    party
}

pub(super) async fn survey(stage: &Stage) -> String {
    let survey = contacts::Survey {
        measure: contacts::SurveyMeasure::Nps.into(),
        question: "How likely is it that you would recommend us?".into(),
        ..Default::default()
    };
    let request = contacts::CreateSurveyRequest { survey: Some(survey), request_id: fresh() };
    stage.surveys(ACME).create_survey(request).await.expect("a survey").into_inner().name
}

/// An answer to the survey: its name, and where it is in the feed.
pub(super) async fn answered(stage: &Stage, survey: &str, party: &str, score: i32) -> (String, Positions) {
    let response = contacts::SurveyResponse {
        party: party.into(),
        score: Some(score),
        channel: Some(contacts::Channel { medium: contacts::Medium::Web.into(), online: None }),
        occurred_time: Some(now()),
        ..Default::default()
    };
    let request =
        contacts::RecordSurveyResponseRequest { survey: survey.into(), response: Some(response), request_id: fresh() };
    let reply = stage.surveys(ACME).record_survey_response(request).await.expect("an answer");
    let seen = positions(reply.metadata());
    (reply.into_inner().name, seen)
}

/// A party's invitations, newest first, as far as the feed has been followed.
pub(super) async fn invitations(stage: &Stage, party: &str, seen: &Positions) -> Vec<Invitation> {
    let request = at_least(ListInvitationsRequest { party: party.into(), ..Default::default() }, seen);
    let reply = stage.advocacy(ACME).list_invitations(request).await.expect("read");
    assert!(reply.metadata().get("rapport-stale").is_none(), "{:?}", reply.metadata());
    reply.into_inner().invitations
}

fn says(invitation: &Invitation, answer: InvitationAnswer) -> RespondToInvitationRequest {
    RespondToInvitationRequest { name: invitation.name.clone(), answer: answer.into(), ..Default::default() }
}

fn invite(party: &str, reason: &str) -> InviteAdvocateRequest {
    InviteAdvocateRequest {
        party: party.into(),
        channel: "email".into(),
        purpose: "advocacy".into(),
        reason: reason.into(),
        request_id: fresh(),
        ..Default::default()
    }
}

async fn get(stage: &Stage, name: &str) -> Invitation {
    let request = GetInvitationRequest { name: name.into() };
    stage.advocacy(ACME).get_invitation(request).await.expect("it is there").into_inner()
}

async fn a_promoter_is_invited_earns_and_answers_once(stage: &Stage, club: &Club) {
    let survey = survey(stage).await;
    let party = willing(stage, "Promoter").await;
    let member = enrolled(stage, club, &party).await;
    let (passive, seen) = answered(stage, &survey, &party, 8).await;
    assert!(invitations(stage, &party, &seen).await.is_empty(), "who is not a promoter is not asked: {passive}");
    assert_eq!(balance(stage, &member, &club.points, &seen).await, 50, "the answer itself earns");

    let (response, seen) = answered(stage, &survey, &party, 9).await;
    let all = invitations(stage, &party, &seen).await;
    let [sent] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(sent.state(), InvitationState::Sent);
    assert_eq!((&sent.party, &sent.member, &sent.survey_response), (&party, &member, &response));
    assert_eq!((sent.channel.as_str(), sent.purpose.as_str(), sent.ask.as_str()), ("email", "advocacy", "review"));
    assert_eq!((sent.gate(), sent.time_zone.as_str(), sent.version), (InvitationGate::Unspecified, "Europe/Lisbon", 1));
    assert_eq!(sent.expire_time, sent.sent_time.map(|time| after(time, 30 * 86_400)));
    assert_eq!(balance(stage, &member, &club.points, &seen).await, 100);
    assert_eq!(balance(stage, &member, &club.social, &seen).await, 0);
    assert_eq!(get(stage, &sent.name).await, *sent);

    // A second answer within the period of the cap.
    let (_, seen) = answered(stage, &survey, &party, 10).await;
    let all = invitations(stage, &party, &seen).await;
    assert_eq!(
        (all.len(), all[0].state(), all[0].gate()),
        (2, InvitationState::Suppressed, InvitationGate::FrequencyCap)
    );
    assert_eq!(all[0].deciding_resource, sent.name);

    let mut advocacy = stage.advocacy(ACME);
    let request = RespondToInvitationRequest {
        note: "With pleasure.\nWhere?".into(),
        request_id: fresh(),
        ..says(sent, InvitationAnswer::Accepted)
    };
    let reply = advocacy.respond_to_invitation(request.clone()).await.expect("accepted");
    assert!(position(reply.metadata(), "loyalty") > 0);
    let accepted = reply.into_inner();
    assert_eq!((accepted.state(), accepted.version), (InvitationState::Accepted, 2));
    assert_eq!(accepted.answer_note, "With pleasure.\nWhere?");
    assert!(accepted.reward_transaction.starts_with("transactions/"), "{accepted:?}");
    assert_eq!(balance(stage, &member, &club.social, &seen).await, 1, "standing, and nothing that can be spent");
    assert_eq!(balance(stage, &member, &club.points, &seen).await, 150);
    // Retried, said again, and taken back.
    let replayed = advocacy.respond_to_invitation(request).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    assert_eq!(replayed.into_inner(), accepted);
    let again = advocacy.respond_to_invitation(says(sent, InvitationAnswer::Accepted)).await.expect("the same again");
    assert_eq!(again.into_inner(), accepted);
    let other = advocacy.respond_to_invitation(says(sent, InvitationAnswer::Declined)).await;
    let status = assert_reason!(other, Code::FailedPrecondition, "INVALID_TRANSITION");
    let told = error_metadata(&status);
    assert_eq!((told["from"].as_str(), told["to"].as_str()), ("accepted", "declined"));
    assert_eq!(balance(stage, &member, &club.social, &seen).await, 1, "given once");
    // One that was not made cannot be answered.
    let suppressed = advocacy.respond_to_invitation(says(&all[0], InvitationAnswer::Accepted)).await;
    assert_reason!(suppressed, Code::FailedPrecondition, "INVALID_TRANSITION");
    let foreign = stage.advocacy(GLOBEX).respond_to_invitation(says(sent, InvitationAnswer::Declined)).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");

    // The feed tells it, in order.
    let request = SubscribeRequest {
        source: "loyalty".into(),
        types: ["InvitationSent", "InvitationSuppressed", "InvitationAnswered"]
            .map(|name| format!("rapport.loyalty.v1.{name}"))
            .to_vec(),
        ..Default::default()
    };
    let mut feed = stage.feed("loyalty", ACME).subscribe(request).await.expect("a stream").into_inner();
    let mut told = Vec::new();
    while told.len() < 3 {
        told.extend(next(&mut feed).await.events.into_iter().map(|event| (event.aggregate, event.version)));
    }
    let suppressed = all[0].name.clone();
    assert_eq!(told, [(sent.name.clone(), 1), (suppressed, 1), (sent.name.clone(), 2)]);
}

async fn consent_decides(stage: &Stage) {
    let survey = survey(stage).await;
    let party = stage.party(person("Reserved")).await.name;
    let (_, seen) = answered(stage, &survey, &party, 10).await;
    let newest = |all: Vec<Invitation>| {
        let first = all.into_iter().next().expect("recorded");
        (first.state(), first.gate(), first.deciding_resource, first.sent_time)
    };
    let none = (InvitationState::Suppressed, InvitationGate::NoConsent, String::new(), None);
    assert_eq!(newest(invitations(stage, &party, &seen).await), none);
    consent(stage, &party, ConsentState::Granted).await;
    let withdrawn = consent(stage, &party, ConsentState::Withdrawn).await;
    let (_, seen) = answered(stage, &survey, &party, 9).await;
    let refused = (InvitationState::Suppressed, InvitationGate::ConsentWithdrawn, withdrawn, None);
    assert_eq!(newest(invitations(stage, &party, &seen).await), refused);
    consent(stage, &party, ConsentState::Granted).await;
    let (_, seen) = answered(stage, &survey, &party, 9).await;
    assert_eq!(newest(invitations(stage, &party, &seen).await).0, InvitationState::Sent);
    // Set apart: nobody is asked, whatever was said before.
    let restricted = set_apart(&party, stakeholders::PartyLifecycle::Restricted, "asked for it");
    stage.parties(ACME).update_party(restricted).await.expect("set apart");
    let held = stage.advocacy(ACME).invite_advocate(invite(&party, "met at the fair")).await.expect("recorded");
    assert_eq!(newest(vec![held.into_inner()]).1, InvitationGate::PartyRestricted);
    let lifted = set_apart(&party, stakeholders::PartyLifecycle::Identified, "took it back");
    stage.parties(ACME).update_party(lifted).await.expect("no longer");
    let held = stage.advocacy(ACME).invite_advocate(invite(&party, "met again")).await.expect("recorded");
    assert_eq!(newest(vec![held.into_inner()]).1, InvitationGate::FrequencyCap);
    // Stakeholders does not know this one at all.
    let stranger = unknown("parties");
    let (_, seen) = answered(stage, &survey, &stranger, 9).await;
    assert_eq!(newest(invitations(stage, &stranger, &seen).await).1, InvitationGate::PartyUnknown);
}

async fn an_open_complaint_holds_back(stage: &Stage) {
    let survey = survey(stage).await;
    let party = willing(stage, "Complainer").await;
    let case = contacts::Case {
        party: party.clone(),
        r#type: "complaint".into(),
        title: "it came late".into(),
        ..Default::default()
    };
    let request = contacts::OpenCaseRequest { case: Some(case), request_id: fresh() };
    let case = stage.cases(ACME).open_case(request).await.expect("opened").into_inner();
    let (_, seen) = answered(stage, &survey, &party, 9).await;
    let all = invitations(stage, &party, &seen).await;
    assert_eq!((all[0].gate(), &all[0].deciding_resource), (InvitationGate::OpenComplaint, &case.name));
    let asked = stage.advocacy(ACME).invite_advocate(invite(&party, "met at the fair")).await.expect("recorded");
    assert_eq!(asked.into_inner().gate(), InvitationGate::OpenComplaint);
    let request = contacts::TransitionCaseRequest {
        name: case.name,
        status: contacts::CaseStatus::Resolved.into(),
        ..Default::default()
    };
    stage.cases(ACME).transition_case(request).await.expect("solved");
    let (_, seen) = answered(stage, &survey, &party, 9).await;
    assert_eq!(invitations(stage, &party, &seen).await[0].state(), InvitationState::Sent);
}

async fn somebody_asks_for_an_invitation(stage: &Stage, club: &Club) {
    let mut advocacy = stage.advocacy(ACME);
    let party = willing(stage, "Asked").await;
    let member = enrolled(stage, club, &party).await;
    let request = InviteAdvocateRequest {
        party: String::new(),
        member: member.clone(),
        ask: "reference".into(),
        ..invite("", "met at the fair")
    };
    let reply = advocacy.invite_advocate(request.clone()).await.expect("invited");
    let invited = reply.into_inner();
    assert_eq!((invited.state(), &invited.party, &invited.member), (InvitationState::Sent, &party, &member));
    assert_eq!((invited.reason.as_str(), invited.ask.as_str()), ("met at the fair", "reference"));
    let replayed = advocacy.invite_advocate(request.clone()).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    assert_eq!(replayed.into_inner(), invited);
    let reused = InviteAdvocateRequest { ask: "review".into(), ..request };
    assert_reason!(advocacy.invite_advocate(reused).await, Code::AlreadyExists, "REQUEST_ID_REUSED");
    let again = advocacy.invite_advocate(invite(&party, "once more")).await.expect("recorded").into_inner();
    assert_eq!((again.gate(), &again.deciding_resource), (InvitationGate::FrequencyCap, &invited.name));
    // A survey response leads to one invitation, whoever is first to say so.
    let other = willing(stage, "Twice").await;
    let survey = survey(stage).await;
    let (response, seen) = answered(stage, &survey, &other, 9).await;
    let first = invitations(stage, &other, &seen).await.remove(0);
    let request = InviteAdvocateRequest { survey_response: response, ..invite(&other, "") };
    assert_eq!(advocacy.invite_advocate(request).await.expect("the one there is").into_inner(), first);
    // Of many who ask at once for one party, one is heard.
    let contested = willing(stage, "Contested").await;
    let asks = (0..8).map(|_| {
        let mut client = stage.advocacy(ACME);
        let request = invite(&contested, "at once");
        async move { client.invite_advocate(request).await.expect("recorded").into_inner().state() }
    });
    let states = futures::future::join_all(asks).await;
    assert_eq!(states.iter().filter(|state| **state == InvitationState::Sent).count(), 1, "{states:?}");
    let nobody = unknown("parties");
    assert_reason!(advocacy.invite_advocate(invite(&nobody, "who")).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let foreign = stage.advocacy(GLOBEX).invite_advocate(invite(&party, "ours")).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    let foreign = InviteAdvocateRequest { party: String::new(), member, ..invite("", "ours") };
    assert_reason!(stage.advocacy(GLOBEX).invite_advocate(foreign).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    assert_reason!(
        stage.advocacy(READER).invite_advocate(invite(&party, "may I")).await,
        Code::PermissionDenied,
        "PERMISSION_DENIED"
    );
}

async fn pages_and_states_hold(stage: &Stage) {
    let mut advocacy = stage.advocacy(ACME);
    let party = willing(stage, "Listed").await;
    let mut names = Vec::new();
    for number in 0..5 {
        let reply = advocacy.invite_advocate(invite(&party, &format!("number {number}"))).await.expect("recorded");
        names.insert(0, reply.into_inner().name);
    }
    let mut found = Vec::new();
    let mut request = ListInvitationsRequest { party: party.clone(), page_size: 2, ..Default::default() };
    loop {
        let page = advocacy.list_invitations(request.clone()).await.expect("a page").into_inner();
        assert!(page.invitations.len() <= 2);
        found.extend(page.invitations.into_iter().map(|one| one.name));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, names, "newest first");
    let by_state = |state: InvitationState| {
        let mut client = stage.advocacy(ACME);
        let request = ListInvitationsRequest { party: party.clone(), state: state.into(), ..Default::default() };
        async move { client.list_invitations(request).await.expect("read").into_inner().invitations.len() }
    };
    assert_eq!(by_state(InvitationState::Sent).await, 1);
    assert_eq!(by_state(InvitationState::Suppressed).await, 4);
    assert_eq!(by_state(InvitationState::Expired).await, 0);
    let foreign = ListInvitationsRequest { party: party.clone(), ..Default::default() };
    let foreign = stage.advocacy(GLOBEX).list_invitations(foreign).await.expect("read").into_inner();
    assert!(foreign.invitations.is_empty());
    let name = names.remove(0);
    let foreign = stage.advocacy(GLOBEX).get_invitation(GetInvitationRequest { name }).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");

    let funnel = advocacy.get_advocacy_funnel(GetAdvocacyFunnelRequest::default()).await.expect("counted").into_inner();
    let suppressed: i64 = funnel.suppressed.iter().map(|gate| gate.count).sum();
    let states = [
        funnel.held_out_count,
        suppressed,
        funnel.scheduled_count,
        funnel.awaiting_count,
        funnel.accepted_count,
        funnel.declined_count,
        funnel.expired_count,
    ];
    assert_eq!(states.iter().sum::<i64>(), funnel.recorded_count, "each is counted once: {funnel:?}");
    assert!(funnel.accepted_count == 1 && funnel.awaiting_count > 1 && suppressed > 4, "{funnel:?}");
    let hold_out = funnel.hold_out.expect("told");
    assert_eq!((hold_out.held_out_count, hold_out.lift_micros), (0, None), "without a group there is no lift");
    let later = GetAdvocacyFunnelRequest { from_time: Some(after(now(), 3_600)), ..Default::default() };
    assert_eq!(advocacy.get_advocacy_funnel(later).await.expect("counted").into_inner().recorded_count, 0);
    let foreign = stage.advocacy(GLOBEX).get_advocacy_funnel(GetAdvocacyFunnelRequest::default()).await;
    assert_eq!(foreign.expect("counted").into_inner().recorded_count, 0);
}

async fn everything_wrong_is_told_at_once(stage: &Stage) {
    let mut advocacy = stage.advocacy(ACME);
    refused(
        advocacy.invite_advocate(InviteAdvocateRequest::default()).await,
        &[("party", "REQUIRED"), ("channel", "REQUIRED"), ("purpose", "REQUIRED"), ("reason", "REQUIRED")],
    );
    let junk = InviteAdvocateRequest {
        party: "parties/7".into(),
        member: "members/7".into(),
        channel: "E-Mail".into(),
        purpose: "x".repeat(64),
        ask: "a b".into(),
        survey_response: "surveys/7".into(),
        reason: "r".repeat(501),
        request_id: "seven".into(),
    };
    refused(
        advocacy.invite_advocate(junk).await,
        &[
            ("request_id", "INVALID_REQUEST_ID"),
            ("party", "MALFORMED_NAME"),
            ("member", "MALFORMED_NAME"),
            ("channel", "MALFORMED"),
            ("purpose", "TOO_LONG"),
            ("ask", "MALFORMED"),
            ("survey_response", "MALFORMED_NAME"),
            ("reason", "TOO_LONG"),
        ],
    );
    let wrong = RespondToInvitationRequest {
        name: "invitations/7".into(),
        answer: 99,
        note: "n".repeat(2_001),
        occurred_time: Some(after(now(), 2 * 86_400)),
        request_id: String::new(),
    };
    refused(
        advocacy.respond_to_invitation(wrong).await,
        &[
            ("name", "MALFORMED_NAME"),
            ("answer", "UNKNOWN_ENUM_VALUE"),
            ("note", "TOO_LONG"),
            ("occurred_time", "IN_FUTURE"),
        ],
    );
    refused(
        advocacy.respond_to_invitation(RespondToInvitationRequest::default()).await,
        &[("name", "REQUIRED"), ("answer", "REQUIRED")],
    );
    let list = ListInvitationsRequest { party: "x".into(), state: 99, page_size: -1, page_token: String::new() };
    refused(
        advocacy.list_invitations(list).await,
        &[("party", "MALFORMED_NAME"), ("state", "UNKNOWN_ENUM_VALUE"), ("page_size", "OUT_OF_RANGE")],
    );
    let token = ListInvitationsRequest { page_token: "junk".into(), ..Default::default() };
    assert_reason!(advocacy.list_invitations(token).await, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    let backwards = GetAdvocacyFunnelRequest { from_time: Some(now()), to_time: Some(after(now(), -60)) };
    refused(advocacy.get_advocacy_funnel(backwards).await, &[("to_time", "END_BEFORE_START")]);
    let name = unknown("invitations");
    let nothing = advocacy.get_invitation(GetInvitationRequest { name: name.clone() }).await;
    assert_reason!(nothing, Code::NotFound, "RESOURCE_NOT_FOUND");
    let accept = RespondToInvitationRequest { name, answer: 1, ..Default::default() };
    assert_reason!(advocacy.respond_to_invitation(accept).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn quiet_hours_postpone(stage: &Stage) {
    let mut advocacy = stage.advocacy(ACME);
    let party = willing(stage, "Asleep").await;
    let reply = advocacy.invite_advocate(invite(&party, "at night")).await.expect("recorded").into_inner();
    // One minute of the day is not quiet: should it be this one, the next request falls into the night again.
    let scheduled = match reply.state() {
        InvitationState::Scheduled => reply,
        _ => {
            let other = willing(stage, "Asleep too").await;
            advocacy.invite_advocate(invite(&other, "at night")).await.expect("recorded").into_inner()
        }
    };
    assert_eq!((scheduled.state(), scheduled.sent_time), (InvitationState::Scheduled, None));
    let due = scheduled.due_time.expect("due").seconds;
    assert_eq!((due % 86_400, scheduled.time_zone.as_str()), (86_340, "UTC"), "at 23:59");
    let early = advocacy.respond_to_invitation(says(&scheduled, InvitationAnswer::Accepted)).await;
    assert_reason!(early, Code::FailedPrecondition, "INVALID_TRANSITION");
    // The party's own clock counts.
    let far = stakeholders::Party { time_zone: "Asia/Tokyo".into(), ..person("Elsewhere") };
    let far = stage.party(far).await.name;
    consent(stage, &far, ConsentState::Granted).await;
    let reply = advocacy.invite_advocate(invite(&far, "at night")).await.expect("recorded").into_inner();
    assert_eq!(reply.time_zone, "Asia/Tokyo");
    if reply.state() == InvitationState::Scheduled {
        let due = reply.due_time.expect("due").seconds;
        assert_eq!((due + 9 * 3_600) % 86_400, 86_340, "at 23:59 in Tokyo");
    }
}

async fn everybody_is_held_out(stage: &Stage) {
    let party = willing(stage, "Held out").await;
    let survey = survey(stage).await;
    let (_, seen) = answered(stage, &survey, &party, 9).await;
    let all = invitations(stage, &party, &seen).await;
    assert_eq!((all[0].state(), all[0].sent_time), (InvitationState::HeldOut, None));
    // The gates come first: only who would have been invited is held out.
    let reserved = stage.party(person("Reserved")).await.name;
    let (_, seen) = answered(stage, &survey, &reserved, 9).await;
    assert_eq!(invitations(stage, &reserved, &seen).await[0].gate(), InvitationGate::NoConsent);
    let funnel = stage.advocacy(ACME).get_advocacy_funnel(GetAdvocacyFunnelRequest::default()).await;
    let funnel = funnel.expect("counted").into_inner();
    assert_eq!((funnel.recorded_count, funnel.held_out_count), (2, 1));
    assert_eq!(funnel.hold_out.expect("told").held_out_count, 1);
}
