//! BatchGetScores between messages and domain values.

use rapport_proto::scoring::v1 as proto;
use rapport_rpc::wire;
use rapport_types::error::{Collector, Error, FieldError};
use rapport_types::{Timestamp, Uuid, reason};

use super::convert::{definitions, one_or_all, time, to_line, to_score};
use crate::domain::{Definition, PartyName};
use crate::queries::{Details, Summary};

/// Parties of one request at most.
const MOST_PARTIES: usize = 500;
/// Reasons of one score at most.
const MOST_REASONS: usize = 20;
/// A hundred years of 365.25 days, in microseconds.
const LONGEST_WINDOW: i64 = 36_525 * 86_400 * 1_000_000;

/// A request of BatchGetScores, checked.
#[derive(Debug)]
pub(crate) struct BatchGetScores {
    pub(crate) parties: Vec<Uuid>,
    pub(crate) definitions: Vec<&'static Definition>,
    pub(crate) as_of: Option<Timestamp>,
    pub(crate) details: Details,
}

/// # Errors
/// Every wrong field; NotFound for a definition that does not exist.
pub(crate) fn batch_get_scores(request: &proto::BatchGetScoresRequest) -> Result<BatchGetScores, Error> {
    let fields = Collector::new();
    let parties = parties(&fields, &request.parties, 1, MOST_PARTIES);
    let definition = one_or_all(&fields, &request.definition);
    let as_of = time(&fields, "as_of", request.as_of.as_ref());
    let window = request
        .change_window
        .as_ref()
        .and_then(|window| fields.check("change_window", span(window, LONGEST_WINDOW, "100 years")));
    let reasons = fields.check("reason_limit", limit(request.reason_limit)).unwrap_or_default();
    fields.finish()?;
    Ok(BatchGetScores { parties, definitions: definitions(definition)?, as_of, details: Details { window, reasons } })
}

/// Names of parties, `least` to `most` of them.
pub(super) fn parties(fields: &Collector, names: &[String], least: usize, most: usize) -> Vec<Uuid> {
    if names.len() < least {
        fields.push("parties", reason::REQUIRED, "must name at least one party");
    }
    if names.len() > most {
        fields.push("parties", reason::TOO_MANY, format!("must name at most {most} parties"));
        return Vec::new();
    }
    let parsed = names
        .iter()
        .enumerate()
        .filter_map(|(place, name)| fields.check(&format!("parties[{place}]"), PartyName::parse(name)));
    parsed.map(|name| name.uuid()).collect()
}

/// A span from a microsecond to `longest`, in microseconds.
pub(super) fn span(value: &prost_types::Duration, longest: i64, words: &str) -> Result<i64, FieldError> {
    let span = wire::duration(value)?;
    i64::try_from(span.as_micros())
        .ok()
        .filter(|micros| (1..=longest).contains(micros))
        .ok_or_else(|| FieldError::new(reason::OUT_OF_RANGE, format!("must be from 1 microsecond to {words}")))
}

fn limit(limit: i32) -> Result<usize, FieldError> {
    usize::try_from(limit)
        .map(|limit| limit.min(MOST_REASONS))
        .map_err(|_| FieldError::new(reason::OUT_OF_RANGE, "must not be negative"))
}

/// The scores of parties for the wire, in the order of their names as they were asked for.
pub(crate) fn to_batch(names: Vec<String>, found: &[Vec<Summary>]) -> proto::BatchGetScoresResponse {
    let parties = names
        .into_iter()
        .zip(found)
        .map(|(party, summaries)| proto::PartyScores { party, scores: summaries.iter().map(to_summary).collect() });
    proto::BatchGetScoresResponse { parties: parties.collect() }
}

fn to_summary(summary: &Summary) -> proto::ScoreSummary {
    proto::ScoreSummary {
        score: Some(to_score(&summary.score)),
        change_micros: summary.change,
        reasons: summary.reasons.iter().map(|(line, entry)| to_line(&summary.score, line, entry)).collect(),
        details_omitted: summary.omitted,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_wrong_field_is_named() {
        let request = proto::BatchGetScoresRequest {
            parties: vec!["parties/7".into(), String::new()],
            definition: "x".into(),
            as_of: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
            change_window: Some(prost_types::Duration { seconds: 0, nanos: 999 }),
            reason_limit: -1,
        };
        let error = batch_get_scores(&request).unwrap_err();
        let found: Vec<_> = error.violations.iter().map(|one| (one.field.as_str(), one.reason)).collect();
        assert_eq!(
            found,
            [
                ("parties[0]", reason::MALFORMED_NAME),
                ("parties[1]", reason::REQUIRED),
                ("definition", reason::MALFORMED_NAME),
                ("as_of", reason::OUT_OF_RANGE),
                ("change_window", reason::OUT_OF_RANGE),
                ("reason_limit", reason::OUT_OF_RANGE),
            ]
        );
        for (count, expected) in [(0, reason::REQUIRED), (501, reason::TOO_MANY)] {
            let parties = vec![PartyName::new(Uuid::from_u128(7)).to_string(); count];
            let request = proto::BatchGetScoresRequest { parties, ..Default::default() };
            assert_eq!(batch_get_scores(&request).unwrap_err().violations[0].reason, expected);
        }
    }
}
