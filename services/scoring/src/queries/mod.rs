//! Reads.

mod scores;

pub(crate) use scores::{Explained, Score, Scores};
