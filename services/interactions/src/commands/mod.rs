//! The writes, one file each.

mod amend_interaction;
mod assign_case;
mod begin_call;
mod book_due;
mod case_change;
mod create_survey;
mod end_call;
mod end_commitment;
mod make_commitment;
mod open_case;
mod pledges;
mod reassign_interaction;
mod record_interaction;
mod record_survey_response;
mod retract_interaction;
mod revision;
mod settle;
mod talks;
mod transfer_call;
mod transition_case;

pub(crate) use amend_interaction::AmendInteraction;
pub(crate) use assign_case::AssignCase;
pub(crate) use begin_call::BeginCall;
pub(crate) use book_due::BookDue;
pub(crate) use create_survey::CreateSurvey;
pub(crate) use end_call::{EndCall, FollowUp};
pub(crate) use end_commitment::EndCommitment;
pub(crate) use make_commitment::MakeCommitment;
pub(crate) use open_case::OpenCase;
pub(crate) use reassign_interaction::{Reassign, ReassignInteraction};
pub(crate) use record_interaction::{Receipt, RecordInteraction, Recorded};
pub(crate) use record_survey_response::{Answered, RecordSurveyResponse};
pub(crate) use retract_interaction::RetractInteraction;
pub(crate) use revision::{Change, Made};
pub(crate) use transfer_call::TransferCall;
pub(crate) use transition_case::TransitionCase;
