//! Ids, and the world a service lives in: its clock and its source of ids, both injected so that tests are
//! deterministic.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::time::{Clock, SystemClock, Timestamp};

/// Where ids come from.
pub trait Ids: Send + Sync + fmt::Debug {
    /// An id that nobody has.
    fn next(&self) -> Uuid;
}

/// UUIDs of version 7: the millisecond, then a counter that starts at a random place and grows by one, then random
/// bits. Within a process each is greater than the one before, whatever the clock does.
#[derive(Debug)]
pub struct UuidV7 {
    clock: Arc<dyn Clock>,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    millis: u64,
    counter: u64,
}

/// Bits of the counter: 12 beside the version and the upper 30 of the 62 after the variant.
const COUNTER_BITS: u32 = 42;

impl UuidV7 {
    /// Ids that carry the time of this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: Mutex::default() }
    }
}

impl Ids for UuidV7 {
    fn next(&self) -> Uuid {
        let millis = u64::try_from(self.clock.now().as_micros() / 1000).unwrap_or(0);
        // Version 4 carries 122 random bits; the low 32 and the 41 above bit 80 are among them.
        let random = Uuid::new_v4().as_u128();
        let (millis, counter) = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if millis > last.millis {
                // One bit stays free, so that a millisecond has room for 2^41 ids.
                *last = Last {
                    millis,
                    counter: u64::try_from(random >> 80).unwrap_or(0) & ((1 << (COUNTER_BITS - 1)) - 1),
                };
            } else {
                last.counter += 1;
                if last.counter >> COUNTER_BITS != 0 {
                    *last = Last { millis: last.millis + 1, counter: 0 };
                }
            }
            (last.millis, last.counter)
        };
        let counter = u128::from(counter);
        let value = (u128::from(millis) & ((1 << 48) - 1)) << 80
            | 7 << 76
            | (counter >> 30) << 64
            | 0b10 << 62
            | (counter & ((1 << 30) - 1)) << 32
            | random & u128::from(u32::MAX);
        Uuid::from_u128(value)
    }
}

/// Ids 1, 2, 3 and so on. For tests that compare whole answers.
#[derive(Debug, Default)]
pub struct CountingIds(Mutex<u128>);

impl Ids for CountingIds {
    fn next(&self) -> Uuid {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        Uuid::from_u128(*last)
    }
}

/// What a service may know of the outer world: the time, and fresh ids.
#[derive(Clone, Debug)]
pub struct World {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub ids: Arc<dyn Ids>,
}

impl World {
    /// The system's clock, and ids by it.
    pub fn system() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// Another clock, and ids by it.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { ids: Arc::new(UuidV7::new(Arc::clone(&clock))), clock }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A fresh id.
    pub fn next_id(&self) -> Uuid {
        self.ids.next()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::time::Duration;

    use super::*;
    use crate::time::ManualClock;

    #[test]
    fn ids_grow_even_when_the_clock_does_not() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_123_456)));
        let world = World::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let mut last = world.next_id();
        assert_eq!(last.get_version_num(), 7);
        assert_eq!(last.as_u128() >> 80, 1_700_000_000_123);
        for step in 0..10_000 {
            match step % 3 {
                0 => clock.advance(Duration::from_micros(700)),
                1 => clock.set(clock.now().saturating_sub(Duration::from_micros(300))),
                _ => {}
            }
            let id = world.next_id();
            assert!(id > last);
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            last = id;
        }
    }

    #[test]
    fn clocks_far_off_do_no_harm() {
        for time in [Timestamp::MIN, Timestamp::MAX, Timestamp::EPOCH] {
            let ids = UuidV7::new(Arc::new(ManualClock::new(time)));
            assert!(ids.next() < ids.next());
        }
    }

    #[test]
    fn counting_ids_count() {
        let ids = CountingIds::default();
        assert_eq!(ids.next(), Uuid::from_u128(1));
        assert_eq!(ids.next(), Uuid::from_u128(2));
    }
}
