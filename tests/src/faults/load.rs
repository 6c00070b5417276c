//! Load for fault tests: records under request ids, with a ledger of what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::events::v1::event_service_client::EventServiceClient;
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::interactions::v1::{
    Channel as Medium, Direction, Function, GetTimelineRequest, Interaction, Medium as Kind, Participant,
    RecordInteractionRequest,
};
use rapport_testkit::asserts::is_replayed;
use tonic::Status;
use tonic::transport::Channel;
use uuid::Uuid;

/// A party of the test's own; interactions takes a well-formed name as it is.
pub(super) fn party() -> String {
    format!("parties/{}", Uuid::now_v7())
}

/// One record, told apart by its request id.
pub(super) fn request(party: &str, request_id: Uuid) -> RecordInteractionRequest {
    RecordInteractionRequest {
        interaction: Some(Interaction {
            kind: "inquiry".into(),
            channel: Some(Medium { medium: Kind::Phone.into(), online: None }),
            direction: Direction::Inbound.into(),
            participants: vec![Participant {
                party: party.into(),
                function: Function::Initiator.into(),
                ..Default::default()
            }],
            body: format!("body of {request_id}"),
            occurred_time: Some(prost_types::Timestamp { seconds: 1_760_000_000, nanos: 0 }),
            ..Default::default()
        }),
        request_id: request_id.to_string(),
    }
}

/// What callers know: each request id that was sent, and the name that was acknowledged for it, if any.
#[derive(Default)]
pub(super) struct Book {
    sent: Mutex<BTreeMap<Uuid, Option<String>>>,
}

impl Book {
    /// Notes that a request leaves.
    pub(super) fn send(&self) -> Uuid {
        let request_id = Uuid::now_v7();
        self.sent.lock().unwrap().insert(request_id, None);
        request_id
    }

    /// Notes its acknowledgement.
    pub(super) fn acknowledge(&self, request_id: Uuid, name: String) {
        self.sent.lock().unwrap().insert(request_id, Some(name));
    }

    /// All requests so far.
    pub(super) fn entries(&self) -> Vec<(Uuid, Option<String>)> {
        self.sent.lock().unwrap().iter().map(|(id, name)| (*id, name.clone())).collect()
    }

    /// How many were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.sent.lock().unwrap().values().filter(|name| name.is_some()).count()
    }
}

/// Records until the server stops answering or `stop` says so; notes every acknowledgement.
pub(super) async fn record_until(channel: Channel, party: &str, book: &Book, stop: impl Fn() -> bool) {
    let mut client = InteractionServiceClient::new(channel);
    while !stop() {
        let request_id = book.send();
        match client.record_interaction(request(party, request_id)).await {
            Ok(reply) => book.acknowledge(request_id, reply.into_inner().name),
            Err(_) => return,
        }
    }
}

/// Calls until the server answers: it connects anew for each try.
pub(super) async fn ready(channel: &Channel, party: &str, limit: Duration) {
    let mut client = InteractionServiceClient::new(channel.clone());
    let answered = async {
        loop {
            let request = GetTimelineRequest { party: party.into(), page_size: 1, ..Default::default() };
            match client.get_timeline(request).await {
                Err(status) if status.code() == tonic::Code::Unavailable => tokio::task::yield_now().await,
                _ => return,
            }
        }
    };
    tokio::time::timeout(limit, answered).await.unwrap_or_else(|_| panic!("not ready within {limit:?}"));
}

/// What came of sending every request of a book again.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// Requests that nobody had acknowledged and that had taken effect all the same.
    pub(super) unacknowledged_effects: usize,
    /// The names of all records, each once.
    pub(super) names: BTreeSet<String>,
}

/// Sends every request again: acknowledged ones give their first answer, and every id has exactly one effect.
pub(super) async fn audit(channel: &Channel, party: &str, book: &Book) -> Audit {
    let mut audit = Audit::default();
    let entries = book.entries();
    for chunk in entries.chunks(64) {
        let answers = futures::future::join_all(chunk.iter().map(|(request_id, _)| {
            let mut client = InteractionServiceClient::new(channel.clone());
            async move { again(&mut client, party, *request_id).await }
        }))
        .await;
        for ((request_id, acknowledged), answer) in chunk.iter().zip(answers) {
            let (name, replayed) = answer.unwrap_or_else(|status| panic!("{request_id} sent again: {status:?}"));
            match acknowledged {
                Some(first) => {
                    assert!(replayed, "{request_id} was acknowledged as {first} and is lost");
                    assert_eq!(*first, name, "{request_id} got another first answer");
                }
                None => audit.unacknowledged_effects += usize::from(replayed),
            }
            assert!(audit.names.insert(name.clone()), "{name} was given twice");
        }
    }
    let kept = timeline(channel, party).await;
    assert_eq!(kept, audit.names, "the timeline holds every record once");
    audit
}

async fn again(
    client: &mut InteractionServiceClient<Channel>,
    party: &str,
    request_id: Uuid,
) -> Result<(String, bool), Status> {
    let mut tries = 0;
    loop {
        match client.record_interaction(request(party, request_id)).await {
            Ok(reply) => {
                let replayed = is_replayed(reply.metadata());
                let interaction = reply.into_inner();
                assert_eq!(interaction.body, format!("body of {request_id}"), "the answer is whole");
                return Ok((interaction.name, replayed));
            }
            Err(status) if status.code() == tonic::Code::Unavailable && tries < 20 => tries += 1,
            Err(status) => return Err(status),
        }
    }
}

/// The names of all of a party's interactions.
async fn timeline(channel: &Channel, party: &str) -> BTreeSet<String> {
    let mut client = InteractionServiceClient::new(channel.clone());
    let mut names = BTreeSet::new();
    let mut page_token = String::new();
    loop {
        let page = client
            .get_timeline(GetTimelineRequest { party: party.into(), page_size: 500, page_token, ..Default::default() })
            .await
            .expect("the timeline is read")
            .into_inner();
        for interaction in page.interactions {
            assert!(!interaction.participants.is_empty(), "{} is torn", interaction.name);
            assert!(names.insert(interaction.name.clone()), "{} stands twice", interaction.name);
        }
        if page.next_page_token.is_empty() {
            return names;
        }
        page_token = page.next_page_token;
    }
}

/// Reads the whole feed: positions are dense from 1 and each record has exactly one event.
pub(super) async fn feed(channel: &Channel, records: &BTreeSet<String>) {
    let mut client = EventServiceClient::new(channel.clone());
    let mut stream = client
        .subscribe(SubscribeRequest { source: "interactions".into(), batch_size: 1000, ..Default::default() })
        .await
        .expect("the feed opens")
        .into_inner();
    let mut next = 1;
    let mut seen = BTreeSet::new();
    let read = async {
        loop {
            let batch = stream.message().await.expect("the feed flows").expect("the feed stays open");
            for event in batch.events {
                assert_eq!(event.position, next, "positions are dense");
                next += 1;
                if event.r#type == "rapport.interactions.v1.InteractionRecorded" {
                    assert!(seen.insert(event.aggregate.clone()), "{} has two events", event.aggregate);
                }
            }
            if next > batch.newest_position {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read).await.expect("the feed is read to its end");
    let missing: Vec<_> = records.difference(&seen).collect();
    assert!(missing.is_empty(), "records without an event: {missing:?}");
}
