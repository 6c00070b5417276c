use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;

use super::produced::party;
use crate::domain::{CaseName, InteractionName, Measure, Origin, SurveyName, SurveyResponseName};
use crate::store::{ResponseRow, SurveyRow};

/// A survey was created.
pub(crate) fn survey_created(row: &SurveyRow) -> proto::SurveyCreated {
    proto::SurveyCreated {
        survey: SurveyName::new(row.id).to_string(),
        measure: i32::from(row.survey.measure.code()),
        purpose: row.survey.purpose.as_ref().map(ToString::to_string).unwrap_or_default(),
        recorded_time: Some(wire::to_timestamp(row.recorded_at)),
    }
}

/// Somebody answered a survey.
pub(crate) fn survey_response_recorded(
    row: &ResponseRow,
    measure: Measure,
    origin: Origin,
) -> proto::SurveyResponseRecorded {
    let survey = SurveyName::new(row.survey);
    proto::SurveyResponseRecorded {
        response: SurveyResponseName::new(survey, row.id).to_string(),
        survey: survey.to_string(),
        measure: i32::from(measure.code()),
        score: i32::from(row.score),
        category: i32::from(row.category),
        origin: origin.id.to_string(),
        party: party(origin.party),
        role_type: row.role_type.clone(),
        case: row.case.map(|id| CaseName::new(id).to_string()).unwrap_or_default(),
        interaction: InteractionName::new(row.interaction).to_string(),
        occurred_time: Some(wire::to_timestamp(row.occurred_at)),
        recorded_time: Some(wire::to_timestamp(row.recorded_at)),
        about: row.about.map(|id| InteractionName::new(id).to_string()).unwrap_or_default(),
    }
}
