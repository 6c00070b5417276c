//! What the models know of one customer: how often, how lately, for how long.

use std::collections::BTreeMap;
use std::fmt;

use super::spend::{NotASpend, Spend};

/// The greatest age and recency in weeks: nineteen million years, so that no sum of logarithms overflows.
const WEEKS_MAX: f64 = 1e9;

/// The greatest day number either way; what lies beyond counts as this day.
const DAY_MAX: i64 = 3_000_000_000;

/// One customer's history, in weeks: `x` repeat purchases, the last of them `t_x` after the first purchase, and the end
/// of observation `T` after the first purchase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct History {
    repeats: u32,
    last: f64,
    age: f64,
}

/// Why three numbers are no history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NotAHistory {
    /// The age is negative, not a number or beyond a thousand million weeks.
    Age(f64),
    /// The recency is negative, not a number, or later than the end of observation.
    Last {
        /// The recency given.
        last: f64,
        /// The age given.
        age: f64,
    },
    /// No repeat purchase, yet a time of the last one.
    LastWithoutRepeats(f64),
    /// Repeat purchases, yet none later than the first purchase: at one time there is one transaction.
    RepeatsWithoutLast(u32),
}

impl fmt::Display for NotAHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(age) => {
                write!(f, "an observation of {age} weeks; valid is 0 to {WEEKS_MAX}")
            }
            Self::Last { last, age } => {
                write!(f, "a last purchase {last} weeks after the first; valid is 0 to the end of observation, {age}")
            }
            Self::LastWithoutRepeats(last) => {
                write!(f, "a last purchase {last} weeks after the first, without repeats; valid is 0")
            }
            Self::RepeatsWithoutLast(repeats) => {
                write!(
                    f,
                    "{repeats} repeat purchases at the time of the first one; valid is a later time, or no repeats"
                )
            }
        }
    }
}

impl std::error::Error for NotAHistory {}

impl History {
    /// A history of `repeats` repeat purchases, the last of them `last` weeks and the end of observation `age` weeks
    /// after the first purchase.
    ///
    /// # Errors
    /// Numbers that no customer can have, each named with what would be valid.
    pub fn new(repeats: u32, last: f64, age: f64) -> Result<Self, NotAHistory> {
        if !(0.0..=WEEKS_MAX).contains(&age) {
            return Err(NotAHistory::Age(age));
        }
        if !(0.0..=age).contains(&last) {
            return Err(NotAHistory::Last { last, age });
        }
        match (repeats, last > 0.0) {
            (0, true) => Err(NotAHistory::LastWithoutRepeats(last)),
            (1.., false) => Err(NotAHistory::RepeatsWithoutLast(repeats)),
            // Adding zero turns a minus zero into zero, so that equal histories have equal bits.
            _ => Ok(Self { repeats, last: last + 0.0, age: age + 0.0 }),
        }
    }

    /// The history of someone who bought on `days`, observed to the end of the day `end`.
    ///
    /// Days are numbers from any epoch, in any order. Purchases of one day are one transaction, and days after `end`
    /// are not seen yet. None when nothing is left.
    #[must_use]
    pub fn of_days(days: impl IntoIterator<Item = i64>, end: i64) -> Option<Self> {
        let mut days: Vec<i64> = days.into_iter().filter(|day| *day <= end).map(clamped).collect();
        days.sort_unstable();
        days.dedup();
        let (first, last) = (*days.first()?, *days.last()?);
        let repeats = u32::try_from(days.len() - 1).unwrap_or(u32::MAX);
        Some(Self { repeats, last: weeks(last - first), age: weeks(clamped(end) - first) })
    }

    /// How many purchases followed the first: `x`.
    #[must_use]
    pub const fn repeats(&self) -> u32 {
        self.repeats
    }

    /// Weeks from the first purchase to the last: `t_x`, 0 without repeats.
    #[must_use]
    pub const fn last(&self) -> f64 {
        self.last
    }

    /// Weeks from the first purchase to the end of observation: `T`.
    #[must_use]
    pub const fn age(&self) -> f64 {
        self.age
    }
}

fn clamped(day: i64) -> i64 {
    day.clamp(-DAY_MAX, DAY_MAX)
}

/// Days as weeks. Exact in double precision up to the division, which rounds once.
fn weeks(days: i64) -> f64 {
    days as f64 / 7.0
}

/// A customer as a list of purchases gives it: when, and for how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Customer {
    /// When.
    pub history: History,
    /// For how much on average, the first day left out. None without repeats and for those who spent nothing.
    pub spend: Option<Spend>,
}

impl Customer {
    /// The customer of these purchases, each a day and an amount, observed to the end of the day `end`.
    ///
    /// Amounts of one day are summed. None when nothing was bought by `end`.
    ///
    /// # Errors
    /// An amount that is none.
    pub fn of_purchases(purchases: impl IntoIterator<Item = (i64, f64)>, end: i64) -> Result<Option<Self>, NotASpend> {
        let mut days: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for (day, amount) in purchases.into_iter().filter(|(day, _)| *day <= end) {
            Spend::check_amount(amount)?;
            days.entry(clamped(day)).or_default().push(amount);
        }
        let Some(history) = History::of_days(days.keys().copied(), end) else { return Ok(None) };
        // Sorted before they are summed: the order of the rows must not change a bit.
        let mut amounts: Vec<f64> = days.into_values().skip(1).flatten().collect();
        amounts.sort_unstable_by(f64::total_cmp);
        let sum: f64 = amounts.iter().sum();
        let spend = match history.repeats {
            0 => None,
            _ if sum <= 0.0 => None,
            repeats => Some(Spend::new(repeats, sum / f64::from(repeats))?),
        };
        Ok(Some(Self { history, spend }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_no_customer_can_have_is_refused_with_what_is_valid() {
        for (repeats, last, age, want) in [
            (0, 0.0, -1.0, "an observation of -1 weeks; valid is 0 to 1000000000"),
            (0, 0.0, f64::NAN, "an observation of NaN weeks; valid is 0 to 1000000000"),
            (0, 0.0, f64::INFINITY, "an observation of inf weeks; valid is 0 to 1000000000"),
            (1, 5.0, 4.0, "a last purchase 5 weeks after the first; valid is 0 to the end of observation, 4"),
            (1, f64::NAN, 4.0, "a last purchase NaN weeks after the first; valid is 0 to the end of observation, 4"),
            (0, 3.0, 4.0, "a last purchase 3 weeks after the first, without repeats; valid is 0"),
            (2, 0.0, 4.0, "2 repeat purchases at the time of the first one; valid is a later time, or no repeats"),
        ] {
            assert_eq!(History::new(repeats, last, age).unwrap_err().to_string(), want);
        }
        assert!(History::new(u32::MAX, 1e9, 1e9).is_ok());
        assert!(History::new(0, -0.0, -0.0).unwrap().age().is_sign_positive());
    }

    #[test]
    fn days_become_weeks_by_the_conventions() {
        // Twice on a day is once; the day after the end is not seen.
        let history = History::of_days([100, 107, 107, 114, 130], 121).unwrap();
        assert_eq!(history, History::new(2, 2.0, 3.0).unwrap());
        assert_eq!(History::of_days([100, 100], 100).unwrap(), History::new(0, 0.0, 0.0).unwrap());
        assert_eq!(History::of_days([101], 100), None);
        assert_eq!(History::of_days([], 100), None);
        assert!(History::of_days([i64::MIN, i64::MAX], i64::MAX).unwrap().age().is_finite());
    }

    #[test]
    fn spend_leaves_the_first_day_out_and_sums_a_day() {
        let rows = [(7, 5.0), (0, 100.0), (7, 2.5), (14, 1.0), (0, 1.0), (21, 9.0)];
        let customer = Customer::of_purchases(rows, 20).unwrap().unwrap();
        assert_eq!(customer.history, History::new(2, 2.0, 20.0 / 7.0).unwrap());
        assert_eq!(customer.spend.unwrap(), Spend::new(2, 4.25).unwrap());
        let free = Customer::of_purchases([(0, 3.0), (7, 0.0)], 20).unwrap().unwrap();
        assert_eq!((free.history.repeats(), free.spend), (1, None));
        assert!(Customer::of_purchases([(0, -3.0)], 20).is_err());
        assert_eq!(Customer::of_purchases([(30, 3.0)], 20).unwrap(), None);
    }
}
