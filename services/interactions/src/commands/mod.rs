//! The writes, one file each.

mod amend_interaction;
mod begin_call;
mod create_survey;
mod end_call;
mod open_case;
mod record_interaction;
mod record_survey_response;
mod retract_interaction;
mod revision;
mod transition_case;

pub(crate) use amend_interaction::AmendInteraction;
pub(crate) use begin_call::BeginCall;
pub(crate) use create_survey::CreateSurvey;
pub(crate) use end_call::EndCall;
pub(crate) use open_case::OpenCase;
pub(crate) use record_interaction::{Receipt, RecordInteraction, Recorded};
pub(crate) use record_survey_response::{Answered, RecordSurveyResponse};
pub(crate) use retract_interaction::RetractInteraction;
pub(crate) use revision::{Change, Made};
pub(crate) use transition_case::TransitionCase;
