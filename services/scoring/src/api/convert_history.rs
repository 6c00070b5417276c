//! ListScoreHistory between messages and domain values.

use rapport_proto::scoring::v1 as proto;
use rapport_rpc::{Call, wire};
use rapport_store::{Binding, Pages};
use rapport_types::error::{Collector, Error};
use rapport_types::{PageSize, Timestamp, Uuid, reason};
use serde::{Deserialize, Serialize};

use super::convert::{checked, find, time, to_contribution};
use super::convert_batch::span;
use crate::domain::{Definition, DefinitionName, Line, PartyName, Point, PointCause};
use crate::queries::History;

/// Steps of one line at most.
const MOST_STEPS: i64 = 10_000;
/// How long a line is where its start is left out, in microseconds: 365 days.
const USUAL_LENGTH: i64 = 365 * 86_400 * 1_000_000;
/// Longer than any line.
const LONGEST_STEP: i64 = i64::MAX;
/// Contributions that a point shows at most.
const MOST_SHOWN: usize = 20;

/// A request of ListScoreHistory, checked.
#[derive(Debug)]
pub(crate) struct ListScoreHistory {
    pub(crate) party: Uuid,
    pub(crate) definition: &'static Definition,
    pub(crate) line: Line,
    pub(crate) known_at: Option<Timestamp>,
    pub(crate) after: Option<Timestamp>,
    pub(crate) limit: usize,
}

/// Where the next page goes on: what was left out of the request stays what it was on the first page.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Mark {
    start: i64,
    end: i64,
    after: i64,
}

/// What a page token belongs to: all that fixes the line.
pub(crate) fn binding(call: &Call, request: &proto::ListScoreHistoryRequest) -> Binding {
    let proto::ListScoreHistoryRequest { party, definition, start_time, end_time, step, as_known_at, .. } = request;
    let line = format!("{party} {definition} {start_time:?} {end_time:?} {step:?} {as_known_at:?}");
    Binding::new(call.tenant(), call.method, &line, "point_time")
}

/// The page token's content.
///
/// # Errors
/// Invalid, `INVALID_PAGE_TOKEN`.
pub(crate) fn page(
    pages: &Pages,
    binding: &Binding,
    request: &proto::ListScoreHistoryRequest,
) -> Result<Option<Mark>, Error> {
    pages.open(binding, &request.page_token)
}

/// # Errors
/// Every wrong field; the page's; NotFound for a definition that does not exist.
pub(crate) fn list_score_history(
    request: &proto::ListScoreHistoryRequest,
    page: Result<Option<Mark>, Error>,
    now: Timestamp,
) -> Result<ListScoreHistory, Error> {
    let fields = Collector::new();
    let party = fields.check("party", PartyName::parse(&request.party));
    let definition = fields.check("definition", DefinitionName::parse(&request.definition));
    let start = time(&fields, "start_time", request.start_time.as_ref());
    let end = time(&fields, "end_time", request.end_time.as_ref());
    let step = request.step.as_ref().and_then(|step| fields.check("step", span(step, LONGEST_STEP, "10,000 years")));
    let known_at = time(&fields, "as_known_at", request.as_known_at.as_ref());
    let limit = fields.check("page_size", PageSize::parse(request.page_size)).unwrap_or_default();
    let end = end.unwrap_or(now);
    let usual = Timestamp::from_micros(end.as_micros().saturating_sub(USUAL_LENGTH)).max(Timestamp::MIN);
    let mut line = Line { start: start.unwrap_or(usual), end, step };
    if line.end < line.start {
        fields.push(
            "end_time",
            reason::END_BEFORE_START,
            "must not be before start_time, and is now where it is left out",
        );
    } else if line.steps() > MOST_STEPS {
        fields.push("step", reason::OUT_OF_RANGE, format!("must cut the line into at most {MOST_STEPS} steps"));
    }
    fields.finish()?;
    let mark = page?;
    if let Some(mark) = mark {
        line.start = Timestamp::from_micros(mark.start);
        line.end = Timestamp::from_micros(mark.end);
    }
    Ok(ListScoreHistory {
        party: checked(party)?.uuid(),
        definition: find(&checked(definition)?)?,
        line,
        known_at,
        after: mark.map(|mark| Timestamp::from_micros(mark.after)),
        limit: limit.get(),
    })
}

/// A page of a history for the wire.
///
/// # Errors
/// Internal.
pub(crate) fn to_history(
    pages: &Pages,
    binding: &Binding,
    asked: &ListScoreHistory,
    history: &History,
) -> Result<proto::ListScoreHistoryResponse, Error> {
    let next_page_token = match history.points.last().filter(|_| history.more) {
        Some(last) => {
            let (start, end) = (asked.line.start.as_micros(), asked.line.end.as_micros());
            pages.seal(binding, &Mark { start, end, after: last.at.as_micros() })?
        }
        None => String::new(),
    };
    let points = history.points.iter().map(|point| to_point(point, history)).collect();
    Ok(proto::ListScoreHistoryResponse { points, next_page_token })
}

fn to_point(point: &Point, history: &History) -> proto::ScorePoint {
    let cause = match point.cause {
        PointCause::Start => proto::PointCause::Start,
        PointCause::Contributions => proto::PointCause::Contributions,
        PointCause::Step => proto::PointCause::Step,
        PointCause::End => proto::PointCause::End,
    };
    let shown = point.since.start.max(point.since.end.saturating_sub(MOST_SHOWN))..point.since.end;
    proto::ScorePoint {
        cause: cause.into(),
        point_time: Some(wire::to_timestamp(point.at)),
        value_micros: point.reading.value_micros,
        evidence: Some(proto::Evidence {
            weight_micros: point.reading.weight_micros,
            contribution_count: point.reading.count,
        }),
        effect_micros: point.effect,
        contribution_count: i64::try_from(point.since.len()).unwrap_or(i64::MAX),
        contributions: shown
            .filter_map(|place| history.contributions.get(place))
            .map(|entry| to_contribution(entry, point.at))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn request() -> proto::ListScoreHistoryRequest {
        proto::ListScoreHistoryRequest {
            party: PartyName::new(Uuid::from_u128(7)).to_string(),
            definition: "scoreDefinitions/engagement".into(),
            ..Default::default()
        }
    }

    fn read(request: &proto::ListScoreHistoryRequest) -> Result<ListScoreHistory, Error> {
        list_score_history(request, Ok(None), Timestamp::from_micros(USUAL_LENGTH))
    }

    #[test]
    fn a_line_is_the_last_year_unless_it_is_said() {
        let asked = read(&request()).unwrap();
        assert_eq!(asked.line, Line { start: Timestamp::EPOCH, end: Timestamp::from_micros(USUAL_LENGTH), step: None });
        assert_eq!((asked.limit, asked.after), (50, None));
        let mark = Mark { start: 1, end: 3, after: 2 };
        let paged = list_score_history(&request(), Ok(Some(mark)), Timestamp::MAX).unwrap();
        assert_eq!((paged.line.start.as_micros(), paged.line.end.as_micros()), (1, 3));
    }

    #[test]
    fn every_wrong_field_is_named() {
        let seconds = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
        let wrong = proto::ListScoreHistoryRequest {
            start_time: Some(seconds(5)),
            end_time: Some(seconds(4)),
            page_size: -1,
            step: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
            ..Default::default()
        };
        let error = read(&wrong).unwrap_err();
        let found: Vec<_> = error.violations.iter().map(|one| (one.field.as_str(), one.reason)).collect();
        assert_eq!(
            found,
            [
                ("party", reason::REQUIRED),
                ("definition", reason::REQUIRED),
                ("step", reason::OUT_OF_RANGE),
                ("page_size", reason::OUT_OF_RANGE),
                ("end_time", reason::END_BEFORE_START),
            ]
        );
        let step = Some(prost_types::Duration { seconds: 365 * 86_400 / 10_001, nanos: 0 });
        let fine = read(&proto::ListScoreHistoryRequest { step, ..request() }).unwrap_err();
        assert_eq!((fine.violations[0].field.as_str(), fine.violations[0].reason), ("step", reason::OUT_OF_RANGE));
    }
}
