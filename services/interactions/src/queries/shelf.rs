use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rapport_types::{TenantId, Uuid};

use super::held::Standing;
use crate::store::{Held, SectionKey};

/// How long rows stay that nobody made invalid.
const LONG: Duration = Duration::from_secs(10);
/// How many bytes of rows stay.
const BYTES: u64 = 32 << 20;
/// What a row takes beside what it says.
const ROW: usize = 160;

/// The projection's rows of parties that were asked about lately. They hold as long as the desk's consumers have applied
/// nothing since they were read: what was learned meanwhile may be of this party. Clones are the same shelf.
#[derive(Clone)]
pub(crate) struct Shelf(moka::sync::Cache<(TenantId, Uuid), Shelved>);

#[derive(Clone)]
struct Shelved {
    rows: Arc<BTreeMap<SectionKey, Held>>,
    /// How far the feeds were applied before the rows were read.
    positions: [i64; 3],
}

impl Default for Shelf {
    fn default() -> Shelf {
        let weight = |_: &(TenantId, Uuid), shelved: &Shelved| {
            let said = |held: &Held| held.known.as_ref().map_or(0, |known| known.plain.len());
            let bytes: usize = shelved.rows.values().map(|held| ROW + said(held)).sum();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Shelf(moka::sync::Cache::builder().weigher(weight).max_capacity(BYTES).time_to_live(LONG).build())
    }
}

/// How far feeds are applied.
fn positions(standings: [&Standing; 3]) -> [i64; 3] {
    standings.map(|standing| standing.position)
}

impl Shelf {
    /// The rows of a party, if they were read where the feeds stand now.
    pub(crate) fn get(
        &self,
        tenant: &TenantId,
        party: Uuid,
        standings: [&Standing; 3],
    ) -> Option<Arc<BTreeMap<SectionKey, Held>>> {
        let shelved = self.0.get(&(tenant.clone(), party))?;
        (shelved.positions == positions(standings)).then_some(shelved.rows)
    }

    /// Puts the rows of a party there, read when the feeds stood like this.
    pub(crate) fn put(
        &self,
        tenant: &TenantId,
        party: Uuid,
        standings: [&Standing; 3],
        rows: Arc<BTreeMap<SectionKey, Held>>,
    ) {
        self.0.insert((tenant.clone(), party), Shelved { rows, positions: positions(standings) });
    }

    /// Something is kept of a party that its rows do not say.
    pub(crate) fn forget(&self, tenant: &TenantId, party: Uuid) {
        self.0.invalidate(&(tenant.clone(), party));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn rows_hold_until_a_feed_is_applied_further_or_something_is_kept() {
        let standing =
            |position| Standing { position, unknown: false, away: String::new(), lagging: false, reached: true };
        let (four, five) = (standing(4), standing(5));
        let (shelf, local, party) = (Shelf::default(), TenantId::local(), Uuid::from_u128(1));
        shelf.put(&local, party, [&four, &four, &five], Arc::default());
        assert!(shelf.clone().get(&local, party, [&four, &four, &five]).is_some());
        assert!(shelf.get(&local, Uuid::from_u128(2), [&four, &four, &five]).is_none());
        assert!(shelf.get(&TenantId::parse("acme").unwrap(), party, [&four, &four, &five]).is_none());
        assert!(shelf.get(&local, party, [&four, &five, &five]).is_none());
        shelf.forget(&local, party);
        assert!(shelf.get(&local, party, [&four, &four, &five]).is_none());
    }
}
