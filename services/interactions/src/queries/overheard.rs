use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::SectionKey;

/// How many sections of a service are remembered: about 10 MB.
const MOST: usize = if cfg!(test) { 3 } else { 50_000 };

/// What the feeds of other services were heard to speak of, though the desk's consumers may not have applied it yet:
/// whoever wants such a section asks its service meanwhile. Clones remember the same.
#[derive(Clone, Default)]
pub(crate) struct Overheard(Arc<Mutex<BTreeMap<&'static str, HashMap<SectionKey, i64>>>>);

impl Overheard {
    fn heard(&self) -> MutexGuard<'_, BTreeMap<&'static str, HashMap<SectionKey, i64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A service's feed spoke of a section, at a position. What was applied up to `applied` is marked in the tables and need
    /// not be remembered; what no room is left for is shown as pending until it is applied.
    pub(crate) fn note(&self, source: &'static str, spoken: Vec<(SectionKey, i64)>, applied: i64) {
        let mut heard = self.heard();
        let heard = heard.entry(source).or_default();
        if heard.len() + spoken.len() > MOST {
            heard.retain(|_, position| *position > applied);
        }
        for (key, position) in spoken {
            if position > applied && (heard.len() < MOST || heard.contains_key(&key)) {
                heard.insert(key, position);
            }
        }
    }

    /// The last position at which a service's feed is remembered to have spoken of a section; 0 where it is not.
    pub(crate) fn position(&self, source: &str, key: &SectionKey) -> i64 {
        self.heard().get(source).and_then(|heard| heard.get(key)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::{TenantId, Uuid};

    use super::*;
    use crate::domain::SectionKind;

    fn key(party: u128) -> SectionKey {
        let (tenant, facet) = (TenantId::local(), String::new());
        SectionKey { tenant, party: Uuid::from_u128(party), kind: SectionKind::Scores, facet }
    }

    #[test]
    fn what_is_not_applied_is_remembered_as_long_as_there_is_room() {
        let overheard = Overheard::default();
        let at = |party| overheard.position("scoring", &key(party));
        overheard.note("scoring", vec![(key(1), 4), (key(2), 5), (key(1), 6), (key(3), 3)], 3);
        assert_eq!([at(1), at(2), at(3)], [6, 5, 0], "what was applied is marked in the tables");
        assert_eq!(overheard.position("loyalty", &key(1)), 0);
        // There is room for three: what was applied meanwhile gives way, and what was not stays.
        overheard.note("scoring", vec![(key(4), 7), (key(5), 8), (key(6), 9), (key(1), 10)], 5);
        assert_eq!([at(1), at(2), at(4), at(5), at(6)], [10, 0, 7, 8, 0]);
    }
}
