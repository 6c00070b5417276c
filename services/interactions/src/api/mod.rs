//! One file per service of the contract. Requests become domain values here; rules and SQL are elsewhere.

mod case_service;
mod convert;
mod convert_case;
mod interaction_service;
mod item_error;
mod paging;
mod recording;
mod stream;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use case_service::Cases;
pub(crate) use interaction_service::Interactions;
pub(crate) use recording::index;
#[cfg(test)]
pub(crate) use {convert::interaction, recording::route};
