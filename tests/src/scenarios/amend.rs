//! Interactions that are put right or taken back: versions, timelines, lists, watches and events.

use futures::future::join_all;
use prost_types::FieldMask;
use rapport_proto::events::v1::{SubscribeRequest, SubscribeResponse};
use rapport_proto::interactions::v1::watch_interactions_response::Change;
use rapport_proto::interactions::v1::*;
use rapport_proto::types::v1::Provenance;
use rapport_testkit::asserts::{is_replayed, position};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use tonic::{Response, Status, Streaming};

use super::interactions::{change, recorded};
use super::messages::{DAY, after, at, by_party, contact, person};
use super::stage::{ACME, GLOBEX, READER, Stage, fresh, next, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn what_was_wrong_is_put_right_and_nothing_is_lost(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        every_version_stays_readable(&stage).await;
        timelines_and_lists_follow(&stage).await;
        the_past_stays_as_it_was_known(&stage).await;
        feeds_and_watches_tell_of_it(&stage).await;
        of_two_who_know_the_same_version_one_wins(&stage).await;
        what_cannot_be_amended_is_refused(&stage).await;
        what_is_retracted_stays_retracted(&stage).await;
        stage.close().await;
    }
}

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

/// Asks to give these fields of an interaction new values.
fn amendment(interaction: Interaction, paths: &[&str]) -> AmendInteractionRequest {
    AmendInteractionRequest {
        interaction: Some(interaction),
        update_mask: mask(paths),
        reason: "corrected".into(),
        ..Default::default()
    }
}

fn named(interaction: &Interaction) -> Interaction {
    Interaction { name: interaction.name.clone(), ..Default::default() }
}

async fn amend(stage: &Stage, request: AmendInteractionRequest) -> Result<Response<Interaction>, Status> {
    stage.interactions(ACME).amend_interaction(request).await
}

async fn amended(stage: &Stage, interaction: Interaction, paths: &[&str]) -> Interaction {
    amend(stage, amendment(interaction, paths)).await.expect("amended").into_inner()
}

async fn retract(stage: &Stage, name: &str) -> Result<Response<Interaction>, Status> {
    let request = RetractInteractionRequest { name: name.into(), reason: "entered-twice".into(), ..Default::default() };
    stage.interactions(ACME).retract_interaction(request).await
}

async fn get(stage: &Stage, name: &str, version: i64) -> Result<Response<Interaction>, Status> {
    stage.interactions(ACME).get_interaction(GetInteractionRequest { name: name.into(), version }).await
}

async fn timeline(stage: &Stage, request: GetTimelineRequest) -> Vec<(String, i64)> {
    let answer = stage.interactions(ACME).get_timeline(request).await.expect("read").into_inner();
    answer.interactions.into_iter().map(|one| (one.name, one.version)).collect()
}

fn of(party: &str) -> GetTimelineRequest {
    GetTimelineRequest { party: party.into(), ..Default::default() }
}

fn version(interaction: &Interaction) -> (String, i64) {
    (interaction.name.clone(), interaction.version)
}

async fn every_version_stays_readable(stage: &Stage) {
    let party = stage.party(person("Amended")).await.name;
    let when = at("2026-01-05T10:00:00Z");
    let first = recorded(
        stage,
        Interaction {
            subject_line: "Late".into(),
            body: "It came late.".into(),
            valence: Some(Valence { value: -0.9, method: ValenceMethod::Model.into(), confidence: Some(0.4) }),
            effort: Some(6),
            provenance: Some(Provenance { source_system: "mail".into(), ..Default::default() }),
            ..contact("complaint", by_party(&party), when)
        },
    )
    .await;
    assert_eq!((first.version, first.version_reason.as_str(), first.retracted_time), (1, "", None));
    assert!(!first.etag.is_empty());
    let judged = Valence { value: -0.2, method: ValenceMethod::Agent.into(), confidence: Some(1.0) };
    let wanted = Interaction {
        valence: Some(judged),
        body: "It came a little late.".into(),
        topics: vec!["delivery".into()],
        etag: first.etag.clone(),
        ..named(&first)
    };
    let mut request = amendment(wanted, &["valence", "body", "topics", "effort"]);
    request.provenance = Some(Provenance { source_system: "desk".into(), actor: "maria".into(), ..Default::default() });
    request.request_id = fresh();
    let answer = amend(stage, request.clone()).await.expect("amended");
    let at_position = position(answer.metadata(), "interactions");
    let second = answer.into_inner();
    let expected = Interaction {
        version: 2,
        version_reason: "corrected".into(),
        valence: Some(judged),
        body: "It came a little late.".into(),
        topics: vec!["delivery".into()],
        effort: None,
        provenance: request.provenance.clone(),
        etag: second.etag.clone(),
        recorded_time: second.recorded_time,
        ..first.clone()
    };
    assert_eq!(second, expected);
    assert_ne!(second.etag, first.etag);
    let again = amend(stage, request).await.expect("answered again");
    assert!(is_replayed(again.metadata()) && position(again.metadata(), "interactions") >= at_position);
    assert_eq!(again.into_inner(), second, "one request, one version");
    for (asked, expected) in [(0, &second), (2, &second), (1, &first)] {
        assert_eq!(get(stage, &first.name, asked).await.expect("there").get_ref(), expected, "{asked}");
    }
    assert_reason!(get(stage, &first.name, 3).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    refused(get(stage, &first.name, -1).await, &[("version", "OUT_OF_RANGE")]);
    let foreign = GetInteractionRequest { name: first.name.clone(), version: 1 };
    let foreign = stage.interactions(GLOBEX).get_interaction(foreign).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn timelines_and_lists_follow(stage: &Stage) {
    let party = stage.party(person("Moved")).await.name;
    let start = at("1999-01-01T00:00:00Z");
    let [one, two, three] = [0, 1, 2].map(|day| contact("call", by_party(&party), after(start, day * DAY)));
    let (one, two, three) = (recorded(stage, one).await, recorded(stage, two).await, recorded(stage, three).await);
    let late = Interaction { occurred_time: Some(after(start, 5 * DAY)), kind: "visit".into(), ..named(&one) };
    let moved = amended(stage, late, &["occurred_time", "kind"]).await;
    assert_eq!(timeline(stage, of(&party)).await, [version(&moved), version(&three), version(&two)]);
    let visits = GetTimelineRequest { filter: "kind == \"visit\"".into(), ..of(&party) };
    assert_eq!(timeline(stage, visits).await, [version(&moved)]);
    let as_of = GetTimelineRequest { as_of: Some(after(start, 3 * DAY)), ..of(&party) };
    assert_eq!(timeline(stage, as_of).await, [version(&three), version(&two)]);
    let gone = retract(stage, &three.name).await.expect("retracted").into_inner();
    assert_eq!(
        (gone.version, gone.retracted_time, gone.version_reason.as_str()),
        (2, gone.recorded_time, "entered-twice")
    );
    assert_eq!(timeline(stage, of(&party)).await, [version(&moved), version(&two)]);
    let with = GetTimelineRequest { include_retracted: true, ..of(&party) };
    assert_eq!(timeline(stage, with).await, [version(&moved), version(&gone), version(&two)]);
    assert_eq!(get(stage, &three.name, 0).await.expect("readable").get_ref(), &gone);

    let list = async |include_retracted: bool| {
        let filter = r#"occurred_time < timestamp("1999-02-01T00:00:00Z")"#.to_owned();
        let request = ListInteractionsRequest { filter, include_retracted, ..Default::default() };
        let page = stage.interactions(ACME).list_interactions(request).await.expect("listed").into_inner();
        page.interactions.iter().map(version).collect::<Vec<_>>()
    };
    assert_eq!(list(false).await, [version(&moved), version(&two)]);
    assert_eq!(list(true).await, [version(&moved), version(&gone), version(&two)]);
}

async fn the_past_stays_as_it_was_known(stage: &Stage) {
    let party = stage.party(person("Remembered")).await.name;
    let start = at("2026-01-01T00:00:00Z");
    let made =
        recorded(stage, Interaction { body: "as told".into(), ..contact("call", by_party(&party), start) }).await;
    let other = recorded(stage, contact("order", by_party(&party), after(start, DAY))).await;
    let corrected = Interaction {
        occurred_time: Some(after(start, 2 * DAY)),
        body: "as corrected".into(),
        kind: "complaint".into(),
        ..named(&made)
    };
    let second = amended(stage, corrected, &["occurred_time", "body", "kind"]).await;
    let gone = retract(stage, &made.name).await.expect("retracted").into_inner();
    let known = |moment: &Interaction| GetTimelineRequest { as_known_at: moment.recorded_time, ..of(&party) };
    for (moment, expected) in [
        (&made, vec![version(&made)]),
        (&other, vec![version(&other), version(&made)]),
        (&second, vec![version(&second), version(&other)]),
        (&gone, vec![version(&other)]),
    ] {
        assert_eq!(timeline(stage, known(moment)).await, expected, "as known at {:?}", moment.recorded_time);
    }
    // Whole, texts and all, and not as retracted.
    let then = stage.interactions(ACME).get_timeline(known(&other)).await.expect("read").into_inner();
    assert_eq!(then.interactions[1], made);
    let complaints = GetTimelineRequest { filter: "kind == \"complaint\"".into(), ..known(&second) };
    assert_eq!(timeline(stage, complaints.clone()).await, [version(&second)]);
    assert!(timeline(stage, GetTimelineRequest { as_known_at: other.recorded_time, ..complaints }).await.is_empty());
    // Page by page it is the same.
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = GetTimelineRequest { page_size: 1, page_token, ..known(&other) };
        let page = stage.interactions(ACME).get_timeline(request).await.expect("read").into_inner();
        found.extend(page.interactions.iter().map(version));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    assert_eq!(found, [version(&other), version(&made)]);
}

/// The next event of a feed, decoded.
async fn event<M: prost::Message + Default + prost::Name>(feed: &mut Streaming<SubscribeResponse>) -> (String, i64, M) {
    loop {
        // A message without events only keeps the stream alive.
        if let Some(event) = next(feed).await.events.into_iter().next() {
            let data = event.data.expect("data");
            assert_eq!(data.type_url.rsplit('/').next(), Some(M::full_name().as_str()));
            let message = M::decode(data.value.as_slice()).expect("the message");
            return (event.aggregate, event.version, message);
        }
    }
}

async fn feeds_and_watches_tell_of_it(stage: &Stage) {
    let party = stage.party(person("Watched")).await.name;
    let feed = async |name: &str| {
        let request = SubscribeRequest {
            source: "interactions".into(),
            types: vec![format!("rapport.interactions.v1.{name}")],
            start_at_end: true,
            ..Default::default()
        };
        stage.feed("interactions", ACME).subscribe(request).await.expect("subscribed").into_inner()
    };
    let mut of_amended = feed("InteractionAmended").await;
    let mut of_retracted = feed("InteractionRetracted").await;
    let request = WatchInteractionsRequest { parties: vec![party.clone()], ..Default::default() };
    let mut watch = stage.interactions(ACME).watch_interactions(request).await.expect("a watch").into_inner();
    let begin = next(&mut watch).await.cursor;

    let secret = "nobody else is to know this";
    let made = recorded(
        stage,
        Interaction { body: secret.into(), ..contact("call", by_party(&party), at("2026-01-05T10:00:00Z")) },
    )
    .await;
    let second = amended(stage, Interaction { effort: Some(2), ..named(&made) }, &["effort"]).await;
    let gone = retract(stage, &made.name).await.expect("retracted").into_inner();

    let (aggregate, number, told) = event::<InteractionAmended>(&mut of_amended).await;
    assert_eq!((aggregate.as_str(), number, told.reason.as_str()), (made.name.as_str(), 2, "corrected"));
    let now = told.after.expect("what it is now");
    assert_eq!((&now.interaction, now.version, now.effort), (&made.name, 2, Some(2)));
    assert_eq!(
        (now.kind.as_str(), now.occurred_time, now.recorded_time),
        ("call", made.occurred_time, second.recorded_time)
    );
    assert_eq!(now.participants.len(), 1);
    assert_eq!((&now.participants[0].party, now.participants[0].function()), (&party, Function::Initiator));
    assert_eq!(now.supersedes, "");
    let (aggregate, number, told) = event::<InteractionRetracted>(&mut of_retracted).await;
    assert_eq!((aggregate.as_str(), number), (made.name.as_str(), 3));
    assert_eq!((&told.interaction, told.version, told.reason.as_str()), (&made.name, 3, "entered-twice"));
    assert_eq!(
        (told.kind.as_str(), told.occurred_time, told.recorded_time),
        ("call", made.occurred_time, gone.recorded_time)
    );
    assert_eq!(told.participants, now.participants);
    assert!(!prost::Message::encode_to_vec(&told).windows(6).any(|part| part == &secret.as_bytes()[..6]));

    // The watch tells each version as it was, however late it is asked: the record is amended and retracted by now.
    let expected = [Change::Recorded(made.clone()), Change::Amended(second), Change::Retracted(gone)];
    for expected in &expected {
        assert_eq!(change(&mut watch).await.1, *expected);
    }
    let again = WatchInteractionsRequest { cursor: begin, parties: vec![party], ..Default::default() };
    let mut again = stage.interactions(ACME).watch_interactions(again).await.expect("a watch").into_inner();
    for expected in &expected {
        assert_eq!(change(&mut again).await.1, *expected);
    }
}

async fn of_two_who_know_the_same_version_one_wins(stage: &Stage) {
    let party = stage.party(person("Contested")).await.name;
    let made = recorded(stage, contact("call", by_party(&party), at("2026-01-05T10:00:00Z"))).await;
    let tries = (1..=5).map(|effort| {
        let wanted = Interaction { effort: Some(effort), etag: made.etag.clone(), ..named(&made) };
        amend(stage, amendment(wanted, &["effort"]))
    });
    let answers = join_all(tries).await;
    let won: Vec<&Interaction> = answers.iter().flatten().map(Response::get_ref).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert_eq!(won[0].version, 2);
    for lost in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(
            (lost.code(), rapport_testkit::asserts::reason(lost).as_deref()),
            (Code::Aborted, Some("ETAG_MISMATCH"))
        );
    }
    // Who does not ask for a version takes the one there is.
    let free = (1..=5)
        .map(|effort| amend(stage, amendment(Interaction { effort: Some(effort), ..named(&made) }, &["effort"])));
    let mut versions: Vec<i64> =
        join_all(free).await.into_iter().map(|answer| answer.expect("amended").into_inner().version).collect();
    versions.sort_unstable();
    assert_eq!(versions, [3, 4, 5, 6, 7]);
    let stale = RetractInteractionRequest {
        name: made.name.clone(),
        reason: "test-data".into(),
        etag: made.etag,
        ..Default::default()
    };
    let stale = stage.interactions(ACME).retract_interaction(stale).await;
    assert_reason!(stale, Code::Aborted, "ETAG_MISMATCH");
}

async fn what_cannot_be_amended_is_refused(stage: &Stage) {
    let party = stage.party(person("Fixed")).await.name;
    let made = recorded(stage, contact("call", by_party(&party), at("2026-01-05T10:00:00Z"))).await;
    refused(
        amend(stage, AmendInteractionRequest::default()).await,
        &[("interaction", "REQUIRED"), ("update_mask", "REQUIRED"), ("reason", "REQUIRED")],
    );
    let paths = ["kind", "participants", "recorded_time", "etag", "mood", "kind", "provenance"];
    let wrong = AmendInteractionRequest { reason: "It was wrong".into(), ..amendment(named(&made), &paths) };
    refused(
        amend(stage, wrong).await,
        &[
            ("update_mask.paths[1]", "IMMUTABLE_FIELD"),
            ("update_mask.paths[2]", "OUTPUT_ONLY_FIELD"),
            ("update_mask.paths[3]", "OUTPUT_ONLY_FIELD"),
            ("update_mask.paths[4]", "UNKNOWN_FIELD"),
            ("update_mask.paths[5]", "DUPLICATE"),
            ("update_mask.paths[6]", "IMMUTABLE_FIELD"),
            ("reason", "MALFORMED"),
        ],
    );
    let wrong = Interaction {
        kind: "A B".into(),
        topics: vec!["x".into(), "x".into()],
        effort: Some(8),
        valence: Some(Valence { value: f64::NAN, ..Default::default() }),
        occurred_time: Some(at("3000-01-01T00:00:00Z")),
        ..named(&made)
    };
    refused(
        amend(stage, AmendInteractionRequest { request_id: "7".into(), ..amendment(wrong, &["*"]) }).await,
        &[
            ("request_id", "INVALID_REQUEST_ID"),
            ("interaction.kind", "MALFORMED"),
            ("interaction.channel", "REQUIRED"),
            ("interaction.direction", "REQUIRED"),
            ("interaction.topics[1]", "DUPLICATE"),
            ("interaction.effort", "OUT_OF_RANGE"),
            ("interaction.valence.value", "NOT_FINITE"),
            ("interaction.valence.method", "REQUIRED"),
            ("interaction.occurred_time", "IN_FUTURE"),
        ],
    );
    assert_eq!(get(stage, &made.name, 0).await.expect("there").get_ref(), &made, "nothing changed");
    let nobody = Interaction { name: unknown("interactions"), effort: Some(1), ..Default::default() };
    assert_reason!(amend(stage, amendment(nobody, &["effort"])).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let theirs = amendment(Interaction { effort: Some(1), ..named(&made) }, &["effort"]);
    let foreign = stage.interactions(GLOBEX).amend_interaction(theirs.clone()).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    assert_reason!(
        stage.interactions(READER).amend_interaction(theirs).await,
        Code::PermissionDenied,
        "PERMISSION_DENIED"
    );
}

async fn what_is_retracted_stays_retracted(stage: &Stage) {
    let party = stage.party(person("Undone")).await.name;
    let made = recorded(stage, contact("call", by_party(&party), at("2026-01-05T10:00:00Z"))).await;
    refused(
        stage.interactions(ACME).retract_interaction(RetractInteractionRequest::default()).await,
        &[("name", "REQUIRED"), ("reason", "REQUIRED")],
    );
    assert_reason!(retract(stage, &unknown("interactions")).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let request = RetractInteractionRequest {
        name: made.name.clone(),
        reason: "test-data".into(),
        request_id: fresh(),
        ..Default::default()
    };
    let first = stage.interactions(ACME).retract_interaction(request.clone()).await.expect("retracted").into_inner();
    let again = stage.interactions(ACME).retract_interaction(request).await.expect("answered again");
    assert!(is_replayed(again.metadata()));
    assert_eq!(again.into_inner(), first);
    assert_reason!(retract(stage, &made.name).await, Code::FailedPrecondition, "INVALID_TRANSITION");
    let late = amendment(Interaction { effort: Some(1), ..named(&made) }, &["effort"]);
    assert_reason!(amend(stage, late).await, Code::FailedPrecondition, "INVALID_TRANSITION");
    assert_eq!(get(stage, &made.name, 1).await.expect("there").get_ref(), &made);
    assert!(timeline(stage, of(&party)).await.is_empty());
}
