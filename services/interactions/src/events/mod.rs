//! Events: what this service publishes, and what it learns from others.

mod identity;
mod produced;

pub(crate) use identity::Identity;
pub(crate) use produced::{case_opened, case_transitioned, interaction_recorded};
