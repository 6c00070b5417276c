use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::survey_stats::Figures as Wire;
use rapport_rpc::wire;
use rapport_types::Uuid;
use rapport_types::error::Collector;
use rapport_types::time::Timestamp;

use super::convert::{channel, named, provenance, to_interaction};
use crate::domain::{
    CaseName, Confidence, Figures, InteractionName, Interval, Measure, NewInteraction, NewResponse, Slug, Survey,
    SurveyName, SurveyResponseName,
};
use crate::queries::{ResponseView, SurveyStats};
use crate::store::SurveyRow;

/// Reads a survey that is to be created. What is wrong goes to `fields`, all of it.
pub(super) fn survey(fields: &Collector, message: &proto::Survey) -> Option<Survey> {
    let measure = fields.check("measure", Measure::parse(message.measure));
    let question = fields.check("question", Survey::question(&message.question));
    let language = fields.check("language_code", rapport_types::text::language(&message.language_code));
    let purpose = fields.check("purpose", Slug::parse_optional(&message.purpose));
    Some(Survey { measure: measure?, question: question?, language: language?, purpose: purpose? })
}

/// Reads a response that is to be recorded. What is wrong goes to `fields`, all of it; whether the score is on the
/// scale, the survey knows.
pub(super) fn response(fields: &Collector, message: &proto::SurveyResponse, now: Timestamp) -> Option<NewResponse> {
    let named = named(fields, &message.party, message.identifier_used.as_ref());
    let role_type = fields.check("role_type", Slug::parse_optional(&message.role_type));
    let score = fields.required("score", message.score);
    let comment = fields.check("comment", NewInteraction::body(&message.comment));
    let channel = channel(fields, message.channel.as_ref());
    let case = reference(&message.case, |name| fields.check("case", CaseName::parse(name)).map(|name| name.uuid()));
    let about =
        reference(&message.about, |name| fields.check("about", InteractionName::parse(name)).map(|name| name.uuid()));
    let occurred_at = fields
        .required("occurred_time", message.occurred_time.as_ref())
        .and_then(|time| fields.check("occurred_time", wire::occurred(Some(time), now)));
    let provenance = provenance(&fields.at("provenance"), message.provenance.as_ref());
    Some(NewResponse {
        named: named?,
        role_type: role_type?,
        score: score?,
        comment: comment?,
        channel: channel?,
        case: case?,
        about: about?,
        occurred_at: occurred_at?,
        provenance: provenance?,
    })
}

/// A name that may be empty, but not wrong.
fn reference(name: &str, parse: impl FnOnce(&str) -> Option<Uuid>) -> Option<Option<Uuid>> {
    if name.is_empty() { Some(None) } else { parse(name).map(Some) }
}

/// A survey for the wire.
pub(super) fn to_survey(id: Uuid, survey: &Survey, recorded_at: Timestamp) -> proto::Survey {
    proto::Survey {
        name: SurveyName::new(id).to_string(),
        measure: i32::from(survey.measure.code()),
        question: survey.question.clone(),
        language_code: survey.language.clone(),
        purpose: survey.purpose.as_ref().map(ToString::to_string).unwrap_or_default(),
        recorded_time: Some(wire::to_timestamp(recorded_at)),
    }
}

/// A survey as it is kept, for the wire.
pub(super) fn to_kept(row: &SurveyRow) -> proto::Survey {
    to_survey(row.id, &row.survey, row.recorded_at)
}

/// A response for the wire.
pub(super) fn to_response(view: ResponseView) -> proto::SurveyResponse {
    let row = view.row;
    let mut interaction = to_interaction(view.interaction);
    // The respondent is the one participant.
    let respondent = interaction.participants.pop().unwrap_or_default();
    proto::SurveyResponse {
        name: SurveyResponseName::new(SurveyName::new(row.survey), row.id).to_string(),
        party: respondent.party,
        identifier_used: respondent.identifier_used,
        role_type: respondent.role_type,
        attribution: respondent.attribution,
        origin: respondent.origin,
        score: Some(i32::from(row.score)),
        category: i32::from(row.category),
        comment: interaction.body,
        channel: interaction.channel,
        case: row.case.map(|id| CaseName::new(id).to_string()).unwrap_or_default(),
        about: row.about.map(|id| InteractionName::new(id).to_string()).unwrap_or_default(),
        interaction: interaction.name,
        occurred_time: Some(wire::to_timestamp(row.occurred_at)),
        recorded_time: Some(wire::to_timestamp(row.recorded_at)),
        retracted_time: row.retracted_at.map(wire::to_timestamp),
        provenance: interaction.provenance,
    }
}

/// A count for the wire.
fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What a survey says, for the wire.
pub(super) fn to_stats(stats: SurveyStats, confidence: Confidence) -> proto::SurveyStats {
    let counts = stats
        .tally
        .counts()
        .map(|(score, responses)| proto::ScoreCount { score: i32::from(score), responses: count(responses) });
    let figures = stats.figures.map(|figures| match figures {
        Figures::Nps(nps) => Wire::Nps(proto::NpsFigures {
            promoters: count(nps.groups.promoters),
            passives: count(nps.groups.passives),
            detractors: count(nps.groups.detractors),
            score: nps.score,
            variance: nps.variance,
            standard_error: nps.standard_error,
            intervals: nps.intervals.into_iter().map(to_interval).collect(),
        }),
        Figures::Csat(share) => Wire::Csat(proto::CsatFigures {
            satisfied: count(share.count),
            score: share.percent,
            intervals: vec![to_interval(share.interval)],
        }),
        Figures::Ces(share, mean) => Wire::Ces(proto::CesFigures {
            easy: count(share.count),
            score: share.percent,
            mean,
            intervals: vec![to_interval(share.interval)],
        }),
    });
    proto::SurveyStats {
        survey: SurveyName::new(stats.survey.id).to_string(),
        measure: i32::from(stats.survey.survey.measure.code()),
        responses: count(stats.tally.n()),
        counts: counts.collect(),
        confidence_level: confidence.level(),
        figures,
    }
}

fn to_interval(interval: Interval) -> proto::Interval {
    proto::Interval { method: i32::from(interval.method.code()), lower: interval.lower, upper: interval.upper }
}
