//! What runs beside the calls.

mod due_commitments;
mod follow_own;
mod keep_sections;
mod lag;
mod overhear;
mod refresh_sections;

pub(crate) use due_commitments::due_commitments;
#[cfg(test)]
pub(crate) use due_commitments::fall_due;
pub(crate) use follow_own::follow_own;
pub(crate) use keep_sections::Keeper;
pub(crate) use lag::Lag;
pub(crate) use overhear::overhear;
pub(crate) use refresh_sections::refresh_sections;

use crate::queries::{Callers, Shelf, Told, Touched};

/// What the desk has in memory beside its tables. Clones are the same memory.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    /// Takes what was said while somebody waited for it.
    pub(crate) keeper: Keeper,
    /// Whom the own feed spoke of lately.
    pub(crate) touched: Touched,
    /// Of whose cards, consents and ties stakeholders' feed spoke lately.
    pub(crate) stakeholders: Touched,
    /// Of whose scores and worth scoring's feed spoke lately.
    pub(crate) scoring: Touched,
    /// Of whose points and tiers loyalty's feed spoke lately.
    pub(crate) loyalty: Touched,
    /// The rows of parties that were asked about lately.
    pub(crate) shelf: Shelf,
    /// The identifiers that led to somebody lately.
    pub(crate) callers: Callers,
    /// The contexts that were told lately.
    pub(crate) told: Told,
    /// How late answers come lately.
    pub(crate) lag: Lag,
}

impl Memory {
    /// Whom a service's feed spoke of lately; none where nobody listens to it.
    pub(crate) fn heard(&self, source: &str) -> Option<&Touched> {
        match source {
            "stakeholders" => Some(&self.stakeholders),
            "scoring" => Some(&self.scoring),
            "loyalty" => Some(&self.loyalty),
            _ => None,
        }
    }
}
