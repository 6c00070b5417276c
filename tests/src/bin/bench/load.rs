//! The load: callers in a closed loop, each waiting for its answer before it asks again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::interactions::v1::{
    Channel, Direction, Function, Interaction, Medium, Participant, RecordInteractionRequest,
    StreamInteractionsRequest, StreamItem,
};
use tonic::transport::{Channel as Connection, Endpoint};
use uuid::Uuid;

/// What a measurement saw.
pub(crate) struct Figures {
    /// Calls or rows a second.
    pub(crate) rate: f64,
    /// The middle latency.
    pub(crate) p50: Duration,
    /// The latency that one in a hundred exceeds.
    pub(crate) p99: Duration,
    /// Calls or rows.
    pub(crate) count: usize,
}

/// Whose interactions are recorded.
pub(crate) const PARTIES: usize = 10_000;

/// Records one interaction of each party.
pub(crate) async fn acquaint(address: &str) {
    let mut client = InteractionServiceClient::connect(format!("http://{address}")).await.unwrap();
    let items: Vec<StreamItem> = (0..PARTIES)
        .map(|n| StreamItem {
            sequence: n as i64 + 1,
            interaction: Some(interaction(n)),
            request_id: Uuid::now_v7().to_string(),
        })
        .collect();
    let chunks: Vec<_> =
        items.chunks(1000).map(|items| StreamInteractionsRequest { items: items.to_vec(), receipts: false }).collect();
    let requests = tokio_stream::iter(chunks);
    let mut answers = client.stream_interactions(requests).await.expect("the stream opens").into_inner();
    while let Some(answer) = answers.message().await.expect("the stream flows") {
        assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    }
}

/// An interaction of one of the parties.
pub(crate) fn interaction(n: usize) -> Interaction {
    Interaction {
        kind: "inquiry".into(),
        channel: Some(Channel { medium: Medium::Phone.into(), online: None }),
        direction: Direction::Inbound.into(),
        participants: vec![Participant {
            party: format!(
                "parties/{}",
                Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + (n % PARTIES) as u128)
            ),
            function: Function::Initiator.into(),
            role_type: "customer".into(),
            ..Default::default()
        }],
        topics: vec!["delivery".into()],
        subject_line: "where is my order".into(),
        body: "the parcel should have come on tuesday and it is friday now".into(),
        occurred_time: Some(prost_types::Timestamp { seconds: 1_750_000_000 + n as i64 % 1_000_000, nanos: 0 }),
        ..Default::default()
    }
}

/// A connection to a host of the benchmark.
pub(crate) async fn connect(address: &str) -> Connection {
    Endpoint::from_shared(format!("http://{address}")).unwrap().tcp_nodelay(true).connect().await.unwrap()
}

/// `in_flight` callers for `length`, over a few connections as a real pool has. Each waits for its answer before it asks
/// again; `caller` makes one of them, by its number, and that one makes its calls.
pub(crate) async fn callers<A, C>(
    address: &str,
    in_flight: usize,
    length: Duration,
    caller: impl Fn(Connection, usize) -> A,
) -> Figures
where
    A: FnMut() -> C + Send + 'static,
    C: Future<Output = ()> + Send,
{
    let mut connections = Vec::new();
    for _ in 0..in_flight.clamp(1, 8) {
        connections.push(connect(address).await);
    }
    let started = Instant::now();
    let end = started + length;
    let callers: Vec<_> = (0..in_flight)
        .map(|number| {
            let mut ask = caller(connections[number % connections.len()].clone(), number);
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while Instant::now() < end {
                    let call = ask();
                    let asked = Instant::now();
                    call.await;
                    latencies.push(asked.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for caller in callers {
        latencies.extend(caller.await.unwrap());
    }
    let took = started.elapsed().as_secs_f64();
    latencies.sort();
    Figures {
        rate: latencies.len() as f64 / took,
        p50: latencies[latencies.len() / 2],
        p99: latencies[latencies.len() * 99 / 100],
        count: latencies.len(),
    }
}

/// Callers that record an interaction at a time.
pub(crate) async fn unary(address: &str, in_flight: usize, length: Duration) -> Figures {
    callers(address, in_flight, length, |connection, number| {
        let client = InteractionServiceClient::new(connection);
        let mut n = number * 7919;
        move || {
            n += 1;
            let request =
                RecordInteractionRequest { interaction: Some(interaction(n)), request_id: Uuid::now_v7().to_string() };
            let mut client = client.clone();
            async move {
                client.record_interaction(request).await.expect("a write is acknowledged");
            }
        }
    })
    .await
}

/// Four streams with chunks of 1000 items, each kept a few chunks ahead of its acknowledgements.
pub(crate) async fn stream(address: &str, length: Duration) -> Figures {
    const STREAMS: usize = 4;
    const AHEAD: usize = 4;
    let end = Instant::now() + length;
    let items: Arc<Vec<Interaction>> = Arc::new((0..1000).map(interaction).collect());
    let started = Instant::now();
    let streams: Vec<_> = (0..STREAMS)
        .map(|_| {
            let (address, items) = (address.to_owned(), Arc::clone(&items));
            tokio::spawn(async move {
                let mut client = InteractionServiceClient::connect(format!("http://{address}"))
                    .await
                    .unwrap()
                    .max_encoding_message_size(8 << 20);
                let (send, receive) = tokio::sync::mpsc::channel(AHEAD);
                let sender = tokio::spawn(async move {
                    let mut sequence = 0;
                    while Instant::now() < end {
                        let chunk = items
                            .iter()
                            .map(|interaction| {
                                sequence += 1;
                                StreamItem {
                                    sequence,
                                    interaction: Some(interaction.clone()),
                                    request_id: Uuid::now_v7().to_string(),
                                }
                            })
                            .collect();
                        if send.send(StreamInteractionsRequest { items: chunk, receipts: false }).await.is_err() {
                            break;
                        }
                    }
                    sequence
                });
                let requests = tokio_stream::wrappers::ReceiverStream::new(receive);
                let mut answers = client.stream_interactions(requests).await.expect("the stream opens").into_inner();
                let mut committed = 0;
                while let Some(answer) = answers.message().await.expect("the stream flows") {
                    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
                    committed = answer.committed_through;
                }
                assert_eq!(committed, sender.await.unwrap(), "everything is acknowledged");
                committed
            })
        })
        .collect();
    let mut rows = 0;
    for one in streams {
        rows += usize::try_from(one.await.unwrap()).unwrap();
    }
    let took = started.elapsed();
    Figures { rate: rows as f64 / took.as_secs_f64(), p50: took, p99: took, count: rows }
}
