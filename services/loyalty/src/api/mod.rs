//! One file per service of the contract. Requests become domain values here; rules and SQL are elsewhere.

mod advocacy_service;
mod convert;
mod ledger_service;
mod member_service;
mod paging;
mod program_service;
mod tier_service;

pub(crate) use advocacy_service::Advocacy;
pub(crate) use ledger_service::Ledger;
pub(crate) use member_service::Members;
pub(crate) use program_service::Programs;
pub(crate) use tier_service::Tiers;
