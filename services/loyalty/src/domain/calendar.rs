//! Days and months of a zone. A stored instant never moves; what a day is, the zone's rules say.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use rapport_types::{FieldError, Timestamp, reason};

/// The month after the calendar's last one.
const BEYOND: i32 = 10_000 * 12;

/// A time zone of the IANA database.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// Reads the name of a zone, such as `Europe/Lisbon`.
    ///
    /// # Errors
    /// REQUIRED, TOO_LONG, MALFORMED.
    pub(crate) fn parse(name: &str) -> Result<Zone, FieldError> {
        if name.is_empty() {
            return Err(FieldError::required());
        }
        if name.len() > 64 {
            return Err(FieldError::new(reason::TOO_LONG, "must have at most 64 characters"));
        }
        let wrong =
            || FieldError::new(reason::MALFORMED, "must be a time zone of the IANA database, like Europe/Lisbon");
        let zone = TimeZone::get(name).map_err(|_| wrong())?;
        // Names are compared as text elsewhere, so only the one true spelling is taken.
        if zone.iana_name() == Some(name) { Ok(Zone(zone)) } else { Err(wrong()) }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    fn local(&self, time: Timestamp) -> Option<Zoned> {
        jiff::Timestamp::from_microsecond(time.as_micros()).ok().map(|time| time.to_zoned(self.0.clone()))
    }

    /// The same time of day so many days later; the end of time where the calendar has no such day. A time of day that a
    /// change of the clock leaves out is as much later as the clock jumps.
    pub(crate) fn after_days(&self, time: Timestamp, days: i32) -> Timestamp {
        self.later(time, Span::new().try_days(days).ok())
    }

    /// The same day of the month and time of day so many months later; the last day of that month where it is shorter.
    pub(crate) fn after_months(&self, time: Timestamp, months: i32) -> Timestamp {
        self.later(time, Span::new().try_months(months).ok())
    }

    fn later(&self, time: Timestamp, span: Option<Span>) -> Timestamp {
        span.zip(self.local(time))
            .and_then(|(span, local)| local.checked_add(span).ok())
            .map_or(Timestamp::MAX, |later| Timestamp::from_micros(later.timestamp().as_microsecond()))
    }

    /// The end of the month that comes so many months after the one of `time`: the first instant of the month after it.
    pub(crate) fn month_end(&self, time: Timestamp, months: i32) -> Timestamp {
        self.month_start(self.month(time).saturating_add(months).saturating_add(1))
    }

    /// Which month `time` falls into, counted from January of the year 0.
    pub(crate) fn month(&self, time: Timestamp) -> i32 {
        match self.local(time) {
            Some(local) => i32::from(local.year()) * 12 + i32::from(local.month()) - 1,
            // The last days of the year 9999 are beyond the calendar.
            None if time > Timestamp::EPOCH => BEYOND,
            None => 0,
        }
    }

    /// The first instant of a month; the end of time beyond the calendar.
    pub(crate) fn month_start(&self, month: i32) -> Timestamp {
        let year = i16::try_from(month.div_euclid(12)).ok();
        let month = i8::try_from(month.rem_euclid(12) + 1).ok();
        year.zip(month)
            .and_then(|(year, month)| Date::new(year, month, 1).ok())
            .and_then(|date| date.to_zoned(self.0.clone()).ok())
            .and_then(|local| local.start_of_day().ok())
            .map_or(Timestamp::MAX, |start| Timestamp::from_micros(start.timestamp().as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn lisbon() -> Zone {
        Zone::parse("Europe/Lisbon").unwrap()
    }

    #[test]
    fn names_are_those_of_the_database() {
        assert_eq!(lisbon().name(), "Europe/Lisbon");
        for wrong in ["europe/lisbon", "Lisbon", "+01:00", "EST5EDT,M3.2.0,M11.1.0", "a/../b", "Europe/Lisbon\0"] {
            assert_eq!(Zone::parse(wrong).unwrap_err().reason, reason::MALFORMED, "{wrong}");
        }
        assert_eq!(Zone::parse("").unwrap_err().reason, reason::REQUIRED);
        assert_eq!(Zone::parse(&"x".repeat(65)).unwrap_err().reason, reason::TOO_LONG);
    }

    #[test]
    fn months_end_where_they_end() {
        let zone = lisbon();
        assert_eq!(zone.after_months(at("2024-01-31T10:00:00Z"), 1), at("2024-02-29T10:00:00Z"));
        assert_eq!(zone.after_months(at("2023-01-31T10:00:00Z"), 1), at("2023-02-28T10:00:00Z"));
        assert_eq!(zone.after_months(at("2024-02-29T10:00:00Z"), 12), at("2025-02-28T10:00:00Z"));
        // In June Lisbon is an hour ahead: the month ends an hour before UTC's.
        assert_eq!(zone.month_end(at("2024-06-15T10:00:00Z"), 0), at("2024-06-30T23:00:00Z"));
        assert_eq!(zone.month_end(at("2024-06-30T23:30:00Z"), 0), at("2024-07-31T23:00:00Z"));
        assert_eq!(zone.month_end(at("2024-01-31T10:00:00Z"), 1), at("2024-03-01T00:00:00Z"));
    }

    #[test]
    fn days_keep_the_time_of_day_over_a_change_of_the_clock() {
        let zone = lisbon();
        // The clock went forward on 31 March 2024 at 01:00: 23 hours for that day.
        assert_eq!(zone.after_days(at("2024-03-30T10:00:00Z"), 1), at("2024-03-31T09:00:00Z"));
        assert_eq!(zone.after_days(at("2024-10-26T09:00:00Z"), 1), at("2024-10-27T10:00:00Z"));
        // 01:30 did not exist that day.
        assert_eq!(zone.after_days(at("2024-03-30T01:30:00Z"), 1), at("2024-03-31T01:30:00Z"));
        // Midnight did not exist in Sao Paulo on 4 November 2018.
        let sao_paulo = Zone::parse("America/Sao_Paulo").unwrap();
        assert_eq!(sao_paulo.after_days(at("2018-11-03T03:00:00Z"), 1), at("2018-11-04T03:00:00Z"));
    }

    #[test]
    fn the_end_of_the_calendar_is_the_end_of_time() {
        assert_eq!(lisbon().after_days(Timestamp::MAX, 1), Timestamp::MAX);
        assert_eq!(lisbon().after_months(Timestamp::MAX, 1200), Timestamp::MAX);
        assert_eq!(lisbon().month_end(Timestamp::MAX, 0), Timestamp::MAX);
        lisbon().month_start(i32::MAX);
        lisbon().month_start(i32::MIN);
    }

    proptest! {
        #[test]
        fn a_month_holds_its_times(micros in -60_000_000_000_000_000i64..250_000_000_000_000_000, which in 0usize..5) {
            let zone = Zone::parse(["UTC", "Europe/Lisbon", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu"][which]).unwrap();
            let time = Timestamp::from_micros(micros);
            let month = zone.month(time);
            prop_assert!(zone.month_start(month) <= time);
            prop_assert!(time < zone.month_start(month + 1));
            prop_assert_eq!(zone.month_end(time, 0), zone.month_start(month + 1));
            prop_assert!(zone.after_days(time, 1) > time);
            prop_assert!(zone.after_months(time, 1) > time);
        }
    }
}
