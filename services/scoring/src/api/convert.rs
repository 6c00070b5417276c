//! Between messages and domain values.

use std::time::Duration;

use rapport_proto::scoring::v1 as proto;
use rapport_rpc::wire;
use rapport_scoring_models::decayed::{Line, MICROS};
use rapport_types::error::{Collector, Error, FieldError};
use rapport_types::{Timestamp, Uuid, reason};

use crate::domain::{
    Definition, DefinitionName, Direction, Entry, InteractionName, Measure, PartyName, Rule, ScoreName, others_reason,
    prior_reason, reason as reason_of,
};
use crate::error::ScoringError;
use crate::queries::{Explained, Score, When};

/// A request of GetScores, checked.
#[derive(Debug)]
pub(crate) struct GetScores {
    pub(crate) party: Uuid,
    pub(crate) definitions: Vec<&'static Definition>,
    pub(crate) when: When,
}

/// A request of ExplainScore, checked.
#[derive(Debug)]
pub(crate) struct ExplainScore {
    pub(crate) party: Uuid,
    pub(crate) definition: &'static Definition,
    pub(crate) when: When,
    pub(crate) lines: usize,
}

/// # Errors
/// Every wrong field; NotFound for a definition that does not exist.
pub(crate) fn get_scores(request: &proto::GetScoresRequest) -> Result<GetScores, Error> {
    let fields = Collector::new();
    let party = fields.check("party", PartyName::parse(&request.party));
    let definition = one_or_all(&fields, &request.definition);
    let when = when(&fields, request.as_of.as_ref(), request.as_known_at.as_ref());
    fields.finish()?;
    Ok(GetScores { party: checked(party)?.uuid(), definitions: definitions(definition)?, when })
}

/// The definition asked for, if one is named.
pub(super) fn one_or_all(fields: &Collector, name: &str) -> Option<DefinitionName> {
    if name.is_empty() { None } else { fields.check("definition", DefinitionName::parse(name)) }
}

/// # Errors
/// NotFound for a definition that does not exist.
pub(super) fn definitions(name: Option<DefinitionName>) -> Result<Vec<&'static Definition>, Error> {
    match name {
        None => Ok(Definition::all().iter().collect()),
        Some(name) => Ok(vec![find(&name)?]),
    }
}

/// # Errors
/// Every wrong field; NotFound for a definition that does not exist.
pub(crate) fn explain_score(request: &proto::ExplainScoreRequest) -> Result<ExplainScore, Error> {
    let fields = Collector::new();
    let party = fields.check("party", PartyName::parse(&request.party));
    let definition = fields.check("definition", DefinitionName::parse(&request.definition));
    let when = when(&fields, request.as_of.as_ref(), request.as_known_at.as_ref());
    let lines = fields.check("line_limit", line_limit(request.line_limit));
    fields.finish()?;
    Ok(ExplainScore {
        party: checked(party)?.uuid(),
        definition: find(&checked(definition)?)?,
        when,
        lines: checked(lines)?,
    })
}

fn when(fields: &Collector, as_of: Option<&prost_types::Timestamp>, known_at: Option<&prost_types::Timestamp>) -> When {
    When { as_of: time(fields, "as_of", as_of), known_at: time(fields, "as_known_at", known_at) }
}

/// A moment, where one is given.
pub(super) fn time(fields: &Collector, field: &str, time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    fields.check(field, wire::timestamp(time?))
}

/// # Errors
/// NotFound for a definition that does not exist.
pub(super) fn find(name: &DefinitionName) -> Result<&'static Definition, Error> {
    Definition::find(name.slug()).ok_or_else(|| ScoringError::NoSuchDefinition(name.to_string()).into())
}

fn line_limit(limit: i32) -> Result<usize, FieldError> {
    match usize::try_from(limit) {
        Ok(0) => Ok(20),
        Ok(limit) => Ok(limit.min(500)),
        Err(_) => Err(FieldError::new(reason::OUT_OF_RANGE, "must not be negative")),
    }
}

/// What a collector without violations has let through.
pub(super) fn checked<T>(value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error::bug("a field is neither there nor wrong"))
}

/// A score for the wire.
pub(crate) fn to_score(score: &Score) -> proto::Score {
    proto::Score {
        name: ScoreName::of_party(score.party, score.definition.slug).to_string(),
        party: PartyName::new(score.party).to_string(),
        definition: DefinitionName::of(score.definition.slug).to_string(),
        definition_version: score.definition.version,
        value_micros: score.reading.value_micros,
        as_of: Some(wire::to_timestamp(score.as_of)),
        evidence: Some(proto::Evidence {
            weight_micros: score.reading.weight_micros,
            contribution_count: score.reading.count,
        }),
    }
}

/// An explanation for the wire.
pub(crate) fn to_explanation(explained: &Explained) -> proto::ExplainScoreResponse {
    let Explained { score, explanation, contributions } = explained;
    let mut lines = vec![proto::ExplanationLine {
        kind: proto::LineKind::Prior.into(),
        reason: prior_reason(),
        effect_micros: explanation.prior_effect,
        contribution_count: 0,
        weight_micros: score.definition.mean.prior_weight().micros().into(),
        contribution: None,
    }];
    lines.extend(explanation.lines.iter().filter_map(|line| {
        let entry = contributions.get(line.index)?;
        Some(to_line(score, line, entry))
    }));
    if let Some(others) = &explanation.others {
        lines.push(proto::ExplanationLine {
            kind: proto::LineKind::Others.into(),
            reason: others_reason(others.count),
            effect_micros: others.effect,
            contribution_count: others.count,
            weight_micros: others.weight_micros,
            contribution: None,
        });
    }
    proto::ExplainScoreResponse { score: Some(to_score(score)), lines }
}

/// The line of one contribution.
pub(super) fn to_line(score: &Score, line: &Line, entry: &Entry) -> proto::ExplanationLine {
    proto::ExplanationLine {
        kind: proto::LineKind::Contribution.into(),
        reason: reason_of(score.definition.measure, entry, score.as_of),
        effect_micros: line.effect,
        contribution_count: 1,
        weight_micros: line.weight_micros,
        contribution: Some(to_contribution(entry, score.as_of)),
    }
}

/// A contribution for the wire, looked at from a moment.
pub(super) fn to_contribution(entry: &Entry, as_of: Timestamp) -> proto::Contribution {
    proto::Contribution {
        interaction: InteractionName::new(entry.interaction).to_string(),
        interaction_version: entry.version,
        interaction_kind: entry.kind.clone(),
        direction: entry.direction.word().to_owned(),
        occurred_time: Some(wire::to_timestamp(entry.occurred_at)),
        recorded_time: Some(wire::to_timestamp(entry.recorded_at)),
        age: Some(to_span(as_of.as_micros().saturating_sub(entry.occurred_at.as_micros()))),
        fresh_weight_micros: entry.weight.micros().into(),
        satisfaction_micros: entry.satisfaction.micros().into(),
        from_valence: entry.from_valence,
    }
}

fn to_span(micros: i64) -> prost_types::Duration {
    wire::to_duration(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

/// A definition for the wire.
pub(crate) fn to_definition(definition: &Definition) -> proto::ScoreDefinition {
    proto::ScoreDefinition {
        name: DefinitionName::of(definition.slug).to_string(),
        display_name: definition.display_name.to_owned(),
        description: definition.description.to_owned(),
        version: definition.version,
        built_in: true,
        half_life: Some(to_span(definition.mean.half_life().as_micros())),
        prior_satisfaction_micros: definition.mean.prior().micros().into(),
        prior_weight_micros: definition.mean.prior_weight().micros().into(),
        measure: match definition.measure {
            Measure::Satisfaction => proto::ScoreMeasure::Satisfaction,
            Measure::Intensity => proto::ScoreMeasure::Intensity,
        }
        .into(),
        rules: definition.rules.iter().chain([&definition.any]).map(to_rule).collect(),
    }
}

fn to_rule(rule: &Rule) -> proto::ContributionRule {
    proto::ContributionRule {
        interaction_kind: rule.kind.to_owned(),
        weight_micros: rule.weight(Direction::Inbound).micros().into(),
        outbound_weight_micros: rule.weight(Direction::Outbound).micros().into(),
        third_party_weight_micros: rule.weight(Direction::ThirdParty).micros().into(),
        default_satisfaction_micros: rule.satisfaction(None).micros().into(),
    }
}

const _: () = assert!(MICROS == 1_000_000, "the contract speaks of millionths");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_wrong_field_is_named() {
        let request = proto::ExplainScoreRequest {
            party: "parties/7".into(),
            definition: "nonsense".into(),
            as_of: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
            line_limit: -1,
            as_known_at: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
        };
        let error = explain_score(&request).unwrap_err();
        let found: Vec<_> = error.violations.iter().map(|one| (one.field.as_str(), one.reason)).collect();
        assert_eq!(
            found,
            [
                ("party", reason::MALFORMED_NAME),
                ("definition", reason::MALFORMED_NAME),
                ("as_of", reason::OUT_OF_RANGE),
                ("as_known_at", reason::OUT_OF_RANGE),
                ("line_limit", reason::OUT_OF_RANGE),
            ]
        );
        let missing = explain_score(&proto::ExplainScoreRequest::default()).unwrap_err();
        assert!(missing.violations.iter().all(|one| one.reason == reason::REQUIRED) && missing.violations.len() == 2);
    }

    #[test]
    fn an_unknown_definition_is_not_found_and_none_means_all() {
        let party = PartyName::new(Uuid::from_u128(7)).to_string();
        let mut request =
            proto::GetScoresRequest { party, definition: "scoreDefinitions/other".into(), ..Default::default() };
        assert_eq!(get_scores(&request).unwrap_err().reason, reason::RESOURCE_NOT_FOUND);
        request.definition.clear();
        assert_eq!(get_scores(&request).unwrap().definitions.len(), Definition::all().len());
    }

    #[test]
    fn a_definition_tells_all_its_rules() {
        let definition = to_definition(Definition::find("relationship-health").unwrap());
        assert_eq!(definition.name, "scoreDefinitions/relationship-health");
        assert_eq!(definition.half_life.unwrap().seconds, 180 * 86_400);
        assert_eq!(definition.rules.last().unwrap().interaction_kind, "*");
        let complaint = definition.rules.iter().find(|rule| rule.interaction_kind == "complaint").unwrap();
        assert_eq!((complaint.weight_micros, complaint.third_party_weight_micros), (3_000_000, 1_500_000));
    }
}
