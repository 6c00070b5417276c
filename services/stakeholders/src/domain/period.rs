//! From when until when something holds.

use rapport_types::error::FieldError;
use rapport_types::reason;
use rapport_types::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::text::refuse;

/// A half-open period: its start belongs to it, its end does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first moment; `Timestamp::MIN` where it was never bounded.
    pub from: Timestamp,
    /// The first moment after it; `Timestamp::MAX` while it is open.
    pub until: Timestamp,
}

impl Default for Period {
    fn default() -> Period {
        Period::ALWAYS
    }
}

impl Period {
    /// Without bounds.
    pub const ALWAYS: Period = Period { from: Timestamp::MIN, until: Timestamp::MAX };

    /// A period from its bounds, each open when absent.
    ///
    /// # Errors
    /// `END_BEFORE_START` when it would be empty or turned around.
    pub fn parse(from: Option<Timestamp>, until: Option<Timestamp>) -> Result<Period, FieldError> {
        let period = Period { from: from.unwrap_or(Timestamp::MIN), until: until.unwrap_or(Timestamp::MAX) };
        if period.until <= period.from {
            return refuse(reason::END_BEFORE_START, "must be later than the start");
        }
        Ok(period)
    }

    /// Whether the moment lies within.
    pub fn holds_at(&self, moment: Timestamp) -> bool {
        self.from <= moment && moment < self.until
    }

    /// Whether the two share a moment.
    pub fn overlaps(&self, other: &Period) -> bool {
        self.from < other.until && other.from < self.until
    }

    /// The start, where it is bounded.
    pub fn start(&self) -> Option<Timestamp> {
        (self.from != Timestamp::MIN).then_some(self.from)
    }

    /// The end, where it is bounded.
    pub fn end(&self) -> Option<Timestamp> {
        (self.until != Timestamp::MAX).then_some(self.until)
    }
}
