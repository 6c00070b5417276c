//! S6: how long after its acknowledgement an interaction is seen in scores and in the agent context, at half of the peak.

use std::time::{Duration, Instant};

use rapport_proto::interactions::v1::desk_service_client::DeskServiceClient;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::interactions::v1::{AgentContext, GetAgentContextRequest, RecordInteractionRequest};
use rapport_proto::scoring::v1::GetScoresRequest;
use rapport_proto::scoring::v1::score_service_client::ScoreServiceClient;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::{CreatePartyRequest, Party, PartyKind, PartyName};
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use crate::host::{Host, Side};
use crate::write::{place, store};
use crate::{Plan, load};

/// Callers of the load.
const CALLERS: usize = 64;
/// What is scored.
const DEFINITION: &str = "scoreDefinitions/relationship-health";
/// Longer than this nobody waits.
const LOST: Duration = Duration::from_secs(120);
/// The desk learns of a party after all those before it.
const LEARNT: Duration = Duration::from_secs(3600);
/// Between two looks at consumers that may be behind by millions.
const CALM: Duration = Duration::from_millis(100);

/// Measures the peak, then the freshness at half of it, and prints both.
pub(crate) async fn measure(plan: &Plan, admin: Option<&str>) {
    let host = Host::start(Side::Suite, place(admin).await).await;
    beside(plan, &host.address, store(admin)).await;
}

/// The same of a suite that holds data already.
pub(crate) async fn beside(plan: &Plan, address: &str, store: &str) {
    let peak = load::unary(address, CALLERS, plan.length).await.rate;
    let length = plan.length * u32::try_from(plan.rounds).unwrap_or(1);
    // What the peak left behind is another matter: how long that takes is told beside it.
    let behind = caught_up(address).await.as_secs_f64();
    let background = tokio::spawn(half(address.to_owned(), peak / 2.0, length));
    let mut seen = probe(address, length).await;
    let kept = background.await.unwrap();
    for latencies in [&mut seen.scores, &mut seen.contexts] {
        latencies.sort();
        assert!(!latencies.is_empty(), "nothing was seen");
    }
    let of = |latencies: &[Duration], share: usize| latencies[(latencies.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "\nFreshness, {store}: at {kept:.0} writes/s (peak {peak:.0}) an acknowledged interaction is in GetScores after \
         {:.1}/{:.1} ms, in GetAgentContext after {:.1}/{:.1} ms (p50/p99 of {}; goal p99 50); after the peak the consumers were {behind:.1} s behind",
        of(&seen.scores, 50),
        of(&seen.scores, 99),
        of(&seen.contexts, 50),
        of(&seen.contexts, 99),
        seen.scores.len(),
    );
}

/// Writes at a rate for some time: each caller has its own beat. Gives the rate that was kept.
async fn half(address: String, rate: f64, length: Duration) -> f64 {
    let started = Instant::now();
    let every = Duration::from_secs_f64(CALLERS as f64 / rate.max(1.0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let address = address.clone();
            tokio::spawn(async move {
                let mut client = InteractionServiceClient::new(channel(&address).await);
                let mut beat = tokio::time::interval(every);
                let mut count = 0_usize;
                while started.elapsed() < length {
                    beat.tick().await;
                    client
                        .record_interaction(write(caller * 7919 + count, None))
                        .await
                        .expect("a write is acknowledged");
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut count = 0;
    for caller in callers {
        count += caller.await.unwrap();
    }
    count as f64 / started.elapsed().as_secs_f64()
}

/// How long each probe took to be seen.
#[derive(Default)]
struct Seen {
    scores: Vec<Duration>,
    contexts: Vec<Duration>,
}

/// Waits until all that was recorded so far is counted, and gives how long that took. Looks now and then: what is behind
/// needs the processors.
pub(crate) async fn caught_up(address: &str) -> Duration {
    let channel = channel(address).await;
    let mut scores = ScoreServiceClient::new(channel.clone());
    let mut interactions = InteractionServiceClient::new(channel.clone());
    let since = Instant::now();
    let party = party(channel).await;
    interactions.record_interaction(write(1, Some(&party))).await.expect("a write is acknowledged");
    while scored(&mut scores, &party).await < 1 {
        tokio::time::sleep(CALM).await;
    }
    since.elapsed()
}

/// Records interactions of one party, one after the other, and looks until each is counted.
async fn probe(address: &str, length: Duration) -> Seen {
    let channel = channel(address).await;
    let mut interactions = InteractionServiceClient::new(channel.clone());
    let mut scores = ScoreServiceClient::new(channel.clone());
    let mut desk = DeskServiceClient::new(channel.clone());
    let party = party(channel).await;
    let started = Instant::now();
    let mut seen = Seen::default();
    let mut recorded = 0;
    while recorded == 0 || started.elapsed() < length {
        recorded += 1;
        interactions.record_interaction(write(recorded, Some(&party))).await.expect("a write is acknowledged");
        let acknowledged = Instant::now();
        let expected = i64::try_from(recorded).unwrap();
        let lost = || assert!(acknowledged.elapsed() < LOST, "never counted, or never shown");
        let score = async {
            while scored(&mut scores, &party).await < expected {
                lost();
            }
            acknowledged.elapsed()
        };
        let context = async {
            loop {
                let request = GetAgentContextRequest { about: Some(About::Party(party.clone())), ..Default::default() };
                let answer = desk.get_agent_context(request).await.expect("a context is given").into_inner();
                if counted(&answer) >= expected {
                    return acknowledged.elapsed();
                }
                lost();
            }
        };
        // Side by side: neither waits until the other is seen.
        let (score, context) = futures::future::join(score, context).await;
        seen.scores.push(score);
        seen.contexts.push(context);
    }
    seen
}

/// How many interactions a party's score rests on.
async fn scored(scores: &mut ScoreServiceClient<Channel>, party: &str) -> i64 {
    let request = GetScoresRequest { party: party.to_owned(), definition: DEFINITION.to_owned(), ..Default::default() };
    let answer = scores.get_scores(request).await.expect("scores are given").into_inner();
    answer.scores[0].evidence.as_ref().map_or(0, |evidence| evidence.contribution_count)
}

/// How many interactions the context's score rests on.
fn counted(context: &AgentContext) -> i64 {
    let scores = context.scores.iter().flat_map(|section| &section.scores);
    scores.filter(|score| score.definition == DEFINITION).map(|score| score.contribution_count).max().unwrap_or(0)
}

/// A party that the desk knows.
async fn party(channel: Channel) -> String {
    let name = PartyName { given_name: "Ada".into(), family_name: "Probe".into(), ..Default::default() };
    let party = Party { kind: PartyKind::Individual.into(), names: vec![name], ..Default::default() };
    let request = CreatePartyRequest { party: Some(party), request_id: Uuid::now_v7().to_string() };
    let name = PartyServiceClient::new(channel.clone()).create_party(request).await.unwrap().into_inner().name;
    let mut desk = DeskServiceClient::new(channel);
    let asked = Instant::now();
    loop {
        let request = GetAgentContextRequest { about: Some(About::Party(name.clone())), ..Default::default() };
        if desk.get_agent_context(request).await.is_ok() {
            return name;
        }
        assert!(asked.elapsed() < LEARNT, "the desk never learns of the party");
        tokio::time::sleep(CALM).await;
    }
}

fn write(n: usize, party: Option<&str>) -> RecordInteractionRequest {
    let mut interaction = load::interaction(n);
    if let Some(party) = party {
        interaction.participants[0].party = party.to_owned();
    }
    RecordInteractionRequest { interaction: Some(interaction), request_id: Uuid::now_v7().to_string() }
}

async fn channel(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().tcp_nodelay(true).connect().await.unwrap()
}
