use rapport_types::error::FieldError;
use rapport_types::{Timestamp, Uuid, reason};

use super::calendar::Zone;
use super::code::coded;
use super::program::within;

coded! {
    /// What units are for.
    UnitKind {
        /// They can be spent.
        Redeemable = 1,
        /// They lead to tiers.
        Qualifying = 2,
        /// They stand for what somebody did for others.
        Social = 3,
    }
}

coded! {
    /// How the time until units expire is counted.
    ExpiryKind {
        /// They never expire.
        Never = 1,
        /// In days.
        Days = 2,
        /// In months.
        Months = 3,
        /// To the end of a month.
        EndOfMonth = 4,
    }
}

/// When units expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    pub(crate) kind: ExpiryKind,
    pub(crate) count: i32,
}

impl Expiry {
    /// Never.
    pub(crate) const NEVER: Expiry = Expiry { kind: ExpiryKind::Never, count: 0 };

    /// A checked count.
    pub(crate) fn count(kind: ExpiryKind, count: i32) -> Result<i32, FieldError> {
        match kind {
            ExpiryKind::Never => within(count, 0, 0),
            ExpiryKind::Days => within(count, 1, 3660),
            ExpiryKind::Months => within(count, 1, 1200),
            ExpiryKind::EndOfMonth => within(count, 0, 1200),
        }
    }

    /// The instant from which on units are not available any more. [`Timestamp::MAX`] stands for never.
    pub(crate) fn expires_at(self, zone: &Zone, earned_at: Timestamp) -> Timestamp {
        match self.kind {
            ExpiryKind::Never => Timestamp::MAX,
            ExpiryKind::Days => zone.after_days(earned_at, self.count),
            ExpiryKind::Months => zone.after_months(earned_at, self.count),
            ExpiryKind::EndOfMonth => zone.month_end(earned_at, self.count),
        }
    }

    /// The fewest days that units live.
    fn least_days(self) -> i32 {
        match self.kind {
            ExpiryKind::Never => i32::MAX,
            ExpiryKind::Days => self.count,
            ExpiryKind::Months | ExpiryKind::EndOfMonth => self.count.saturating_mul(28),
        }
    }
}

/// Something that can be earned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UnitType {
    pub(crate) id: Uuid,
    pub(crate) program: Uuid,
    pub(crate) display_name: String,
    pub(crate) kind: UnitKind,
    pub(crate) minor_digits: i32,
    pub(crate) expiry: Expiry,
    pub(crate) pending_days: i32,
    pub(crate) recorded_at: Timestamp,
}

impl UnitType {
    /// Checked days of waiting: units must not expire before they are available.
    pub(crate) fn pending_days(days: i32, expiry: Expiry) -> Result<i32, FieldError> {
        let days = within(days, 0, 3660)?;
        if days > 0 && days >= expiry.least_days() {
            return Err(FieldError::new(reason::CONFLICTING_FIELDS, "must be less than the days until units expire"));
        }
        Ok(days)
    }

    /// When units that were earned then become available, and when they expire.
    pub(crate) fn times(&self, zone: &Zone, earned_at: Timestamp) -> (Timestamp, Timestamp) {
        let available_at =
            if self.pending_days == 0 { earned_at } else { zone.after_days(earned_at, self.pending_days) };
        (available_at, self.expiry.expires_at(zone, earned_at))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn units_are_available_before_they_expire() {
        let days = |count| Expiry { kind: ExpiryKind::Days, count };
        assert_eq!(UnitType::pending_days(9, days(10)).unwrap(), 9);
        assert_eq!(UnitType::pending_days(10, days(10)).unwrap_err().reason, reason::CONFLICTING_FIELDS);
        let end = Expiry { kind: ExpiryKind::EndOfMonth, count: 0 };
        assert!(UnitType::pending_days(1, end).is_err() && UnitType::pending_days(0, end).is_ok());
        assert!(UnitType::pending_days(3660, Expiry::NEVER).is_ok());
        assert_eq!(UnitType::pending_days(-1, Expiry::NEVER).unwrap_err().reason, reason::OUT_OF_RANGE);
    }

    #[test]
    fn counts_have_bounds() {
        assert!(Expiry::count(ExpiryKind::Never, 0).is_ok() && Expiry::count(ExpiryKind::Never, 1).is_err());
        assert!(Expiry::count(ExpiryKind::Days, 0).is_err() && Expiry::count(ExpiryKind::EndOfMonth, 0).is_ok());
        assert!(Expiry::count(ExpiryKind::Months, 1201).is_err());
    }
}
