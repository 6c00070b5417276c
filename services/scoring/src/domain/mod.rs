//! The rules of scoring. Nothing here knows of a wire, a database or a clock.

mod clv_model;
mod day;
mod definition;
mod entry;
mod fact;
mod history;
mod ledger;
mod name;
mod network;
mod order_book;
mod population;
mod score;
mod spending;
mod tie;
mod wording;
mod worth;

pub(crate) use clv_model::{ClvModel, Family, FitOrder, Fitted, FittedModel, SpendFitted, Warning};
pub(crate) use day::Day;
pub(crate) use definition::{Definition, Measure, Rule};
pub(crate) use entry::Entry;
pub(crate) use fact::{Direction, Fact, Participation, Revision, Valence};
pub(crate) use history::{Line, Point, PointCause};
pub(crate) use ledger::{Cause, Changes, Key, Ledger, Move, RevisionKey, Subject, SumChange, SumKey, Superseded};
pub(crate) use name::{ClvModelName, DefinitionName, InteractionName, PartyName, RelationshipName, ScoreName};
pub(crate) use network::{Network, Standing};
pub(crate) use order_book::{BookLine, DayKey, DaySum, OrderBook, Purchase, PurchaseKind, Version};
pub(crate) use population::{NoModel, Population};
pub(crate) use score::{Accumulator, Contributions, fast_reading};
pub(crate) use spending::Spending;
pub(crate) use tie::{Tie, TieChange, change_ties};
pub(crate) use wording::{others_reason, prior_reason, reason};
pub(crate) use worth::{Outlook, Worth, worth};

#[cfg(test)]
mod laws;
#[cfg(test)]
mod revision_laws;
