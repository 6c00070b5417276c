use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rapport_types::{TenantId, Uuid};

use crate::store::{Held, SectionKey};

/// How long rows stay that nobody made invalid.
const LONG: Duration = Duration::from_secs(300);
/// How many bytes of rows stay.
const BYTES: u64 = 96 << 20;
/// What a row takes beside what it says.
const ROW: usize = 160;

/// The projection's rows of parties that were asked about lately. They hold as long as the feeds whose consumers write them
/// have spoken of nobody like this since they were read. Clones are the same shelf.
#[derive(Clone)]
pub(crate) struct Shelf(moka::sync::Cache<(TenantId, Uuid), Shelved>);

/// The services whose feeds say what rows hold.
pub(crate) const SOURCES: [&str; 3] = ["stakeholders", "scoring", "loyalty"];

/// How far each of these feeds is applied.
pub(crate) type Positions = [i64; SOURCES.len()];

#[derive(Clone)]
struct Shelved {
    rows: Arc<BTreeMap<SectionKey, Held>>,
    /// How far the feeds were applied before the rows were read.
    positions: Positions,
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

impl Shelf {
    /// The rows of a party, if they `hold` still though they were read when the feeds were applied so far.
    pub(crate) fn get(
        &self,
        tenant: &TenantId,
        party: Uuid,
        hold: impl Fn(Positions) -> bool,
    ) -> Option<Arc<BTreeMap<SectionKey, Held>>> {
        let shelved = self.0.get(&(tenant.clone(), party))?;
        hold(shelved.positions).then_some(shelved.rows)
    }

    /// Puts the rows of a party there, read after the feeds were applied so far.
    pub(crate) fn put(
        &self,
        tenant: &TenantId,
        party: Uuid,
        positions: Positions,
        rows: Arc<BTreeMap<SectionKey, Held>>,
    ) {
        self.0.insert((tenant.clone(), party), Shelved { rows, positions });
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
    fn rows_hold_as_long_as_it_is_said_of_where_they_were_read() {
        let (shelf, local, party) = (Shelf::default(), TenantId::local(), Uuid::from_u128(1));
        shelf.put(&local, party, [4, 4, 5], Arc::default());
        assert!(shelf.clone().get(&local, party, |read| read == [4, 4, 5]).is_some());
        assert!(shelf.get(&local, Uuid::from_u128(2), |_| true).is_none());
        assert!(shelf.get(&TenantId::parse("acme").unwrap(), party, |_| true).is_none());
        assert!(shelf.get(&local, party, |_| false).is_none());
        shelf.forget(&local, party);
        assert!(shelf.get(&local, party, |_| true).is_none());
    }
}
