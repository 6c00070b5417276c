//! Clocks that agree: what happened when, what is due, what is too far in the future.

use rapport_store::Inspector;
use rapport_types::id::World;
use rapport_types::time::Timestamp;

use super::{Finding, span};

const CHECK: &str = "clock.skew";
/// Microseconds. Below, orders of events and due times are not affected.
const SMALL: i64 = 2_000_000;
/// Above, tokens, expiry and "in the future" go wrong.
const LARGE: i64 = 30_000_000;

/// The database's clock, if it has one of its own.
pub(super) async fn of_database(inspector: &Inspector, world: &World) -> Option<Finding> {
    let before = world.now();
    let theirs = inspector.now().await.ok()??;
    Some(judge("the database", before, theirs, world.now()))
}

/// A clock that said `theirs` some time between `before` and `after` of this machine's.
pub(super) fn judge(whose: &str, before: Timestamp, theirs: Timestamp, after: Timestamp) -> Finding {
    let ahead = theirs.micros_since(after).max(0);
    let behind = before.micros_since(theirs).max(0);
    let skew = ahead.max(behind);
    let word = if ahead > 0 { "ahead of" } else { "behind" };
    let found = format!("{} {word} this machine", span(std::time::Duration::from_micros(skew.unsigned_abs())));
    let cure = "synchronise the clocks (chrony, systemd-timesyncd) of both machines";
    if skew > LARGE {
        Finding::fail(CHECK, whose, found, cure)
    } else if skew > SMALL {
        Finding::warn(CHECK, whose, found, cure)
    } else {
        Finding::ok(CHECK, whose, "agrees with this machine")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_told() {
        let at = |seconds: i64| Timestamp::from_micros(1_800_000_000_000_000 + seconds * 1_000_000);
        let with = |seconds| judge("it", at(0), at(seconds), at(1)).verdict;
        for (seconds, verdict) in [
            (0, Verdict::Ok),
            (2, Verdict::Ok),
            (-2, Verdict::Ok),
            (5, Verdict::Warn),
            (-5, Verdict::Warn),
            (3600, Verdict::Fail),
            (-3600, Verdict::Fail),
        ] {
            assert_eq!(with(seconds), verdict, "{seconds}");
        }
    }
}
