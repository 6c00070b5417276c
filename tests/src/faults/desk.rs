//! Contexts at a steady rate while the services that they rest on are paused, killed and restarted: each is there in time,
//! and nothing in it is wrong without a mark.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};
use prost::Name;
use rapport_proto::events::v1::{Event, SubscribeRequest, SubscribeResponse};
use rapport_proto::interactions::v1::desk_service_client::DeskServiceClient;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::*;
use rapport_proto::loyalty::v1::AdjustBalanceRequest;
use rapport_proto::scoring::v1::{
    ClvModelFamily, ClvModelFitted, ClvStatus, FitClvModelRequest, GetClvRequest, ScoreMoved, ValueMoved,
};
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_testkit::asserts::{Bearer, position, positions};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::size;
use tokio::task::JoinHandle;
use tonic::Streaming;

use super::desk_truth::{Part, Tally, Truth, alike, told_of, worth};
use crate::club::dollars;
use crate::scenarios::advocacy::{Club, enrolled, program};
use crate::scenarios::desk::begin;
use crate::scenarios::messages::{after, by_party, contact, now, person, phone, record};
use crate::scenarios::relationships::{made_at, tie};
use crate::scenarios::stage::{ACME, AGENT, Positions, Stage, fresh, next};
use crate::scenarios::value::fit;

static SERVICES: [&str; 3] = ["stakeholders", "scoring", "loyalty"];
const BUDGET: Duration = Duration::from_millis(150);
/// How soon what is back is heard again.
const BACK: Duration = Duration::from_secs(30);

/// What an answer may take beyond its budget: four unoptimised processes, a database and this client share the machine of
/// the small size, so that it shows a wait for somebody who is away and no more; the promise is that of the full one.
fn grace() -> Duration {
    size::pick(Duration::from_millis(450), Duration::from_millis(50))
}

/// Contexts a second.
fn rate() -> u32 {
    size::pick(25, 200)
}

rapport_testkit::each_store! {
    async fn fault_a_context_is_in_time_and_marked_whoever_is_away(place: StorePlace) {
        let sandbox = Sandbox::builder(rapport::modules).topology(Topology::Processes).place(place);
        let mut stage = Stage::open(sandbox).await;
        let truth = Arc::new(Truth::default());
        let house = House::cast(&stage, &truth).await;
        house.all_is_known(&stage, &truth).await;
        let load = Load::start(&stage, &house);
        for (fault, services) in rounds() {
            println!("{:.1?}: {fault:?} {services:?}", load.started.elapsed());
            house.everything_changes(&stage, &truth).await;
            match fault {
                Fault::Paused => house.paused(&stage, services).await,
                Fault::Killed | Fault::Stopped => {
                    for service in services {
                        match fault {
                            Fault::Killed => stage.sandbox.kill_9(service).await,
                            _ => drop(stage.sandbox.terminate(service).await),
                        }
                    }
                    rest(Duration::from_secs(5)).await;
                    for service in services {
                        stage.sandbox.restart(service).await;
                    }
                }
            }
            house.all_is_known(&stage, &truth).await;
        }
        load.judge(&truth).await;
        stage.close().await;
    }
}

/// What happens to services.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// They hold their connections and never answer.
    Paused,
    /// They are gone at once, and come back.
    Killed,
    /// They stop in order, and come back.
    Stopped,
}

/// What happens, to whom: to each alone and to all together, in the full size.
fn rounds() -> Vec<(Fault, &'static [&'static str])> {
    if !size::is_full() {
        return vec![(Fault::Paused, &SERVICES), (Fault::Killed, &SERVICES)];
    }
    let faults = [Fault::Paused, Fault::Killed, Fault::Stopped];
    let whom: [&[&str]; 4] = [&SERVICES[..1], &SERVICES[1..2], &SERVICES[2..], &SERVICES];
    faults.into_iter().flat_map(|fault| whom.map(|services| (fault, services))).collect()
}

/// In the full size, a while in which nothing happens but the load.
async fn rest(time: Duration) {
    if size::is_full() {
        tokio::time::sleep(time).await;
    }
}

fn one_fact_more(truth: &Truth, n: usize) {
    let count: i64 = truth.now(n, Part::Scores).parse().expect("a count");
    truth.send(n, Part::Scores, (count + 1).to_string());
}

/// What an event says, if it is of this sort.
fn read<M: Name + Default>(event: &Event) -> Option<M> {
    let data = event.data.as_ref().filter(|data| data.type_url.ends_with(&M::full_name()))?;
    Some(M::decode(data.value.as_slice()).expect("a message of its type"))
}

/// What scoring says that a party is worth.
async fn worth_of(stage: &Stage, party: &str) -> String {
    let request = GetClvRequest { party: party.into(), ..Default::default() };
    let clv = stage.values(ACME).get_clv(request).await.expect("read").into_inner();
    assert_eq!(clv.status(), ClvStatus::Estimated, "{clv:?}");
    worth(&clv.model, clv.p_alive, clv.expected_purchases, clv.clv.as_ref())
}

/// Somebody who calls.
struct Caller {
    party: String,
    member: String,
    about: [About; 3],
    /// Who is near: they complain, so that they are told of.
    near: stakeholders::Party,
    /// What stands between the two, is open with the party, and is promised to it.
    open: Mutex<Open>,
}

/// What may end.
#[derive(Clone, Default)]
struct Open {
    tie: Option<String>,
    case: Option<String>,
    promise: Option<String>,
    /// How often it began anew.
    count: i64,
}

struct House {
    callers: Vec<Caller>,
    club: Club,
}

impl House {
    /// Callers of whom every part of a context has something to tell.
    async fn cast(stage: &Stage, truth: &Truth) -> House {
        let club = program(stage).await;
        let callers = join_all((0..size::pick(4, 24)).map(|n| caller(stage, &club, truth, n))).await;
        let house = House { callers, club };
        house.fitted(stage, &house.ordered(stage, truth, 0).await).await;
        for (n, caller) in house.callers.iter().enumerate() {
            truth.send(n, Part::Value, worth_of(stage, &caller.party).await);
            truth.know(n, Part::Value, 0);
        }
        house
    }

    /// All that can change of everybody does, in every service.
    async fn everything_changes(&self, stage: &Stage, truth: &Truth) {
        self.scores_move(stage, truth).await;
        // These last, so that not all of them are heard of before their service goes.
        join_all(self.callers.iter().enumerate().map(async |(n, caller)| {
            let stakeholders = async {
                renamed(stage, truth, n, &caller.party).await;
                consented(stage, truth, n, &caller.party).await;
                tied(stage, truth, n, caller).await;
            };
            let own = own_changes(stage, truth, n, caller);
            futures::future::join3(stakeholders, paid(stage, truth, n, caller, &self.club), own).await;
        }))
        .await;
    }

    /// Everybody complains, then orders, and then a model is fitted anew; scoring tells what came of each.
    async fn scores_move(&self, stage: &Stage, truth: &Truth) {
        let types = ["ScoreMoved", "ValueMoved", "ClvModelFitted"];
        let request = SubscribeRequest {
            source: "scoring".into(),
            types: types.map(|kind| format!("rapport.scoring.v1.{kind}")).into(),
            start_at_end: true,
            ..Default::default()
        };
        let mut feed = stage.feed("scoring", ACME).subscribe(request).await.expect("subscribed").into_inner();
        for (n, caller) in self.callers.iter().enumerate() {
            one_fact_more(truth, n);
            complain(stage, truth, n, &caller.party).await;
        }
        self.told(&mut feed, truth, &[Part::Scores]).await;

        let round = self.callers[0].open.lock().unwrap().count + 1;
        let everybody = 0..self.callers.len();
        for n in everybody.clone() {
            one_fact_more(truth, n);
            truth.send(n, Part::Value, String::new());
        }
        let seen = self.ordered(stage, truth, round).await;
        self.told(&mut feed, truth, &[Part::Scores, Part::Value]).await;
        self.valued(stage, truth).await;

        everybody.clone().for_each(|n| truth.send(n, Part::Value, String::new()));
        let model = self.fitted(stage, &seen).await;
        // It speaks of everybody.
        let position = loop {
            let mut events = next(&mut feed).await.events.into_iter();
            let told = |event: &Event| read::<ClvModelFitted>(event).is_some_and(|fitted| fitted.model == model);
            if let Some(fitted) = events.find(told) {
                break fitted.position;
            }
        };
        everybody.for_each(|n| truth.know(n, Part::Value, position));
        self.valued(stage, truth).await;
    }

    /// Everybody orders something; in the first round what they have so far, once, now and then, or all the time: of those
    /// who are all alike a model says the same whatever they order.
    async fn ordered(&self, stage: &Stage, truth: &Truth, round: i64) -> Positions {
        let mut seen = Positions::new();
        for (n, caller) in self.callers.iter().enumerate() {
            let (before, apart) = [(1, 0), (2, 120), (5, 40), (25, 8)][n % 4];
            let days =
                if round == 0 { (0..before).map(|at| 300 - apart * at).collect() } else { vec![100 - 7 * round] };
            for day in &days {
                let money = Some(dollars(20 + day % 7 + before));
                let amount = Some(Amount { kind: AmountKind::Order.into(), money });
                let order = contact("order", by_party(&caller.party), after(now(), -day * 86_400));
                let order = record(Interaction { amount, ..order });
                let answer = stage.interactions(ACME).record_interaction(order).await.expect("recorded");
                seen.extend(positions(answer.metadata()));
            }
            if round == 0 {
                truth.send(n, Part::Scores, days.len().to_string());
                truth.know(n, Part::Scores, 0);
            }
        }
        seen
    }

    /// The name of a model that is fitted on everything up to there.
    async fn fitted(&self, stage: &Stage, seen: &Positions) -> String {
        let asked = FitClvModelRequest { family: ClvModelFamily::MbgNbd.into(), ..Default::default() };
        let fitted = fit(stage, ACME, asked, seen).await;
        assert!(fitted.error.is_none(), "{fitted:?}");
        fitted.result
    }

    /// What scoring says that everybody is worth now.
    async fn valued(&self, stage: &Stage, truth: &Truth) {
        for (n, caller) in self.callers.iter().enumerate() {
            truth.learn(n, Part::Value, worth_of(stage, &caller.party).await);
        }
    }

    /// Reads the feed until scoring has told of everybody that these moved.
    async fn told(&self, feed: &mut Streaming<SubscribeResponse>, truth: &Truth, parts: &[Part]) {
        let callers = || self.callers.iter().enumerate();
        let mut awaited: BTreeMap<(Part, String), usize> = callers()
            .flat_map(|(n, caller)| parts.iter().map(move |part| ((*part, caller.party.clone()), n)))
            .collect();
        while !awaited.is_empty() {
            for event in next(feed).await.events {
                let health = |moved: &ScoreMoved| moved.definition == "scoreDefinitions/relationship-health";
                let moved = match (read::<ValueMoved>(&event), read::<ScoreMoved>(&event).filter(health)) {
                    (Some(value), _) => (Part::Value, value.party),
                    (None, Some(score)) => (Part::Scores, score.party),
                    (None, None) => continue,
                };
                if let Some(n) = awaited.remove(&moved) {
                    truth.know(n, moved.0, event.position);
                }
            }
        }
    }

    /// Until everything that is true is told, unmarked, of everybody.
    async fn all_is_known(&self, stage: &Stage, truth: &Truth) {
        let started = Instant::now();
        for (n, caller) in self.callers.iter().enumerate() {
            loop {
                let request = GetAgentContextRequest {
                    about: Some(caller.about[1].clone()),
                    budget_ms: 2_000,
                    ..Default::default()
                };
                let context = stage.desk(AGENT).get_agent_context(request).await.expect("a context").into_inner();
                let told = |part: &Part| {
                    let (status, said) = part.said(&context);
                    status.is_some_and(|status| status.state() == SectionState::Fresh)
                        && alike(&said, &truth.now(n, *part))
                };
                if Part::ALL.iter().all(told) {
                    break;
                }
                assert!(started.elapsed() < BACK, "all are back, and party {n} is not known as it is: {context:?}");
            }
        }
    }

    /// Services hold their connections and never answer: until that is noticed, or as long as the issue says.
    async fn paused(&self, stage: &Stage, services: &[&str]) {
        let pids: Vec<u32> = services.iter().map(|service| stage.sandbox.pid(service)).collect();
        for pid in &pids {
            signal("-STOP", *pid);
        }
        let paused = Instant::now();
        let mut marked = false;
        while !marked || paused.elapsed() < size::pick(Duration::ZERO, Duration::from_secs(30)) {
            let request = GetAgentContextRequest {
                about: Some(self.callers[0].about[0].clone()),
                budget_ms: 150,
                ..Default::default()
            };
            let context = stage.desk(AGENT).get_agent_context(request).await.expect("a context").into_inner();
            marked = Part::ALL
                .iter()
                .filter(|part| services.contains(&part.source()))
                .all(|part| part.said(&context).0.is_some_and(|status| status.state() != SectionState::Fresh));
            assert!(marked || paused.elapsed() < BACK, "{services:?} say nothing, and nobody noticed: {context:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for pid in &pids {
            signal("-CONT", *pid);
        }
    }
}

fn signal(signal: &str, pid: u32) {
    // The shell's own kill: the program of that name is not installed everywhere.
    let kill = format!("kill {signal} {pid}");
    let sent = std::process::Command::new("sh").args(["-c", &kill]).status().expect("the shell runs");
    assert!(sent.success(), "{signal} reaches the process");
}

async fn caller(stage: &Stage, club: &Club, truth: &Truth, n: usize) -> Caller {
    let number = format!("+1202555{:04}", 400 + n);
    truth.send(n, Part::Card, format!("Caller {n}"));
    truth.send(n, Part::Caller, format!("Caller {n}"));
    let party = stakeholders::Party { contact_media: vec![phone(&number)], ..person(&format!("Caller {n}")) };
    let (party, seen) = stage.party_at(party).await;
    truth.know(n, Part::Card, seen["stakeholders"]);
    truth.know(n, Part::Caller, seen["stakeholders"]);
    for (part, none) in [(Part::Network, "0"), (Part::History, ""), (Part::Cases, " of 0"), (Part::Promises, " of 0")] {
        truth.send(n, part, none.to_owned());
        truth.know(n, part, 0);
    }
    let near = stage.party(person(&format!("Complains {n}"))).await;
    opened(stage, &near.name, "always").await;
    truth.send(n, Part::Consents, false.to_string());
    truth.know(n, Part::Consents, seen["stakeholders"]);
    consented(stage, truth, n, &party.name).await;
    let member = enrolled(stage, club, &party.name).await;
    truth.send(n, Part::Loyalty, 0.to_string());
    truth.know(n, Part::Loyalty, 0);
    let identifier = Identifier { scheme: "tel".into(), value: number };
    let call = Call {
        call_id: format!("storm-{n}"),
        direction: Direction::Inbound.into(),
        identifier_used: Some(identifier.clone()),
        ..Default::default()
    };
    let call = begin(stage, call).await;
    let about = [About::Call(call.name), About::Identifier(identifier), About::Party(party.name.clone())];
    let caller = Caller { party: party.name.clone(), member, about, near, open: Mutex::default() };
    tied(stage, truth, n, &caller).await;
    caller
}

/// The tie to whoever is near is made, or ended.
async fn tied(stage: &Stage, truth: &Truth, n: usize, caller: &Caller) {
    let held = caller.open.lock().unwrap().tie.take();
    truth.send(n, Part::Network, usize::from(held.is_none()).to_string());
    let seen = match held {
        Some(name) => {
            let request = stakeholders::EndRelationshipRequest { name, ..Default::default() };
            let ended = stage.relationships(ACME).end_relationship(request).await.expect("ended");
            position(ended.metadata(), "stakeholders")
        }
        None => {
            let party = stakeholders::Party { name: caller.party.clone(), ..Default::default() };
            let (made, seen) = made_at(stage, tie("knows", &party, &caller.near)).await;
            caller.open.lock().unwrap().tie = Some(made.name);
            seen["stakeholders"]
        }
    };
    truth.know(n, Part::Network, seen);
}

async fn opened(stage: &Stage, party: &str, title: &str) -> String {
    let case = Case { party: party.into(), r#type: "complaint".into(), title: title.into(), ..Default::default() };
    let request = OpenCaseRequest { case: Some(case), request_id: fresh() };
    stage.cases(ACME).open_case(request).await.expect("opened").into_inner().name
}

/// What the desk's own service knows: a case and a promise more, and then the ones before them no longer.
async fn own_changes(stage: &Stage, truth: &Truth, n: usize, caller: &Caller) {
    let before = caller.open.lock().unwrap().clone();
    let count = before.count + 1;
    let becomes = |part: Part, told: &str, many: usize| truth.send(n, part, told_of(told, many));
    let is = |part: Part| truth.know(n, part, 0);
    let (matter, word) = (format!("matter {count}"), format!("promise {count}"));
    becomes(Part::Cases, &matter, 1 + usize::from(before.case.is_some()));
    let case = opened(stage, &caller.party, &matter).await;
    is(Part::Cases);
    // The later it was made, the sooner it is due: the newest is shown first.
    let promise = Commitment {
        party: caller.party.clone(),
        side: CommitmentSide::Ours.into(),
        promise: word.clone(),
        due_time: Some(after(now(), 1_000_000 - 10_000 * count)),
        ..Default::default()
    };
    becomes(Part::Promises, &word, 1 + usize::from(before.promise.is_some()));
    let request = MakeCommitmentRequest { commitment: Some(promise), request_id: fresh() };
    let promise = stage.commitments(ACME).make_commitment(request).await.expect("made").into_inner().name;
    is(Part::Promises);
    if let Some(name) = before.case {
        becomes(Part::Cases, &matter, 1);
        let status = CaseStatus::Resolved.into();
        let request = TransitionCaseRequest { name, status, request_id: fresh(), ..Default::default() };
        stage.cases(ACME).transition_case(request).await.expect("resolved");
        is(Part::Cases);
    }
    if let Some(name) = before.promise {
        becomes(Part::Promises, &word, 1);
        let request = FulfilCommitmentRequest { name, request_id: fresh(), ..Default::default() };
        stage.commitments(ACME).fulfil_commitment(request).await.expect("kept");
        is(Part::Promises);
    }
    let mut open = caller.open.lock().unwrap();
    (open.case, open.promise, open.count) = (Some(case), Some(promise), count);
}

async fn complain(stage: &Stage, truth: &Truth, n: usize, party: &str) {
    let before: u32 =
        truth.now(n, Part::History).strip_prefix("late ").map_or(0, |count| count.parse().expect("a count"));
    let line = format!("late {}", before + 1);
    truth.send(n, Part::History, line.clone());
    let complaint = record(Interaction {
        subject_line: line,
        valence: Some(Valence { value: -1.0, method: ValenceMethod::Stated.into(), confidence: None }),
        ..contact("complaint", by_party(party), after(now(), -60))
    });
    stage.interactions(ACME).record_interaction(complaint).await.expect("recorded");
    truth.know(n, Part::History, 0);
}

async fn renamed(stage: &Stage, truth: &Truth, n: usize, party: &str) {
    let name = format!("{}'", truth.now(n, Part::Card));
    truth.send(n, Part::Card, name.clone());
    truth.send(n, Part::Caller, name.clone());
    let party = stakeholders::Party { name: party.into(), display_name: name, ..Default::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["display_name".into()] });
    let request = stakeholders::UpdatePartyRequest { party: Some(party), update_mask, request_id: fresh() };
    let answer = stage.parties(ACME).update_party(request).await.expect("renamed");
    truth.know(n, Part::Card, position(answer.metadata(), "stakeholders"));
    truth.know(n, Part::Caller, position(answer.metadata(), "stakeholders"));
}

async fn consented(stage: &Stage, truth: &Truth, n: usize, party: &str) {
    let granted = truth.now(n, Part::Consents) != "true";
    truth.send(n, Part::Consents, granted.to_string());
    let state = if granted { stakeholders::ConsentState::Granted } else { stakeholders::ConsentState::Withdrawn };
    let consent = stakeholders::Consent {
        party: party.into(),
        purpose: "marketing".into(),
        channel: "phone".into(),
        state: state.into(),
        ..Default::default()
    };
    let request = stakeholders::RecordConsentRequest { consent: Some(consent), ..Default::default() };
    let answer = stage.privacy(ACME).record_consent(request).await.expect("recorded");
    truth.know(n, Part::Consents, position(answer.metadata(), "stakeholders"));
}

async fn paid(stage: &Stage, truth: &Truth, n: usize, caller: &Caller, club: &Club) {
    let points: i64 = truth.now(n, Part::Loyalty).parse().expect("points");
    truth.send(n, Part::Loyalty, (points + 10).to_string());
    let request = AdjustBalanceRequest {
        member: caller.member.clone(),
        unit_type: club.points.clone(),
        amount: 10,
        reason: "a gift".into(),
        request_id: fresh(),
        ..Default::default()
    };
    let answer = stage.ledger(ACME).adjust_balance(request).await.expect("paid");
    truth.know(n, Part::Loyalty, positions(answer.metadata())["loyalty"]);
}

/// A context that was asked for.
struct Asked {
    caller: usize,
    at: Instant,
    answered: Instant,
    context: AgentContext,
}

impl Asked {
    fn took(&self) -> Duration {
        self.answered - self.at
    }

    /// When it was asked for, and how long that took: as it says itself, and for its caller.
    fn told(&self, started: Instant) -> String {
        format!("{:.1?}: {:?}, {} ms of it in the service", self.at - started, self.took(), self.context.spent_ms)
    }
}

/// Contexts at a steady rate, whether or not those before are answered.
struct Load {
    stop: Arc<AtomicBool>,
    running: JoinHandle<Vec<JoinHandle<Asked>>>,
    started: Instant,
}

impl Load {
    fn start(stage: &Stage, house: &House) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let about: Vec<[About; 3]> = house.callers.iter().map(|caller| caller.about.clone()).collect();
        // Agents have connections of their own: a connection carries 64 calls at once.
        let desk = || DeskServiceClient::with_interceptor(stage.sandbox.channel("interactions"), Bearer::new(AGENT));
        let (desks, ended) = ([desk(), desk(), desk(), desk()], Arc::clone(&stop));
        let running = tokio::spawn(async move {
            let mut asked = Vec::new();
            let mut pace = tokio::time::interval(Duration::from_secs(1) / rate());
            while !ended.load(Ordering::Relaxed) {
                // When it was to be asked, not when this client came to it.
                let at = pace.tick().await.into_std();
                let (caller, way) = (asked.len() % about.len(), asked.len() / about.len() % 3);
                let request = GetAgentContextRequest {
                    about: Some(about[caller][way].clone()),
                    budget_ms: i32::try_from(BUDGET.as_millis()).expect("small"),
                    ..Default::default()
                };
                let mut desk = desks[asked.len() % desks.len()].clone();
                asked.push(tokio::spawn(async move {
                    let answer = desk.get_agent_context(request).await.expect("a context, whoever is away");
                    Asked { caller, at, answered: Instant::now(), context: answer.into_inner() }
                }));
            }
            asked
        });
        Load { stop, running, started: Instant::now() }
    }

    /// Everything that was answered was answered in time, and truly.
    async fn judge(self, truth: &Truth) {
        let lasted = self.started.elapsed();
        self.stop.store(true, Ordering::Relaxed);
        let asked = try_join_all(self.running.await.expect("the load runs")).await.expect("all are answered");
        let mut tallies: BTreeMap<Part, Tally> = BTreeMap::new();
        let mut times: Vec<Duration> = Vec::with_capacity(asked.len());
        let mut wrong = Vec::new();
        for one in &asked {
            times.push(one.took());
            wrong.extend(truth.judge(one.caller, (one.at, one.answered), &one.context, &mut tallies).err());
        }
        times.sort_unstable();
        let late: Vec<String> =
            asked.iter().filter(|one| one.took() > BUDGET + grace()).map(|one| one.told(self.started)).collect();
        let at = |permille: usize| times[(times.len() - 1) * permille / 1000];
        println!(
            "{} contexts in {lasted:?}: p50 {:?}, p99 {:?}, p99.9 {:?}, longest {:?}; {tallies:?}",
            times.len(),
            at(500),
            at(990),
            at(999),
            at(1000)
        );
        assert!(wrong.is_empty(), "{} of {} are wrong without a mark; first: {}", wrong.len(), asked.len(), wrong[0]);
        assert!(late.is_empty(), "{} of {} came too late:\n{}", late.len(), asked.len(), late.join("\n"));
        let enough = lasted.as_secs_f64() * f64::from(rate()) * 0.8;
        assert!(times.len() as f64 > enough, "vacuous: {} contexts in {lasted:?}", times.len());
        for part in Part::ALL {
            let tally = tallies[&part];
            if part.own() {
                // Whoever is away is nothing to it; a machine that is too busy to read its own tables in time says so.
                assert!(tally.fresh > 20 * tally.marked, "{part:?} is marked though its service is there: {tally:?}");
                continue;
            }
            assert!(tally.fresh > 0 && tally.marked > 0, "vacuous: {part:?} {tally:?}");
        }
        let outdated: usize = tallies.values().map(|tally| tally.outdated).sum();
        assert!(outdated > 0, "vacuous: nothing that was marked had changed");
    }
}
