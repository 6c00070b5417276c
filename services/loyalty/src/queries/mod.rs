//! The reads.

mod accounts;
mod advocates;
mod funnel;
mod invitations;
mod programs;

pub(crate) use accounts::{balances, journal, lots, standing};
pub(crate) use advocates::{Advocates, Candidate};
pub(crate) use funnel::advocacy_funnel;
pub(crate) use invitations::{InvitationList, InvitationView, get_invitation, list_invitations, show_invitation};
pub(crate) use programs::{find_catalog, find_member, list_members, list_programs};
