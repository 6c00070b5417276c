//! The rules of loyalty. Nothing here knows of a wire, a database or a clock.

mod advocate;
mod book;
mod calendar;
mod catalog;
mod code;
mod funnel;
mod gate;
mod holder;
mod invitation;
mod journal;
mod member;
mod name;
mod program;
mod quiet;
mod rule;
mod tier;
mod unit;

pub(crate) use advocate::{Advocate, InvitationRules, LocalZone};
pub(crate) use book::{File, Holding, Key, Refused};
pub(crate) use calendar::Zone;
pub(crate) use catalog::Catalog;
pub(crate) use funnel::{Funnel, Group};
pub(crate) use gate::{Circumstances, Consent, Gate, Pace, Sent, Verdict, held_out, judge};
pub(crate) use holder::{Announced, Done, Holder, Occasion, TierMove, Unearned};
pub(crate) use invitation::{
    Answer, CaseName, Invitation, InvitationName, InvitationState, Proposal, ResponseName, SurveyName,
};
pub(crate) use journal::{Account, Balance, Entry, EntryKind, Lot, LotState, Use};
pub(crate) use member::Member;
pub(crate) use name::{MemberName, PartyName, ProgramName, RuleName, TierName, TransactionName, UnitTypeName};
pub(crate) use program::{
    Program, ProgramState, TierWindow, display_name, grounds, not_negative, positive, source, within,
};
pub(crate) use quiet::{QuietHours, zone};
pub(crate) use rapport_types::Slug;
pub(crate) use rule::{Award, Nothing, Rounding, Rule, Trigger, TriggerKind};
pub(crate) use tier::{Ladder, Months, Standing, Tier};
pub(crate) use unit::{Expiry, ExpiryKind, UnitKind, UnitType};
