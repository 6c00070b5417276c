//! Between the demo's values and the contract's messages.

use prost_types::Timestamp;
use rapport_proto::types::v1::{Money, Provenance};

/// Microseconds since 1970 as the wire has them.
pub(super) fn time(micros: i64) -> Timestamp {
    Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or_default(),
    }
}

/// The wire's time as microseconds since 1970; zero when absent.
pub(super) fn micros(time: Option<&Timestamp>) -> i64 {
    time.map_or(0, |time| time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000)
}

/// Cents as US dollars.
pub(super) fn dollars(cents: i64) -> Money {
    Money {
        units: cents / 100,
        nanos: i32::try_from(cents % 100).unwrap_or_default() * 10_000_000,
        currency_code: "USD".to_owned(),
    }
}

/// Money in hundredths of its unit, cut off.
pub(super) fn hundredths(money: &Money) -> i64 {
    money.units * 100 + i64::from(money.nanos / 10_000_000)
}

/// Where the demo's facts come from.
pub(super) fn provenance(system: &str, record: &str) -> Option<Provenance> {
    Some(Provenance {
        source_system: system.to_owned(),
        source_record_id: record.to_owned(),
        actor: String::new(),
        reason: String::new(),
    })
}
