//! Events: what this service publishes, and what it learns from others.

mod accruals;
mod advocacy;
mod invitation;
mod ledger;
mod reading;

pub(crate) use accruals::Accruals;
pub(crate) use advocacy::Promotion;
pub(crate) use invitation::invitation_changed;
pub(crate) use ledger::{
    accrual_posted, balance_adjusted, member_enrolled, program_published, tier_changed, units_expired,
};
