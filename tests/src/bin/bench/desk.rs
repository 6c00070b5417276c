//! S1: the agent context against an echo, one point select and five statements behind the same stack, and BeginCall; S7:
//! what ten times the data changes, and the memory of all services in one process; S6 with all of it there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rapport_proto::interactions::v1 as pb;
use rapport_proto::interactions::v1::desk_service_client::DeskServiceClient;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::stakeholders::v1::GetPartyRequest;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::host::{Host, Side};
use crate::kept::Kept;
use crate::load::{Figures, callers};
use crate::write::{place, store};
use crate::{Plan, fill, fresh, load, median, naive_desk};

/// How many parties are looked up: each was asked about once before, as the desk's own callers are.
const KNOWN: usize = 20_000;
/// How many of them are looked up again and again.
const HOT: usize = 100;
/// How many interactions of a party the baseline has at most: it shows no more.
const BASELINE: usize = 20;

/// How much data there is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Parties.
    pub(crate) parties: usize,
    /// Interactions of all of them.
    pub(crate) interactions: usize,
}

/// Loads the data unless they are kept, measures, and compares with the baselines.
pub(crate) async fn measure(plan: &Plan, size: Size, admin: Option<&str>, kept: Option<&Kept>) {
    println!("\nAgent's desk, {}: {} parties, {} interactions", store(admin), size.parties, size.interactions);
    let ours = match kept {
        Some(kept) => kept.host(admin).await,
        None => Host::start(Side::Suite, place(admin).await).await,
    };
    let known = match kept.and_then(Kept::known) {
        Some(known) => {
            for (what, middle) in settled(plan, &ours, &known, KNOWN).await {
                println!("  p50 of {what}: {middle:.2} ms");
            }
            known
        }
        None => {
            let known = loaded(plan, &ours, size).await;
            if let Some(kept) = kept {
                kept.loaded(&known);
            }
            known
        }
    };
    println!("  memory of all services in one process: {:.0} MiB (goal 1536 at 1M and 10M)", ours.memory());

    fresh::beside(plan, &ours.address, store(admin)).await;

    let naive = Host::start(Side::NaiveDesk, place(admin).await).await;
    let filled = size.parties.min(KNOWN);
    let database = naive_desk::NaiveDesk::new(&naive.place().data().join("all"), naive.place().url()).await;
    database.fill(filled, (size.interactions / size.parties.max(1)).min(BASELINE)).await;
    drop(database);
    let sample = Arc::new(sample(&known, KNOWN));
    for &in_flight in &plan.in_flight {
        contexts(plan, &ours, &naive, &sample, filled, in_flight).await;
    }
    // Every number has called before: the first time makes its key, a row that the baseline does not have.
    rung(&ours.address, filled).await;
    for &in_flight in &plan.in_flight {
        begins(plan, &ours, &naive, filled, in_flight).await;
    }
}

/// Loads a tenth, measures, loads the rest, measures again, and gives the parties' names.
async fn loaded(plan: &Plan, ours: &Host, size: Size) -> Vec<String> {
    let mut known = Vec::new();
    let small = Size { parties: (size.parties / 10).max(1), interactions: size.interactions / 10 };
    let mut before = Size { parties: 0, interactions: 0 };
    let mut middles = Vec::new();
    for step in [small, size] {
        grow(ours, &mut known, before, step).await;
        before = step;
        // As many are asked about at either size: how much of it lies in memory is not what is compared.
        middles.push(settled(plan, ours, &known, small.parties.min(KNOWN)).await);
    }
    for (what, small) in &middles[0] {
        let large = middles[1][what];
        println!(
            "  p50 of {what}: {small:.2} ms at a tenth of the data, {large:.2} ms at all of it: {:.2}x (goal 1.2)",
            large / small
        );
    }
    known
}

/// The middle latencies with some of the parties, once those that are measured were asked about and nothing is left to do.
async fn settled(plan: &Plan, ours: &Host, known: &[String], most: usize) -> BTreeMap<&'static str, f64> {
    acquaint(&ours.address, &Arc::new(sample(known, KNOWN))).await;
    ours.rest().await;
    points(plan, &ours.address, &Arc::new(sample(known, most))).await
}

async fn grow(ours: &Host, known: &mut Vec<String>, from: Size, to: Size) {
    let (address, started) = (ours.address.as_str(), Instant::now());
    known.extend(fill::parties(address, from.parties, to.parties).await);
    fill::told("parties", to.parties - from.parties, started);
    let started = Instant::now();
    fill::interactions(address, known, from.interactions, to.interactions).await;
    fill::told("interactions", to.interactions - from.interactions, started);
    let (counted, rest) = (fresh::caught_up(address).await, ours.rest().await);
    println!(
        "  all of it was counted {:.1} s later; {:.1} s after that, the desk had applied it too and nothing was left to do",
        counted.as_secs_f64(),
        rest.as_secs_f64(),
    );
}

/// So many parties at most, from everywhere among those there are.
fn sample(known: &[String], most: usize) -> Vec<String> {
    let step = known.len().div_ceil(most).max(1);
    known.iter().step_by(step).cloned().collect()
}

/// Asks about each party once.
async fn acquaint(address: &str, parties: &Arc<Vec<String>>) {
    let started = Instant::now();
    let client = DeskServiceClient::new(load::connect(address).await);
    let asked = futures::StreamExt::for_each_concurrent(futures::stream::iter(parties.iter()), 32, |party| {
        let mut client = client.clone();
        async move {
            client.get_agent_context(about(party.clone())).await.expect("a context is given");
        }
    });
    asked.await;
    fill::told("contexts of parties that were never asked about", parties.len(), started);
}

fn about(party: String) -> pb::GetAgentContextRequest {
    pb::GetAgentContextRequest { about: Some(About::Party(party)), budget_ms: 5_000, ..Default::default() }
}

fn baseline(work: &str, n: usize) -> pb::GetAgentContextRequest {
    let identifier = pb::Identifier { scheme: work.to_owned(), value: naive_desk::party(n).to_string() };
    pb::GetAgentContextRequest { about: Some(About::Identifier(identifier)), ..Default::default() }
}

/// Numbers that look like chance.
fn scattered(n: usize) -> usize {
    (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_right(29) as usize
}

/// The middle latency of calls that read or write one thing, alone on the machine.
async fn points(plan: &Plan, address: &str, parties: &Arc<Vec<String>>) -> BTreeMap<&'static str, f64> {
    let mut middles = BTreeMap::new();
    let p50 = |figures: Figures| figures.p50.as_secs_f64() * 1e3;
    let figures = asking(address, 1, plan.length, parties, KNOWN).await;
    middles.insert("GetAgentContext", p50(figures));
    let of = Arc::clone(parties);
    let figures = callers(address, 1, plan.length, move |connection, _| {
        let (client, parties, mut n) = (PartyServiceClient::new(connection), Arc::clone(&of), 0);
        move || {
            n += 1;
            let name = parties[scattered(n) % parties.len()].clone();
            let mut client = client.clone();
            async move {
                client.get_party(GetPartyRequest { name }).await.expect("a party is given");
            }
        }
    })
    .await;
    middles.insert("GetParty", p50(figures));
    let of = Arc::clone(parties);
    let figures = callers(address, 1, plan.length, move |connection, _| {
        let (client, parties, mut n) = (InteractionServiceClient::new(connection), Arc::clone(&of), 0);
        move || {
            n += 1;
            let party = parties[scattered(n) % parties.len()].clone();
            let mut client = client.clone();
            async move {
                let request = pb::GetTimelineRequest { party, page_size: 20, ..Default::default() };
                client.get_timeline(request).await.expect("a timeline is given");
            }
        }
    })
    .await;
    middles.insert("GetTimeline", p50(figures));
    middles.insert("RecordInteraction", p50(load::unary(address, 1, plan.length).await));
    middles
}

/// Callers that ask about the first `most` of some parties, in no order.
async fn asking(address: &str, in_flight: usize, length: Duration, parties: &Arc<Vec<String>>, most: usize) -> Figures {
    let parties = Arc::clone(parties);
    callers(address, in_flight, length, move |connection, number| {
        let (client, parties, mut n) = (DeskServiceClient::new(connection), Arc::clone(&parties), number * 7919);
        move || {
            n += 1;
            let request = about(parties[scattered(n) % parties.len().min(most)].clone());
            let mut client = client.clone();
            async move {
                client.get_agent_context(request).await.expect("a context is given");
            }
        }
    })
    .await
}

async fn asking_baseline(
    address: &str,
    in_flight: usize,
    length: Duration,
    work: &'static str,
    parties: usize,
) -> Figures {
    callers(address, in_flight, length, move |connection, number| {
        let (client, mut n) = (DeskServiceClient::new(connection), number * 7919);
        move || {
            n += 1;
            let request = baseline(work, scattered(n) % parties);
            let mut client = client.clone();
            async move {
                client.get_agent_context(request).await.expect("the baseline answers");
            }
        }
    })
    .await
}

/// Medians of rounds.
#[derive(Default)]
struct Seen {
    rate: Vec<f64>,
    cpu: Vec<f64>,
    p99: Vec<f64>,
}

impl Seen {
    fn note(&mut self, host: &Host, before: f64, figures: &Figures) {
        self.rate.push(figures.rate);
        self.cpu.push((host.cpu() - before) / figures.count as f64 * 1e6);
        self.p99.push(figures.p99.as_secs_f64() * 1e3);
    }

    fn middle(self) -> (f64, f64, f64) {
        (median(self.rate), median(self.cpu), median(self.p99))
    }
}

async fn contexts(plan: &Plan, ours: &Host, naive: &Host, parties: &Arc<Vec<String>>, filled: usize, in_flight: usize) {
    let mut seen: [Seen; 5] = Default::default();
    for _ in 0..plan.rounds {
        for (at, most) in [(0, KNOWN), (1, HOT)] {
            let before = ours.cpu();
            let figures = asking(&ours.address, in_flight, plan.length, parties, most).await;
            seen[at].note(ours, before, &figures);
        }
        for (at, work) in [(2, "echo"), (3, "point"), (4, "five")] {
            let before = naive.cpu();
            let figures = asking_baseline(&naive.address, in_flight, plan.length, work, filled).await;
            seen[at].note(naive, before, &figures);
        }
    }
    let [ours, hot, echo, point, five] = seen.map(Seen::middle);
    println!(
        "  context, {in_flight} in flight: {:.0}/s, {:.2}x of one point select's {:.0}/s (goal 0.8); CPU {:.0} us, {:.2}x of five \
         statements' {:.0} us (goal 0.25); hot {:.0}/s, {:.2}x of the echo's {:.0}/s (goal 0.5); p99 {:.1} ms, {:.1}x of the echo's \
         {:.1} ms (goal 3)",
        ours.0,
        ours.0 / point.0,
        point.0,
        ours.1,
        ours.1 / five.1,
        five.1,
        hot.0,
        hot.0 / echo.0,
        echo.0,
        ours.2,
        ours.2 / echo.2,
        echo.2,
    );
}

/// A call begins.
async fn ring(client: &mut DeskServiceClient<Channel>, number: String) {
    let call = pb::Call {
        call_id: Uuid::now_v7().to_string(),
        direction: pb::Direction::Inbound.into(),
        identifier_used: Some(pb::Identifier { scheme: "tel".into(), value: number }),
        ..Default::default()
    };
    let request = pb::BeginCallRequest { call: Some(call), ..Default::default() };
    client.begin_call(request).await.expect("a call begins");
}

/// Each of the first parties calls once.
async fn rung(address: &str, parties: usize) {
    let started = Instant::now();
    let client = DeskServiceClient::new(load::connect(address).await);
    let rung = futures::StreamExt::for_each_concurrent(futures::stream::iter(0..parties), 64, |party| {
        let mut client = client.clone();
        async move { ring(&mut client, fill::number(party)).await }
    });
    rung.await;
    fill::told("calls of numbers that never called", parties, started);
}

async fn begins(plan: &Plan, ours: &Host, naive: &Host, filled: usize, in_flight: usize) {
    let mut seen: [Seen; 2] = Default::default();
    for _ in 0..plan.rounds {
        for (at, host) in [ours, naive].into_iter().enumerate() {
            let before = host.cpu();
            let figures = callers(&host.address, in_flight, plan.length, |connection, number| {
                let (client, mut n) = (DeskServiceClient::new(connection), number * 7919);
                move || {
                    n += 1;
                    let party = scattered(n) % filled;
                    let value = if at == 0 { fill::number(party) } else { naive_desk::party(party).to_string() };
                    let mut client = client.clone();
                    async move { ring(&mut client, value).await }
                }
            })
            .await;
            seen[at].note(host, before, &figures);
        }
    }
    let [ours, naive] = seen.map(Seen::middle);
    println!(
        "  BeginCall, {in_flight} in flight: {:.0}/s, {:.2}x of one select and one insert in a transaction, {:.0}/s; CPU {:.0} us, {:.2}x; \
         p99 {:.1} ms, {:.1}x",
        ours.0,
        ours.0 / naive.0,
        naive.0,
        ours.1,
        ours.1 / naive.1,
        ours.2,
        ours.2 / naive.2,
    );
}
