use rapport_types::error::FieldError;
use rapport_types::text::{Limits, Text};
use rapport_types::{Timestamp, Uuid, reason};

use super::calendar::Zone;
use super::code::coded;

coded! {
    /// Whether a programme is in force.
    ProgramState {
        /// It is being set up.
        Draft = 1,
        /// It is in force.
        Published = 2,
    }
}

coded! {
    /// The calendar period in which qualifying units are counted.
    TierWindow {
        /// A year.
        Year = 1,
        /// Half a year.
        HalfYear = 2,
        /// A quarter.
        Quarter = 3,
        /// A month.
        Month = 4,
    }
}

impl TierWindow {
    /// How many months it has: a divisor of twelve.
    pub(crate) const fn months(self) -> i32 {
        match self {
            TierWindow::Year => 12,
            TierWindow::HalfYear => 6,
            TierWindow::Quarter => 3,
            TierWindow::Month => 1,
        }
    }
}

/// A programme.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Program {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) zone: Zone,
    pub(crate) tier_window: TierWindow,
    pub(crate) state: ProgramState,
    /// Grows with each change of it and of what belongs to it.
    pub(crate) version: i64,
    pub(crate) recorded_at: Timestamp,
    pub(crate) published_at: Option<Timestamp>,
}

/// What people call a programme, a unit type, a rule or a tier: one line of 1 to 100 characters.
pub(crate) fn display_name(text: &str) -> Result<String, FieldError> {
    if text.is_empty() {
        return Err(FieldError::required());
    }
    Text::parse(text, Limits { min: 1, max: 100 }).map(Text::into_string)
}

/// What caused a posting: one line of at most 200 characters, maybe empty.
pub(crate) fn source(text: &str) -> Result<String, FieldError> {
    Text::parse(text, Limits { min: 0, max: 200 }).map(Text::into_string)
}

/// Why a balance is corrected: 1 to 500 characters.
pub(crate) fn grounds(text: &str) -> Result<String, FieldError> {
    if text.is_empty() {
        return Err(FieldError::required());
    }
    Text::parse_lines(text, Limits { min: 1, max: 500 }).map(Text::into_string)
}

/// An integer within bounds.
pub(crate) fn within(value: i32, least: i32, most: i32) -> Result<i32, FieldError> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(FieldError::new(reason::OUT_OF_RANGE, format!("must be from {least} to {most}")))
    }
}

/// An amount of units: 1 or more.
pub(crate) fn positive(value: i64) -> Result<i64, FieldError> {
    if value > 0 { Ok(value) } else { Err(FieldError::new(reason::OUT_OF_RANGE, "must be 1 or more")) }
}

/// An amount of units: 0 or more.
pub(crate) fn not_negative(value: i64) -> Result<i64, FieldError> {
    if value >= 0 { Ok(value) } else { Err(FieldError::new(reason::OUT_OF_RANGE, "must not be negative")) }
}
