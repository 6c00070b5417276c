//! The rules of scoring. Nothing here knows of a wire, a database or a clock.

mod definition;
mod entry;
mod fact;
mod ledger;
mod name;
mod score;
mod wording;

pub(crate) use definition::{Definition, Rule};
pub(crate) use entry::Entry;
pub(crate) use fact::{Direction, Fact, Participation, Valence};
pub(crate) use ledger::{Cause, Changes, Key, Ledger, Move, Subject, SumChange, SumKey, Superseded};
pub(crate) use name::{DefinitionName, InteractionName, PartyName, ScoreName};
pub(crate) use score::{Accumulator, Contributions, fast_reading};
pub(crate) use wording::{others_reason, prior_reason, reason};

#[cfg(test)]
mod laws;
