//! What runs beside the calls.

mod due_commitments;
mod follow_own;
mod keep_sections;
mod overhear;
mod refresh_sections;

pub(crate) use due_commitments::due_commitments;
#[cfg(test)]
pub(crate) use due_commitments::fall_due;
pub(crate) use follow_own::follow_own;
pub(crate) use keep_sections::Keeper;
pub(crate) use overhear::overhear;
pub(crate) use refresh_sections::refresh_sections;

use crate::queries::{Overheard, Shelf, Touched};

/// What the desk has in memory beside its tables. Clones are the same memory.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    /// Takes what was said while somebody waited for it.
    pub(crate) keeper: Keeper,
    /// Whom the own feed spoke of lately.
    pub(crate) touched: Touched,
    /// What the feeds of others spoke of and the consumers may not have applied.
    pub(crate) overheard: Overheard,
    /// The rows of parties that were asked about lately.
    pub(crate) shelf: Shelf,
}
