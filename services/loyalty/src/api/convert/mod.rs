//! Between messages and domain values.

pub(crate) mod invitation;
pub(crate) mod ledger;
pub(crate) mod programs;
