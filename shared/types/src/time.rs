//! Points in time, in microseconds since 1970 UTC, and the clocks they come from.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::FieldError;
use crate::reason;

const MICROS: i64 = 1_000_000;
const DAY: i64 = 86_400;

/// A point in time: microseconds since 1970-01-01T00:00:00Z, between the years 1 and 9999 (the range of
/// `google.protobuf.Timestamp`). Its text is RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Timestamp(i64);

impl Timestamp {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_135_596_800 * MICROS);
    /// 9999-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(253_402_300_800 * MICROS - 1);
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// A point in time from microseconds since 1970. Beyond [`Timestamp::MIN`] and [`Timestamp::MAX`] it is the
    /// nearest of them; for values from outside take [`Timestamp::parse_micros`].
    pub const fn from_micros(micros: i64) -> Self {
        if micros < Self::MIN.0 {
            Self::MIN
        } else if micros > Self::MAX.0 {
            Self::MAX
        } else {
            Self(micros)
        }
    }

    /// A point in time from microseconds since 1970.
    ///
    /// # Errors
    /// [`reason::OUT_OF_RANGE`] before the year 1 or after 9999.
    pub fn parse_micros(micros: i64) -> Result<Self, FieldError> {
        if (Self::MIN.0..=Self::MAX.0).contains(&micros) { Ok(Self(micros)) } else { Err(out_of_range()) }
    }

    /// A point in time from the parts of a `google.protobuf.Timestamp`; digits below the microsecond are dropped.
    ///
    /// # Errors
    /// [`reason::OUT_OF_RANGE`] if the nanoseconds are not within 0 to 999,999,999 or the year not within 1 to 9999.
    pub fn parse_parts(seconds: i64, nanos: i32) -> Result<Self, FieldError> {
        if !(0..1_000_000_000).contains(&nanos) {
            return Err(FieldError::new(reason::OUT_OF_RANGE, "nanos must be within 0 and 999999999"));
        }
        seconds
            .checked_mul(MICROS)
            .and_then(|micros| micros.checked_add(i64::from(nanos / 1000)))
            .ok_or_else(out_of_range)
            .and_then(Self::parse_micros)
    }

    /// Reads RFC 3339, for example `2026-01-31T23:59:59.5+02:00`. Digits below the microsecond are dropped.
    ///
    /// # Errors
    /// [`reason::MALFORMED`] for another form or a date that does not exist, [`reason::OUT_OF_RANGE`] for a year
    /// outside 1 to 9999.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let malformed = || FieldError::new(reason::MALFORMED, "must be RFC 3339, like 2026-01-31T23:59:59Z");
        let (seconds, nanos) = rfc3339(text.as_bytes()).ok_or_else(malformed)?;
        Self::parse_parts(seconds, nanos)
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The parts of a `google.protobuf.Timestamp`: seconds since 1970 (rounded down) and nanoseconds.
    pub fn parts(self) -> (i64, i32) {
        let nanos = i32::try_from(self.0.rem_euclid(MICROS) * 1000).unwrap_or(0);
        (self.0.div_euclid(MICROS), nanos)
    }

    /// Later by a span of time (whole microseconds). `None` beyond the year 9999.
    pub fn checked_add(self, span: Duration) -> Option<Self> {
        let micros = i64::try_from(span.as_micros()).ok()?;
        self.0.checked_add(micros).filter(|micros| *micros <= Self::MAX.0).map(Self)
    }

    /// Earlier by a span of time (whole microseconds). `None` before the year 1.
    pub fn checked_sub(self, span: Duration) -> Option<Self> {
        let micros = i64::try_from(span.as_micros()).ok()?;
        self.0.checked_sub(micros).filter(|micros| *micros >= Self::MIN.0).map(Self)
    }

    /// Later by a span of time, but not beyond [`Timestamp::MAX`].
    pub fn saturating_add(self, span: Duration) -> Self {
        self.checked_add(span).unwrap_or(Self::MAX)
    }

    /// Earlier by a span of time, but not before [`Timestamp::MIN`].
    pub fn saturating_sub(self, span: Duration) -> Self {
        self.checked_sub(span).unwrap_or(Self::MIN)
    }

    /// The time from `earlier` to this. Zero if `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        // The range is below 2^59 microseconds, so the difference fits.
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// The time from `earlier` to this in microseconds, negative if `earlier` is later.
    pub fn micros_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

fn out_of_range() -> FieldError {
    FieldError::new(reason::OUT_OF_RANGE, "the year must be within 1 and 9999")
}

impl TryFrom<i64> for Timestamp {
    type Error = FieldError;

    fn try_from(micros: i64) -> Result<Self, FieldError> {
        Self::parse_micros(micros)
    }
}

impl From<Timestamp> for i64 {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

impl FromStr for Timestamp {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        Self::parse(text)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(MICROS);
        let micros = self.0.rem_euclid(MICROS);
        let (year, month, day) = civil(seconds.div_euclid(DAY));
        let second = seconds.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if micros != 0 {
            let digits = format!("{micros:06}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Year, month and day of a count of days since 1970, in the Gregorian calendar. The era of 400 years starts on a
/// first of March, so that the leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Days since 1970 of a date, the inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Seconds since 1970 and nanoseconds of an RFC 3339 text.
fn rfc3339(text: &[u8]) -> Option<(i64, i32)> {
    let (head, rest) = text.split_at_checked(19)?;
    let number = |from: usize, to: usize| digits(head.get(from..to)?);
    let is = |at: usize, byte: &[u8]| head.get(at).is_some_and(|found| byte.contains(found));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if hour > 23 || minute > 59 || second > 59 || civil(days(year, month, day)) != (year, month, day) {
        return None;
    }
    let (nanos, zone) = match rest.split_first()? {
        (b'.', rest) => {
            let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, zone) = rest.split_at(length);
            if !(1..=9).contains(&length) {
                return None;
            }
            let scale = 10_i64.pow(u32::try_from(9 - length).ok()?);
            (digits(fraction)? * scale, zone)
        }
        _ => (0, rest),
    };
    let offset = match zone {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), clock @ ..] if clock.len() == 5 && clock.get(2) == Some(&b':') => {
            let (hours, minutes) = (digits(clock.get(..2)?)?, digits(clock.get(3..)?)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    Some((seconds, i32::try_from(nanos).ok()?))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0_i64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

/// Where the time comes from. Injected, so that tests decide what time it is.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now. It never goes back within a process.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock, held still while the system sets it back.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

static LATEST: AtomicI64 = AtomicI64::new(i64::MIN);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        let latest = LATEST.fetch_max(micros, Ordering::Relaxed);
        Timestamp::from_micros(micros.max(latest))
    }
}

/// A clock that moves only when told to. For tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_micros()))
    }

    /// Puts the clock to a time, backwards too: tests show what the services do then.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_micros(), Ordering::SeqCst);
    }

    /// Moves the clock on.
    pub fn advance(&self, span: Duration) {
        self.set(self.now().saturating_add(span));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_of_known_times() {
        for (micros, text) in [
            (Timestamp::MIN.0, "0001-01-01T00:00:00Z"),
            (Timestamp::MAX.0, "9999-12-31T23:59:59.999999Z"),
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (1_709_164_800_500_000, "2024-02-29T00:00:00.5Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (-2_203_891_200_000_000, "1900-03-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp(micros).to_string(), text);
            assert_eq!(Timestamp::parse(text).unwrap().0, micros);
        }
    }

    #[test]
    fn offsets_and_fractions() {
        let parse = |text| Timestamp::parse(text).unwrap().to_string();
        assert_eq!(parse("2026-01-01T00:30:00+01:00"), "2025-12-31T23:30:00Z");
        assert_eq!(parse("2026-01-01t00:30:00.123456789-05:30"), "2026-01-01T06:00:00.123456Z");
        assert_eq!(parse("1969-12-31T23:59:59.9999999z"), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn wrong_texts() {
        for text in [
            "",
            "2026",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-02-30T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1234567890Z",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01 00:00:00Z",
            "+026-01-01T00:00:00Z",
            "2026-01-01T00:00:00Zx",
            "2026-01-0१T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text).unwrap_err().reason, reason::MALFORMED, "{text}");
        }
        for text in ["0000-12-31T23:59:59Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"] {
            assert_eq!(Timestamp::parse(text).unwrap_err().reason, reason::OUT_OF_RANGE, "{text}");
        }
    }

    #[test]
    fn arithmetic_stays_in_range() {
        let second = Duration::from_secs(1);
        assert_eq!(Timestamp::MAX.checked_add(second), None);
        assert_eq!(Timestamp::MIN.checked_sub(second), None);
        assert_eq!(Timestamp::EPOCH.checked_add(Duration::MAX), None);
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_micros(i64::MIN), Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
        assert!(Timestamp::parse_parts(i64::MAX, 0).is_err());
        assert!(Timestamp::parse_parts(0, -1).is_err());
        assert!(Timestamp::parse_parts(0, 1_000_000_000).is_err());
    }

    #[test]
    fn clocks() {
        let clock = SystemClock;
        let mut last = clock.now();
        for _ in 0..1000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        let clock = ManualClock::new(Timestamp::EPOCH);
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now().as_micros(), 5_000_000);
    }

    proptest! {
        #[test]
        fn text_and_parts_go_round(micros in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let time = Timestamp(micros);
            prop_assert_eq!(Timestamp::parse(&time.to_string()).unwrap(), time);
            let (seconds, nanos) = time.parts();
            prop_assert_eq!(Timestamp::parse_parts(seconds, nanos).unwrap(), time);
        }

        #[test]
        fn texts_sort_like_seconds(a in Timestamp::MIN.0..=Timestamp::MAX.0, b in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let whole = |micros: i64| Timestamp(micros.div_euclid(MICROS) * MICROS);
            let (a, b) = (whole(a), whole(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn no_text_panics(text in "[0-9TZ:.+\\-]{0,40}|\\PC{0,40}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
