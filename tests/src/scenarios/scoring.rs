//! Scores: a prior without facts, the same bits in whatever order facts arrive, and explanations that add up.

use futures::future::join_all;
use prost_types::Timestamp;
use rapport_proto::interactions::v1 as contacts;
use rapport_proto::interactions::v1::{Direction, Function, Interaction, Participant, ValenceMethod};
use rapport_proto::scoring::v1::*;
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};

use super::messages::{DAY, after, at, by_party, contact, micros, now, person, record};
use super::stage::{ACME, GLOBEX, Positions, Stage, refused, unknown};

const HEALTH: &str = "scoreDefinitions/relationship-health";
/// What is assumed of a party that nothing is known of.
const PRIOR: i64 = 50_000_000;

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn scores_are_exact_ordered_by_nothing_and_explained(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        without_facts_the_prior_is_the_value(&stage).await;
        the_definition_says_how(&stage).await;
        each_kind_counts_as_the_definition_says(&stage).await;
        every_order_gives_the_same_bits(&stage).await;
        a_complaint_lowers_and_praise_raises(&stage).await;
        what_arrives_late_counts_by_when_it_occurred(&stage).await;
        explanations_sum_exactly(&stage).await;
        stage.close().await;
    }
}

async fn get(stage: &Stage, party: &str, as_of: Option<Timestamp>, seen: &Positions) -> Score {
    let request = at_least(
        GetScoresRequest { party: party.into(), definition: HEALTH.into(), as_of, ..Default::default() },
        seen,
    );
    let answer = stage.scores(ACME).get_scores(request).await.expect("read");
    assert!(answer.metadata().get("rapport-stale").is_none(), "{:?}", answer.metadata());
    let mut scores = answer.into_inner().scores;
    assert_eq!(scores.len(), 1, "one definition");
    scores.remove(0)
}

/// Records one interaction and says where it is in the feed.
async fn told(stage: &Stage, interaction: Interaction) -> Positions {
    positions(stage.interactions(ACME).record_interaction(record(interaction)).await.expect("recorded").metadata())
}

fn judged(value: f64, confidence: Option<f64>, interaction: Interaction) -> Interaction {
    let method = ValenceMethod::Stated.into();
    Interaction { valence: Some(contacts::Valence { value, method, confidence }), ..interaction }
}

/// The formula of the contract, in floating point: (age in days, fresh weight, satisfaction). Fixed-point answers are
/// within a millionth of it.
fn formula(facts: &[(f64, f64, f64)]) -> f64 {
    let (mut pull, mut weight) = (4.0 * 0.5, 4.0);
    for (days, fresh, satisfaction) in facts {
        let decayed = fresh * (-days / 180.0).exp2();
        pull += decayed * satisfaction;
        weight += decayed;
    }
    1e8 * pull / weight
}

#[track_caller]
fn close(value_micros: i64, expected: f64) {
    #[allow(clippy::cast_precision_loss)]
    let off = (value_micros as f64 - expected).abs();
    assert!(off <= 1.5, "{value_micros} is not {expected}");
}

async fn without_facts_the_prior_is_the_value(stage: &Stage) {
    let known = stage.party(person("Unheard of")).await.name;
    let moment = at("2026-01-05T10:00:00Z");
    for party in [known, unknown("parties")] {
        let score = get(stage, &party, Some(moment), &Positions::new()).await;
        let expected = Score {
            name: format!("{party}/scores/relationship-health"),
            party: party.clone(),
            definition: HEALTH.into(),
            definition_version: 1,
            value_micros: PRIOR,
            as_of: Some(moment),
            evidence: Some(Evidence::default()),
        };
        assert_eq!(score, expected);
        let today = get(stage, &party, None, &Positions::new()).await;
        let as_of = micros(today.as_of.expect("the moment it holds for"));
        assert!((as_of - micros(now())).abs() < 60_000_000, "now");
        assert_eq!(today.value_micros, PRIOR);
    }
    let mut scores = stage.scores(ACME);
    let junk = GetScoresRequest {
        party: "parties/7".into(),
        definition: "x".into(),
        as_of: Some(Timestamp { seconds: 0, nanos: -1 }),
        as_known_at: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
    };
    refused(
        scores.get_scores(junk).await,
        &[
            ("party", "MALFORMED_NAME"),
            ("definition", "MALFORMED_NAME"),
            ("as_of", "OUT_OF_RANGE"),
            ("as_known_at", "OUT_OF_RANGE"),
        ],
    );
    // Whoever names no definition is answered for all, in their order.
    let all = GetScoresRequest { party: unknown("parties"), ..Default::default() };
    let all = scores.get_scores(all).await.expect("read").into_inner().scores;
    let told: Vec<(&str, i64)> = all.iter().map(|one| (one.definition.as_str(), one.value_micros)).collect();
    assert_eq!(told, [("scoreDefinitions/engagement", 0), (HEALTH, PRIOR)]);
    let party = unknown("parties");
    let other =
        GetScoresRequest { party: party.clone(), definition: "scoreDefinitions/luck".into(), ..Default::default() };
    assert_reason!(scores.get_scores(other).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let unexplained = ExplainScoreRequest { party, line_limit: -1, ..Default::default() };
    refused(scores.explain_score(unexplained).await, &[("definition", "REQUIRED"), ("line_limit", "OUT_OF_RANGE")]);
}

async fn the_definition_says_how(stage: &Stage) {
    let listed = stage
        .scores(ACME)
        .list_score_definitions(ListScoreDefinitionsRequest::default())
        .await
        .expect("listed")
        .into_inner();
    let [engagement, health] = listed.score_definitions.as_slice() else { panic!("{listed:?}") };
    assert_eq!(
        (engagement.name.as_str(), engagement.measure()),
        ("scoreDefinitions/engagement", ScoreMeasure::Intensity)
    );
    assert_eq!((engagement.prior_satisfaction_micros, engagement.prior_weight_micros), (0, 4_000_000));
    assert!(engagement.rules.iter().all(|rule| rule.default_satisfaction_micros == 1_000_000));
    assert_eq!(health.measure(), ScoreMeasure::Satisfaction);
    assert_eq!((health.name.as_str(), health.version, health.built_in), (HEALTH, 1, true));
    assert_eq!(health.half_life, Some(prost_types::Duration { seconds: 180 * DAY, nanos: 0 }));
    assert_eq!((health.prior_satisfaction_micros, health.prior_weight_micros), (500_000, 4_000_000));
    let rule = |kind: &str| health.rules.iter().find(|rule| rule.interaction_kind == kind).cloned().expect(kind);
    let complaint = rule("complaint");
    assert_eq!(
        (complaint.weight_micros, complaint.outbound_weight_micros, complaint.third_party_weight_micros),
        (3_000_000, 1_500_000, 1_500_000)
    );
    assert_eq!(complaint.default_satisfaction_micros, 100_000);
    assert_eq!(rule("*").weight_micros, 500_000);
    assert_eq!(listed.next_page_token, "");
}

async fn each_kind_counts_as_the_definition_says(stage: &Stage) {
    let when = at("2026-01-05T10:00:00Z");
    let of = |kind: &str, party: &str| contact(kind, by_party(party), when);
    let going =
        |direction: Direction, interaction: Interaction| Interaction { direction: direction.into(), ..interaction };
    let playing = |function: Function, interaction: Interaction| {
        let participants: Vec<Participant> = interaction
            .participants
            .iter()
            .map(|one| Participant { function: function.into(), ..one.clone() })
            .collect();
        Interaction { participants, ..interaction }
    };
    // An interaction of the party at the moment it is asked for, and its weight and satisfaction.
    type Made<'a> = (Box<dyn Fn(&str) -> Interaction + 'a>, f64, f64);
    let cases: Vec<Made<'_>> = vec![
        (Box::new(|party| of("complaint", party)), 3.0, 0.1),
        (Box::new(|party| of("praise", party)), 2.0, 0.95),
        (Box::new(|party| of("order", party)), 1.0, 0.7),
        (Box::new(|party| of("return", party)), 1.0, 0.35),
        (Box::new(|party| of("inquiry", party)), 1.0, 0.5),
        (Box::new(|party| of("fishing-trip", party)), 0.5, 0.5),
        (Box::new(|party| judged(-1.0, None, of("order", party))), 1.0, 0.0),
        (Box::new(|party| judged(1.0, Some(0.5), of("order", party))), 1.0, 0.85),
        (Box::new(|party| judged(0.6, Some(0.0), of("complaint", party))), 3.0, 0.1),
        (Box::new(|party| judged(0.5, None, of("fishing-trip", party))), 0.5, 0.75),
        (Box::new(|party| going(Direction::Outbound, of("complaint", party))), 1.5, 0.1),
        (Box::new(|party| going(Direction::ThirdParty, of("praise", party))), 1.0, 0.95),
        (Box::new(|party| going(Direction::Mutual, of("praise", party))), 2.0, 0.95),
        (Box::new(|party| playing(Function::Recipient, of("order", party))), 1.0, 0.7),
        (Box::new(|party| playing(Function::Subject, of("order", party))), 1.0, 0.7),
        // Who acts for another or looks on has no experience of ours.
        (Box::new(|party| playing(Function::Agent, of("complaint", party))), 0.0, 0.0),
        (Box::new(|party| playing(Function::Observer, of("complaint", party))), 0.0, 0.0),
    ];
    for (place, (make, weight, satisfaction)) in cases.iter().enumerate() {
        let party = stage.party(person("Kind")).await.name;
        let seen = told(stage, make(&party)).await;
        let fresh = get(stage, &party, Some(when), &seen).await;
        close(fresh.value_micros, formula(&[(0.0, *weight, *satisfaction)]));
        let evidence = fresh.evidence.expect("evidence");
        let counted = i64::from(*weight > 0.0);
        assert_eq!(evidence.contribution_count, counted, "case {place}");
        #[allow(clippy::cast_possible_truncation)]
        let micros = (weight * 1e6) as i64;
        assert_eq!(evidence.weight_micros, micros, "case {place}");
        // Half a year later it weighs half; in the far future nothing is left of it.
        let later = get(stage, &party, Some(after(when, 180 * DAY)), &seen).await;
        close(later.value_micros, formula(&[(180.0, *weight, *satisfaction)]));
        assert_eq!(later.evidence.expect("evidence").weight_micros, micros / 2);
        let far = get(stage, &party, Some(at("9999-12-31T23:59:59Z")), &seen).await;
        close(far.value_micros, 5e7);
        assert_eq!(far.evidence, Some(Evidence { weight_micros: 0, contribution_count: counted }));
        let early = get(stage, &party, Some(Timestamp { nanos: 999_999_000, ..after(when, -1) }), &seen).await;
        assert_eq!(
            (early.value_micros, early.evidence),
            (PRIOR, Some(Evidence::default())),
            "before it nothing was known"
        );
        // Another tenant knows nothing of it.
        let foreign = GetScoresRequest {
            party: party.clone(),
            definition: HEALTH.into(),
            as_of: Some(when),
            ..Default::default()
        };
        let foreign = stage.scores(GLOBEX).get_scores(foreign).await.expect("read").into_inner();
        assert_eq!(foreign.scores[0].value_micros, PRIOR);
    }
}

/// Every order of four things.
fn orders() -> Vec<[usize; 4]> {
    let mut orders = Vec::new();
    for a in 0..4 {
        for b in (0..4).filter(|b| *b != a) {
            for c in (0..4).filter(|c| *c != a && *c != b) {
                orders.push([a, b, c, 6 - a - b - c]);
            }
        }
    }
    orders
}

async fn every_order_gives_the_same_bits(stage: &Stage) {
    // Ages that no half-life divides, two of one moment, weights and valences of every sort.
    let when = at("2026-01-05T10:17:23.456789Z");
    let story = |party: &str| {
        let then = |days: i64, seconds: i64| after(when, -days * DAY - seconds);
        [
            contact("order", by_party(party), then(411, 17)),
            judged(-0.333_333, Some(0.777_777), contact("complaint", by_party(party), then(97, 3_601))),
            Interaction {
                direction: Direction::Outbound.into(),
                ..contact("praise", by_party(party), then(97, 3_601))
            },
            judged(0.123_457, None, contact("fishing-trip", by_party(party), then(0, 1))),
        ]
    };
    let orders = orders();
    assert_eq!(orders.len(), 24);
    let lives = orders.iter().map(|order| async move {
        let party = stage.party(person(&format!("{order:?}"))).await.name;
        let facts = story(&party);
        let mut seen = Positions::new();
        for place in order {
            // One after the other: the next is recorded when the one before it is durable.
            seen = told(stage, facts[*place].clone()).await;
        }
        (party, seen)
    });
    let lives = join_all(lives).await;
    let seen = lives.iter().map(|(_, seen)| seen.clone()).max().expect("24 lives");
    for as_of in [Some(when), Some(after(when, -97 * DAY - 3_601)), Some(after(when, 1_000 * DAY))] {
        let mut found = std::collections::BTreeSet::new();
        for (party, _) in &lives {
            let score = get(stage, party, as_of, &seen).await;
            let evidence = score.evidence.expect("evidence");
            found.insert((score.value_micros, evidence.weight_micros, evidence.contribution_count));
        }
        assert_eq!(found.len(), 1, "all 24 orders, as of {as_of:?}: {found:?}");
    }
    let (party, _) = &lives[0];
    let days = |days: f64, seconds: f64| days + seconds / 86_400.0;
    let valence =
        |value: f64, confidence: f64, default: f64| confidence * (value + 1.0) / 2.0 + (1.0 - confidence) * default;
    let expected = formula(&[
        (days(411.0, 17.0), 1.0, 0.7),
        (days(97.0, 3_601.0), 3.0, valence(-0.333_333, 0.777_777, 0.1)),
        (days(97.0, 3_601.0), 1.0, 0.95),
        (days(0.0, 1.0), 0.5, valence(0.123_457, 1.0, 0.5)),
    ]);
    let score = get(stage, party, Some(when), &seen).await;
    // Valences are kept to the millionth, which moves the value by less than a hundred millionths of a point.
    #[allow(clippy::cast_precision_loss)]
    let off = (score.value_micros as f64 - expected).abs();
    assert!(off < 100.0, "{} is not {expected}", score.value_micros);
    assert_ne!(score.value_micros, PRIOR);
}

async fn a_complaint_lowers_and_praise_raises(stage: &Stage) {
    let party = stage.party(person("Moody")).await.name;
    let when = at("2026-01-05T10:00:00Z");
    let mut values = Vec::new();
    for (hours, kind) in [(0, "order"), (1, "order"), (2, "complaint"), (3, "praise"), (4, "return")] {
        let seen = told(stage, contact(kind, by_party(&party), after(when, hours * 3_600))).await;
        values.push(get(stage, &party, Some(after(when, 4 * 3_600)), &seen).await.value_micros);
    }
    let [one, two, complained, praised, returned] = values.try_into().expect("five");
    assert!(PRIOR < one && one < two, "orders raise: {one} {two}");
    assert!(complained < PRIOR, "one complaint outweighs two orders: {complained}");
    assert!(praised > complained && returned < praised, "{complained} {praised} {returned}");
}

async fn what_arrives_late_counts_by_when_it_occurred(stage: &Stage) {
    let (late, punctual) = (stage.party(person("Late")).await.name, stage.party(person("Punctual")).await.name);
    let when = at("2026-01-05T10:00:00Z");
    let early = |party: &str| contact("praise", by_party(party), after(when, -400 * DAY));
    let newer = |party: &str| contact("complaint", by_party(party), after(when, -10 * DAY));
    told(stage, early(&punctual)).await;
    let seen = told(stage, newer(&punctual)).await;
    let expected = get(stage, &punctual, Some(when), &seen).await;
    let seen = told(stage, newer(&late)).await;
    let before = get(stage, &late, Some(when), &seen).await;
    close(before.value_micros, formula(&[(10.0, 3.0, 0.1)]));
    let seen = told(stage, early(&late)).await;
    let after_all = get(stage, &late, Some(when), &seen).await;
    assert_eq!((after_all.value_micros, after_all.evidence), (expected.value_micros, expected.evidence));
    close(after_all.value_micros, formula(&[(400.0, 2.0, 0.95), (10.0, 3.0, 0.1)]));
    // As of a moment between the two only the first had occurred.
    let between = get(stage, &late, Some(after(when, -100 * DAY)), &seen).await;
    close(between.value_micros, formula(&[(300.0, 2.0, 0.95)]));
    assert_eq!(between.evidence.expect("evidence").contribution_count, 1);
    let exactly = get(stage, &late, Some(after(when, -10 * DAY)), &seen).await;
    assert_eq!(exactly.evidence.expect("evidence").contribution_count, 2, "what occurs at the moment counts");
}

async fn explanations_sum_exactly(stage: &Stage) {
    let party = stage.party(person("Explained")).await.name;
    let when = at("2026-01-05T10:00:00Z");
    for (n, kind) in (0..30).zip(["order", "inquiry", "praise", "visit"].into_iter().cycle()) {
        told(stage, contact(kind, by_party(&party), after(when, -n * 11 * DAY - n * 7))).await;
    }
    let angry = judged(-0.8, Some(0.9), contact("complaint", by_party(&party), after(when, -3 * DAY)));
    let complaint = stage.interactions(ACME).record_interaction(record(angry)).await.expect("recorded");
    let seen = positions(complaint.metadata());
    let complaint = complaint.into_inner();
    let explain = async |as_of: Timestamp, line_limit: i32| {
        let request = ExplainScoreRequest {
            party: party.clone(),
            definition: HEALTH.into(),
            as_of: Some(as_of),
            line_limit,
            as_known_at: None,
        };
        stage.scores(ACME).explain_score(at_least(request, &seen)).await.expect("explained").into_inner()
    };
    for as_of in [when, after(when, -100 * DAY), after(when, 333 * DAY), after(when, -5_000 * DAY)] {
        let value = get(stage, &party, Some(as_of), &seen).await;
        for (line_limit, most) in [(0, 20), (1, 1), (5, 5), (500, 500), (i32::MAX, 500)] {
            let explained = explain(as_of, line_limit).await;
            assert_eq!(explained.score.as_ref(), Some(&value), "the score explained is the score answered");
            let lines = &explained.lines;
            assert_eq!(lines.iter().map(|line| line.effect_micros).sum::<i64>(), value.value_micros, "{lines:?}");
            let counted = value.evidence.expect("evidence").contribution_count;
            assert_eq!(lines.iter().map(|line| line.contribution_count).sum::<i64>(), counted);
            let shown = usize::try_from(counted).expect("small").min(most);
            let kinds: Vec<LineKind> = lines.iter().map(ExplanationLine::kind).collect();
            assert_eq!(kinds[0], LineKind::Prior);
            assert_eq!(kinds.iter().filter(|kind| **kind == LineKind::Contribution).count(), shown);
            assert_eq!(kinds.last() == Some(&LineKind::Others), i64::try_from(shown).expect("small") < counted);
            let effects: Vec<i64> = lines[1..=shown].iter().map(|line| line.effect_micros.abs()).collect();
            assert!(effects.is_sorted_by(|one, next| *one + 1 >= *next), "the greatest first: {effects:?}");
            assert!(lines.iter().all(|line| !line.reason.is_empty() && !line.reason.contains("Explained")));
        }
    }
    let explained = explain(when, 3).await;
    assert_eq!((explained.lines[0].effect_micros, explained.lines[0].weight_micros), (PRIOR, 4_000_000));
    let worst = &explained.lines[1];
    assert!(worst.effect_micros < -1_000_000, "the complaint weighs most: {worst:?}");
    assert_eq!(worst.reason, "complaint, 3 days ago: very dissatisfied, as judged");
    let what = worst.contribution.as_ref().expect("a contribution");
    assert_eq!((&what.interaction, what.interaction_version), (&complaint.name, 1));
    assert_eq!((what.interaction_kind.as_str(), what.direction.as_str()), ("complaint", "inbound"));
    assert_eq!((what.occurred_time, what.recorded_time), (complaint.occurred_time, complaint.recorded_time));
    assert_eq!(what.age, Some(prost_types::Duration { seconds: 3 * DAY, nanos: 0 }));
    // 0.9 of what was said, a tenth of what the kind assumes.
    assert_eq!((what.fresh_weight_micros, what.satisfaction_micros, what.from_valence), (3_000_000, 100_000, true));
    assert_eq!(explained.lines.last().map(|line| line.contribution_count), Some(28));
}
