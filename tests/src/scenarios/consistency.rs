//! Reading what was just written, in the service that wrote it and in the others; and what is said when that cannot be.

use std::time::{Duration, Instant};

use rapport_proto::interactions::v1::{GetInteractionRequest, GetTimelineRequest};
use rapport_proto::scoring::v1::GetScoresRequest;
use rapport_testkit::asserts::{at_least, position, positions};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, SandboxBuilder, Topology};
use rapport_testkit::{Code, assert_reason};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::messages::{after, at, by_party, contact, person, record};
use super::stage::{ACME, Positions, Stage, refused, within};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn a_read_waits_for_what_was_written(sandbox: SandboxBuilder) {
        // A call that names no deadline has this one.
        let stage = Stage::open(sandbox.setting("limits.deadline", "2s")).await;
        every_write_is_seen_by_the_next_read(&stage).await;
        positions_only_grow(&stage).await;
        what_cannot_be_reached_is_marked_in_time(&stage).await;
        junk_is_refused(&stage).await;
        stage.close().await;
    }
}

rapport_testkit::each_store! {
    async fn services_get_along_without_each_other(place: StorePlace) {
        let sandbox = Sandbox::builder(rapport::modules).topology(Topology::Processes).place(place);
        let mut stage = Stage::open(sandbox).await;
        peers_answer_while_one_is_away(&mut stage).await;
        stage.close().await;
    }
}

fn scores(party: &str) -> GetScoresRequest {
    GetScoresRequest { party: party.into(), ..Default::default() }
}

async fn count(stage: &Stage, party: &str, seen: &Positions) -> i64 {
    let answer = stage.scores(ACME).get_scores(at_least(scores(party), seen)).await.expect("read");
    assert_eq!(stale(answer.metadata()), None);
    answer.into_inner().scores[0].evidence.expect("evidence").contribution_count
}

/// How far the answer knows, where it does not know enough.
fn stale(metadata: &MetadataMap) -> Option<String> {
    metadata.get("rapport-stale").map(|value| value.to_str().expect("plain text").to_owned())
}

async fn every_write_is_seen_by_the_next_read(stage: &Stage) {
    let (party, created) = stage.party_at(person("Reader")).await;
    let when = at("2026-01-05T10:00:00Z");
    for n in 1..=25 {
        let request = record(contact("order", by_party(&party.name), after(when, n)));
        let answer = stage.interactions(ACME).record_interaction(request).await.expect("recorded");
        let seen = positions(answer.metadata());
        // In its own service at once, position or not.
        let name = answer.into_inner().name;
        stage
            .interactions(ACME)
            .get_interaction(GetInteractionRequest { name: name.clone(), version: 0 })
            .await
            .expect("there");
        let timeline = GetTimelineRequest { party: party.name.clone(), ..Default::default() };
        let timeline = stage.interactions(ACME).get_timeline(at_least(timeline, &seen)).await.expect("read");
        assert_eq!(stale(timeline.metadata()), None);
        assert_eq!(timeline.into_inner().interactions.len(), usize::try_from(n).expect("small"));
        // In scoring as soon as it has applied the position, alone and together with positions it need not know.
        assert_eq!(count(stage, &party.name, &seen).await, n);
        let all: Positions = created.clone().into_iter().chain(seen).collect();
        assert_eq!(count(stage, &party.name, &all).await, n);
    }
}

async fn positions_only_grow(stage: &Stage) {
    let (_, first) = stage.party_at(person("One")).await;
    let (_, second) = stage.party_at(person("Two")).await;
    assert!(second["stakeholders"] > first["stakeholders"], "{first:?} {second:?}");
    assert_eq!(first.keys().collect::<Vec<_>>(), ["stakeholders"], "of the service that wrote");
}

async fn what_cannot_be_reached_is_marked_in_time(stage: &Stage) {
    let (party, _) = stage.party_at(person("Impatient")).await;
    let request = record(contact("order", by_party(&party.name), at("2026-01-05T10:00:00Z")));
    let answer = stage.interactions(ACME).record_interaction(request).await.expect("recorded");
    let newest = position(answer.metadata(), "interactions");
    assert_eq!(count(stage, &party.name, &positions(answer.metadata())).await, 1);
    let unreachable = Positions::from([("interactions".to_owned(), newest + 1_000_000)]);
    // Answered within the caller's own deadline, with what is known, and marked.
    for limit in [Duration::from_millis(800), Duration::from_millis(1_600)] {
        let (answer, took) =
            timed(stage.scores(ACME).get_scores(within(at_least(scores(&party.name), &unreachable), limit))).await;
        let answer = answer.expect("an answer, if a stale one");
        assert_eq!(stale(answer.metadata()), Some(format!("interactions@{newest}")));
        assert_eq!(answer.into_inner().scores[0].evidence.expect("evidence").contribution_count, 1);
        assert!(took >= limit.mul_f64(0.6), "it waited only {took:?} of {limit:?}");
        assert!(took < limit, "it took {took:?} of {limit:?}");
    }
    // Without one of the caller's, within the server's own of two seconds.
    let (answer, took) = timed(stage.scores(ACME).get_scores(at_least(scores(&party.name), &unreachable))).await;
    assert!(stale(answer.expect("an answer").metadata()).is_some());
    assert!((Duration::from_millis(1_200)..Duration::from_secs(2)).contains(&took), "{took:?}");
    // A service's own rows are there at once, whatever position is named.
    let timeline = GetTimelineRequest { party: party.name.clone(), ..Default::default() };
    let (answer, took) = timed(stage.interactions(ACME).get_timeline(at_least(timeline, &unreachable))).await;
    assert_eq!(stale(answer.expect("read").metadata()), None);
    assert!(took < Duration::from_millis(1_500), "it waited: {took:?}");
}

async fn timed<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> (Result<Response<T>, Status>, Duration) {
    let started = Instant::now();
    let answer = call.await;
    (answer, started.elapsed())
}

async fn junk_is_refused(stage: &Stage) {
    for junk in ["stakeholders", "@7", "stakeholders@x", "stakeholders@-1", "a@1,,b@2"] {
        let mut request = Request::new(scores("parties/018f0000-0000-7000-8000-00000000dead"));
        request.metadata_mut().insert("rapport-at-least", junk.parse().expect("plain text"));
        refused(stage.scores(ACME).get_scores(request).await, &[("rapport-at-least", "MALFORMED")]);
    }
}

async fn peers_answer_while_one_is_away(stage: &mut Stage) {
    let (party, _) = stage.party_at(person("Abandoned")).await;
    let call = |n: i64| record(contact("order", by_party(&party.name), after(at("2026-01-05T10:00:00Z"), n)));
    let seen = positions(stage.interactions(ACME).record_interaction(call(0)).await.expect("recorded").metadata());
    assert_eq!(count(stage, &party.name, &seen).await, 1);
    stage.sandbox.kill_9("interactions").await;
    // Scoring goes on with what it knows, and says that it is no more.
    assert_eq!(count(stage, &party.name, &seen).await, 1);
    let newer = Positions::from([("interactions".to_owned(), seen["interactions"] + 1)]);
    let request = within(at_least(scores(&party.name), &newer), Duration::from_millis(800));
    let answer = stage.scores(ACME).get_scores(request).await.expect("an answer, if a stale one");
    assert_eq!(stale(answer.metadata()), Some(format!("interactions@{}", seen["interactions"])));
    let away = stage.interactions(ACME).record_interaction(call(1)).await.expect_err("away");
    assert_eq!(away.code(), Code::Unavailable, "{away:?}");
    // A timeline of somebody unknown asks stakeholders; while that is away too, nothing recorded is the answer.
    stage.sandbox.restart("interactions").await;
    stage.sandbox.kill_9("stakeholders").await;
    let seen =
        positions(stage.interactions(ACME).record_interaction(call(2)).await.expect("recorded alone").metadata());
    assert_eq!(count(stage, &party.name, &seen).await, 2, "scoring found interactions again by itself");
    stage.sandbox.restart("stakeholders").await;
    let (later, seen) = stage.party_at(person("Later")).await;
    let timeline = GetTimelineRequest { party: later.name, ..Default::default() };
    let answer = stage.interactions(ACME).get_timeline(at_least(timeline, &seen)).await.expect("read");
    assert_eq!(stale(answer.metadata()), None, "interactions found stakeholders again by itself");
    let nobody = GetTimelineRequest { party: super::stage::unknown("parties"), ..Default::default() };
    assert_reason!(stage.interactions(ACME).get_timeline(nobody).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}
