use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use rapport_types::{FieldError, Timestamp, reason};
use serde::{Deserialize, Serialize};

/// A calendar day, counted from 1970-01-01. Its text is `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Day(i32);

const SECONDS: i64 = 86_400;

impl Day {
    /// The day with this number.
    pub(crate) const fn from_number(number: i32) -> Day {
        Day(number)
    }

    /// Days since 1970-01-01.
    pub(crate) const fn number(self) -> i32 {
        self.0
    }

    /// The day that it is at a moment in a zone.
    pub(crate) fn of(time: Timestamp, zone: &TimeZone) -> Day {
        // The last hours of the year 9999 lie beyond what the calendar counts: they keep the offset of UTC.
        let offset = jiff::Timestamp::from_microsecond(time.as_micros())
            .map_or(0, |moment| i64::from(zone.to_offset(moment).seconds()));
        let seconds = time.as_micros().div_euclid(1_000_000) + offset;
        Day(i32::try_from(seconds.div_euclid(SECONDS)).unwrap_or(i32::MAX))
    }

    /// Reads `YYYY-MM-DD`.
    ///
    /// # Errors
    /// `MALFORMED` for another form or a day that does not exist.
    pub(crate) fn parse(text: &str) -> Result<Day, FieldError> {
        let wrong = || FieldError::new(reason::MALFORMED, "must be a day of the calendar, like 2026-01-31");
        let bytes = text.as_bytes();
        let plain = bytes.len() == 10
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                4 | 7 => *byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if !plain {
            return Err(wrong());
        }
        let date: Date = text.parse().map_err(|_| wrong())?;
        let since = date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?.timestamp().as_second();
        i32::try_from(since.div_euclid(SECONDS)).map(Day).map_err(|_| wrong())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = Timestamp::from_micros(i64::from(self.0) * SECONDS * 1_000_000).to_string();
        f.write_str(start.get(..10).unwrap_or(&start))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn days_go_there_and_back() {
        for (text, number) in [("1970-01-01", 0), ("1969-12-31", -1), ("1997-09-30", 10_134), ("2024-02-29", 19_782)] {
            assert_eq!(Day::parse(text).unwrap(), Day(number), "{text}");
            assert_eq!(Day(number).to_string(), text);
        }
        for text in
            ["", "1997-9-30", "19970930", "1997-09-31", "2023-02-29", "1997-09-30T10:00", "1997/09/30", "x997-09-30"]
        {
            assert_eq!(Day::parse(text).unwrap_err().reason, reason::MALFORMED, "{text}");
        }
    }

    #[test]
    fn a_day_is_that_of_the_zone() {
        let late = Timestamp::parse("2026-01-05T23:30:00Z").unwrap();
        assert_eq!(Day::of(late, &TimeZone::UTC).to_string(), "2026-01-05");
        let east = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(Day::of(late, &east).to_string(), "2026-01-06");
        for (end, text) in [(Timestamp::MIN, "0001-01-01"), (Timestamp::MAX, "9999-12-31")] {
            assert_eq!(Day::of(end, &TimeZone::UTC).to_string(), text);
        }
    }
}
