//! Scores of many parties, over time and as they move; facts put right and taken back; engagement.

use prost_types::{Duration, FieldMask, Timestamp};
use rapport_proto::interactions::v1::{
    AmendInteractionRequest, Interaction, RetractInteractionRequest, Valence, ValenceMethod,
};
use rapport_proto::scoring::v1::*;
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use tonic::Streaming;

use super::messages::{DAY, after, at, by_number, by_party, contact, micros, person, record};
use super::stage::{ACME, GLOBEX, Positions, Stage, end, next, refused, unknown};

const HEALTH: &str = "scoreDefinitions/relationship-health";
const ENGAGEMENT: &str = "scoreDefinitions/engagement";
const WHEN: &str = "2026-01-05T10:00:00Z";

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn scores_are_told_at_once_over_time_and_as_they_move(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        engagement_is_how_much_and_not_how_well(&stage).await;
        many_are_answered_in_order_with_change_and_reasons(&stage).await;
        a_history_is_a_line_in_pages(&stage).await;
        scores_are_watched_and_resumed(&stage).await;
        stage.close().await;
    }

    async fn what_is_put_right_or_taken_back_counts_so(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        a_retracted_interaction_restores_every_value(&stage).await;
        an_amended_one_is_as_if_recorded_so(&stage).await;
        stage.close().await;
    }
}

async fn told(stage: &Stage, interaction: Interaction) -> (Interaction, Positions) {
    let answer = stage.interactions(ACME).record_interaction(record(interaction)).await.expect("recorded");
    let seen = positions(answer.metadata());
    (answer.into_inner(), seen)
}

async fn get(stage: &Stage, request: GetScoresRequest, seen: &Positions) -> Vec<Score> {
    let answer = stage.scores(ACME).get_scores(at_least(request, seen)).await.expect("read");
    assert!(answer.metadata().get("rapport-stale").is_none(), "{:?}", answer.metadata());
    answer.into_inner().scores
}

/// Every score of a party at a moment.
async fn all(stage: &Stage, party: &str, as_of: Timestamp, seen: &Positions) -> Vec<Score> {
    get(stage, GetScoresRequest { party: party.into(), as_of: Some(as_of), ..Default::default() }, seen).await
}

async fn explain(stage: &Stage, party: &str, definition: &str, as_of: Timestamp) -> ExplainScoreResponse {
    let request = ExplainScoreRequest {
        party: party.into(),
        definition: definition.into(),
        as_of: Some(as_of),
        ..Default::default()
    };
    let explained = stage.scores(ACME).explain_score(request).await.expect("explained").into_inner();
    let sum: i64 = explained.lines.iter().map(|line| line.effect_micros).sum();
    assert_eq!(sum, explained.score.as_ref().expect("a score").value_micros, "{:?}", explained.lines);
    explained
}

async fn engagement_is_how_much_and_not_how_well(stage: &Stage) {
    let when = at(WHEN);
    let (fond, cross) = (stage.party(person("Fond")).await.name, stage.party(person("Cross")).await.name);
    for days in [0, 90, 91] {
        let then = after(when, -days * DAY);
        told(stage, contact("praise", by_party(&fond), then)).await;
        told(stage, contact("complaint", by_party(&cross), then)).await;
    }
    told(stage, contact("meeting", by_party(&fond), after(when, -90 * DAY))).await;
    let (_, seen) = told(stage, contact("visit", by_party(&cross), after(when, -90 * DAY))).await;
    let [fond_now, cross_now] = [all(stage, &fond, when, &seen).await, all(stage, &cross, when, &seen).await];
    assert_eq!((fond_now[0].value_micros, fond_now[0].evidence), (cross_now[0].value_micros, cross_now[0].evidence));
    assert!(fond_now[1].value_micros > 60_000_000 && cross_now[1].value_micros < 40_000_000);
    // 1 fresh, 1 + 2 (the meeting) a half-life old, 1 a day older: W = 1 + 3 / 2 + 2^(-91/90); value = 100 W / (4 + W).
    let weight = 2.5 + (-91.0_f64 / 90.0).exp2();
    #[allow(clippy::cast_precision_loss)]
    let off = fond_now[0].value_micros as f64 - 1e8 * weight / (4.0 + weight);
    assert!(off.abs() < 1.5, "{off}");
    let explained = explain(stage, &fond, ENGAGEMENT, when).await;
    assert_eq!((explained.lines[0].kind(), explained.lines[0].effect_micros), (LineKind::Prior, 0));
    assert!(explained.lines[1..].iter().all(|line| line.effect_micros > 0));
    assert_eq!(explained.lines[1].reason, "praise, just now");
    let long_after = all(stage, &fond, after(when, 9_000 * DAY), &seen).await;
    assert_eq!(long_after[0].value_micros, 0, "all fades");
}

async fn many_are_answered_in_order_with_change_and_reasons(stage: &Stage) {
    let when = at(WHEN);
    let (quiet, busy) = (stage.party(person("Quiet")).await.name, stage.party(person("Busy")).await.name);
    told(stage, contact("order", by_party(&quiet), after(when, -200 * DAY))).await;
    told(stage, contact("order", by_party(&busy), after(when, -100 * DAY))).await;
    let (complaint, _) = told(stage, contact("complaint", by_party(&busy), after(when, -3 * DAY))).await;
    let (_, seen) = told(stage, contact("order", by_party(&busy), after(when, 10 * DAY))).await;
    let nobody = unknown("parties");
    let names = vec![busy.clone(), nobody.clone(), quiet.clone(), busy.clone()];
    let request = BatchGetScoresRequest {
        parties: names.clone(),
        as_of: Some(when),
        change_window: Some(Duration { seconds: 30 * DAY, nanos: 0 }),
        reason_limit: 1,
        ..Default::default()
    };
    let answer =
        stage.scores(ACME).batch_get_scores(at_least(request.clone(), &seen)).await.expect("read").into_inner();
    assert_eq!(answer.parties.iter().map(|one| one.party.clone()).collect::<Vec<_>>(), names);
    for (name, scores) in names.iter().zip(&answer.parties) {
        let alone = all(stage, name, when, &seen).await;
        let then = all(stage, name, after(when, -30 * DAY), &seen).await;
        for ((summary, alone), then) in scores.scores.iter().zip(&alone).zip(&then) {
            assert_eq!(summary.score.as_ref(), Some(alone));
            assert_eq!(summary.change_micros, Some(alone.value_micros - then.value_micros));
            assert!(!summary.details_omitted);
            let lines = explain(stage, name, &alone.definition, when).await.lines;
            let best: Vec<_> = lines.into_iter().filter(|line| line.kind() == LineKind::Contribution).take(1).collect();
            assert_eq!(summary.reasons, best);
        }
        assert_eq!(scores.scores.len(), 2);
    }
    let health = &answer.parties[0].scores[1];
    assert!(health.change_micros < Some(-10_000_000), "{health:?}");
    assert_eq!(health.reasons[0].contribution.as_ref().expect("one").interaction, complaint.name);
    assert!(answer.parties[1].scores.iter().all(|one| one.change_micros == Some(0) && one.reasons.is_empty()));
    // Nothing beyond the scores unless it is asked for.
    let plain = BatchGetScoresRequest {
        parties: names.clone(),
        definition: HEALTH.into(),
        as_of: Some(when),
        ..Default::default()
    };
    let plain = stage.scores(ACME).batch_get_scores(plain).await.expect("read").into_inner();
    for (scores, detailed) in plain.parties.iter().zip(&answer.parties) {
        let [summary] = scores.scores.as_slice() else { panic!("{scores:?}") };
        assert_eq!(summary.score, detailed.scores[1].score);
        assert!(summary.change_micros.is_none() && summary.reasons.is_empty() && !summary.details_omitted);
    }
    let foreign = stage.scores(GLOBEX).batch_get_scores(request).await.expect("read").into_inner();
    let counts = foreign.parties.iter().flat_map(|one| &one.scores).filter_map(|one| one.score.as_ref()?.evidence);
    assert!(counts.map(|evidence| evidence.contribution_count).all(|count| count == 0));
    refused(stage.scores(ACME).batch_get_scores(BatchGetScoresRequest::default()).await, &[("parties", "REQUIRED")]);
    let many = BatchGetScoresRequest { parties: vec![busy; 501], reason_limit: -1, ..Default::default() };
    refused(
        stage.scores(ACME).batch_get_scores(many).await,
        &[("parties", "TOO_MANY"), ("reason_limit", "OUT_OF_RANGE")],
    );
    let other = BatchGetScoresRequest {
        parties: vec![nobody],
        definition: "scoreDefinitions/luck".into(),
        ..Default::default()
    };
    assert_reason!(stage.scores(ACME).batch_get_scores(other).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn line(stage: &Stage, request: ListScoreHistoryRequest, seen: &Positions) -> Vec<ScorePoint> {
    let (mut points, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListScoreHistoryRequest { page_token, ..request.clone() };
        let page = stage.scores(ACME).list_score_history(at_least(request, seen)).await.expect("read").into_inner();
        points.extend(page.points);
        if page.next_page_token.is_empty() {
            return points;
        }
        page_token = page.next_page_token;
    }
}

async fn a_history_is_a_line_in_pages(stage: &Stage) {
    let when = at(WHEN);
    let party = stage.party(person("Drawn")).await.name;
    let mut seen = Positions::new();
    for days in [500, 300, 200, 100, 100, 10] {
        (_, seen) = told(stage, contact("order", by_party(&party), after(when, -days * DAY))).await;
    }
    let request = ListScoreHistoryRequest {
        party: party.clone(),
        definition: HEALTH.into(),
        start_time: Some(after(when, -365 * DAY)),
        end_time: Some(when),
        ..Default::default()
    };
    let whole = line(stage, request.clone(), &seen).await;
    use PointCause::{Contributions, End, Start, Step};
    let told: Vec<_> = whole.iter().map(|point| (point.cause(), point.contribution_count)).collect();
    assert_eq!(
        told,
        [(Start, 0), (Contributions, 1), (Contributions, 1), (Contributions, 2), (Contributions, 1), (End, 0)]
    );
    assert_eq!(line(stage, ListScoreHistoryRequest { page_size: 2, ..request.clone() }, &seen).await, whole);
    let steps = ListScoreHistoryRequest {
        step: Some(Duration { seconds: 50 * DAY, nanos: 0 }),
        page_size: 3,
        ..request.clone()
    };
    let steps = line(stage, steps, &seen).await;
    assert_eq!(
        steps.iter().map(ScorePoint::cause).collect::<Vec<_>>(),
        [Start, Step, Step, Step, Step, Step, Step, Step, End]
    );
    assert_eq!(steps.iter().map(|point| point.contribution_count).sum::<i64>(), 5);
    for point in whole.iter().chain(&steps) {
        let then = all(stage, &party, point.point_time.expect("a moment"), &seen).await;
        assert_eq!((point.value_micros, point.evidence), (then[1].value_micros, then[1].evidence));
        assert_eq!(point.contributions.len(), usize::try_from(point.contribution_count).expect("small"));
        assert_eq!(point.effect_micros > 0, point.contribution_count > 0, "orders raise");
    }
    // Left out, the line is the last year; in another tenant there is nothing on it.
    let usual = ListScoreHistoryRequest { party: party.clone(), definition: ENGAGEMENT.into(), ..Default::default() };
    let points = line(stage, ListScoreHistoryRequest { page_size: 1, ..usual.clone() }, &seen).await;
    let (first, last) = (points[0].point_time.expect("one"), points[points.len() - 1].point_time.expect("one"));
    assert_eq!(micros(last) - micros(first), 365 * DAY * 1_000_000);
    let foreign = stage.scores(GLOBEX).list_score_history(usual).await.expect("read").into_inner();
    assert!(foreign.points.iter().all(|point| point.value_micros == 0));
    let other = ListScoreHistoryRequest { page_token: "junk".into(), ..request.clone() };
    assert_reason!(stage.scores(ACME).list_score_history(other).await, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    let wrong = ListScoreHistoryRequest { start_time: Some(after(when, 1)), ..request.clone() };
    refused(stage.scores(ACME).list_score_history(wrong).await, &[("end_time", "END_BEFORE_START")]);
    let fine = ListScoreHistoryRequest { step: Some(Duration { seconds: 60, nanos: 0 }), ..request };
    refused(stage.scores(ACME).list_score_history(fine).await, &[("step", "OUT_OF_RANGE")]);
}

/// The next message that tells of a move.
async fn moved(stream: &mut Streaming<WatchScoresResponse>) -> (String, ScoreMove) {
    loop {
        let message = next(stream).await;
        if let Some(moved) = message.r#move {
            return (message.cursor, moved);
        }
    }
}

async fn scores_are_watched_and_resumed(stage: &Stage) {
    let when = at(WHEN);
    let (one, two) = (stage.party(person("Watched")).await.name, stage.party(person("Unwatched")).await.name);
    let request =
        WatchScoresRequest { parties: vec![one.clone()], definitions: vec![HEALTH.into()], ..Default::default() };
    let mut stream = stage.scores(ACME).watch_scores(request.clone()).await.expect("watched").into_inner();
    let first = next(&mut stream).await;
    assert!(first.r#move.is_none() && !first.cursor.is_empty());
    told(stage, contact("order", by_party(&two), when)).await;
    let (order, _) = told(stage, contact("order", by_party(&one), when)).await;
    let (cursor, told_of) = moved(&mut stream).await;
    assert_eq!(
        (told_of.score.as_str(), told_of.cause()),
        (format!("{one}/scores/relationship-health").as_str(), MoveCause::Recorded)
    );
    assert_eq!(told_of.interaction, order.name);
    let current = told_of.current.expect("its value");
    assert!(current.value_micros > 50_000_000 && current.definition == HEALTH);
    drop(stream);
    let (complaint, seen) = told(stage, contact("complaint", by_party(&one), when)).await;
    let resumed = WatchScoresRequest { cursor, ..request };
    let mut stream = stage.scores(ACME).watch_scores(resumed).await.expect("watched").into_inner();
    let (_, told_of) = moved(&mut stream).await;
    assert_eq!(told_of.interaction, complaint.name, "goes on after the cursor");
    // Somebody unknown moves the score of an origin, which has no party to ask about.
    let all = WatchScoresRequest { cursor: first.cursor, ..Default::default() };
    let mut everything = stage.scores(ACME).watch_scores(all).await.expect("watched").into_inner();
    told(stage, contact("inquiry", by_number("+12025550188"), when)).await;
    loop {
        let (_, told_of) = moved(&mut everything).await;
        if told_of.score.starts_with("origins/") {
            assert!(told_of.current.is_none());
            break;
        }
        assert!(told_of.current.is_some(), "{told_of:?}");
    }
    let value =
        get(stage, GetScoresRequest { party: one, definition: HEALTH.into(), ..Default::default() }, &seen).await;
    assert_eq!(value[0].evidence.expect("evidence").contribution_count, 2);
    let mut scores = stage.scores(ACME);
    let junk = WatchScoresRequest { cursor: "junk".into(), parties: vec!["x".into()], definitions: vec!["y".into()] };
    let status = match scores.watch_scores(junk).await {
        Ok(stream) => end(&mut stream.into_inner()).await.expect_err("refused"),
        Err(status) => status,
    };
    refused::<()>(
        Err(status),
        &[("cursor", "INVALID_CURSOR"), ("parties[0]", "MALFORMED_NAME"), ("definitions[0]", "MALFORMED_NAME")],
    );
}

async fn retract(stage: &Stage, name: &str) -> Positions {
    let request = RetractInteractionRequest { name: name.into(), reason: "entered-twice".into(), ..Default::default() };
    positions(stage.interactions(ACME).retract_interaction(request).await.expect("retracted").metadata())
}

async fn a_retracted_interaction_restores_every_value(stage: &Stage) {
    let when = at(WHEN);
    let party = stage.party(person("Restored")).await.name;
    told(stage, contact("order", by_party(&party), after(when, -97 * DAY - 17))).await;
    let (_, seen) = told(stage, contact("praise", by_party(&party), after(when, -5 * DAY))).await;
    let moments = [when, after(when, -DAY), after(when, -200 * DAY), after(when, 400 * DAY)];
    let mut before = Vec::new();
    for moment in moments {
        before.push(all(stage, &party, moment, &seen).await);
    }
    let watch =
        WatchScoresRequest { parties: vec![party.clone()], definitions: vec![HEALTH.into()], ..Default::default() };
    let mut stream = stage.scores(ACME).watch_scores(watch).await.expect("watched").into_inner();
    let (complaint, seen) = told(stage, contact("complaint", by_party(&party), after(when, -2 * DAY))).await;
    let angry = all(stage, &party, when, &seen).await;
    assert!(angry[1].value_micros < before[0][1].value_micros && angry[0].value_micros > before[0][0].value_micros);
    let seen = retract(stage, &complaint.name).await;
    for (moment, before) in moments.iter().zip(&before) {
        assert_eq!(&all(stage, &party, *moment, &seen).await, before, "to the last bit");
    }
    for definition in [HEALTH, ENGAGEMENT] {
        let lines = explain(stage, &party, definition, when).await.lines;
        assert!(
            lines.iter().filter_map(|line| line.contribution.as_ref()).all(|one| one.interaction != complaint.name)
        );
    }
    assert_eq!(moved(&mut stream).await.1.cause(), MoveCause::Recorded);
    let (_, told_of) = moved(&mut stream).await;
    assert_eq!((told_of.cause(), &told_of.interaction), (MoveCause::Retracted, &complaint.name));
    let counted = |score: &Score| score.evidence.map(|evidence| evidence.contribution_count);
    assert_eq!(told_of.current.as_ref().and_then(counted), counted(&before[0][1]));
    // What was known while it counted is still told.
    let known = GetScoresRequest {
        party: party.clone(),
        as_of: Some(when),
        as_known_at: complaint.recorded_time,
        ..Default::default()
    };
    assert_eq!(get(stage, known, &seen).await, angry);
    let past = ListScoreHistoryRequest {
        party: party.clone(),
        definition: HEALTH.into(),
        end_time: Some(when),
        as_known_at: complaint.recorded_time,
        ..Default::default()
    };
    let points = line(stage, past.clone(), &seen).await;
    assert_eq!(points.last().map(|point| point.value_micros), Some(angry[1].value_micros));
    let points = line(stage, ListScoreHistoryRequest { as_known_at: None, ..past }, &seen).await;
    assert_eq!(points.last().map(|point| point.value_micros), Some(before[0][1].value_micros));
    let explained = ExplainScoreRequest {
        party,
        definition: HEALTH.into(),
        as_of: Some(when),
        as_known_at: complaint.recorded_time,
        ..Default::default()
    };
    let explained = stage.scores(ACME).explain_score(explained).await.expect("explained").into_inner();
    assert_eq!(explained.score.as_ref(), Some(&angry[1]));
    assert_eq!(explained.lines[1].contribution.as_ref().expect("the complaint").interaction, complaint.name);
}

async fn an_amended_one_is_as_if_recorded_so(stage: &Stage) {
    let when = at(WHEN);
    let (amended, outright) = (stage.party(person("Amended")).await.name, stage.party(person("Outright")).await.name);
    let judged = |interaction: Interaction| Interaction {
        valence: Some(Valence { value: -0.25, method: ValenceMethod::Agent.into(), confidence: Some(0.5) }),
        ..interaction
    };
    let then = after(when, -41 * DAY - 7);
    let (first, _) = told(stage, contact("complaint", by_party(&amended), after(when, -3 * DAY))).await;
    told(stage, judged(contact("inquiry", by_party(&outright), then))).await;
    let wanted = judged(Interaction {
        name: first.name.clone(),
        kind: "inquiry".into(),
        occurred_time: Some(then),
        ..Default::default()
    });
    let paths = ["kind", "valence", "occurred_time"].map(str::to_owned).to_vec();
    let request = AmendInteractionRequest {
        interaction: Some(wanted),
        update_mask: Some(FieldMask { paths }),
        reason: "corrected".into(),
        ..Default::default()
    };
    let answer = stage.interactions(ACME).amend_interaction(request).await.expect("amended");
    let seen = positions(answer.metadata());
    for moment in [when, after(when, -41 * DAY), after(when, -42 * DAY), after(when, 90 * DAY)] {
        let (one, two) = (all(stage, &amended, moment, &seen).await, all(stage, &outright, moment, &seen).await);
        for (one, two) in one.iter().zip(&two) {
            assert_eq!((one.value_micros, one.evidence), (two.value_micros, two.evidence), "{moment:?}");
        }
    }
    let line = explain(stage, &amended, HEALTH, when).await.lines.remove(1);
    assert_eq!(line.contribution.map(|one| one.interaction_version), Some(2));
}
