//! Tiers: a fold over what was earned in each window.

use std::collections::BTreeMap;

use rapport_types::error::FieldError;
use rapport_types::{Timestamp, Uuid, reason};

use super::program::{TierWindow, not_negative};

/// A step that members reach by earning.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tier {
    pub(crate) id: Uuid,
    pub(crate) program: Uuid,
    pub(crate) unit_type: Uuid,
    pub(crate) display_name: String,
    /// Who earned so much in a window has it.
    pub(crate) entry: i64,
    /// Who has it at the end of a window and earned so much in it keeps it.
    pub(crate) keep: i64,
    pub(crate) recorded_at: Timestamp,
}

impl Tier {
    /// A checked threshold for keeping: less than the one for entry, so that nobody goes up and down by one unit.
    pub(crate) fn keep(keep: i64, entry: i64) -> Result<i64, FieldError> {
        let keep = not_negative(keep)?;
        if keep < entry {
            Ok(keep)
        } else {
            Err(FieldError::new(reason::OUT_OF_RANGE, "must be less than entry_threshold"))
        }
    }
}

/// Minor units earned by month, months as [`super::Zone::month`] counts them.
pub(crate) type Months = BTreeMap<i32, i64>;

/// All tiers of a programme, lowest first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ladder {
    window: TierWindow,
    tiers: Vec<Tier>,
}

/// Where somebody stands; tiers by their place in the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) current: Option<usize>,
    pub(crate) next: Option<usize>,
    /// Earned in the window so far.
    pub(crate) units: i64,
    pub(crate) to_next: i64,
    pub(crate) to_keep: i64,
    /// The tier after the window if nothing more is earned.
    pub(crate) projected: Option<usize>,
    /// The first month of the window, and of the next one.
    pub(crate) window: (i32, i32),
}

impl Ladder {
    /// The ladder of these tiers, in any order.
    pub(crate) fn new(window: TierWindow, mut tiers: Vec<Tier>) -> Ladder {
        tiers.sort_by_key(|tier| (tier.entry, tier.id));
        Ladder { window, tiers }
    }

    /// A tier by its place.
    pub(crate) fn tier(&self, place: Option<usize>) -> Option<&Tier> {
        self.tiers.get(place?)
    }

    /// All tiers.
    pub(crate) fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// The unit type that is counted; none without tiers.
    pub(crate) fn unit_type(&self) -> Option<Uuid> {
        self.tiers.first().map(|tier| tier.unit_type)
    }

    fn start(&self, month: i32) -> i32 {
        month - month.rem_euclid(self.window.months())
    }

    /// Where somebody stands in `month` who earned this. What was earned in later months does not count.
    pub(crate) fn standing(&self, earned: &Months, month: i32) -> Standing {
        let now = self.start(month);
        let mut windows: BTreeMap<i32, i64> = BTreeMap::new();
        for (month, units) in earned.range(..=month) {
            let sum = windows.entry(self.start(*month)).or_default();
            *sum = sum.saturating_add(*units);
        }
        let mut held = None;
        let mut before = None;
        for (&window, &units) in windows.range(..now) {
            held = self.idle(held, before, window);
            held = self.kept(held.max(self.reached(units)), units);
            before = Some(window);
        }
        held = self.idle(held, before, now);
        let units = windows.get(&now).copied().unwrap_or(0).max(0);
        let current = held.max(self.reached(units));
        let next = Some(current.map_or(0, |place| place + 1)).filter(|place| *place < self.tiers.len());
        Standing {
            current,
            next,
            units,
            to_next: self.tier(next).map_or(0, |tier| (tier.entry - units).max(0)),
            to_keep: self.tier(current).map_or(0, |tier| (tier.keep - units).max(0)),
            projected: self.kept(current, units),
            window: (now, now + self.window.months()),
        }
    }

    /// What is left of a tier after the windows between two in which something was earned. Each of them may lead one step
    /// down, to a tier that wants nothing to be kept; more of them change nothing.
    fn idle(&self, held: Option<usize>, before: Option<i32>, window: i32) -> Option<usize> {
        match before {
            Some(before) if window - before > self.window.months() => self.kept(held, 0),
            _ => held,
        }
    }

    /// The highest tier that so many units lead to.
    fn reached(&self, units: i64) -> Option<usize> {
        self.tiers.iter().rposition(|tier| tier.entry <= units)
    }

    /// The highest tier, not above the one held, that so many units keep.
    fn kept(&self, held: Option<usize>, units: i64) -> Option<usize> {
        let held = held?;
        self.tiers.iter().take(held + 1).rposition(|tier| tier.keep <= units.max(0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn tier(entry: i64, keep: i64) -> Tier {
        Tier {
            id: Uuid::from_u128(entry as u128),
            program: Uuid::nil(),
            unit_type: Uuid::nil(),
            display_name: "a tier".into(),
            entry,
            keep,
            recorded_at: Timestamp::EPOCH,
        }
    }

    fn ladder(window: TierWindow) -> Ladder {
        Ladder::new(window, vec![tier(300, 250), tier(100, 50), tier(200, 150)])
    }

    fn months(earned: &[(i32, i64)]) -> Months {
        earned.iter().copied().collect()
    }

    #[test]
    fn a_tier_lasts_to_the_end_of_the_window_after() {
        let ladder = ladder(TierWindow::Year);
        let year = 2025 * 12;
        let earned = months(&[(year + 3, 120), (year + 5, 90)]);
        let at = |month| ladder.standing(&earned, month);
        assert_eq!(at(year + 2).current, None);
        assert_eq!(at(year + 3).current, Some(0));
        let june = at(year + 5);
        assert_eq!((june.current, june.next, june.units), (Some(1), Some(2), 210));
        assert_eq!((june.to_next, june.to_keep, june.projected), (90, 0, Some(1)));
        assert_eq!(june.window, (year, year + 12));
        // A year without anything: kept to its end, then down, and never below what wants nothing.
        let next = at(year + 12);
        assert_eq!((next.current, next.units, next.to_keep, next.projected), (Some(1), 0, 150, None));
        assert_eq!(at(year + 24).current, None);
        assert_eq!(at(year + 240).current, None);
    }

    #[test]
    fn keeping_is_easier_than_reaching() {
        let ladder = ladder(TierWindow::Quarter);
        let earned = months(&[(0, 300), (3, 160), (6, 50), (9, 49)]);
        let held: Vec<_> = [0, 3, 6, 9, 12].map(|month| ladder.standing(&earned, month).current).to_vec();
        // 160 keeps the second, 50 the first, 49 none.
        assert_eq!(held, [Some(2), Some(2), Some(1), Some(0), None]);
    }

    #[test]
    fn a_tier_that_wants_nothing_is_kept_for_ever() {
        let ladder = Ladder::new(TierWindow::Month, vec![tier(10, 0), tier(20, 5)]);
        let earned = months(&[(0, 25)]);
        let held: Vec<_> = [0, 1, 2, 100].map(|month| ladder.standing(&earned, month).current).to_vec();
        assert_eq!(held, [Some(1), Some(1), Some(0), Some(0)]);
    }

    #[test]
    fn the_threshold_to_keep_is_below_the_one_to_enter() {
        assert!(Tier::keep(9, 10).is_ok());
        assert_eq!(Tier::keep(10, 10).unwrap_err().reason, reason::OUT_OF_RANGE);
        assert!(Tier::keep(-1, 10).is_err());
    }

    /// Every window one after the other.
    fn naive(ladder: &Ladder, earned: &Months, month: i32, first: i32) -> Option<usize> {
        let size = ladder.window.months();
        let mut held = None;
        let mut window = ladder.start(first);
        loop {
            let units: i64 =
                earned.range(window..window + size).filter(|(m, _)| **m <= month).map(|(_, units)| units).sum();
            held = held.max(ladder.reached(units));
            if window + size > month {
                return held;
            }
            held = ladder.kept(held, units);
            window += size;
        }
    }

    proptest! {
        #[test]
        fn gaps_are_as_windows_without_anything(
            earned in prop::collection::btree_map(0i32..60, 0i64..400, 0..12),
            month in 0i32..80,
            window in 0usize..4,
        ) {
            let window = [TierWindow::Year, TierWindow::HalfYear, TierWindow::Quarter, TierWindow::Month][window];
            for ladder in [ladder(window), Ladder::new(window, vec![tier(10, 0), tier(20, 5), tier(200, 3)])] {
                prop_assert_eq!(ladder.standing(&earned, month).current, naive(&ladder, &earned, month, 0));
            }
        }
    }
}
