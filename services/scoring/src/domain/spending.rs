//! From the sums of days to what the models want to know of one party.

use std::collections::BTreeMap;

use super::{Day, DaySum};

/// What a party did until a day. There is at least one purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spending {
    /// The days on which it ordered, each with what was spent, less returns, in billionths of a unit; oldest first.
    purchases: Vec<(Day, i128)>,
    /// Single orders.
    pub(crate) orders: i64,
    /// The day until which it was observed.
    pub(crate) end: Day,
}

impl Spending {
    /// Folds sums of days, in any order and with several of one day. Days after `end` do not count. A return takes back what was
    /// spent until its day, newest purchase first, and never more than that. `None` without an order.
    pub(crate) fn of(days: impl IntoIterator<Item = (Day, DaySum)>, end: Day) -> Option<Spending> {
        let mut by_day: BTreeMap<Day, DaySum> = BTreeMap::new();
        for (day, sum) in days.into_iter().filter(|(day, _)| *day <= end) {
            let known = by_day.entry(day).or_default();
            *known = known.plus(sum);
        }
        let (mut purchases, mut orders): (Vec<(Day, i128)>, i64) = (Vec::new(), 0);
        for (day, sum) in by_day {
            if sum.orders > 0 {
                purchases.push((day, sum.ordered));
                orders += sum.orders;
            }
            let mut back = sum.returned;
            for (_, spent) in purchases.iter_mut().rev() {
                if back <= 0 {
                    break;
                }
                let taken = back.min(*spent);
                *spent -= taken;
                back -= taken;
            }
        }
        (!purchases.is_empty()).then_some(Spending { purchases, orders, end })
    }

    /// The day of the first purchase.
    pub(crate) fn first(&self) -> Day {
        self.purchases.first().map_or(self.end, |(day, _)| *day)
    }

    /// The day of the last purchase.
    pub(crate) fn last(&self) -> Day {
        self.purchases.last().map_or(self.end, |(day, _)| *day)
    }

    /// Purchases after the first.
    pub(crate) fn repeats(&self) -> u32 {
        u32::try_from(self.purchases.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Everything spent, less returns, in billionths of a unit.
    pub(crate) fn total(&self) -> i128 {
        self.purchases.iter().map(|(_, spent)| spent).sum()
    }

    /// What repeat purchases came to, less returns.
    pub(crate) fn repeat_total(&self) -> i128 {
        self.purchases.iter().skip(1).map(|(_, spent)| spent).sum()
    }

    /// The days of the purchases.
    pub(crate) fn days(&self) -> impl Iterator<Item = Day> {
        self.purchases.iter().map(|(day, _)| *day)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn order(day: i32, ordered: i128) -> (Day, DaySum) {
        (Day::from_number(day), DaySum { orders: 1, ordered, ..DaySum::default() })
    }

    fn back(day: i32, returned: i128) -> (Day, DaySum) {
        (Day::from_number(day), DaySum { returns: 1, returned, ..DaySum::default() })
    }

    fn end(day: i32) -> Day {
        Day::from_number(day)
    }

    #[test]
    fn orders_of_a_day_are_one_purchase() {
        let spending = Spending::of([order(10, 5), order(3, 7), order(10, 2), order(31, 9)], end(30)).unwrap();
        assert_eq!((spending.first(), spending.last(), spending.repeats()), (end(3), end(10), 1));
        assert_eq!((spending.orders, spending.total(), spending.repeat_total()), (3, 14, 7));
        assert_eq!(Spending::of([order(31, 9)], end(30)), None);
        assert_eq!(Spending::of([back(3, 9)], end(30)), None);
    }

    #[test]
    fn a_return_takes_back_what_was_spent_newest_first() {
        let spending = Spending::of([order(1, 10), order(5, 4), back(6, 6), order(9, 3)], end(30)).unwrap();
        assert_eq!((spending.total(), spending.repeat_total()), (11, 3));
        // Never more than was spent until then, and nothing of what came later.
        let spending = Spending::of([order(1, 10), back(2, 100), order(9, 3)], end(30)).unwrap();
        assert_eq!((spending.total(), spending.repeats()), (3, 1));
        let spending = Spending::of([back(1, 100), order(2, 10)], end(30)).unwrap();
        assert_eq!(spending.total(), 10);
    }

    proptest! {
        #[test]
        fn origins_of_one_party_fold_together_in_any_order(
            mut rows in prop::collection::vec((0..20_i32, 0..3_i64, 0..100_i128, 0..50_i128), 0..20),
            until in 0..25_i32,
        ) {
            let of = |rows: &[(i32, i64, i128, i128)]| {
                let days = rows.iter().map(|(day, orders, ordered, returned)| {
                    let ordered = if *orders > 0 { *ordered } else { 0 };
                    (Day::from_number(*day), DaySum { orders: *orders, ordered, returns: 1, returned: *returned })
                });
                Spending::of(days, end(until))
            };
            let forwards = of(&rows);
            rows.reverse();
            prop_assert_eq!(&forwards, &of(&rows));
            if let Some(spending) = forwards {
                let ordered: i128 = rows.iter().filter(|row| row.0 <= until && row.1 > 0).map(|row| row.2).sum();
                prop_assert!(spending.total() >= 0 && spending.total() <= ordered);
                prop_assert!(spending.repeat_total() <= spending.total());
            }
        }
    }
}
