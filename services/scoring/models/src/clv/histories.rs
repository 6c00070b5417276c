//! A population's histories, collapsed: equal ones are kept once with their number.

use super::history::History;

/// The histories of a population.
///
/// Kept sorted, equal ones once: a likelihood costs what is distinct, not what there is, and neither the order of the
/// customers nor how their counts were split can change one bit of any sum.
#[derive(Debug, Clone, Default)]
pub struct Histories {
    /// By repeats, recency and age.
    rows: Vec<Row>,
    /// Runs of rows with equal repeats.
    groups: Vec<Group>,
    customers: u64,
    /// The mean age, by which time is scaled.
    scale: f64,
}

/// A distinct history within its group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) last: f64,
    pub(super) age: f64,
    pub(super) count: f64,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    repeats: u32,
    end: usize,
}

impl FromIterator<History> for Histories {
    fn from_iter<I: IntoIterator<Item = History>>(histories: I) -> Self {
        let mut keys: Vec<Key> = histories.into_iter().map(Key::of).collect();
        keys.sort_unstable();
        Self::of_sorted(keys.into_iter().map(|key| (key, 1)))
    }
}

impl FromIterator<(History, u64)> for Histories {
    fn from_iter<I: IntoIterator<Item = (History, u64)>>(histories: I) -> Self {
        let mut keys: Vec<(Key, u64)> = histories.into_iter().map(|(history, n)| (Key::of(history), n)).collect();
        keys.sort_unstable();
        Self::of_sorted(keys.into_iter())
    }
}

/// A history in the order of its numbers: the bits of a double that is not negative sort as the double does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    repeats: u32,
    last: u64,
    age: u64,
}

impl Key {
    fn of(history: History) -> Self {
        Self { repeats: history.repeats(), last: history.last().to_bits(), age: history.age().to_bits() }
    }
}

impl Histories {
    fn of_sorted(keys: impl Iterator<Item = (Key, u64)>) -> Self {
        let mut all = Self::default();
        let mut run: Option<(Key, u64)> = None;
        for (key, n) in keys.filter(|(_, n)| *n > 0) {
            all.customers = all.customers.saturating_add(n);
            match &mut run {
                Some((same, count)) if *same == key => *count = count.saturating_add(n),
                _ => {
                    all.push(run.replace((key, n)));
                }
            }
        }
        all.push(run);
        let weeks: f64 = all.rows.iter().map(|row| row.age * row.count).sum();
        all.scale = if weeks > 0.0 { weeks / all.customers as f64 } else { 1.0 };
        all
    }

    fn push(&mut self, run: Option<(Key, u64)>) {
        let Some((key, count)) = run else { return };
        self.rows.push(Row { last: f64::from_bits(key.last), age: f64::from_bits(key.age), count: count as f64 });
        let end = self.rows.len();
        match self.groups.last_mut() {
            Some(group) if group.repeats == key.repeats => group.end = end,
            _ => self.groups.push(Group { repeats: key.repeats, end }),
        }
    }

    /// How many customers there are.
    #[must_use]
    pub const fn customers(&self) -> u64 {
        self.customers
    }

    /// How many different histories there are.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.rows.len()
    }

    /// How many repeat purchases there are.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.groups().fold(0, |sum, (repeats, rows)| {
            let customers: f64 = rows.iter().map(|row| row.count).sum();
            // Whole numbers, exact to 2^53; beyond, nobody counts them one by one.
            let customers = customers as u64;
            sum.saturating_add(u64::from(repeats).saturating_mul(customers))
        })
    }

    /// The mean age in weeks, the natural unit of the time parameters; 1 when nobody was observed at all.
    pub(super) const fn scale(&self) -> f64 {
        self.scale
    }

    /// The rows by their number of repeats.
    pub(super) fn groups(&self) -> impl Iterator<Item = (u32, &[Row])> {
        let mut begin = 0;
        self.groups.iter().map(move |group| {
            let rows = &self.rows[begin..group.end];
            begin = group.end;
            (group.repeats, rows)
        })
    }

    /// At most `most` customers that stand for all: every so-manieth in sorted order, so that each stratum keeps its
    /// share and the choice is the same in each run. None when there are few enough distinct histories as it is.
    pub(super) fn sampled(&self, most: usize) -> Option<Self> {
        if self.rows.len() <= most {
            return None;
        }
        let mut sample = Self { scale: self.scale, ..Self::default() };
        let step = self.customers as f64 / most as f64;
        let (mut seen, mut next) = (0.0, step / 2.0);
        for (repeats, rows) in self.groups() {
            for row in rows {
                seen += row.count;
                let mut count = 0;
                while next < seen {
                    count += 1;
                    next += step;
                }
                if count > 0 {
                    sample.customers += count;
                    let key = Key { repeats, last: row.last.to_bits(), age: row.age.to_bits() };
                    sample.push(Some((key, count)));
                }
            }
        }
        Some(sample)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn history(repeats: u32, last: f64, age: f64) -> History {
        History::new(repeats, last, age).unwrap()
    }

    #[test]
    fn equal_histories_are_one_row() {
        let all: Histories = [history(1, 2.0, 3.0), history(0, 0.0, 3.0), history(1, 2.0, 3.0), history(1, 1.0, 3.0)]
            .into_iter()
            .collect();
        assert_eq!((all.customers(), all.distinct(), all.repeats()), (4, 3, 3));
        let split: Histories = [
            (history(1, 2.0, 3.0), 2),
            (history(1, 1.0, 3.0), 1),
            (history(0, 0.0, 3.0), 1),
            (history(0, 0.0, 9.0), 0),
        ]
        .into_iter()
        .collect();
        assert_eq!((split.customers(), split.distinct(), split.repeats()), (4, 3, 3));
        assert_eq!(all.groups().map(|(x, rows)| (x, rows.len())).collect::<Vec<_>>(), [(0, 1), (1, 2)]);
    }

    #[test]
    fn a_sample_keeps_the_shares() {
        let all: Histories = (0..10_000u32).map(|n| history(n % 4, f64::from((n % 4) * n) / 1e5, 1.0)).collect();
        let sample = all.sampled(1_000).unwrap();
        assert_eq!(sample.customers(), 1_000);
        for (repeats, rows) in sample.groups() {
            let customers: f64 = rows.iter().map(|row| row.count).sum();
            assert!((249.0..=251.0).contains(&customers), "{repeats}: {customers}");
        }
        assert!(all.sampled(10_000).is_none());
    }
}
