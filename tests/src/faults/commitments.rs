//! The service dies exactly while it tells that commitments fell due: after a restart each was told once.

use std::collections::BTreeMap;
use std::time::Duration;

use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::events::v1::event_service_client::EventServiceClient;
use rapport_proto::interactions::v1::commitment_service_client::CommitmentServiceClient;
use rapport_proto::interactions::v1::{Commitment, CommitmentSide, MakeCommitmentRequest};
use rapport_testkit::sandbox::{Sandbox, StoreKind, Topology};
use rapport_testkit::size;
use tonic::transport::Channel;

use super::load;
use crate::scenarios::messages::{after, now};

const FELL_DUE: &str = "rapport.interactions.v1.CommitmentFellDue";
/// How long something may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// In so many seconds everything is due: time enough to promise it.
const DUE: i64 = 3;

async fn make(channel: Channel, party: &str, due_time: prost_types::Timestamp) -> String {
    let commitment = Commitment {
        party: party.into(),
        side: CommitmentSide::Ours.into(),
        promise: "an answer".into(),
        made_time: Some(after(now(), -60)),
        due_time: Some(due_time),
        ..Default::default()
    };
    let request = MakeCommitmentRequest { commitment: Some(commitment), ..Default::default() };
    CommitmentServiceClient::new(channel).make_commitment(request).await.expect("made").into_inner().name
}

/// How often the feed tells of each commitment that it fell due, up to the event of the `last` one.
async fn told(channel: Channel, last: &str) -> BTreeMap<String, usize> {
    let request =
        SubscribeRequest { source: "interactions".into(), types: vec![FELL_DUE.into()], ..Default::default() };
    let mut stream = EventServiceClient::new(channel).subscribe(request).await.expect("subscribed").into_inner();
    let mut counts = BTreeMap::new();
    let reading = async {
        while !counts.contains_key(last) {
            let batch = stream.message().await.expect("read").expect("the feed goes on");
            for event in batch.events {
                *counts.entry(event.aggregate).or_insert(0) += 1;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("everything is told");
    counts
}

async fn abort_in_the_sweep(boundary: &str, store: StoreKind) {
    let made: usize = size::pick(2, 40);
    // Nothing else is written: the commit after those of the promises is that of the sweep.
    let mut sandbox = Sandbox::builder(rapport::modules)
        .store(store)
        .topology(Topology::Child)
        .setting("services", vec!["interactions"])
        .setting("store.failpoints.interactions", format!("{boundary}=abort@{}", made + 1))
        .start()
        .await;
    let party = load::party();
    let due = after(now(), DUE);
    let mut names = Vec::new();
    for _ in 0..made {
        names.push(make(sandbox.channel("interactions"), &party, due).await);
    }
    let status = sandbox.wait_for_exit("interactions", PATIENCE).await;
    assert!(!status.success(), "{boundary}: the process aborts");
    let config = sandbox.config("interactions").to_owned();
    let text = std::fs::read_to_string(&config).expect("the configuration is read");
    let text: Vec<_> = text.lines().filter(|line| !line.contains("=abort@")).collect();
    std::fs::write(&config, text.join("\n")).expect("the configuration is written");
    for _ in 0..size::pick(2, 20) {
        sandbox.restart("interactions").await;
        // What is due already is told by the next sweep, after whatever an earlier one may tell again.
        names.push(make(sandbox.channel("interactions"), &party, now()).await);
        let last = names.last().expect("there are some");
        let counts = told(sandbox.channel("interactions"), last).await;
        let expected: BTreeMap<String, usize> = names.iter().map(|name| (name.clone(), 1)).collect();
        assert_eq!(counts, expected, "{boundary}: each once");
        sandbox.kill_9("interactions").await;
    }
    sandbox.stop().await;
}

#[test]
fn fault_killed_in_the_sweep_each_commitment_falls_due_once() {
    // Side by side, as each mostly waits for what falls due.
    let boundaries = ["before_commit", "after_commit", "before_reply"];
    let worlds = boundaries.map(|boundary| [(boundary, StoreKind::Sqlite), (boundary, StoreKind::Postgres)]);
    let all = worlds.into_iter().flatten().map(|(boundary, store)| abort_in_the_sweep(boundary, store));
    rapport_testkit::block_on(futures::future::join_all(all));
}
