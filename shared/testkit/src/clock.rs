//! Time that a test moves.

use std::sync::Arc;

use rapport_types::id::World;
use rapport_types::time::{ManualClock, Timestamp};

/// A world whose clock stands still until the test moves it, and the clock to move. It begins at
/// 2026-01-15T12:00:00Z, in the middle of a day and a month, so that no test depends on a boundary by accident.
pub fn manual() -> (World, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_768_478_400_000_000)));
    (World::with_clock(clock.clone()), clock)
}
