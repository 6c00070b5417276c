//! The agent's desk: who calls, what an agent should know of them in one answer, and what the call became.

use futures::future::join_all;
use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::*;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use stakeholders::{Consent, ConsentState, EndRelationshipRequest, IdentifierStrength, RecordConsentRequest};

use super::messages::{after, at, by_party, contact, identifier, now, person, phone, record, role};
use super::relationships::{made, made_at, tie};
use super::stage::{ACME, AGENT, GLOBEX, NOBODY, Positions, READER, Stage, next, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn a_caller_is_known_and_everything_worth_knowing_is_told(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        a_number_leads_to_its_party(&stage).await;
        an_unknown_number_is_given_back_and_nobody_is_made(&stage).await;
        several_candidates_are_ranked_and_the_agent_chooses(&stage).await;
        a_complaint_is_recorded_and_shows(&stage).await;
        an_end_before_its_beginning_finds_its_party(&stage).await;
        consents_show_as_they_stand(&stage).await;
        a_consent_ends_by_itself(&stage).await;
        an_unhappy_neighbour_shows_while_the_tie_holds(&stage).await;
        neighbours_who_wait_or_are_influential_show(&stage).await;
        roles_that_conflict_are_warned_of(&stage).await;
        worth_follows_orders(&stage).await;
        a_call_told_ten_times_at_once_is_one(&stage).await;
        who_may_not_read_is_told_so(&stage).await;
        stage.close().await;
    }
}

pub(crate) fn caller(call_id: &str, number: &str) -> Call {
    Call {
        call_id: call_id.into(),
        direction: Direction::Inbound.into(),
        identifier_used: Some(Identifier { scheme: "tel".into(), value: number.into() }),
        dialled_number: "+12025550100".into(),
        agent: "users/abe".into(),
        started_time: Some(now()),
        ..Default::default()
    }
}

/// A call begins; who it is may be asked for long, as the machine may be slow.
pub(crate) async fn begin(stage: &Stage, call: Call) -> Call {
    let request = BeginCallRequest { call: Some(call), budget_ms: 5_000, ..Default::default() };
    stage.desk(AGENT).begin_call(request).await.expect("a call begins").into_inner()
}

async fn end(stage: &Stage, request: EndCallRequest) -> (Call, Positions) {
    let answer = stage.desk(AGENT).end_call(request).await.expect("a call ends");
    let seen = positions(answer.metadata());
    (answer.into_inner(), seen)
}

fn handled(call_id: &str) -> EndCallRequest {
    EndCallRequest {
        call: Some(Call { call_id: call_id.into(), ..Default::default() }),
        disposition: CallDisposition::Handled.into(),
        ..Default::default()
    }
}

pub(crate) async fn context_of(stage: &Stage, about: About, seen: &Positions) -> AgentContext {
    let request = GetAgentContextRequest { about: Some(about), budget_ms: 5_000, ..Default::default() };
    let answer = stage.desk(AGENT).get_agent_context(at_least(request, seen)).await.expect("a context");
    assert!(answer.metadata().get("rapport-stale").is_none(), "{:?}", answer.metadata());
    answer.into_inner()
}

fn party(name: &str) -> About {
    About::Party(name.to_owned())
}

#[track_caller]
fn state(status: &Option<SectionStatus>) -> SectionState {
    status.as_ref().expect("every section has a status").state()
}

pub(crate) fn resolution(call: &Call) -> &CallResolution {
    call.resolution.as_ref().expect("a call says who it is")
}

async fn a_number_leads_to_its_party(stage: &Stage) {
    let card = stakeholders::Party {
        contact_media: vec![phone("+12025550201")],
        roles: vec![role("customer"), role("supplier")],
        language_code: "pt-BR".into(),
        ..person("Known Caller")
    };
    let (known, seen) = stage.party_at(card).await;
    // Whether the own index has heard of it or the stakeholders service is asked: the same party.
    let call = begin(stage, caller("known-1", "+1 (202) 555-0201")).await;
    assert_eq!(resolution(&call).r#match(), CallMatch::Resolved, "{call:?}");
    assert_eq!(resolution(&call).party, known.name);
    let context = context_of(stage, About::Call(call.name.clone()), &seen).await;
    assert_eq!((context.call.as_str(), context.party.as_str()), (call.name.as_str(), known.name.as_str()));
    let card = context.card.expect("a card");
    assert_eq!(state(&card.status), SectionState::Fresh);
    assert_eq!((card.display_name.as_str(), card.kind.as_str()), ("Known Caller", "individual"));
    let mut roles: Vec<&str> = card.roles.iter().map(|role| role.role_type.as_str()).collect();
    roles.sort_unstable();
    assert_eq!((roles, card.language_code.as_str()), (vec!["customer", "supplier"], "pt-BR"));
    assert!(card.status.expect("a status").position >= seen["stakeholders"]);
    let again = resolution(&begin(stage, caller("known-2", "+12025550201")).await).clone();
    assert_eq!(again.candidates[0].display_name, "Known Caller");
    assert!(!again.candidates[0].reasons.is_empty());
    // In national form the country says how it is read.
    let national = Call { country_code: "us".into(), ..caller("known-3", "(202) 555-0201") };
    assert_eq!(resolution(&begin(stage, national).await).party, known.name);
    let by_number = About::Identifier(Identifier { scheme: "tel".into(), value: "+12025550201".into() });
    assert_eq!(context_of(stage, by_number, &seen).await.party, known.name);
}

async fn count_parties(stage: &Stage) -> usize {
    let request = stakeholders::ListPartiesRequest { page_size: 500, ..Default::default() };
    stage.parties(ACME).list_parties(request).await.expect("listed").into_inner().parties.len()
}

async fn an_unknown_number_is_given_back_and_nobody_is_made(stage: &Stage) {
    let before = count_parties(stage).await;
    let call = begin(stage, caller("unknown-1", "+1 202 555 0202")).await;
    assert_eq!((resolution(&call).r#match(), resolution(&call).party.as_str()), (CallMatch::Unknown, ""));
    assert_eq!(call.identifier_used.as_ref().expect("the number back").value, "+12025550202");
    let withheld = begin(stage, caller("unknown-2", "anonymous")).await;
    assert_eq!(resolution(&withheld).r#match(), CallMatch::Withheld);
    let absent = begin(stage, Call { identifier_used: None, ..caller("unknown-3", "") }).await;
    assert_eq!((resolution(&absent).r#match(), absent.identifier_used), (CallMatch::Withheld, None));
    let context = context_of(stage, About::Call(call.name.clone()), &Positions::new()).await;
    assert_eq!((context.party.as_str(), state(&context.card.expect("a card").status)), ("", SectionState::Missing));
    let action = context.next_best_action.expect("something to do");
    assert_eq!(action.action(), ActionKind::Identify);
    assert_eq!(action.candidates.len(), 11, "everything that was considered is told");
    let (ended, _) = end(stage, handled("unknown-1")).await;
    let (alone, _) = end(stage, handled("unknown-2")).await;
    assert_eq!(count_parties(stage).await, before, "no call makes a party");
    // Whoever claims the number later gets the call; a withheld one is nobody's.
    let (later, seen) =
        stage.party_at(stakeholders::Party { contact_media: vec![phone("+12025550202")], ..person("Later") }).await;
    let context = context_of(stage, About::Call(call.name), &seen).await;
    assert_eq!(context.party, later.name);
    let history = context.history.expect("a history");
    assert_eq!(history.interactions.iter().map(|one| &one.name).collect::<Vec<_>>(), [&ended.interaction]);
    assert_eq!(context_of(stage, About::Call(alone.name), &seen).await.party, "");
}

async fn several_candidates_are_ranked_and_the_agent_chooses(stage: &Stage) {
    let shared = "+12025550203";
    let strong = stakeholders::Party {
        identifiers: vec![identifier("tel", shared, IdentifierStrength::Strong)],
        ..person("Strong Holder")
    };
    let strong = stage.party(strong).await;
    let reached = stakeholders::Party { contact_media: vec![phone(shared)], ..person("Reached There") };
    let (reached, seen) = stage.party_at(reached).await;
    // The own index has to have heard of both, or it knows of one alone.
    context_of(stage, party(&strong.name), &seen).await;
    let call = begin(stage, caller("shared-1", shared)).await;
    let found = resolution(&call);
    assert_eq!((found.r#match(), found.party.as_str()), (CallMatch::Candidates, ""), "{found:?}");
    let order: Vec<&str> = found.candidates.iter().map(|one| one.party.as_str()).collect();
    assert_eq!(order, [strong.name.as_str(), reached.name.as_str()]);
    assert!(found.candidates[0].confidence > found.candidates[1].confidence);
    assert_eq!(found.candidates[1].display_name, "Reached There");
    assert!(found.candidates.iter().all(|one| !one.reasons.is_empty()));
    let context = context_of(stage, About::Call(call.name.clone()), &seen).await;
    assert_eq!(context.next_best_action.expect("an action").action(), ActionKind::Identify);
    let kinds: Vec<WarningKind> = context.warnings.iter().map(ContextWarning::kind).collect();
    assert!(kinds.contains(&WarningKind::SeveralCandidates), "{kinds:?}");
    let (ended, seen) = end(stage, EndCallRequest { party: reached.name.clone(), ..handled("shared-1") }).await;
    assert_eq!(resolution(&ended).party, reached.name);
    let chosen = context_of(stage, party(&reached.name), &seen).await.history.expect("a history");
    assert_eq!(chosen.interactions.len(), 1);
    let other = context_of(stage, party(&strong.name), &seen).await.history.expect("a history");
    assert!(other.interactions.is_empty());
}

fn health(context: &AgentContext) -> &ContextScore {
    let section = context.scores.as_ref().expect("scores");
    assert_eq!(state(&section.status), SectionState::Fresh, "{section:?}");
    let found = section.scores.iter().find(|score| score.definition == "scoreDefinitions/relationship-health");
    found.expect("relationship health")
}

async fn a_complaint_is_recorded_and_shows(stage: &Stage) {
    let customer = stakeholders::Party { contact_media: vec![phone("+12025550204")], ..person("Complainer") };
    let (customer, created) = stage.party_at(customer).await;
    let mut seen = created;
    for days in [40, 20, 10] {
        let order = record(contact("order", by_party(&customer.name), after(now(), -days * 86_400)));
        seen.extend(positions(stage.interactions(ACME).record_interaction(order).await.expect("recorded").metadata()));
    }
    let before = context_of(stage, party(&customer.name), &seen).await;
    let high = health(&before).value_micros;
    assert!(high > 50_000_000, "{high}");
    assert_eq!(before.history.as_ref().expect("a history").interactions.len(), 3);
    assert_eq!(before.cases.as_ref().expect("cases").cases.len(), 0);

    let call = begin(stage, caller("complaint-1", "+12025550204")).await;
    let request = EndCallRequest {
        disposition: CallDisposition::Complaint.into(),
        subject_line: "late again".into(),
        wrap_up: "It came a week late.\nAgain.".into(),
        valence: Some(Valence { value: -0.9, method: ValenceMethod::Agent.into(), confidence: None }),
        effort: Some(6),
        topics: vec!["delivery".into()],
        role_type: "customer".into(),
        open_case: Some(CallCase {
            r#type: "complaint".into(),
            title: "late delivery".into(),
            priority: CasePriority::High.into(),
            ..Default::default()
        }),
        ..handled("complaint-1")
    };
    let (ended, seen) = end(stage, request.clone()).await;
    assert_eq!((ended.name.as_str(), ended.state()), (call.name.as_str(), CallState::Ended));
    let after_it = context_of(stage, About::Call(call.name.clone()), &seen).await;
    assert_eq!(after_it.party, customer.name);
    let newest = &after_it.history.as_ref().expect("a history").interactions[0];
    assert_eq!((newest.name.as_str(), newest.kind.as_str()), (ended.interaction.as_str(), "complaint"));
    assert_eq!((newest.subject_line.as_str(), newest.body.as_str()), ("late again", ""), "bodies are left out");
    let whole = GetInteractionRequest { name: ended.interaction.clone(), ..Default::default() };
    let whole = stage.interactions(ACME).get_interaction(whole).await.expect("there").into_inner();
    assert_eq!(whole.body, "It came a week late.\nAgain.");
    let case = &after_it.cases.as_ref().expect("cases").cases[0];
    assert_eq!((case.name.as_str(), &case.interactions), (ended.case.as_str(), &vec![ended.interaction.clone()]));
    let low = health(&after_it);
    assert!(low.value_micros < high, "{} is not less than {high}", low.value_micros);
    assert!(low.change_micros.is_some() && !low.reasons.is_empty(), "{low:?}");
    assert_eq!(after_it.next_best_action.expect("an action").action(), ActionKind::SolveComplaint);
    // Told again, with other words: the answer of the first time, and nothing more.
    let (again, _) = end(stage, EndCallRequest { wrap_up: "other words".into(), ..request }).await;
    assert_eq!(again, ended);
    assert_eq!(context_of(stage, party(&customer.name), &seen).await.history.expect("a history").interactions.len(), 4);
}

async fn an_end_before_its_beginning_finds_its_party(stage: &Stage) {
    let number = "+12025550205";
    let early = stakeholders::Party { contact_media: vec![phone(number)], ..person("Early Ender") };
    let (early, seen) = stage.party_at(early).await;
    let (ended, _) = end(stage, handled("early-1")).await;
    assert_eq!(resolution(&ended).party, "");
    let nothing = context_of(stage, party(&early.name), &seen).await;
    assert!(nothing.history.expect("a history").interactions.is_empty());
    let begun = begin(stage, caller("early-1", number)).await;
    assert_eq!((begun.name.as_str(), begun.interaction.as_str()), (ended.name.as_str(), ended.interaction.as_str()));
    assert_eq!((resolution(&begun).party.as_str(), begun.state()), (early.name.as_str(), CallState::Ended));
    let found = context_of(stage, party(&early.name), &seen).await.history.expect("a history");
    assert_eq!(found.interactions.iter().map(|one| &one.name).collect::<Vec<_>>(), [&ended.interaction]);
    begin(stage, caller("early-1", number)).await;
    assert_eq!(context_of(stage, party(&early.name), &seen).await.history.expect("a history").interactions.len(), 1);
}

pub(super) async fn consent(stage: &Stage, party: &str, purpose: &str, state: ConsentState) -> Positions {
    let consent = Consent {
        party: party.into(),
        purpose: purpose.into(),
        channel: "phone".into(),
        state: state.into(),
        ..Default::default()
    };
    let request = RecordConsentRequest { consent: Some(consent), ..Default::default() };
    positions(stage.privacy(ACME).record_consent(request).await.expect("recorded").metadata())
}

async fn consents_show_as_they_stand(stage: &Stage) {
    let (asked, seen) = stage.party_at(person("Asked")).await;
    let shown = async |seen: &Positions| -> Vec<(String, bool, String)> {
        let section = context_of(stage, party(&asked.name), seen).await.consents.expect("consents");
        assert_eq!(state(&section.status), SectionState::Fresh);
        section.consents.into_iter().map(|one| (one.purpose, one.allowed, one.reason)).collect()
    };
    let of = |purpose: &str, allowed: bool, reason: &str| (purpose.to_owned(), allowed, reason.to_owned());
    let none: Vec<_> =
        ["service", "marketing", "survey", "reference"].iter().map(|one| of(one, false, "no_consent")).collect();
    assert_eq!(shown(&seen).await, none);
    let seen = consent(stage, &asked.name, "marketing", ConsentState::Granted).await;
    assert_eq!(shown(&seen).await[1], of("marketing", true, "granted"));
    let seen = consent(stage, &asked.name, "marketing", ConsentState::Withdrawn).await;
    assert_eq!(shown(&seen).await[1], of("marketing", false, "withdrawn"));
    let seen = consent(stage, &asked.name, "service", ConsentState::Withdrawn).await;
    let context = context_of(stage, party(&asked.name), &seen).await;
    let kinds: Vec<WarningKind> = context.warnings.iter().map(ContextWarning::kind).collect();
    assert!(kinds.contains(&WarningKind::NoServiceConsent), "{kinds:?}");
}

/// A consent that ends by its own date is not shown as given after that, though nothing tells of it.
async fn a_consent_ends_by_itself(stage: &Stage) {
    let (asked, _) = stage.party_at(person("Asked For A While")).await;
    let shown = async |seen: &Positions| -> (ContextConsent, SectionStatus) {
        let section = context_of(stage, party(&asked.name), seen).await.consents.expect("consents");
        let of = section.consents.into_iter().find(|one| one.purpose == "survey").expect("a consent for surveys");
        (of, section.status.expect("a status"))
    };
    // Long enough that it is shown and kept before it ends, also on a busy machine.
    for seconds in [1, 2, 4, 8, 16, 32] {
        let ends = after(now(), seconds);
        let consent = Consent {
            party: asked.name.clone(),
            purpose: "survey".into(),
            state: ConsentState::Granted.into(),
            valid_to_time: Some(ends),
            ..Default::default()
        };
        let request = RecordConsentRequest { consent: Some(consent), ..Default::default() };
        let seen = match stage.privacy(ACME).record_consent(request).await {
            Ok(recorded) => positions(recorded.metadata()),
            // It had ended before it was read.
            Err(refused) => {
                assert_eq!(
                    rapport_testkit::asserts::reason(&refused).as_deref(),
                    Some("INVALID_FIELDS"),
                    "{refused:?}"
                );
                continue;
            }
        };
        // The first time the answer may be kept, the second time it is what was kept.
        shown(&seen).await;
        let (before, status) = shown(&seen).await;
        if before.allowed {
            assert_eq!((status.state(), status.next_change_time), (SectionState::Fresh, Some(ends)), "{status:?}");
            let check = stakeholders::CheckConsentRequest {
                party: asked.name.clone(),
                purpose: "survey".into(),
                channel: "phone".into(),
                ..Default::default()
            };
            while stage.privacy(ACME).check_consent(check.clone()).await.expect("checked").into_inner().allowed {}
            let (ended, status) = shown(&Positions::new()).await;
            assert_eq!((ended.allowed, ended.reason.as_str()), (false, "expired"), "{status:?}");
            return;
        }
    }
    panic!("a consent of 32 seconds ended before it was shown");
}

async fn an_unhappy_neighbour_shows_while_the_tie_holds(stage: &Stage) {
    let (middle, _) = stage.party_at(person("Middle")).await;
    let unhappy = stage.party(person("Unhappy Neighbour")).await;
    let glad = stage.party(person("Glad Neighbour")).await;
    let bond = made(stage, tie("knows", &middle, &unhappy)).await;
    let (_, tied) = made_at(stage, tie("knows", &middle, &glad)).await;
    let neighbours = async |seen: &Positions| -> NetworkSection {
        let section = context_of(stage, party(&middle.name), seen).await.network.expect("a network");
        assert_eq!(state(&section.status), SectionState::Fresh, "{section:?}");
        section
    };
    let quiet = neighbours(&tied).await;
    assert_eq!((quiet.looked_at, quiet.neighbors.len()), (2, 0));
    let praise = record(Interaction {
        valence: Some(Valence { value: 1.0, method: ValenceMethod::Stated.into(), confidence: None }),
        ..contact("praise", by_party(&glad.name), now())
    });
    stage.interactions(ACME).record_interaction(praise).await.expect("recorded");
    let mut seen = Positions::new();
    for days in 1..=4 {
        let complaint = record(Interaction {
            valence: Some(Valence { value: -1.0, method: ValenceMethod::Stated.into(), confidence: None }),
            ..contact("complaint", by_party(&unhappy.name), after(now(), -days * 86_400))
        });
        seen = positions(stage.interactions(ACME).record_interaction(complaint).await.expect("recorded").metadata());
    }
    let found = neighbours(&seen).await;
    assert_eq!(found.neighbors.len(), 1, "{found:?}");
    let one = &found.neighbors[0];
    assert_eq!((one.party.as_str(), one.display_name.as_str()), (unhappy.name.as_str(), "Unhappy Neighbour"));
    assert!(one.health_micros.expect("it rests on facts") < 40_000_000 && one.open_complaints == 0, "{one:?}");
    assert_eq!(one.relationship_type, "knows");
    let open = OpenCaseRequest {
        case: Some(Case {
            party: unhappy.name.clone(),
            r#type: "complaint".into(),
            title: "all of it".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let case = stage.cases(ACME).open_case(open).await.expect("opened").into_inner();
    assert_eq!(neighbours(&seen).await.neighbors[0].open_complaints, 1);
    let solved = TransitionCaseRequest { name: case.name, status: CaseStatus::Resolved.into(), ..Default::default() };
    stage.cases(ACME).transition_case(solved).await.expect("resolved");
    assert_eq!(neighbours(&seen).await.neighbors[0].open_complaints, 0);
    let action = context_of(stage, party(&middle.name), &seen).await.next_best_action.expect("an action");
    assert_eq!(action.action(), ActionKind::AskAboutNeighbor, "{}", action.reason);
    // Take the tie away, and the neighbour is nobody's concern here.
    let request = EndRelationshipRequest { name: bond.name, ..Default::default() };
    let ended = stage.relationships(ACME).end_relationship(request).await.expect("ended");
    let gone = neighbours(&positions(ended.metadata())).await;
    assert_eq!((gone.looked_at, gone.neighbors.len()), (1, 0), "{gone:?}");
}

/// Why somebody near a party is shown, by their names, in order.
fn reasons(section: &NetworkSection) -> Vec<(&str, Vec<NeighborReasonKind>)> {
    let kinds = |one: &ContextNeighbor| one.reasons.iter().map(NeighborReason::kind).collect();
    section.neighbors.iter().map(|one| (one.display_name.as_str(), kinds(one))).collect()
}

async fn neighbours_who_wait_or_are_influential_show(stage: &Stage) {
    use NeighborReasonKind::{Influential, Unhappy, Waiting};
    let middle = stage.party(person("Well Connected")).await;
    let mut near = Vec::new();
    for name in ["Has A Case", "Was Promised", "Knows Everybody", "Nobody Special"] {
        near.push(stage.party(person(name)).await);
        made(stage, tie("knows", &middle, near.last().expect("just made"))).await;
    }
    let mut seen = Positions::new();
    for number in 0..12 {
        let leaf = stage.party(person(&format!("Listener {number}"))).await;
        seen = made_at(stage, tie("knows", &near[2], &leaf)).await.1;
    }
    let neighbours = async |seen: &Positions| -> NetworkSection {
        context_of(stage, party(&middle.name), seen).await.network.expect("a network")
    };
    let first = neighbours(&seen).await;
    assert_eq!(state(&first.status), SectionState::Fresh, "{first:?}");
    assert_eq!(reasons(&first), [("Knows Everybody", vec![Influential])]);
    assert!(first.neighbors[0].influence_percentile_micros.expect("a place") >= 900_000, "{first:?}");
    assert!(first.neighbors[0].reason.starts_with("more influential than "), "{first:?}");
    let open = |party: &stakeholders::Party, kind: &str| OpenCaseRequest {
        case: Some(Case {
            party: party.name.clone(),
            r#type: kind.into(),
            title: "where is it".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let case = stage.cases(ACME).open_case(open(&near[0], "inquiry")).await.expect("opened").into_inner();
    let promise = |hours: i64| MakeCommitmentRequest {
        commitment: Some(Commitment {
            party: near[1].name.clone(),
            side: CommitmentSide::Ours.into(),
            promise: "call back".into(),
            due_time: Some(after(now(), hours * 3_600)),
            ..Default::default()
        }),
        ..Default::default()
    };
    // One that is due later is nothing to wait for yet.
    stage.commitments(ACME).make_commitment(promise(48)).await.expect("made");
    assert_eq!(reasons(&neighbours(&Positions::new()).await)[0], ("Has A Case", vec![Waiting]));
    let due = stage.commitments(ACME).make_commitment(promise(1)).await.expect("made").into_inner();
    let complaint = stage.cases(ACME).open_case(open(&near[2], "complaint")).await.expect("opened").into_inner();
    // What is our own is read now, whatever is kept of the others.
    let all = neighbours(&Positions::new()).await;
    let mut names = reasons(&all);
    assert_eq!(names.remove(0), ("Knows Everybody", vec![Unhappy, Waiting, Influential]));
    names.sort_unstable_by_key(|(name, _)| *name);
    assert_eq!(names, [("Has A Case", vec![Waiting]), ("Was Promised", vec![Waiting])]);
    let counts = |name: &str| {
        let one = all.neighbors.iter().find(|one| one.display_name == name).expect("shown");
        (one.open_cases, one.open_complaints, one.due_promises)
    };
    assert_eq!((counts("Knows Everybody"), counts("Was Promised")), ((1, 1, 0), (0, 0, 1)));
    assert_eq!((all.looked_at, all.truncated), (4, false));
    let texts: Vec<&str> = all.neighbors[0].reasons.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(all.neighbors[0].reason, texts.join("; "));
    // Somebody who only waits is no reason to ask about them.
    for one in [&case, &complaint] {
        let solved =
            TransitionCaseRequest { name: one.name.clone(), status: CaseStatus::Resolved.into(), ..Default::default() };
        stage.cases(ACME).transition_case(solved).await.expect("resolved");
    }
    let context = context_of(stage, party(&middle.name), &Positions::new()).await;
    let shown = context.network.expect("a network");
    assert_eq!(reasons(&shown), [("Was Promised", vec![Waiting]), ("Knows Everybody", vec![Influential])]);
    assert_ne!(context.next_best_action.expect("an action").action(), ActionKind::AskAboutNeighbor);
    let kept = FulfilCommitmentRequest { name: due.name, ..Default::default() };
    stage.commitments(ACME).fulfil_commitment(kept).await.expect("kept");
    assert_eq!(reasons(&neighbours(&Positions::new()).await), [("Knows Everybody", vec![Influential])]);
}

async fn roles_that_conflict_are_warned_of(stage: &Stage) {
    let roles = ["customer", "media", "investor", "employee"];
    let card = stakeholders::Party { roles: roles.map(role).into(), ..person("Wears Many Hats") };
    let (card, seen) = stage.party_at(card).await;
    let warned = |context: &AgentContext| -> Vec<String> {
        let conflicts = context.warnings.iter().filter(|one| one.kind() == WarningKind::RoleConflict);
        conflicts.map(|one| one.text.clone()).collect()
    };
    let context = context_of(stage, party(&card.name), &seen).await;
    assert_eq!(
        warned(&context),
        [
            "the party is media and investor at once: who reports on us also gains by what we are worth",
            "the party is media and employee at once: who reports on us is also paid by us",
        ]
    );
    // A role that has ended is none.
    let held = card.roles.iter().find(|one| one.role_type == "media").expect("held");
    let request = stakeholders::EndRoleRequest { name: held.name.clone(), ..Default::default() };
    let seen = positions(stage.parties(ACME).end_role(request).await.expect("ended").metadata());
    assert!(warned(&context_of(stage, party(&card.name), &seen).await).is_empty());
}

async fn worth_follows_orders(stage: &Stage) {
    let buyer = stage.party(person("Orders Now")).await;
    let reason = async |seen: &Positions| -> String {
        let value = context_of(stage, party(&buyer.name), seen).await.value.expect("a value").status.expect("a status");
        assert_eq!(value.state(), SectionState::Missing, "{value:?}");
        value.reason
    };
    let nothing = reason(&Positions::new()).await;
    let order = record(Interaction {
        amount: Some(Amount {
            kind: AmountKind::Order.into(),
            money: Some(rapport_proto::types::v1::Money { units: 12, nanos: 0, currency_code: "EUR".into() }),
        }),
        ..contact("order", by_party(&buyer.name), now())
    });
    let answer = stage.interactions(ACME).record_interaction(order).await.expect("recorded");
    let seen = positions(answer.metadata());
    // Without a model nobody is worth anything, whether they ordered or not.
    assert_eq!((reason(&seen).await, nothing.as_str()), (nothing.clone(), "no model was fitted yet"));
    // That the order came is told, of the party.
    let request = SubscribeRequest {
        source: "scoring".into(),
        types: vec!["rapport.scoring.v1.ValueMoved".into()],
        ..Default::default()
    };
    let mut feed = stage.feed("scoring", ACME).subscribe(request).await.expect("subscribed").into_inner();
    loop {
        let batch = next(&mut feed).await;
        let of = |event: &rapport_proto::events::v1::Event| event.aggregate == format!("{}/value", buyer.name);
        if let Some(event) = batch.events.iter().find(|event| of(event)) {
            assert_eq!(event.version, seen["interactions"]);
            return;
        }
    }
}

async fn a_call_told_ten_times_at_once_is_one(stage: &Stage) {
    let number = "+12025550206";
    let busy = stakeholders::Party { contact_media: vec![phone(number)], ..person("Busy Line") };
    let (busy, seen) = stage.party_at(busy).await;
    let begins = (0..10).map(|_| begin(stage, caller("busy-1", number)));
    let ends =
        (0..10).map(|_| end(stage, EndCallRequest { call: Some(caller("busy-1", number)), ..handled("busy-1") }));
    let (begun, ended) = futures::future::join(join_all(begins), join_all(ends)).await;
    let first = &ended[0].0;
    assert!(begun.iter().all(|call| call.name == first.name));
    assert!(ended.iter().all(|(call, _)| call.interaction == first.interaction && !call.interaction.is_empty()));
    let history = context_of(stage, party(&busy.name), &seen).await.history.expect("a history");
    assert_eq!(history.interactions.iter().map(|one| &one.name).collect::<Vec<_>>(), [&first.interaction]);
    let leg = Call { leg: "2".into(), ..caller("busy-1", number) };
    let leg = EndCallRequest { call: Some(leg), ..handled("busy-1") };
    let leg = end(stage, leg).await.0;
    assert_eq!(leg.interaction, first.interaction, "another leg is the same conversation");
    assert_ne!(leg.name, first.name);
}

async fn who_may_not_read_is_told_so(stage: &Stage) {
    let (known, _) = stage.party_at(person("Private")).await;
    let call = begin(stage, caller("private-1", "+12025550207")).await;
    let about = |about: About| GetAgentContextRequest { about: Some(about), budget_ms: 5_000, ..Default::default() };
    for foreign in [About::Call(call.name.clone()), party(&known.name), party(&unknown("parties"))] {
        let answer = stage.desk(GLOBEX).get_agent_context(about(foreign)).await;
        assert_reason!(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    }
    let denied = stage.desk(NOBODY).get_agent_context(about(party(&known.name))).await;
    assert_reason!(denied, Code::PermissionDenied, "PERMISSION_DENIED");
    let denied = stage
        .desk(READER)
        .begin_call(BeginCallRequest { call: Some(caller("private-2", "+12025550207")), ..Default::default() })
        .await;
    assert_reason!(denied, Code::PermissionDenied, "PERMISSION_DENIED");
    let late = GetAgentContextRequest { budget_ms: 5_001, ..about(party(&known.name)) };
    refused(stage.desk(ACME).get_agent_context(late).await, &[("budget_ms", "OUT_OF_RANGE")]);
    // The same identifier is another caller in another tenant.
    let request = BeginCallRequest { call: Some(caller("private-1", "+12025550201")), ..Default::default() };
    let foreign = stage.desk(GLOBEX).begin_call(request).await.expect("a call begins").into_inner();
    assert_ne!(foreign.name, call.name);
    assert_eq!(resolution(&foreign).party, "");
    let moment = at("2026-01-05T10:00:00Z");
    let told = EndCallRequest { ended_time: Some(moment), ..handled("private-1") };
    assert_eq!(end(stage, told).await.0.state(), CallState::Ended);
}
