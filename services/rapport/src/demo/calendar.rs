//! Days of the data moved to now: all by the same whole number of days, so that purchases stay as far apart as they were
//! and the last one was yesterday.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

/// How many whole days all dates of a data set are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    days: i64,
}

impl Shift {
    /// The shift that puts `last` on the day before `today`.
    #[must_use]
    pub fn ending_yesterday(last: Date, today: Date) -> Self {
        let yesterday = today.yesterday().unwrap_or(today);
        Self::between(last, yesterday)
    }

    /// The shift that puts `original` on `moved`: how a second run finds the first one's shift in what it reads back.
    #[must_use]
    pub fn between(original: Date, moved: Date) -> Self {
        // Whole days of two civil dates: exact, no zone is involved.
        Self { days: moved.duration_since(original).as_hours() / 24 }
    }

    /// The number of days; negative moves to the past.
    #[must_use]
    pub fn days(self) -> i64 {
        self.days
    }

    /// The moved day. A day that the calendar does not have (before year -9999) stays where it is.
    #[must_use]
    pub fn apply(self, date: Date) -> Date {
        date.checked_add(self.days.days()).unwrap_or(date)
    }
}

/// The moment of a purchase in microseconds since 1970 UTC: its moved day, and a time between 08:00 and 21:59 UTC made
/// from `seed`, as the data has none. The nth purchase of a day is n minutes later, so that their order is kept.
#[must_use]
pub fn moment(day: Date, seed: u64, nth: u32) -> i64 {
    let minute = 8 * 60 + i64::try_from(seed % (12 * 60)).unwrap_or(0) + i64::from(nth.min(100));
    let at = DateTime::from_parts(day, Time::midnight())
        .checked_add(minute.minutes())
        .unwrap_or_else(|_| DateTime::from_parts(day, Time::midnight()));
    micros(at)
}

/// A civil date and time in UTC as microseconds since 1970.
fn micros(at: DateTime) -> i64 {
    at.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp().as_microsecond()).unwrap_or_default()
}

/// The day in UTC of a moment in microseconds since 1970.
#[must_use]
pub fn day_of(micros: i64) -> Date {
    jiff::Timestamp::from_microsecond(micros).map(|at| at.to_zoned(TimeZone::UTC).date()).unwrap_or_default()
}

/// A moment as people read it, in UTC: `2026-03-01 14:05`.
#[must_use]
pub fn readable(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map(|at| at.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_last_day_becomes_yesterday_and_gaps_stay() {
        for today in [date(2026, 3, 1), date(2024, 3, 1), date(2025, 1, 1), date(1990, 5, 5)] {
            let shift = Shift::ending_yesterday(date(1998, 6, 30), today);
            assert_eq!(shift.apply(date(1998, 6, 30)), today.yesterday().unwrap());
            let (a, b) = (date(1997, 1, 1), date(1997, 12, 12));
            assert_eq!(
                shift.apply(b).duration_since(shift.apply(a)),
                b.duration_since(a),
                "the days between two purchases stay the same"
            );
            assert_eq!(Shift::between(a, shift.apply(a)), shift, "read back from one moved date");
        }
    }

    #[test]
    fn moments_stay_on_their_day_and_in_order() {
        let day = date(2026, 2, 28);
        for seed in [0, 1, 719, 720, u64::MAX] {
            let first = moment(day, seed, 1);
            assert_eq!(day_of(first), day);
            assert_eq!(day_of(moment(day, seed, 100)), day);
            assert!(moment(day, seed, 2) > first);
        }
        assert_eq!(readable(moment(date(1970, 1, 1), 0, 0)), "1970-01-01 08:00");
    }
}
