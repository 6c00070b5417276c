//! What differs between two contexts of one watcher, as far as an agent would care.

use rapport_proto::interactions::v1 as proto;

/// A score that moves less than this, in millionths of a point, has not moved: it decays with every moment.
const SCORE: i64 = 100_000;
/// A probability that moves less than this has not moved.
const PROBABILITY: f64 = 0.005;
/// A number of orders that moves less than this has not moved.
const ORDERS: f64 = 0.05;

/// The fields of AgentContext that differ, in their order.
pub(super) fn changed(before: &proto::AgentContext, now: &proto::AgentContext) -> Vec<&'static str> {
    macro_rules! differs {
        ($field:ident) => {{
            let (mut one, mut other) = (before.$field.clone(), now.$field.clone());
            for section in [&mut one, &mut other].into_iter().flatten() {
                timeless(&mut section.status);
            }
            one != other
        }};
    }
    let fields = [
        ("caller", differs!(caller)),
        ("card", differs!(card)),
        ("history", differs!(history)),
        ("cases", differs!(cases)),
        ("scores", scores(before.scores.as_ref(), now.scores.as_ref())),
        ("value", value(before.value.as_ref(), now.value.as_ref())),
        ("loyalty", differs!(loyalty)),
        ("consents", differs!(consents)),
        ("network", network(before.network.as_ref(), now.network.as_ref())),
        ("warnings", before.warnings != now.warnings),
        ("next_best_action", action(before) != action(now)),
        ("promises", differs!(promises)),
    ];
    fields.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
}

/// A context with nothing but the fields that are named, and those that every message has.
pub(super) fn only(context: &proto::AgentContext, changed: &[&'static str]) -> proto::AgentContext {
    let has = |name: &str| changed.contains(&name);
    proto::AgentContext {
        call: context.call.clone(),
        party: context.party.clone(),
        as_of_time: context.as_of_time,
        spent_ms: context.spent_ms,
        medium: context.medium,
        caller: context.caller.clone().filter(|_| has("caller")),
        card: context.card.clone().filter(|_| has("card")),
        history: context.history.clone().filter(|_| has("history")),
        cases: context.cases.clone().filter(|_| has("cases")),
        scores: context.scores.clone().filter(|_| has("scores")),
        value: context.value.clone().filter(|_| has("value")),
        loyalty: context.loyalty.clone().filter(|_| has("loyalty")),
        consents: context.consents.clone().filter(|_| has("consents")),
        network: context.network.clone().filter(|_| has("network")),
        warnings: if has("warnings") { context.warnings.clone() } else { Vec::new() },
        next_best_action: context.next_best_action.clone().filter(|_| has("next_best_action")),
        promises: context.promises.clone().filter(|_| has("promises")),
    }
}

/// What was told, after a message that tells of these fields: what is not told of stays as it was told, so that what
/// moves little by little is told once it has moved enough.
pub(super) fn told(
    mut before: proto::AgentContext,
    now: proto::AgentContext,
    changed: &[&'static str],
) -> proto::AgentContext {
    let has = |name: &str| changed.contains(&name);
    let (scores, value, network) = (before.scores.take(), before.value.take(), before.network.take());
    proto::AgentContext {
        scores: if has("scores") { now.scores } else { scores },
        value: if has("value") { now.value } else { value },
        network: if has("network") { now.network } else { network },
        ..now
    }
}

/// A context in which what is waited for is as it was told before, where it was: that a section is late is no reason to
/// take from an agent what they see.
pub(super) fn kept(before: &proto::AgentContext, mut now: proto::AgentContext) -> proto::AgentContext {
    macro_rules! keep {
        ($($field:ident)+) => {$(
            let late = |section: &proto::AgentContext| {
                let status = section.$field.as_ref().and_then(|section| section.status.as_ref());
                // What is pending may show the last that was known: that is no reason to show an older one.
                status.is_none_or(|status| {
                    status.state() == proto::SectionState::Pending && status.as_of_time.is_none()
                })
            };
            if late(&now) && !late(before) && now.party == before.party {
                now.$field = before.$field.clone();
            }
        )+};
    }
    keep!(caller card history cases scores value loyalty consents network promises);
    now
}

/// Whether something is still waited for.
pub(super) fn waits(context: &proto::AgentContext) -> bool {
    use proto::SectionState::{Pending, Stale};
    context.statuses().any(|(_, status)| matches!(status.state(), Pending | Stale))
}

/// The action and why; what else was considered is told with it, and is no news by itself.
fn action(context: &proto::AgentContext) -> Option<(i32, &str)> {
    context.next_best_action.as_ref().map(|next| (next.action, next.reason.as_str()))
}

/// How old something is, and how far a feed was read, is no news.
fn timeless(status: &mut Option<proto::SectionStatus>) {
    if let Some(status) = status {
        status.position = 0;
        status.as_of_time = None;
        status.age = None;
    }
}

fn status(status: Option<&proto::SectionStatus>) -> Option<(i32, &str, &str)> {
    status.map(|status| (status.state, status.source.as_str(), status.reason.as_str()))
}

fn moved(before: Option<i64>, now: Option<i64>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => before.abs_diff(now) >= SCORE.unsigned_abs(),
        (before, now) => before.is_some() != now.is_some(),
    }
}

fn apart(before: Option<f64>, now: Option<f64>, least: f64) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => (before - now).abs() >= least,
        (before, now) => before.is_some() != now.is_some(),
    }
}

fn scores(before: Option<&proto::ScoreSection>, now: Option<&proto::ScoreSection>) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return before.is_some() != now.is_some() };
    let reasons = |score: &proto::ContextScore| -> Vec<String> {
        score.reasons.iter().map(|reason| reason.reason.clone()).collect()
    };
    let differs = |(one, other): (&proto::ContextScore, &proto::ContextScore)| {
        one.definition != other.definition
            || one.contribution_count != other.contribution_count
            || moved(Some(one.value_micros), Some(other.value_micros))
            || moved(one.change_micros, other.change_micros)
            || reasons(one) != reasons(other)
    };
    status(before.status.as_ref()) != status(now.status.as_ref())
        || before.scores.len() != now.scores.len()
        || before.scores.iter().zip(&now.scores).any(differs)
}

fn value(before: Option<&proto::ValueSection>, now: Option<&proto::ValueSection>) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return before.is_some() != now.is_some() };
    let money = |section: &proto::ValueSection| {
        section.lifetime_value.as_ref().map(|money| (money.currency_code.clone(), money.units))
    };
    let worth = match (money(before), money(now)) {
        (Some((one, before)), Some((other, now))) => one != other || before.abs_diff(now) > 1,
        (before, now) => before.is_some() != now.is_some(),
    };
    status(before.status.as_ref()) != status(now.status.as_ref())
        || before.model != now.model
        || before.horizon_days != now.horizon_days
        || apart(before.alive_probability, now.alive_probability, PROBABILITY)
        || apart(before.expected_purchases, now.expected_purchases, ORDERS)
        || worth
}

fn network(before: Option<&proto::NetworkSection>, now: Option<&proto::NetworkSection>) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return before.is_some() != now.is_some() };
    let differs = |(one, other): (&proto::ContextNeighbor, &proto::ContextNeighbor)| {
        let timeless = |neighbor: &proto::ContextNeighbor| proto::ContextNeighbor {
            health_micros: None,
            reason: String::new(),
            // Which reasons there are is news, their figures are not.
            reasons: neighbor
                .reasons
                .iter()
                .map(|one| proto::NeighborReason { kind: one.kind, ..Default::default() })
                .collect(),
            influence_percentile_micros: None,
            ..neighbor.clone()
        };
        timeless(one) != timeless(other) || moved(one.health_micros, other.health_micros)
    };
    status(before.status.as_ref()) != status(now.status.as_ref())
        || (before.looked_at, before.truncated) != (now.looked_at, now.truncated)
        || before.neighbors.len() != now.neighbors.len()
        || before.neighbors.iter().zip(&now.neighbors).any(differs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn status_of(seconds: i64, state: proto::SectionState) -> Option<proto::SectionStatus> {
        Some(proto::SectionStatus {
            source: "scoring".to_owned(),
            position: seconds,
            state: state.into(),
            as_of_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            ..proto::SectionStatus::default()
        })
    }

    fn context(seconds: i64, micros: i64) -> proto::AgentContext {
        let score = proto::ContextScore { value_micros: micros, ..proto::ContextScore::default() };
        proto::AgentContext {
            scores: Some(proto::ScoreSection {
                status: status_of(seconds, proto::SectionState::Fresh),
                scores: vec![score],
            }),
            card: Some(proto::CardSection {
                status: status_of(seconds, proto::SectionState::Fresh),
                ..proto::CardSection::default()
            }),
            ..proto::AgentContext::default()
        }
    }

    #[test]
    fn time_that_passes_is_no_news() {
        let before = context(1, 50_000_000);
        assert!(changed(&before, &context(9, 49_999_999)).is_empty());
        assert_eq!(changed(&before, &context(9, 49_900_000)), ["scores"]);
        let mut late = context(9, 50_000_000);
        let nothing = proto::SectionStatus { as_of_time: None, ..status_of(9, proto::SectionState::Pending).unwrap() };
        late.card.as_mut().unwrap().status = Some(nothing);
        assert_eq!(changed(&before, &late), ["card"]);
        assert!(waits(&late) && !waits(&before));
        // An agent goes on seeing what was there.
        assert!(changed(&before, &kept(&before, late.clone())).is_empty());
        assert_eq!(
            changed(&before, &kept(&before, proto::AgentContext { party: "p".to_owned(), ..late.clone() })),
            ["card"]
        );
        let message = only(&late, &["card"]);
        assert!(message.card.is_some() && message.scores.is_none());
    }

    #[test]
    fn what_moves_little_by_little_is_told_once_it_has_moved_enough() {
        let mut told_last = context(0, 50_000_000);
        let mut messages = 0;
        for step in 1..=100 {
            let now = context(step, 50_000_000 - step * 10_000);
            let changed = changed(&told_last, &now);
            messages += usize::from(!changed.is_empty());
            told_last = told(told_last, now, &changed);
        }
        assert_eq!(messages, 10);
    }

    #[test]
    fn a_section_that_is_gone_is_a_change() {
        let mut gone = context(1, 0);
        gone.scores = None;
        assert_eq!(changed(&context(1, 0), &gone), ["scores"]);
        let mut warned = context(1, 0);
        warned.warnings.push(proto::ContextWarning::default());
        assert_eq!(changed(&context(1, 0), &warned), ["warnings"]);
    }
}
