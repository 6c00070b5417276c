//! Hours in which nobody is written to, read on the clock of the one who would be woken.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use rapport_types::Timestamp;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// From one time of the day to another, past midnight where the second is the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuietHours {
    from: u16,
    until: u16,
}

impl QuietHours {
    /// Quiet from one time of the day (`21:00`) until another (`08:00`), exclusive; none where both are empty.
    ///
    /// # Errors
    /// A sentence that says what would be valid.
    pub(crate) fn parse(from: &str, until: &str) -> Result<Option<QuietHours>, String> {
        if from.is_empty() && until.is_empty() {
            return Ok(None);
        }
        let (from, until) = (minute(from)?, minute(until)?);
        if from == until {
            return Err("they must not begin and end at the same time".to_owned());
        }
        Ok(Some(QuietHours { from, until }))
    }

    fn holds(self, minute: u16) -> bool {
        if self.from < self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }

    /// When the quiet hours that hold at a moment in a zone end; `None` where none hold. The end is always later than
    /// the moment, also where clocks are put back or forward that night.
    pub(crate) fn end_after(self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let instant = jiff::Timestamp::from_microsecond(moment.as_micros()).ok()?;
        let local = instant.to_zoned(zone.clone());
        let minute = minute_of(&local);
        if !self.holds(minute) {
            return None;
        }
        // Past midnight the end belongs to the next day, unless midnight is over already.
        let tomorrow = self.from > self.until && minute >= self.from;
        let date = if tomorrow { local.date().checked_add(1.day()).ok()? } else { local.date() };
        let hour = i8::try_from(self.until / 60).ok()?;
        let end = date.to_datetime(Time::new(hour, i8::try_from(self.until % 60).ok()?, 0, 0).ok()?);
        let ends = readings(zone, end);
        ends.into_iter().flatten().find(|end| *end > moment)
    }
}

/// What a time of the day may mean on a day on which clocks change: the earlier reading and the later one.
fn readings(zone: &TimeZone, time: DateTime) -> [Option<Timestamp>; 2] {
    let ambiguous = zone.to_ambiguous_zoned(time);
    [ambiguous.clone().compatible(), ambiguous.later()]
        .map(|zoned| zoned.ok().map(|zoned| Timestamp::from_micros(zoned.timestamp().as_microsecond())))
}

/// The zone of this name, where the zones' database lists it.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() {
        return None;
    }
    TimeZone::get(name).ok()
}

fn minute_of(local: &Zoned) -> u16 {
    let (hour, minute) = (u16::from(local.hour().unsigned_abs()), u16::from(local.minute().unsigned_abs()));
    hour * 60 + minute
}

fn minute(text: &str) -> Result<u16, String> {
    let parse = || {
        let (hour, minute) = text.split_once(':')?;
        let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(hour) || !digits(minute) {
            return None;
        }
        let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
        (minute < 60).then_some(hour * 60 + minute).filter(|minute| *minute < DAY)
    };
    parse().ok_or_else(|| format!("\"{text}\" must be a time of the day such as 21:00"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn end(hours: (&str, &str), moment: &str, name: &str) -> Option<String> {
        let hours = QuietHours::parse(hours.0, hours.1).unwrap().unwrap();
        hours.end_after(at(moment), &zone(name).unwrap()).map(|end| end.to_string())
    }

    #[test]
    fn the_party_s_clock_counts() {
        let night = ("21:00", "08:00");
        // Midnight in Lisbon is the evening in São Paulo and the morning in Tokyo.
        assert_eq!(end(night, "2026-01-10T00:30:00Z", "Europe/Lisbon").unwrap(), "2026-01-10T08:00:00Z");
        assert_eq!(end(night, "2026-01-10T00:30:00Z", "America/Sao_Paulo").unwrap(), "2026-01-10T11:00:00Z");
        assert_eq!(end(night, "2026-01-10T00:30:00Z", "Asia/Tokyo"), None);
        assert_eq!(end(night, "2026-01-10T21:00:00Z", "Europe/Lisbon").unwrap(), "2026-01-11T08:00:00Z");
        assert_eq!(end(night, "2026-01-10T20:59:59Z", "Europe/Lisbon"), None);
        assert_eq!(end(night, "2026-01-10T08:00:00Z", "Europe/Lisbon"), None);
        let noon = ("12:00", "14:30");
        assert_eq!(end(noon, "2026-01-10T12:00:00Z", "UTC").unwrap(), "2026-01-10T14:30:00Z");
        assert_eq!(end(noon, "2026-01-10T14:30:00Z", "UTC"), None);
    }

    #[test]
    fn nights_on_which_clocks_change_end_too() {
        // Lisbon: 01:00 to 02:00 does not exist on the last Sunday of March, and comes twice on that of October.
        let night = ("21:00", "01:30");
        assert_eq!(end(night, "2026-03-28T23:00:00Z", "Europe/Lisbon").unwrap(), "2026-03-29T01:30:00Z");
        assert_eq!(end(night, "2026-10-24T23:00:00Z", "Europe/Lisbon").unwrap(), "2026-10-25T00:30:00Z");
        // The clock shows 01:10 for the second time: the first 01:30 is over.
        assert_eq!(end(night, "2026-10-25T01:10:00Z", "Europe/Lisbon").unwrap(), "2026-10-25T01:30:00Z");
    }

    #[test]
    fn times_of_the_day_are_checked() {
        assert_eq!(QuietHours::parse("", "").unwrap(), None);
        for (from, until) in [("21:00", ""), ("", "08:00"), ("24:00", "08:00"), ("9:00", "08:00"), ("+1:00", "08:00")] {
            assert!(QuietHours::parse(from, until).unwrap_err().contains("such as 21:00"), "{from} {until}");
        }
        assert!(QuietHours::parse("08:00", "08:00").is_err());
        assert!(zone("").is_none() && zone("Nowhere/Land").is_none());
    }

    proptest! {
        /// Whatever the hours and the zone: an end is later than the moment, within little more than a day, and the
        /// clock then shows the end or, where that time does not exist, the next one there is.
        #[test]
        fn an_end_is_ahead(
            from in 0..DAY, until in 0..DAY, seconds in 0..400_000_000i64,
            name in prop::sample::select(vec!["Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
        ) {
            prop_assume!(from != until);
            let hours = QuietHours { from, until };
            let zone = zone(name).unwrap();
            let moment = Timestamp::from_micros((1_600_000_000 + seconds) * 1_000_000);
            let local = |moment: Timestamp| {
                minute_of(&jiff::Timestamp::from_microsecond(moment.as_micros()).unwrap().to_zoned(zone.clone()))
            };
            match hours.end_after(moment, &zone) {
                None => prop_assert!(!hours.holds(local(moment))),
                Some(end) => {
                    prop_assert!(hours.holds(local(moment)));
                    prop_assert!(end > moment);
                    prop_assert!(end.micros_since(moment) <= 26 * 3_600_000_000);
                    let shown = (local(end) + DAY - until) % DAY;
                    prop_assert!(shown <= 60, "the clock shows {} where {until} was to come", local(end));
                }
            }
        }
    }
}
