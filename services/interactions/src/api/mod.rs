//! One file per service of the contract. Requests become domain values here; rules and SQL are elsewhere.

mod advice;
mod case_service;
#[cfg(test)]
mod case_version_tests;
mod commitment_service;
#[cfg(test)]
mod commitment_tests;
mod context;
mod context_change;
#[cfg(test)]
mod conversation_order_tests;
#[cfg(test)]
mod conversation_tests;
mod convert;
mod convert_amendment;
mod convert_call;
mod convert_case;
mod convert_commitment;
mod convert_survey;
mod desk_again;
mod desk_context;
mod desk_service;
#[cfg(test)]
mod desk_tests;
mod interaction_service;
mod item_error;
mod network;
mod network_bonds;
mod network_kept;
mod network_lack;
mod network_parts;
#[cfg(test)]
mod overheard_tests;
mod own;
#[cfg(test)]
mod own_tests;
mod paging;
#[cfg(test)]
mod pledge_tests;
#[cfg(test)]
mod reassign_tests;
mod recording;
mod seen;
mod stream;
mod survey_service;
#[cfg(test)]
mod survey_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod version_tests;
mod watch;
mod watch_context;
#[cfg(test)]
mod watch_context_tests;

pub(crate) use case_service::Cases;
pub(crate) use commitment_service::Commitments;
pub(crate) use desk_service::Desk;
pub(crate) use interaction_service::Interactions;
pub(crate) use recording::index;
pub(crate) use survey_service::Surveys;
#[cfg(test)]
pub(crate) use {convert::interaction, recording::route};
