//! Events: what this service publishes, and what it learns from others.

mod commitments;
mod desk;
mod desk_loyalty;
mod desk_parties;
mod desk_scores;
mod identity;
mod named;
mod pace;
mod produced;
mod surveys;
mod versions;

pub(crate) use commitments::{
    assignee, case_assigned, commitment_ended, commitment_fell_due, commitment_made, commitment_reassigned,
};
pub(crate) use desk::{DESK, whom};
pub(crate) use desk_loyalty::DeskLoyalty;
pub(crate) use desk_parties::DeskParties;
pub(crate) use desk_scores::DeskScores;
pub(crate) use identity::Identity;
#[cfg(test)]
pub(crate) use identity::tests::{holder, learn};
pub(crate) use named::named;
pub(crate) use produced::{case_linked, case_opened, case_reassigned, case_transitioned, interaction_recorded};
pub(crate) use surveys::{survey_created, survey_response_recorded};
pub(crate) use versions::{interaction_amended, interaction_retracted, participants};
