//! The writes, one file each.

mod open_case;
mod record_interaction;
mod transition_case;

pub(crate) use open_case::OpenCase;
pub(crate) use record_interaction::{Receipt, RecordInteraction, Recorded};
pub(crate) use transition_case::TransitionCase;
