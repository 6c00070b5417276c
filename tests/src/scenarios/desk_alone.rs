//! The agent's desk while other services are away or do not answer: in time, with what was known last, and marked.

use std::process::Command;
use std::time::{Duration, Instant};

use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::*;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use tonic::Streaming;

use super::desk::{begin, context_of};
use super::desk_ties::tied;
use super::messages::{after, by_party, contact, now, organization, person, phone, record, role};
use super::relationships::{made, tie};
use super::stage::{ACME, AGENT, Positions, Stage, next};

/// The budget of the contexts below, and what a busy machine may add to it.
const BUDGET: Duration = Duration::from_millis(600);
const GRACE: Duration = Duration::from_millis(900);
/// How soon it is noticed that a service says nothing, on a machine that does other things besides.
const NOTICED: Duration = Duration::from_secs(20);

rapport_testkit::each_store! {
    async fn a_context_never_waits_for_a_service_that_is_away(place: StorePlace) {
        let sandbox = Sandbox::builder(rapport::modules).topology(Topology::Processes).place(place);
        let mut stage = Stage::open(sandbox).await;
        let cast = cast(&stage).await;
        for away in ["scoring", "loyalty", "stakeholders"] {
            if !stage.sandbox.services().iter().any(|service| service == away) {
                continue;
            }
            // Paused: it holds its connections and never answers.
            let pid = stage.sandbox.pid(away).to_string();
            signal("-STOP", &pid);
            let mut watched = if away == "scoring" { Some(watch_a_stranger(&stage).await) } else { None };
            let mut seen = if away == "stakeholders" { Some(watch(&stage, &cast.caller, &Positions::new()).await) } else { None };
            let paused = once_noticed(&stage, &cast, away).await;
            if let Some(seen) = &mut seen {
                a_conflict_stays(seen, &cast, away).await;
            }
            signal("-CONT", &pid);
            while_away(&paused, &cast, away);
            if let Some(watched) = &mut watched {
                what_came_late_is_told(watched).await;
            }
            stage.sandbox.kill_9(away).await;
            let killed = once_noticed(&stage, &cast, away).await;
            while_away(&killed, &cast, away);
            if away == "stakeholders" {
                callers_are_found_without_stakeholders(&stage, &cast).await;
            }
            stage.sandbox.restart(away).await;
            back_again(&stage, &cast, away).await;
        }
        stage.close().await;
    }
}

fn signal(signal: &str, pid: &str) {
    // The shell's own kill: the program of that name is not installed everywhere.
    let sent = Command::new("sh").args(["-c", &format!("kill {signal} {pid}")]).status().expect("the shell runs");
    assert!(sent.success(), "{signal} reaches the process");
}

struct Cast {
    /// Reports on us, and is employed by whoever competes with us.
    caller: stakeholders::Party,
    rival: stakeholders::Party,
    unhappy: stakeholders::Party,
    call: Call,
}

/// A caller with an unhappy neighbour, whom the desk has heard of by the feeds alone.
async fn cast(stage: &Stage) -> Cast {
    let caller = stakeholders::Party {
        contact_media: vec![phone("+12025550301")],
        roles: vec![role("media")],
        ..person("Last Known")
    };
    let (caller, mut seen) = stage.party_at(caller).await;
    let rival = stakeholders::Party { roles: vec![role("competitor")], ..organization("Rival") };
    let rival = stage.party(rival).await;
    made(stage, tie("employs", &rival, &caller)).await;
    let (unhappy, created) = stage.party_at(person("Sad Neighbour")).await;
    seen.extend(created);
    made(stage, tie("knows", &caller, &unhappy)).await;
    for days in 1..=4 {
        let complaint = record(Interaction {
            valence: Some(Valence { value: -1.0, method: ValenceMethod::Stated.into(), confidence: None }),
            ..contact("complaint", by_party(&unhappy.name), after(now(), -days * 86_400))
        });
        stage.interactions(ACME).record_interaction(complaint).await.expect("recorded");
    }
    let order = record(contact("order", by_party(&caller.name), after(now(), -86_400)));
    let last = stage.interactions(ACME).record_interaction(order).await.expect("recorded");
    let interaction = positions(last.metadata())["interactions"];
    seen.insert("scoring".to_owned(), moved(stage, interaction).await);
    // The tie was the last thing that the stakeholders service told of.
    let consent = stakeholders::RecordConsentRequest {
        consent: Some(stakeholders::Consent {
            party: caller.name.clone(),
            purpose: "marketing".into(),
            channel: "phone".into(),
            state: stakeholders::ConsentState::Granted.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    seen.extend(positions(stage.privacy(ACME).record_consent(consent).await.expect("recorded").metadata()));
    let call = Call {
        call_id: "alone-1".into(),
        direction: Direction::Inbound.into(),
        identifier_used: Some(Identifier { scheme: "tel".into(), value: "+12025550301".into() }),
        ..Default::default()
    };
    // Answered once what the feeds told is known here; asked about a stranger, so that nothing of the cast is asked for.
    let stranger = About::Identifier(Identifier { scheme: "tel".into(), value: "+12025550399".into() });
    context_of(stage, stranger, &seen).await;
    Cast { call: begin(stage, call).await, caller, rival, unhappy }
}

/// The position at which scoring tells that the last of the facts up to a position moved a score.
async fn moved(stage: &Stage, interaction: i64) -> i64 {
    let request = SubscribeRequest {
        source: "scoring".into(),
        types: vec!["rapport.scoring.v1.ScoreMoved".into()],
        ..Default::default()
    };
    let mut feed = stage.feed("scoring", ACME).subscribe(request).await.expect("subscribed").into_inner();
    loop {
        for event in next(&mut feed).await.events {
            // The version of the event is the position of what moved the score.
            if event.version >= interaction {
                return event.position;
            }
        }
    }
}

/// The context once it is noticed that a service is away: its feed has said nothing for some seconds. Until then, and
/// from then on, every context is there in time.
async fn once_noticed(stage: &Stage, cast: &Cast, away: &str) -> AgentContext {
    let started = Instant::now();
    loop {
        let context = in_time(stage, cast, away).await;
        let network = context.network.as_ref().expect("a network");
        let told = context.warnings.iter().find(|one| one.kind() == WarningKind::NotFresh);
        let near = away == "loyalty" || status(&network.status).state() != SectionState::Fresh;
        // What was never asked for may be missed at once; that the service is away is told of what is kept of it.
        let kept = match away {
            "scoring" => &context.scores.as_ref().expect("scores").status,
            "loyalty" => &context.loyalty.as_ref().expect("loyalty").status,
            _ => &context.card.as_ref().expect("a card").status,
        };
        let noticed = status(kept).state() != SectionState::Fresh;
        if near && noticed && told.is_some_and(|one| one.text.contains(away)) {
            return context;
        }
        assert!(started.elapsed() < NOTICED, "{away} is away, and nobody noticed: {context:?}");
    }
}

async fn watch(stage: &Stage, party: &stakeholders::Party, seen: &Positions) -> Streaming<WatchAgentContextResponse> {
    let request = WatchAgentContextRequest {
        about: Some(watch_agent_context_request::About::Party(party.name.clone())),
        budget_ms: i32::try_from(BUDGET.as_millis()).expect("small"),
        ..Default::default()
    };
    stage.desk(AGENT).watch_agent_context(at_least(request, seen)).await.expect("watched").into_inner()
}

/// The context of somebody of whom nobody asked, while scoring does not answer: their scores are still to come.
async fn watch_a_stranger(stage: &Stage) -> Streaming<WatchAgentContextResponse> {
    let (stranger, seen) = stage.party_at(person("Just In")).await;
    let mut watched = watch(stage, &stranger, &seen).await;
    let first = next(&mut watched).await.context.expect("a context");
    let scores = first.scores.expect("scores");
    assert_eq!(status(&scores.status).state(), SectionState::Pending, "{scores:?}");
    assert!(scores.scores.is_empty(), "{scores:?}");
    watched
}

/// Nothing happens but that scoring answers again.
async fn what_came_late_is_told(watched: &mut Streaming<WatchAgentContextResponse>) {
    loop {
        let message = next(watched).await;
        let scores = message.context.and_then(|context| context.scores);
        if scores.is_some_and(|scores| status(&scores.status).state() == SectionState::Fresh) {
            assert!(message.changed.iter().any(|field| field == "scores"), "{:?}", message.changed);
            return;
        }
    }
}

async fn in_time(stage: &Stage, cast: &Cast, away: &str) -> AgentContext {
    let request = GetAgentContextRequest {
        about: Some(About::Call(cast.call.name.clone())),
        budget_ms: i32::try_from(BUDGET.as_millis()).expect("small"),
        ..Default::default()
    };
    let ask = async |seen: &Positions| {
        let started = Instant::now();
        let asked = stage.desk(AGENT).get_agent_context(at_least(request.clone(), seen)).await;
        let (answer, took) = (asked.expect("a context, whoever is away"), started.elapsed());
        assert!(took < BUDGET + GRACE, "{away} is away, and the context took {took:?}");
        answer
    };
    // What can never be reached is waited for within the budget too.
    let never = ask(&Positions::from([(away.to_owned(), i64::MAX)])).await;
    assert!(never.metadata().contains_key("rapport-stale"), "{away}: {:?}", never.metadata());
    let never = never.into_inner();
    let rests_on =
        [&never.card.as_ref().expect("a card").status, &never.network.as_ref().expect("a network").status].map(status);
    // What the conflict rests on was asked for, and did not come; little time was left to read even what is kept of it.
    assert!(away != "stakeholders" || rests_on.iter().all(|one| one.state() != SectionState::Fresh), "{rests_on:?}");
    if rests_on.iter().all(|one| one.state() != SectionState::Pending) {
        warned(&never.warnings, cast, away);
    }
    let context = ask(&Positions::new()).await.into_inner();
    warned(&context.warnings, cast, away);
    context
}

/// The conflict that the tie brings is known as long as nobody says that it is gone.
#[track_caller]
fn warned(warnings: &[ContextWarning], cast: &Cast, away: &str) {
    let told = tied(warnings);
    let ties: Vec<&String> = told.iter().flat_map(|(_, ties)| ties).map(|(party, _)| party).collect();
    assert_eq!(ties, [&cast.rival.name], "{away}: {warnings:?}");
}

/// Nothing happens but that a service says nothing: whoever watches is told that what is shown is not fresh, and never that
/// the conflict is gone.
async fn a_conflict_stays(watched: &mut Streaming<WatchAgentContextResponse>, cast: &Cast, away: &str) {
    let (mut card, mut network) = (false, false);
    while !(card && network) {
        let context = next(watched).await;
        let (changed, context) = (context.changed, context.context.expect("a context"));
        if changed.is_empty() || changed.iter().any(|field| field == "warnings") {
            warned(&context.warnings, cast, away);
        }
        let stale = |section: Option<&SectionStatus>| section.map(|status| status.state() == SectionState::Stale);
        let (of_card, of_network) =
            (context.card.and_then(|one| one.status), context.network.and_then(|one| one.status));
        card = stale(of_card.as_ref()).unwrap_or(card);
        network = stale(of_network.as_ref()).unwrap_or(network);
    }
}

fn status(status: &Option<SectionStatus>) -> &SectionStatus {
    status.as_ref().expect("every section has a status")
}

fn while_away(context: &AgentContext, cast: &Cast, away: &str) {
    assert_eq!(context.party, cast.caller.name, "{away}");
    let card = context.card.as_ref().expect("a card");
    let scores = context.scores.as_ref().expect("scores");
    let loyalty = context.loyalty.as_ref().expect("loyalty");
    let network = context.network.as_ref().expect("a network");
    let consents = context.consents.as_ref().expect("consents");
    assert_eq!(card.display_name, "Last Known", "{away}");
    assert!(!scores.scores.is_empty(), "{away}: {scores:?}");
    assert!(consents.consents.iter().any(|one| one.purpose == "marketing" && one.allowed), "{away}: {consents:?}");
    let unhappy: Vec<&str> = network.neighbors.iter().map(|one| one.party.as_str()).collect();
    assert_eq!(unhappy, [cast.unhappy.name.as_str()], "{away}: {network:?}");
    assert_eq!(network.neighbors[0].display_name, "Sad Neighbour", "{away}");
    let own = [&context.history.as_ref().expect("a history").status, &context.cases.as_ref().expect("cases").status];
    assert!(own.iter().all(|one| status(one).state() == SectionState::Fresh), "{away}");
    for (source, one) in [("stakeholders", card.status.as_ref()), ("scoring", scores.status.as_ref())] {
        let one = one.expect("a status");
        assert_eq!(one.source, source);
        if source == away {
            assert_eq!(one.state(), SectionState::Stale, "{one:?}");
            assert!(!one.reason.is_empty() && one.age.is_some() && one.position > 0, "{one:?}");
        }
    }
    if away == "loyalty" {
        assert_ne!(status(&loyalty.status).state(), SectionState::Fresh);
    } else {
        assert_ne!(status(&network.status).state(), SectionState::Fresh, "{away}: {network:?}");
    }
    // Who calls was found in the own index, which is as new as the feed that fills it.
    let caller = status(&context.caller.as_ref().expect("a caller").status);
    let expected = if away == "stakeholders" { SectionState::Stale } else { SectionState::Fresh };
    assert_eq!(caller.state(), expected, "{away}: {caller:?}");
    let told =
        context.warnings.iter().find(|one| one.kind() == WarningKind::NotFresh).expect("said that it is not fresh");
    assert!(told.text.contains(away), "{}", told.text);
}

async fn callers_are_found_without_stakeholders(stage: &Stage, cast: &Cast) {
    let call = |call_id: &str, number: &str| Call {
        call_id: call_id.into(),
        direction: Direction::Inbound.into(),
        identifier_used: Some(Identifier { scheme: "tel".into(), value: number.into() }),
        ..Default::default()
    };
    let known = begin(stage, call("alone-2", "+1 202 555 0301")).await;
    assert_eq!(known.resolution.expect("a resolution").party, cast.caller.name);
    let unknown = begin(stage, call("alone-3", "+12025550302")).await;
    assert_eq!(unknown.resolution.as_ref().expect("a resolution").r#match(), CallMatch::Pending);
    let request = EndCallRequest {
        call: Some(Call { call_id: "alone-3".into(), ..Default::default() }),
        disposition: CallDisposition::Handled.into(),
        ..Default::default()
    };
    let ended = stage.desk(AGENT).end_call(request).await.expect("ends without anybody").into_inner();
    assert!(!ended.interaction.is_empty());
}

async fn back_again(stage: &Stage, cast: &Cast, away: &str) {
    let started = Instant::now();
    loop {
        let context = context_of(stage, About::Party(cast.caller.name.clone()), &Positions::new()).await;
        let section = match away {
            "scoring" => context.scores.and_then(|section| section.status),
            "loyalty" => context.loyalty.and_then(|section| section.status),
            _ => context.card.and_then(|section| section.status),
        };
        if section.as_ref().is_some_and(|status| status.state() == SectionState::Fresh) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{away} is back and not asked again: {section:?}");
    }
}
