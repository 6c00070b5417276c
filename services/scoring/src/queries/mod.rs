//! Reads.

mod network;
mod scores;
mod summaries;
mod values;

pub(crate) use network::{Computed, Networks, Several};
pub(crate) use scores::{Explained, History, Score, Scores, When};
pub(crate) use summaries::{Details, Summary};
pub(crate) use values::{Answer, Question, Values};

#[cfg(test)]
mod tests;
