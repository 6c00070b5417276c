//! Conversations at the desk: several legs, handed on, missed, watched, and said to be somebody else's.

use futures::future::join_all;
use prost::Message as _;
use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::watch_agent_context_request::About as Watched;
use rapport_proto::interactions::v1::*;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use rapport_types::etag::Etag;
use stakeholders::{Consent, ConsentState, RecordConsentRequest};
use tonic::Streaming;

use super::advocacy::{balance, enrolled, program};
use super::desk::{begin, consent, context_of};
use super::messages::{after, by_party, contact, now, person, phone, record, set_apart};
use super::stage::{ACME, AGENT, Positions, READER, Stage, end, fresh, next, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn a_conversation_is_one_interaction_whoever_takes_it(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        legs_and_handovers_end_in_one_interaction(&stage).await;
        a_missed_call_is_followed_up_once(&stage).await;
        whose_case_a_call_joins_is_told(&stage).await;
        who_is_set_apart_is_served_and_asked_for_nothing(&stage).await;
        who_is_unknown_is_made_a_party_when_the_desk_asks(&stage).await;
        it_was_somebody_elses_and_everything_follows(&stage).await;
        points_follow_to_whom_it_was_of(&stage).await;
        stage.close().await;
    }

    async fn a_context_is_told_as_it_changes(sandbox: SandboxBuilder) {
        let mut stage = Stage::open(sandbox).await;
        changes_are_told_until_the_call_ends(&stage).await;
        a_watch_ends_when_the_server_stops(&mut stage).await;
        stage.close().await;
    }
}

fn leg(call_id: &str, leg: &str, number: &str) -> Call {
    Call {
        call_id: call_id.into(),
        leg: leg.into(),
        direction: Direction::Inbound.into(),
        identifier_used: Some(Identifier { scheme: "tel".into(), value: number.into() }),
        agent: format!("users/{leg}"),
        started_time: Some(now()),
        ..Default::default()
    }
}

fn ending(call: Call, disposition: CallDisposition) -> EndCallRequest {
    EndCallRequest { call: Some(call), disposition: disposition.into(), ..Default::default() }
}

async fn ended(stage: &Stage, request: EndCallRequest) -> (Call, Positions) {
    let answer = stage.desk(AGENT).end_call(request).await.expect("a call ends");
    let seen = positions(answer.metadata());
    (answer.into_inner(), seen)
}

async fn caller(stage: &Stage, name: &str, number: &str) -> (String, Positions) {
    let party = stakeholders::Party { contact_media: vec![phone(number)], ..person(name) };
    let (party, seen) = stage.party_at(party).await;
    (party.name, seen)
}

fn party(name: &str) -> About {
    About::Party(name.to_owned())
}

fn names(context: &AgentContext) -> Vec<&str> {
    context.history.iter().flat_map(|history| &history.interactions).map(|one| one.name.as_str()).collect()
}

async fn legs_and_handovers_end_in_one_interaction(stage: &Stage) {
    let number = "+12025550301";
    let (known, seen) = caller(stage, "Long Talker", number).await;
    let first = begin(stage, leg("talk-1", "a", number)).await;
    let handover = TransferCallRequest {
        name: first.name.clone(),
        to_agent: "users/b".into(),
        to_leg: "b".into(),
        note: "has waited for a week".into(),
        request_id: fresh(),
        ..Default::default()
    };
    let answer = stage.desk(AGENT).transfer_call(handover.clone()).await.expect("handed on");
    let new = answer.into_inner();
    assert_eq!((new.leg.as_str(), new.agent.as_str()), ("b", "users/b"));
    assert_eq!(new.resolution.as_ref().expect("who it is").party, known);
    let again = stage.desk(AGENT).transfer_call(handover.clone()).await.expect("replayed");
    assert_eq!(again.metadata().get("rapport-replayed").expect("said so"), "true");
    assert_eq!(again.into_inner(), new);
    // Whoever takes it over finds what was noted.
    let context = context_of(stage, About::Call(new.name.clone()), &seen).await;
    assert_eq!(context.party, known);
    let transfers = context.caller.expect("a caller").transfers;
    assert_eq!((transfers.len(), transfers[0].note.as_str()), (1, "has waited for a week"));
    assert_eq!((transfers[0].from_agent.as_str(), transfers[0].to_call.as_str()), ("users/a", new.name.as_str()));
    // Both legs end ten times at once, in whatever process.
    let ends = (0..10).map(|at| {
        let (name, disposition) =
            if at % 2 == 0 { ("a", CallDisposition::Handled) } else { ("b", CallDisposition::Complaint) };
        let end = EndCallRequest {
            wrap_up: format!("said on {name}"),
            ended_time: Some(after(now(), if name == "a" { 60 } else { 120 })),
            ..ending(leg("talk-1", name, number), disposition)
        };
        ended(stage, end)
    });
    let all = join_all(ends).await;
    let mut seen = Positions::new();
    for (call, position) in &all {
        assert_eq!(call.interaction, all[0].0.interaction);
        for (service, at) in position {
            let most = seen.entry(service.clone()).or_default();
            *most = (*most).max(*at);
        }
    }
    let context = context_of(stage, party(&known), &seen).await;
    assert_eq!(names(&context), [all[0].0.interaction.as_str()]);
    let one = GetInteractionRequest { name: all[0].0.interaction.clone(), ..Default::default() };
    let one = stage.interactions(ACME).get_interaction(one).await.expect("there").into_inner();
    assert_eq!((one.kind.as_str(), one.body.as_str()), ("complaint", "said on a\n\nsaid on b"));
    // Handed on after it ended: kept, and nothing else.
    let late = TransferCallRequest { to_leg: String::new(), request_id: fresh(), ..handover };
    let late = stage.desk(AGENT).transfer_call(late).await.expect("kept").into_inner();
    assert_eq!((late.state(), late.transfers.len()), (CallState::Ended, 2));
    let denied = TransferCallRequest { call_id: "x".into(), to_agent: "users/b".into(), ..Default::default() };
    assert_reason!(stage.desk(READER).transfer_call(denied).await, Code::PermissionDenied, "PERMISSION_DENIED");
}

async fn a_missed_call_is_followed_up_once(stage: &Stage) {
    let number = "+12025550302";
    let (known, seen) = caller(stage, "Missed Caller", number).await;
    context_of(stage, party(&known), &seen).await;
    let missed = |call_id: &str| ending(leg(call_id, "a", number), CallDisposition::Missed);
    let ends = (0..12).map(|at| ended(stage, missed(&format!("missed-{}", at / 3))));
    let all = join_all(ends).await;
    let request = ListCasesRequest { party: known, filter: r#"type == "callback""#.into(), ..Default::default() };
    let cases = stage.cases(ACME).list_cases(request.clone()).await.expect("listed").into_inner().cases;
    assert_eq!(cases.len(), 1, "{cases:?}");
    assert_eq!((cases[0].interactions.len(), cases[0].title.as_str()), (4, "missed call"));
    assert!(all.iter().all(|(call, _)| call.case == cases[0].name));
    every_version_is_one_state(stage, &cases[0], number).await;
    let solved = TransitionCaseRequest {
        name: cases[0].name.clone(),
        status: CaseStatus::Resolved.into(),
        ..Default::default()
    };
    stage.cases(ACME).transition_case(solved).await.expect("resolved");
    let (again, _) = ended(stage, missed("missed-9")).await;
    assert_ne!(again.case, cases[0].name);
    assert_eq!(stage.cases(ACME).list_cases(request).await.expect("listed").into_inner().cases.len(), 2);
}

/// A call that nobody took at either desk joins the case that waits, and nothing else is to be told of it: what is known
/// of whoever waits follows all the same.
async fn whose_case_a_call_joins_is_told(stage: &Stage) {
    let number = "+12025550307";
    let (known, seen) = caller(stage, "Waits For A Call", number).await;
    context_of(stage, party(&known), &seen).await;
    let missed = |call_id: &str, name: &str| ending(leg(call_id, name, number), CallDisposition::Missed);
    let (first, _) = ended(stage, missed("joins-1", "a")).await;
    for name in ["a", "b"] {
        begin(stage, leg("joins-2", name, number)).await;
    }
    let (_, seen) = ended(stage, missed("joins-2", "a")).await;
    let before = context_of(stage, party(&known), &seen).await;
    let request = SubscribeRequest {
        source: "interactions".into(),
        types: vec!["rapport.interactions.v1.CaseLinked".into()],
        start_at_end: true,
        ..Default::default()
    };
    let mut feed = stage.feed("interactions", ACME).subscribe(request).await.expect("subscribed").into_inner();
    let (second, seen) = ended(stage, missed("joins-2", "b")).await;
    assert_eq!(second.case, first.case);
    let after = context_of(stage, party(&known), &seen).await;
    let history = |context: &AgentContext| context.history.clone().expect("a history").interactions;
    assert_eq!(history(&after), history(&before), "nothing else is told of the call");
    let case = |context: &AgentContext| context.cases.clone().expect("cases").cases.remove(0);
    let (before, after) = (case(&before), case(&after));
    assert_eq!(before.interactions, std::slice::from_ref(&first.interaction));
    assert_eq!(after.interactions, [first.interaction, second.interaction.clone()]);
    let etag = |version| Etag::of(version).to_string();
    assert_eq!((before.etag, after.etag), (etag(1), etag(2)));
    let event = loop {
        if let Some(event) = next(&mut feed).await.events.pop() {
            break event;
        }
    };
    let told = CaseLinked::decode(event.data.expect("an event carries its message").value.as_slice()).expect("a link");
    assert_eq!((told.case, told.version, event.version), (first.case, 2, 2));
    assert_eq!((told.party, &told.interaction), (known, &second.interaction));
    let steps = history_of(stage, &second.case).await;
    let steps: Vec<_> = steps.iter().map(|step| (step.kind(), step.version, step.interaction.as_str())).collect();
    use CaseEventKind::{Linked, Opened};
    assert_eq!(steps, [(Opened, 1, ""), (Linked, 2, second.interaction.as_str())]);
}

/// The steps of a case's history.
async fn history_of(stage: &Stage, case: &str) -> Vec<CaseEvent> {
    let request = ListCaseEventsRequest { case: case.into(), page_size: 100, ..Default::default() };
    stage.cases(ACME).list_case_events(request).await.expect("listed").into_inner().case_events
}

/// A call makes nobody; whoever is at the desk may, while it goes on, and sees whom at once.
async fn who_is_unknown_is_made_a_party_when_the_desk_asks(stage: &Stage) {
    let number = "+12025550377";
    let call = begin(stage, leg("unknown-yet", "a", number)).await;
    assert_eq!(call.resolution.as_ref().map(CallResolution::r#match), Some(CallMatch::Unknown));
    let identifiers =
        vec![stakeholders::IdentifierQuery { scheme: "tel".into(), value: number.into(), ..Default::default() }];
    let asked = |create_provisional| stakeholders::ResolvePartyRequest {
        identifiers: identifiers.clone(),
        create_provisional,
        request_id: fresh(),
        ..Default::default()
    };
    let nobody = stage.identity(AGENT).resolve_party(asked(false)).await.expect("nobody").into_inner();
    assert_eq!(nobody.party, None, "the call made nobody");
    let made = stage.identity(AGENT).resolve_party(asked(true)).await.expect("made");
    let seen = positions(made.metadata());
    let made = made.into_inner().party.expect("a party");
    let context = context_of(stage, About::Call(call.name), &seen).await;
    assert_eq!(context.party, made.name);
    assert_eq!(context.card.expect("a card").lifecycle, "provisional");
    let (call, seen) = ended(stage, ending(leg("unknown-yet", "a", number), CallDisposition::Handled)).await;
    let history = context_of(stage, party(&made.name), &seen).await.history.expect("a history");
    assert_eq!(history.interactions.iter().map(|one| &one.name).collect::<Vec<_>>(), [&call.interaction]);
}

/// Missed calls are linked to a case while it is given to one after the other: each of them makes a version of it.
async fn every_version_is_one_state(stage: &Stage, case: &Case, number: &str) {
    let before = case.interactions.len();
    assert_eq!(case.etag, Etag::of(1 + i64::try_from(before - 1).expect("few")).to_string());
    let links = (0..24).map(|at| {
        let request = ending(leg(&format!("missed-while-{at}"), "a", number), CallDisposition::Missed);
        async move { ended(stage, request).await.0.case }
    });
    let gifts = (0..24).map(|at| {
        let (name, assignee) =
            (case.name.clone(), Some(Assignee { to: Some(assignee::To::User(format!("users/{at}"))) }));
        let request = AssignCaseRequest { name, assignee, ..Default::default() };
        async move { stage.cases(ACME).assign_case(request).await.expect("given").into_inner().etag }
    });
    let (linked, given) = futures::join!(join_all(links), join_all(gifts));
    assert!(linked.iter().all(|one| *one == case.name), "{linked:?}");
    let unique: std::collections::BTreeSet<&String> = given.iter().collect();
    assert_eq!(unique.len(), 24);
    let request = GetCaseRequest { name: case.name.clone() };
    let now = stage.cases(ACME).get_case(request).await.expect("there").into_inner();
    assert_eq!(now.interactions.len(), before + 24);
    let version = i64::try_from(before + 24 + 24).expect("few");
    assert_eq!(now.etag, Etag::of(version).to_string(), "a version was given twice");
    let steps = history_of(stage, &case.name).await;
    assert!(steps.iter().map(|step| step.version).eq(1..=version), "each version has its step: {steps:?}");
    let linked = steps.iter().filter(|step| step.kind() == CaseEventKind::Linked);
    assert!(linked.map(|step| &step.interaction).eq(&now.interactions[1..]), "{steps:?}");
}

/// Glad, and agreed to be asked: the one to invite, but for a restriction.
async fn who_is_set_apart_is_served_and_asked_for_nothing(stage: &Stage) {
    let (glad, _) = stage.party_at(person("Set Apart")).await;
    let mut seen = consent(stage, &glad.name, "reference", ConsentState::Granted).await;
    for _ in 0..4 {
        let praise = record(contact("praise", by_party(&glad.name), now()));
        seen.extend(positions(stage.interactions(ACME).record_interaction(praise).await.expect("recorded").metadata()));
    }
    let told = async |seen: &Positions| {
        let context = context_of(stage, party(&glad.name), seen).await;
        let card = context.card.expect("a card");
        assert_eq!(card.status.expect("a status").state(), SectionState::Fresh);
        let warned = context.warnings.iter().any(|one| one.kind() == WarningKind::Restricted);
        let consents = context.consents.expect("consents").consents;
        let reference = consents.into_iter().find(|one| one.purpose == "reference").expect("asked for").reason;
        (card.lifecycle, warned, reference, context.next_best_action.expect("something to do"))
    };
    let (lifecycle, warned, reference, action) = told(&seen).await;
    assert_eq!((lifecycle.as_str(), warned, reference.as_str()), ("identified", false, "granted"));
    assert_eq!(action.action(), ActionKind::InviteAdvocacy, "{action:?}");
    let moved = async |to, why| {
        let update = set_apart(&glad.name, to, why);
        positions(stage.parties(ACME).update_party(update).await.expect("moved").metadata())
    };
    let seen = moved(stakeholders::PartyLifecycle::Restricted, "asked for it by letter").await;
    let (lifecycle, warned, reference, action) = told(&seen).await;
    assert_eq!((lifecycle.as_str(), warned, reference.as_str()), ("restricted", true, "party_restricted"));
    assert_eq!(action.action(), ActionKind::Serve, "{action:?}");
    let invite = action.candidates.iter().find(|one| one.action() == ActionKind::InviteAdvocacy).expect("considered");
    assert_eq!(invite.reason, "the party is restricted");
    let seen = moved(stakeholders::PartyLifecycle::Identified, "took it back").await;
    let (lifecycle, warned, reference, action) = told(&seen).await;
    assert_eq!((lifecycle.as_str(), warned, reference.as_str()), ("identified", false, "granted"));
    assert_eq!(action.action(), ActionKind::InviteAdvocacy, "{action:?}");
}

fn health(context: &AgentContext) -> (i64, i64) {
    let section = context.scores.as_ref().expect("scores");
    let found = section.scores.iter().find(|score| score.definition == "scoreDefinitions/relationship-health");
    let found = found.expect("relationship health");
    (found.value_micros, found.contribution_count)
}

/// What is promised, both ways.
fn promises(context: &AgentContext) -> Vec<(&str, &str)> {
    let section = context.promises.as_ref().expect("promises");
    section.commitments.iter().map(|one| (one.name.as_str(), one.promise.as_str())).collect()
}

fn to(interaction: &str, party: &str) -> ReassignInteractionRequest {
    ReassignInteractionRequest {
        name: interaction.into(),
        party: party.into(),
        reason: "wrong-party".into(),
        request_id: fresh(),
        ..Default::default()
    }
}

async fn reassigned(stage: &Stage, request: ReassignInteractionRequest) -> (Interaction, Positions) {
    let answer = stage.interactions(AGENT).reassign_interaction(request).await.expect("reassigned");
    let seen = positions(answer.metadata());
    (answer.into_inner(), seen)
}

async fn it_was_somebody_elses_and_everything_follows(stage: &Stage) {
    let number = "+12025550303";
    let (one, seen) = caller(stage, "Taken For It", number).await;
    let (other, _) = stage.party_at(person("Really Was It")).await;
    context_of(stage, party(&one), &seen).await;
    let case = CallCase { r#type: "complaint".into(), title: "late again".into(), ..Default::default() };
    let request = EndCallRequest {
        valence: Some(Valence { value: -1.0, method: ValenceMethod::Agent.into(), confidence: None }),
        open_case: Some(case),
        wrap_up: "It came late.".into(),
        ..ending(leg("whose-1", "a", number), CallDisposition::Complaint)
    };
    let (call, seen) = ended(stage, request.clone()).await;
    let before = context_of(stage, party(&one), &seen).await;
    assert_eq!((names(&before), health(&before).1), (vec![call.interaction.as_str()], 1));
    let whole = GetInteractionRequest { name: call.interaction.clone(), ..Default::default() };
    let first = stage.interactions(ACME).get_interaction(whole.clone()).await.expect("there").into_inner();

    let promise = Commitment {
        party: one.clone(),
        side: CommitmentSide::Ours.into(),
        promise: "a new one".into(),
        interaction: call.interaction.clone(),
        due_time: Some(after(now(), 3_600)),
        ..Default::default()
    };
    let promise = MakeCommitmentRequest { commitment: Some(promise), ..Default::default() };
    let promise = stage.commitments(AGENT).make_commitment(promise).await.expect("made").into_inner();

    let (moved, seen) = reassigned(stage, to(&call.interaction, &other.name)).await;
    assert_eq!((moved.version, moved.body.as_str()), (2, "It came late."));
    assert_eq!(moved.participants[0].party, other.name);
    let old = context_of(stage, party(&one), &seen).await;
    assert_eq!(promises(&old).len(), 0);
    assert_eq!((names(&old).len(), health(&old).1, old.cases.expect("cases").cases.len()), (0, 0, 0));
    let new = context_of(stage, party(&other.name), &seen).await;
    assert_eq!((names(&new), health(&new).1), (vec![call.interaction.as_str()], 1));
    assert!(health(&new).0 < 50_000_000, "{:?}", health(&new));
    assert_eq!(new.cases.as_ref().expect("cases").cases[0].name, call.case);
    assert_eq!(promises(&new), [(promise.name.as_str(), "a new one")]);
    let by_call = context_of(stage, About::Call(call.name.clone()), &seen).await;
    let resolution = by_call.caller.expect("a caller").resolution.expect("who it is");
    assert_eq!((resolution.party.as_str(), resolution.reason.as_str()), (other.name.as_str(), "the agent said so"));
    // To whom it is already.
    let (same, _) = reassigned(stage, to(&call.interaction, &other.name)).await;
    assert_eq!(same, moved);

    let back = ReassignInteractionRequest { party: String::new(), undo: true, ..to(&call.interaction, "") };
    let (restored, seen) = reassigned(stage, back).await;
    assert_eq!((restored.version, &restored.participants), (3, &first.participants));
    let old = context_of(stage, party(&one), &seen).await;
    assert_eq!((names(&old), health(&old).1), (vec![call.interaction.as_str()], 1));
    assert_eq!(promises(&old), [(promise.name.as_str(), "a new one")]);
    assert_eq!(old.cases.expect("cases").cases.len(), 1);
    let history = history_of(stage, &call.case).await;
    let whose: Vec<(CaseEventKind, &str)> = history.iter().map(|step| (step.kind(), step.party.as_str())).collect();
    use CaseEventKind::{Opened, Reassigned};
    assert_eq!(whose, [(Opened, ""), (Reassigned, other.name.as_str()), (Reassigned, one.as_str())]);
    assert!(history[1..].iter().all(|step| step.interaction == call.interaction && step.principal == "users/abe"));
    let new = context_of(stage, party(&other.name), &seen).await;
    assert_eq!((names(&new).len(), health(&new).1), (0, 0));
    assert_eq!(ended(stage, request).await.0.resolution.expect("who it is").party, one);

    let unknown = stage.interactions(AGENT).reassign_interaction(to(&unknown("interactions"), &one)).await;
    assert_reason!(unknown, Code::NotFound, "RESOURCE_NOT_FOUND");
    let gone =
        RetractInteractionRequest { name: call.interaction.clone(), reason: "test-data".into(), ..Default::default() };
    stage.interactions(ACME).retract_interaction(gone).await.expect("retracted");
    let late = stage.interactions(AGENT).reassign_interaction(to(&call.interaction, &other.name)).await;
    assert_reason!(late, Code::FailedPrecondition, "INVALID_TRANSITION");
}

async fn points_follow_to_whom_it_was_of(stage: &Stage) {
    let club = program(stage).await;
    let one = stage.party(person("Taken For Buyer")).await.name;
    let other = stage.party(person("Really Bought")).await.name;
    let (member, second) = (enrolled(stage, &club, &one).await, enrolled(stage, &club, &other).await);
    let money = rapport_proto::types::v1::Money { units: 12, nanos: 0, currency_code: "EUR".into() };
    let amount = Some(Amount { kind: AmountKind::Order.into(), money: Some(money) });
    let order = record(Interaction { amount, ..contact("order", by_party(&one), now()) });
    let answer = stage.interactions(ACME).record_interaction(order).await.expect("recorded");
    let seen = positions(answer.metadata());
    let order = answer.into_inner().name;
    assert_eq!(balance(stage, &member, &club.points, &seen).await, 12);
    let (_, seen) = reassigned(stage, to(&order, &other)).await;
    assert_eq!(balance(stage, &member, &club.points, &seen).await, 0);
    assert_eq!(balance(stage, &second, &club.points, &seen).await, 12);
    let (_, seen) = reassigned(stage, to(&order, &one)).await;
    assert_eq!(balance(stage, &member, &club.points, &seen).await, 12);
    assert_eq!(balance(stage, &second, &club.points, &seen).await, 0);
}

async fn watch(stage: &Stage, about: Watched, seen: &Positions) -> Streaming<WatchAgentContextResponse> {
    let request = WatchAgentContextRequest { about: Some(about), budget_ms: 5_000, ..Default::default() };
    stage.desk(AGENT).watch_agent_context(at_least(request, seen)).await.expect("watched").into_inner()
}

/// The first message that tells of a field as it is awaited.
async fn until(
    stream: &mut Streaming<WatchAgentContextResponse>,
    field: &str,
    awaited: impl Fn(&AgentContext) -> bool,
) -> AgentContext {
    loop {
        let message = next(stream).await;
        assert!(!message.changed.is_empty() || message.ended, "a message tells something: {message:?}");
        let context = message.context.expect("a context");
        if message.changed.iter().any(|changed| changed == field) && awaited(&context) {
            return context;
        }
    }
}

async fn changes_are_told_until_the_call_ends(stage: &Stage) {
    let number = "+12025550304";
    let (known, seen) = caller(stage, "Watched", number).await;
    let call = begin(stage, leg("watch-1", "a", number)).await;
    let mut stream = watch(stage, Watched::Call(call.name.clone()), &seen).await;
    let first = next(&mut stream).await;
    let context = first.context.expect("a context");
    assert_eq!((first.changed.len(), context.party.as_str()), (0, known.as_str()));
    assert_eq!(context.card.expect("a card").display_name, "Watched");
    // What this service records, what another one does, and what follows from it in a third.
    let complaint = record(Interaction {
        valence: Some(Valence { value: -1.0, method: ValenceMethod::Stated.into(), confidence: None }),
        ..contact("complaint", by_party(&known), now())
    });
    stage.interactions(ACME).record_interaction(complaint).await.expect("recorded");
    until(&mut stream, "history", |context| names(context).len() == 1).await;
    let consent = Consent {
        party: known.clone(),
        purpose: "marketing".into(),
        channel: "phone".into(),
        state: ConsentState::Granted.into(),
        ..Default::default()
    };
    let request = RecordConsentRequest { consent: Some(consent), ..Default::default() };
    stage.privacy(ACME).record_consent(request).await.expect("recorded");
    let allowed = |context: &AgentContext| {
        context
            .consents
            .iter()
            .flat_map(|section| &section.consents)
            .any(|one| one.purpose == "marketing" && one.allowed)
    };
    let told = until(&mut stream, "consents", allowed).await;
    assert!(told.history.is_none(), "only what changed is told");
    // In any order: the score that fell with the complaint was told before the consent, or is told now.
    let praise = record(Interaction {
        valence: Some(Valence { value: 1.0, method: ValenceMethod::Stated.into(), confidence: None }),
        ..contact("praise", by_party(&known), now())
    });
    stage.interactions(ACME).record_interaction(praise).await.expect("recorded");
    until(&mut stream, "scores", |context| health(context).1 == 2).await;
    let handover = TransferCallRequest { name: call.name.clone(), to_agent: "users/c".into(), ..Default::default() };
    stage.desk(AGENT).transfer_call(handover).await.expect("handed on");
    let handed = |context: &AgentContext| context.caller.iter().any(|caller| caller.transfers.len() == 1);
    until(&mut stream, "caller", handed).await;
    ended(stage, ending(leg("watch-1", "a", number), CallDisposition::Handled)).await;
    while !next(&mut stream).await.ended {}
    assert!(stream.message().await.expect("in order").is_none(), "it ends with the call");
    let nobody = WatchAgentContextRequest { about: Some(Watched::Party(unknown("parties"))), ..Default::default() };
    assert_reason!(stage.desk(AGENT).watch_agent_context(nobody).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn a_watch_ends_when_the_server_stops(stage: &mut Stage) {
    let (known, seen) = caller(stage, "Still Watched", "+12025550305").await;
    let mut stream = watch(stage, Watched::Party(known), &seen).await;
    assert!(next(&mut stream).await.context.is_some());
    stage.sandbox.terminate("interactions").await;
    end(&mut stream).await.expect("ended without an error");
    stage.sandbox.restart("interactions").await;
}
