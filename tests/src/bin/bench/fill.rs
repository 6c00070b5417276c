//! The loader: parties and interactions by the million, through the public calls.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use rapport_proto::interactions::v1 as pb;
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use uuid::Uuid;

use crate::load::{connect, interaction};

/// Parties of one batch.
const BATCH: usize = 250;
/// Batches at once.
const AT_ONCE: usize = 4;
/// Streams of interactions.
const STREAMS: usize = 4;
/// Items of one message of a stream.
const CHUNK: usize = 1_000;

/// The telephone number of a party, by its number.
pub(crate) fn number(n: usize) -> String {
    format!("+1{}", 2_010_000_000_u64 + n as u64)
}

/// Creates so many parties, each with a number of its own, and gives their names.
pub(crate) async fn parties(address: &str, from: usize, to: usize) -> Vec<String> {
    let client = PartyServiceClient::new(connect(address).await);
    let batches = (from..to).step_by(BATCH).map(|first| {
        let mut client = client.clone();
        async move {
            let requests = (first..(first + BATCH).min(to)).map(party).collect();
            let request = stakeholders::BatchCreatePartiesRequest { requests, ..Default::default() };
            let results = client.batch_create_parties(request).await.expect("parties are made").into_inner().results;
            results.into_iter().map(|made| match made.result {
                Some(stakeholders::create_party_result::Result::Receipt(receipt)) => receipt.name,
                other => panic!("a party is made: {other:?}"),
            })
        }
    });
    let made: Vec<_> = futures::stream::iter(batches).buffered(AT_ONCE).collect().await;
    made.into_iter().flatten().collect()
}

fn party(n: usize) -> stakeholders::CreatePartyRequest {
    let medium = stakeholders::ContactMedium {
        kind: stakeholders::MediumKind::Phone.into(),
        value: number(n),
        ..Default::default()
    };
    let party = stakeholders::Party {
        kind: stakeholders::PartyKind::Individual.into(),
        display_name: format!("Person {n}"),
        contact_media: vec![medium],
        roles: vec![stakeholders::PartyRole { role_type: "customer".into(), ..Default::default() }],
        ..Default::default()
    };
    stakeholders::CreatePartyRequest { party: Some(party), request_id: Uuid::now_v7().to_string() }
}

/// Records interactions of the parties by turns, so that those of one party lie far apart.
pub(crate) async fn interactions(address: &str, parties: &[String], from: usize, to: usize) {
    let share = (to - from).div_ceil(STREAMS);
    let streams = (0..STREAMS).map(|stream| {
        let (first, last) = (from + stream * share, (from + (stream + 1) * share).min(to));
        one_stream(address, parties, first, last)
    });
    futures::future::join_all(streams).await;
}

async fn one_stream(address: &str, parties: &[String], first: usize, last: usize) {
    let mut client = InteractionServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap()
        .max_encoding_message_size(8 << 20);
    let parties = parties.to_vec();
    let chunks = (first..last).step_by(CHUNK).map(move |at| {
        let items = (at..(at + CHUNK).min(last)).map(|n| {
            let mut fact = interaction(n);
            fact.participants[0].party.clone_from(&parties[n % parties.len()]);
            pb::StreamItem {
                sequence: (n - first) as i64 + 1,
                interaction: Some(fact),
                request_id: Uuid::now_v7().to_string(),
            }
        });
        pb::StreamInteractionsRequest { items: items.collect(), receipts: false }
    });
    let answers = client.stream_interactions(tokio_stream::iter(chunks)).await.expect("the stream opens");
    let mut answers = answers.into_inner();
    while let Some(answer) = answers.message().await.expect("the stream flows") {
        assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    }
}

/// What loading took.
pub(crate) fn told(what: &str, count: usize, since: Instant) -> Duration {
    let took = since.elapsed();
    println!("  {count} {what} in {:.1} s, {:.0}/s", took.as_secs_f64(), count as f64 / took.as_secs_f64());
    took
}
