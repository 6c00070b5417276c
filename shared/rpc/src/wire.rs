//! Between the shared messages of the contract and domain values. Towards the domain everything is checked and the
//! answer is a [`FieldError`], for the collector to put the field's path to it.

use std::time::Duration;

use rapport_proto::types::v1 as proto;
use rapport_types::error::FieldError;
use rapport_types::money::Money;
use rapport_types::reason;
use rapport_types::time::Timestamp;
use uuid::Uuid;

/// How far in the future what happened may lie: clocks differ.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// The value of a field that must be given.
///
/// # Errors
/// REQUIRED.
pub fn required<T>(value: Option<T>) -> Result<T, FieldError> {
    value.ok_or_else(FieldError::required)
}

/// A point in time within the years 1 to 9999; what is finer than a microsecond is dropped.
///
/// # Errors
/// OUT_OF_RANGE.
pub fn timestamp(value: &prost_types::Timestamp) -> Result<Timestamp, FieldError> {
    Timestamp::parse_parts(value.seconds, value.nanos)
}

/// When something happened: not more than 24 hours after `now`, and `now` if it is not said.
///
/// # Errors
/// OUT_OF_RANGE, IN_FUTURE.
pub fn occurred(value: Option<&prost_types::Timestamp>, now: Timestamp) -> Result<Timestamp, FieldError> {
    let Some(value) = value else { return Ok(now) };
    let time = timestamp(value)?;
    if time > now.saturating_add(AHEAD) {
        return Err(FieldError::new(reason::IN_FUTURE, "must not be more than 24 hours in the future"));
    }
    Ok(time)
}

/// A point in time for the wire.
pub fn to_timestamp(time: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = time.parts();
    prost_types::Timestamp { seconds, nanos }
}

/// A span that is not negative, up to 10,000 years.
///
/// # Errors
/// OUT_OF_RANGE.
pub fn duration(value: &prost_types::Duration) -> Result<Duration, FieldError> {
    const SECONDS_MAX: u64 = 315_576_000_000;
    let wrong = || FieldError::new(reason::OUT_OF_RANGE, "must be a span from 0 to 10,000 years");
    let seconds = u64::try_from(value.seconds).map_err(|_| wrong())?;
    let nanos = u32::try_from(value.nanos).map_err(|_| wrong())?;
    if seconds > SECONDS_MAX || nanos > 999_999_999 {
        return Err(wrong());
    }
    Ok(Duration::new(seconds, nanos))
}

/// A span for the wire.
pub fn to_duration(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    }
}

/// An amount of money.
///
/// # Errors
/// UNKNOWN_CURRENCY, OUT_OF_RANGE, SIGN_MISMATCH.
pub fn money(value: &proto::Money) -> Result<Money, FieldError> {
    Money::parse(value.units, value.nanos, &value.currency_code)
}

/// An amount for the wire.
pub fn to_money(money: Money) -> proto::Money {
    proto::Money { units: money.units(), nanos: money.nanos(), currency_code: money.currency().to_string() }
}

/// A finite number.
///
/// # Errors
/// NOT_FINITE.
pub fn finite(value: f64) -> Result<f64, FieldError> {
    if value.is_finite() { Ok(value) } else { Err(FieldError::new(reason::NOT_FINITE, "must be a finite number")) }
}

/// A value of an enum that must be chosen: the zero value counts as missing.
///
/// # Errors
/// REQUIRED, UNKNOWN_ENUM_VALUE.
pub fn chosen<E: TryFrom<i32>>(value: i32) -> Result<E, FieldError> {
    if value == 0 { Err(FieldError::required()) } else { any_value(value) }
}

/// A value of an enum, the zero value among them.
///
/// # Errors
/// UNKNOWN_ENUM_VALUE.
pub fn any_value<E: TryFrom<i32>>(value: i32) -> Result<E, FieldError> {
    E::try_from(value)
        .map_err(|_| FieldError::new(reason::UNKNOWN_ENUM_VALUE, "is no value of this enum in this version"))
}

/// A request_id: nothing, or a UUID.
///
/// # Errors
/// INVALID_REQUEST_ID.
pub fn request_id(value: &str) -> Result<Option<Uuid>, FieldError> {
    if value.is_empty() {
        return Ok(None);
    }
    match Uuid::try_parse(value) {
        Ok(id) if !id.is_nil() => Ok(Some(id)),
        _ => Err(FieldError::new(reason::INVALID_REQUEST_ID, "must be empty or a UUID other than the nil one")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn times_go_there_and_back_and_bad_ones_are_refused() {
        for micros in [0, -1, 1_700_000_000_123_456, Timestamp::MIN.as_micros(), Timestamp::MAX.as_micros()] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(timestamp(&to_timestamp(time)).unwrap(), time);
        }
        for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0), (253_402_300_800, 0)] {
            assert_eq!(timestamp(&prost_types::Timestamp { seconds, nanos }).unwrap_err().reason, reason::OUT_OF_RANGE);
        }
    }

    #[test]
    fn the_future_is_refused_after_a_day() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let at = |hours: u64| to_timestamp(now.saturating_add(Duration::from_secs(hours * 3600)));
        assert_eq!(occurred(None, now).unwrap(), now);
        assert!(occurred(Some(&at(24)), now).is_ok());
        assert_eq!(occurred(Some(&at(25)), now).unwrap_err().reason, reason::IN_FUTURE);
    }

    #[test]
    fn spans() {
        assert_eq!(duration(&to_duration(Duration::from_millis(1500))).unwrap(), Duration::from_millis(1500));
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0)] {
            assert!(duration(&prost_types::Duration { seconds, nanos }).is_err());
        }
    }

    #[test]
    fn money_goes_there_and_back() {
        let wire = proto::Money { units: -3, nanos: -500_000_000, currency_code: "EUR".into() };
        assert_eq!(to_money(money(&wire).unwrap()), wire);
        assert!(money(&proto::Money { units: 1, nanos: -1, currency_code: "EUR".into() }).is_err());
        assert!(money(&proto::Money { units: 1, nanos: 0, currency_code: "XXQ".into() }).is_err());
    }

    #[test]
    fn numbers_enums_and_ids() {
        assert!(finite(1.5).is_ok());
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(finite(bad).unwrap_err().reason, reason::NOT_FINITE);
        }
        assert_eq!(request_id("").unwrap(), None);
        assert!(request_id("0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1").unwrap().is_some());
        for bad in ["junk", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(request_id(bad).unwrap_err().reason, reason::INVALID_REQUEST_ID);
        }
    }
}
