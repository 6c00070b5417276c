//! The writes, one file each.

mod invite_advocate;
mod respond_to_invitation;
mod settle_due;
mod standings;

pub(crate) use invite_advocate::{InviteAdvocate, Inviting};
pub(crate) use respond_to_invitation::RespondToInvitation;
pub(crate) use settle_due::{BookExpired, SendScheduled};
pub(crate) use standings::Standings;

mod change_program;
mod earn;
mod enroll_member;
#[cfg(test)]
mod ledger_tests;
mod post;
mod settle_members;
mod told;

pub(crate) use change_program::{Change, ChangeProgram, Receipt};
pub(crate) use earn::{Earning, Unearning, earn};
pub(crate) use enroll_member::{EnrollMember, Enrolled};
pub(crate) use post::{Post, Posted, What};
pub(crate) use settle_members::SettleMembers;
