//! What the desk said of a caller, as a dial plan can use it.

use rapport_proto::interactions::v1::{ActionKind, AgentContext, Call, CallResolution, WarningKind};
use serde::Serialize;

use crate::desk::Said;
use crate::number::Number;
use crate::text::clean;

/// The score that stands for the relationship.
const HEALTH: &str = "scoreDefinitions/relationship-health";
/// What a match is while Rapport has said nothing.
const UNAVAILABLE: &str = "unavailable";
/// Micropoints in a point.
const POINT: i64 = 1_000_000;
/// The most characters of a name and of a tier.
const MOST: usize = 80;
/// The most characters of every other value.
const MOST_OTHER: usize = 200;

/// The answer to a ring: texts that are safe in a dial plan, empty where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Answer {
    /// How the search ended: `resolved`, `candidates`, `unknown`, `withheld`, `pending`, or `unavailable` when Rapport
    /// did not say in time.
    #[serde(rename = "match")]
    pub(crate) matched: String,
    /// `parties/{id}`.
    pub(crate) party: String,
    /// Its name to show.
    pub(crate) name: String,
    /// `calls/{id}`.
    pub(crate) call: String,
    /// The number, in E.164 where it can be read.
    pub(crate) number: String,
    /// The tier of the first programme that has one.
    pub(crate) tier: String,
    /// The health of the relationship, 0 to 100.
    pub(crate) health: String,
    /// What to be careful about, the gravest first, with spaces between.
    pub(crate) warning: String,
    /// What to do next.
    pub(crate) action: String,
}

impl Answer {
    /// What was said within the budget, about a number.
    pub(crate) fn of(said: &Said, number: &Number) -> Answer {
        let context = said.context.as_ref();
        let by_context =
            context.and_then(|context| context.caller.as_ref()).and_then(|caller| caller.resolution.as_ref());
        let resolution = said.call.as_ref().and_then(|call| call.resolution.as_ref()).or(by_context);
        let party = resolution.map(|resolution| resolution.party.clone()).unwrap_or_default();
        // What is known of another party is not told of this one.
        let context = context.filter(|context| context.party == party);
        Answer {
            matched: resolution.map_or_else(|| UNAVAILABLE.to_owned(), matched),
            name: clean(name(&party, resolution, context), MOST),
            call: clean(said.call.as_ref().map(|call: &Call| call.name.as_str()).unwrap_or_default(), MOST_OTHER),
            number: clean(number.shown(), MOST_OTHER),
            tier: clean(context.and_then(tier).unwrap_or_default(), MOST),
            health: context.and_then(health).unwrap_or_default(),
            warning: context.map(warnings).unwrap_or_default(),
            action: context.map(action).unwrap_or_default(),
            party: clean(&party, MOST_OTHER),
        }
    }

    /// What is said of a call before Rapport says anything.
    pub(crate) fn none_yet(number: &Number) -> Answer {
        Answer::of(&Said::default(), number)
    }

    /// Whether it says more than [`Answer::none_yet`].
    pub(crate) fn says_something(&self) -> bool {
        self.matched != UNAVAILABLE
    }

    /// The channel variables that are set before Rapport is asked, so that there is nothing left to do when it does not
    /// answer.
    pub(crate) fn first_variables(&self) -> [(&'static str, &str); 2] {
        [("RAPPORT_NUMBER", &self.number), ("RAPPORT_MATCH", &self.matched)]
    }

    /// The channel variables, in the order in which they are set. `RAPPORT_MATCH` comes last: where it says that there is
    /// an answer, the others hold it.
    pub(crate) fn variables(&self) -> [(&'static str, &str); 9] {
        [
            ("RAPPORT_NUMBER", &self.number),
            ("RAPPORT_PARTY", &self.party),
            ("RAPPORT_NAME", &self.name),
            ("RAPPORT_CALL", &self.call),
            ("RAPPORT_TIER", &self.tier),
            ("RAPPORT_HEALTH", &self.health),
            ("RAPPORT_WARNING", &self.warning),
            ("RAPPORT_ACTION", &self.action),
            ("RAPPORT_MATCH", &self.matched),
        ]
    }
}

fn matched(resolution: &CallResolution) -> String {
    word(resolution.r#match().as_str_name(), "CALL_MATCH_")
}

fn name<'a>(party: &str, resolution: Option<&'a CallResolution>, context: Option<&'a AgentContext>) -> &'a str {
    if party.is_empty() {
        return "";
    }
    let card = context.and_then(|context| context.card.as_ref()).map(|card| card.display_name.as_str());
    let candidates = resolution.map(|resolution| resolution.candidates.as_slice()).unwrap_or_default();
    let candidate = candidates.iter().find(|candidate| candidate.party == party);
    card.filter(|name| !name.is_empty())
        .or_else(|| candidate.map(|candidate| candidate.display_name.as_str()))
        .unwrap_or_default()
}

fn tier(context: &AgentContext) -> Option<&str> {
    let members = &context.loyalty.as_ref()?.members;
    members.iter().map(|member| member.tier.as_str()).find(|tier| !tier.is_empty())
}

fn health(context: &AgentContext) -> Option<String> {
    let scores = &context.scores.as_ref()?.scores;
    // A score that rests on nothing says nothing about anybody.
    let score = scores.iter().find(|score| score.definition == HEALTH && score.contribution_count > 0)?;
    Some(((score.value_micros + POINT / 2) / POINT).clamp(0, 100).to_string())
}

fn warnings(context: &AgentContext) -> String {
    let mut words: Vec<String> = Vec::new();
    for warning in &context.warnings {
        let word = word(warning.kind().as_str_name(), "WARNING_KIND_");
        if warning.kind() != WarningKind::Unspecified && !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" ")
}

fn action(context: &AgentContext) -> String {
    match context.next_best_action.as_ref().map(|next| next.action()) {
        None | Some(ActionKind::Unspecified) => String::new(),
        Some(action) => word(action.as_str_name(), "ACTION_KIND_"),
    }
}

/// `CALL_MATCH_RESOLVED` as `resolved`.
fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_proto::interactions::v1::{
        CallCandidate, CallMatch, CallerSection, CardSection, ContextMember, ContextScore, ContextWarning,
        LoyaltySection, NextBestAction, ScoreSection,
    };

    use super::*;

    fn resolved(party: &str, name: &str) -> CallResolution {
        CallResolution {
            r#match: CallMatch::Resolved.into(),
            party: party.to_owned(),
            candidates: vec![CallCandidate {
                party: party.to_owned(),
                display_name: name.to_owned(),
                ..CallCandidate::default()
            }],
            ..CallResolution::default()
        }
    }

    fn number() -> Number {
        Number::Known("+12025550201".into())
    }

    fn context(party: &str) -> AgentContext {
        let warning = |kind: WarningKind| ContextWarning { kind: kind.into(), ..Default::default() };
        AgentContext {
            party: party.into(),
            caller: Some(CallerSection { resolution: Some(resolved(party, "By Number")), ..Default::default() }),
            card: Some(CardSection { display_name: "By \"Card\"\n".into(), ..Default::default() }),
            scores: Some(ScoreSection {
                scores: vec![ContextScore {
                    definition: HEALTH.into(),
                    value_micros: 41_600_000,
                    contribution_count: 3,
                    ..Default::default()
                }],
                ..Default::default()
            }),
            loyalty: Some(LoyaltySection {
                members: vec![ContextMember::default(), ContextMember { tier: "Gold".into(), ..Default::default() }],
                ..Default::default()
            }),
            warnings: [WarningKind::RoleConflict, WarningKind::NotFresh, WarningKind::NotFresh].map(warning).into(),
            next_best_action: Some(NextBestAction { action: ActionKind::SolveComplaint.into(), ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn all_that_is_known_is_told() {
        let call = Call { name: "calls/1".into(), resolution: Some(resolved("parties/1", "Ana")), ..Call::default() };
        let said = Said { call: Some(call), context: Some(context("parties/1")) };
        let answer = Answer::of(&said, &number());
        assert_eq!(
            answer.variables(),
            [
                ("RAPPORT_NUMBER", "+12025550201"),
                ("RAPPORT_PARTY", "parties/1"),
                ("RAPPORT_NAME", "By Card"),
                ("RAPPORT_CALL", "calls/1"),
                ("RAPPORT_TIER", "Gold"),
                ("RAPPORT_HEALTH", "42"),
                ("RAPPORT_WARNING", "role_conflict not_fresh"),
                ("RAPPORT_ACTION", "solve_complaint"),
                ("RAPPORT_MATCH", "resolved"),
            ]
        );
    }

    #[test]
    fn half_an_answer_is_told_and_none_is_unavailable() {
        let call = Call { name: "calls/1".into(), resolution: Some(resolved("parties/1", "Ana")), ..Call::default() };
        let answer = Answer::of(&Said { call: Some(call.clone()), context: None }, &number());
        assert_eq!((answer.matched.as_str(), answer.name.as_str(), answer.health.as_str()), ("resolved", "Ana", ""));
        let answer = Answer::of(&Said { call: None, context: Some(context("parties/1")) }, &number());
        assert_eq!((answer.matched.as_str(), answer.name.as_str(), answer.call.as_str()), ("resolved", "By Card", ""));
        // The call is of one party and the context of another: the number changed hands in between.
        let answer = Answer::of(&Said { call: Some(call), context: Some(context("parties/2")) }, &number());
        assert_eq!((answer.party.as_str(), answer.name.as_str(), answer.tier.as_str()), ("parties/1", "Ana", ""));
        let answer = Answer::of(&Said::default(), &Number::Withheld);
        assert_eq!((answer.matched.as_str(), answer.number.as_str()), ("unavailable", ""));
    }

    #[test]
    fn a_score_that_rests_on_nothing_is_not_told() {
        let mut context = context("parties/1");
        context.scores.as_mut().unwrap().scores[0].contribution_count = 0;
        assert_eq!(health(&context), None);
    }
}
