//! The bidirectional stream: numbered items in, one acknowledgement of how far all is durable out.

use rapport_proto::interactions::v1::*;
use rapport_testkit::asserts::{at_least, error_metadata, violations};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use tokio::sync::mpsc::{self, Sender};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::messages::{after, at, by_party, contact, person};
use super::stage::{ACME, Positions, READER, Stage, end, fresh, next};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn streams_are_acknowledged_up_to_what_is_durable(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        everything_is_acknowledged_in_order(&stage).await;
        a_bad_item_is_told_and_the_others_recorded(&stage).await;
        a_broken_stream_is_sent_again(&stage).await;
        a_number_out_of_order_ends_the_stream(&stage).await;
        a_chunk_too_large_ends_the_stream(&stage).await;
        stage.close().await;
    }
}

/// Both ends of an open stream.
pub(super) struct Line {
    pub(super) send: Sender<StreamInteractionsRequest>,
    pub(super) answers: Streaming<StreamInteractionsResponse>,
}

impl Line {
    pub(super) async fn open(stage: &Stage) -> Line {
        Line::open_as(stage, ACME).await.expect("a stream")
    }

    async fn open_as(stage: &Stage, token: &str) -> Result<Line, Status> {
        let (send, receive) = mpsc::channel(4);
        let mut interactions = stage.interactions(token);
        let answers = interactions.stream_interactions(ReceiverStream::new(receive)).await?.into_inner();
        Ok(Line { send, answers })
    }

    pub(super) async fn send(&self, items: Vec<StreamItem>, receipts: bool) {
        self.send.send(StreamInteractionsRequest { items, receipts }).await.expect("the stream is open");
    }

    /// Acknowledgements until all up to `sequence` is settled.
    pub(super) async fn until(&mut self, sequence: i64) -> Vec<StreamInteractionsResponse> {
        let mut answers: Vec<StreamInteractionsResponse> = Vec::new();
        while answers.last().is_none_or(|answer| answer.committed_through < sequence) {
            answers.push(next(&mut self.answers).await);
        }
        answers
    }

    /// Says that all is sent, and reads the rest.
    async fn finish(self) -> Result<(), Status> {
        let Line { send, mut answers } = self;
        drop(send);
        end(&mut answers).await
    }
}

pub(super) fn item(sequence: i64, party: &str) -> StreamItem {
    let occurred = after(at("2026-01-01T00:00:00Z"), sequence);
    StreamItem { sequence, interaction: Some(contact("order", by_party(party), occurred)), request_id: fresh() }
}

/// The names of a party's interactions as of a position, newest first.
async fn timeline(stage: &Stage, party: &str, position: &str) -> Vec<String> {
    let (service, place) = position.split_once('@').expect("service@position");
    let seen = Positions::from([(service.to_owned(), place.parse().expect("a position"))]);
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = GetTimelineRequest { party: party.into(), page_size: 500, page_token, ..Default::default() };
        let page = stage.interactions(ACME).get_timeline(at_least(request, &seen)).await.expect("read").into_inner();
        names.extend(page.interactions.into_iter().map(|one| one.name));
        if page.next_page_token.is_empty() {
            return names;
        }
        page_token = page.next_page_token;
    }
}

async fn everything_is_acknowledged_in_order(stage: &Stage) {
    let party = stage.party(person("Streamed")).await.name;
    let mut line = Line::open(stage).await;
    // An empty message asks for nothing and is answered with how far all is.
    line.send(Vec::new(), false).await;
    assert_eq!(next(&mut line.answers).await.committed_through, 0);
    // 2,000 items in chunks of several sizes, with gaps in the numbers; receipts asked for every second chunk.
    let (mut sequence, mut sent, mut wanted) = (0, Vec::new(), Vec::new());
    let chunks: Vec<(Vec<StreamItem>, bool)> = [1, 2, 97, 400, 1_000, 499, 1]
        .into_iter()
        .enumerate()
        .map(|(place, size)| {
            let items: Vec<StreamItem> = (0..size)
                .map(|_| {
                    sequence += 1 + i64::from(size == 97);
                    item(sequence, &party)
                })
                .collect();
            sent.extend(items.iter().map(|one| one.sequence));
            if place % 2 == 0 {
                wanted.extend(items.iter().map(|one| one.sequence));
            }
            (items, place % 2 == 0)
        })
        .collect();
    let last = *sent.last().expect("items");
    let sender = line.send.clone();
    let sending = tokio::spawn(async move {
        for (items, receipts) in chunks {
            sender.send(StreamInteractionsRequest { items, receipts }).await.expect("the stream is open");
        }
    });
    let answers = line.until(last).await;
    sending.await.expect("all is sent");
    let through: Vec<i64> = answers.iter().map(|answer| answer.committed_through).collect();
    assert!(through.is_sorted() && through.iter().all(|mark| *mark == 0 || sent.contains(mark)), "{through:?}");
    assert_eq!(through.last(), Some(&last));
    assert!(answers.iter().all(|answer| answer.errors.is_empty() && !answer.draining));
    let mut receipts = Vec::new();
    for answer in &answers {
        for told in &answer.receipts {
            assert!(told.sequence <= answer.committed_through, "no receipt before its acknowledgement");
            receipts.push(told.clone());
        }
    }
    assert_eq!(receipts.iter().map(|told| told.sequence).collect::<Vec<_>>(), wanted, "each asked for, once, in order");
    let names: Vec<String> = receipts.into_iter().filter_map(|told| Some(told.receipt?.name)).collect();
    let there = timeline(stage, &party, &answers.last().expect("an answer").position).await;
    assert_eq!(there.len(), sent.len());
    assert!(names.iter().all(|name| there.contains(name)));
    line.finish().await.expect("ends well");
}

async fn a_bad_item_is_told_and_the_others_recorded(stage: &Stage) {
    let party = stage.party(person("Mixed")).await.name;
    let mut line = Line::open(stage).await;
    let mut items: Vec<StreamItem> = (1..=6).map(|sequence| item(sequence, &party)).collect();
    items[1].interaction = None;
    items[3].interaction.as_mut().expect("an interaction").participants[0].party = "parties/7".into();
    items[4].request_id = items[0].request_id.clone();
    line.send(items, true).await;
    let answers = line.until(6).await;
    let errors: Vec<StreamItemError> = answers.iter().flat_map(|answer| answer.errors.clone()).collect();
    let told: Vec<(i64, i32, String)> = errors
        .iter()
        .map(|told| (told.sequence, told.error.as_ref().expect("an error")))
        .map(|(sequence, error)| (sequence, error.code, error.reason.clone()))
        .collect();
    let (invalid, exists) = (i32::from(Code::InvalidArgument), i32::from(Code::AlreadyExists));
    assert_eq!(
        told,
        [
            (2, invalid, "INVALID_FIELDS".to_owned()),
            (4, invalid, "INVALID_FIELDS".to_owned()),
            (5, exists, "REQUEST_ID_REUSED".to_owned()),
        ]
    );
    let paths: Vec<String> = errors
        .iter()
        .flat_map(|told| told.error.iter().flat_map(|error| error.violations.iter().map(|one| one.field.clone())))
        .collect();
    assert_eq!(paths, ["interaction", "interaction.participants[0].party"], "paths begin at the item");
    let receipts: Vec<i64> =
        answers.iter().flat_map(|answer| answer.receipts.iter().map(|told| told.sequence)).collect();
    assert_eq!(receipts, [1, 3, 6]);
    assert_eq!(timeline(stage, &party, &answers.last().expect("an answer").position).await.len(), 3);
    line.finish().await.expect("ends well");
}

async fn a_broken_stream_is_sent_again(stage: &Stage) {
    let party = stage.party(person("Again")).await.name;
    let items: Vec<StreamItem> = (1..=200).map(|sequence| item(sequence, &party)).collect();
    let line = Line::open(stage).await;
    line.send(items[..150].to_vec(), false).await;
    drop(line); // gone before any acknowledgement was read
    let mut line = Line::open(stage).await;
    line.send(items.clone(), true).await;
    let answers = line.until(200).await;
    assert!(answers.iter().all(|answer| answer.errors.is_empty()));
    let there = timeline(stage, &party, &answers.last().expect("an answer").position).await;
    assert_eq!(there.len(), 200, "none lost, none doubled");
    let receipts: Vec<RecordReceipt> =
        answers.into_iter().flat_map(|answer| answer.receipts).filter_map(|told| told.receipt).collect();
    assert_eq!(receipts.len(), 200);
    // A third time all of it is replayed, name by name; and so is a unary call.
    line.send(items.iter().map(|one| StreamItem { sequence: one.sequence + 200, ..one.clone() }).collect(), true).await;
    let again: Vec<RecordReceipt> =
        line.until(400).await.into_iter().flat_map(|answer| answer.receipts).filter_map(|told| told.receipt).collect();
    let expected: Vec<RecordReceipt> =
        receipts.into_iter().map(|one| RecordReceipt { replayed: true, ..one }).collect();
    assert_eq!(again, expected);
    let request =
        RecordInteractionRequest { interaction: items[0].interaction.clone(), request_id: items[0].request_id.clone() };
    let unary = stage.interactions(ACME).record_interaction(request).await.expect("replayed").into_inner();
    assert_eq!(unary.name, expected[0].name);
    line.finish().await.expect("ends well");
}

async fn a_number_out_of_order_ends_the_stream(stage: &Stage) {
    for (order, settled) in [(vec![1, 2, 5, 4, 6], 5), (vec![3, 3], 3), (vec![0], 0), (vec![-1], 0)] {
        let party = stage.party(person("Disorder")).await.name;
        let mut line = Line::open(stage).await;
        line.send(order.iter().map(|sequence| item(*sequence, &party)).collect(), false).await;
        let mut through = 0;
        let status = loop {
            match tokio::time::timeout(std::time::Duration::from_secs(20), line.answers.message())
                .await
                .expect("an answer")
            {
                Ok(Some(answer)) => through = answer.committed_through,
                Ok(None) => panic!("{order:?} was accepted"),
                Err(status) => break status,
            }
        };
        let status = assert_reason!(Err::<(), _>(status), Code::FailedPrecondition, "STREAM_OUT_OF_ORDER");
        assert_eq!(through, settled, "what came before is acknowledged first: {order:?}");
        let wrong = order.iter().zip(std::iter::once(&0).chain(&order)).find(|(one, before)| one <= before);
        assert_eq!(error_metadata(&status).get("sequence"), wrong.map(|(one, _)| one.to_string()).as_ref());
    }
    assert_reason!(Line::open_as(stage, READER).await.map(|_| ()), Code::PermissionDenied, "PERMISSION_DENIED");
}

async fn a_chunk_too_large_ends_the_stream(stage: &Stage) {
    let party = stage.party(person("Too Many")).await.name;
    let mut line = Line::open(stage).await;
    line.send((1..=1_001).map(|sequence| item(sequence, &party)).collect(), false).await;
    let status = end(&mut line.answers).await.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(violations(&status)[0].0, "items");
}
