//! From rows to the value of a score: the short way over the sums, the long way over the log. Both give the same bits.

use std::collections::{BTreeMap, BTreeSet};

use rapport_scoring_models::decayed::{Explanation, Observation, Overflow, Reading, Sign, Sum, Sums};
use rapport_types::{Timestamp, Uuid};

use super::{Definition, Entry};

/// A stored row of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accumulator {
    /// The id under which the facts came.
    pub(crate) origin: Uuid,
    /// The era of the definition's half-life.
    pub(crate) era: i64,
    /// The sums.
    pub(crate) sum: Sum,
    /// How many of the contributions are joint ones.
    pub(crate) joint: i64,
    /// No contribution in it occurred later.
    pub(crate) newest: Timestamp,
}

/// The value off the sums of a party's origins, or `None` where they hold more than counts: something that occurred after
/// `as_of`, or an interaction that several of the origins had a part in. The log knows then.
///
/// # Errors
/// [`Overflow`] when the origins together have more contributions than sums can hold.
pub(crate) fn fast_reading(
    definition: &Definition,
    rows: &[Accumulator],
    as_of: Timestamp,
) -> Result<Option<Reading>, Overflow> {
    let joint: BTreeSet<Uuid> = rows.iter().filter(|row| row.joint != 0).map(|row| row.origin).collect();
    if joint.len() > 1 || rows.iter().any(|row| row.newest > as_of) {
        return Ok(None);
    }
    let mut sums = Sums::default();
    for row in rows {
        sums.add_era(row.era, &row.sum)?;
    }
    Ok(Some(definition.mean.read(&sums, as_of.as_micros())))
}

/// The contributions that count for a party at a moment, in an order of their own.
#[derive(Debug)]
pub(crate) struct Contributions {
    entries: Vec<Entry>,
    as_of: Timestamp,
}

impl Contributions {
    /// What of these rows of the log (all of a party's origins and of one definition, in any order) counts at `as_of`:
    /// what was put in and not taken back, one contribution an interaction. With `known_at` as far as that was recorded by
    /// then.
    pub(crate) fn at(as_of: Timestamp, known_at: Option<Timestamp>, rows: Vec<Entry>) -> Contributions {
        let mut counted: BTreeMap<(Uuid, i64, Uuid), Entry> = BTreeMap::new();
        let mut gone: BTreeSet<(Uuid, i64, Uuid)> = BTreeSet::new();
        let known = |row: &Entry| known_at.is_none_or(|known_at| row.recorded_at <= known_at);
        for row in rows.into_iter().filter(|row| row.occurred_at <= as_of && known(row)) {
            let key = (row.interaction, row.version, row.origin);
            match row.sign {
                Sign::Plus => drop(counted.insert(key, row)),
                Sign::Minus => drop(gone.insert(key)),
            }
        }
        counted.retain(|key, _| !gone.contains(key));
        // Of what was known once, a version stands until the next: the greatest one comes last.
        let counted: BTreeMap<(Uuid, Uuid), Entry> =
            counted.into_iter().map(|((interaction, _, origin), entry)| ((interaction, origin), entry)).collect();
        // Whoever takes part by two identifiers at once had one experience. All origins of an interaction weigh alike, so
        // it does not matter for the value which one stays; the least does.
        let mut seen = BTreeSet::new();
        let mut entries: Vec<Entry> =
            counted.into_values().filter(|entry| !entry.joint || seen.insert(entry.interaction)).collect();
        entries.sort_by_key(|entry| (entry.occurred_at, entry.interaction, entry.origin));
        Contributions { entries, as_of }
    }

    /// The value.
    ///
    /// # Errors
    /// [`Overflow`] when there are more contributions than sums can hold.
    pub(crate) fn reading(&self, definition: &Definition) -> Result<Reading, Overflow> {
        self.reading_at(definition, self.as_of)
    }

    /// The value at an earlier moment.
    ///
    /// # Errors
    /// As [`Contributions::reading`].
    pub(crate) fn reading_at(&self, definition: &Definition, moment: Timestamp) -> Result<Reading, Overflow> {
        let mut sums = Sums::default();
        for entry in &self.entries[..self.until(moment)] {
            sums.add(definition.mean.term(&entry.observation()), Sign::Plus)?;
        }
        Ok(definition.mean.read(&sums, moment.as_micros()))
    }

    /// How many of them had occurred by a moment: they come in that order.
    pub(super) fn until(&self, moment: Timestamp) -> usize {
        self.entries.partition_point(|entry| entry.occurred_at <= moment)
    }

    /// All of them, in the order they occurred.
    pub(crate) fn all(&self) -> &[Entry] {
        &self.entries
    }

    /// The value taken apart, with a line for `limit` contributions at most.
    ///
    /// # Errors
    /// As [`Contributions::reading`].
    pub(crate) fn explain(&self, definition: &Definition, limit: usize) -> Result<Explanation, Overflow> {
        let observations: Vec<Observation> = self.entries.iter().map(Entry::observation).collect();
        definition.mean.explain(&observations, self.as_of.as_micros(), limit)
    }

    /// The contribution that an explanation's line is about.
    pub(crate) fn get(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }
}
