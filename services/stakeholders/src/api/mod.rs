//! The services of the contract: requests become domain values, answers become messages. No rules and no statements.

mod batch;
pub mod convert;
mod identity;
mod party;
mod privacy;
mod relationship;
mod watch;

pub use identity::IdentityApi;
pub use party::PartyApi;
pub use privacy::PrivacyApi;
pub use relationship::RelationshipApi;

use std::sync::Arc;

use rapport_events::Feed;
use rapport_store::Store;
use rapport_types::id::World;
use rapport_types::{Collector, Timestamp, Uuid};

use crate::options::StakeholderOptions;

/// The service's name in positions and feeds.
pub(crate) const SERVICE: &str = "stakeholders";

/// What every handler works with.
#[derive(Clone, Debug)]
pub(crate) struct Hands {
    pub(crate) store: Store,
    pub(crate) world: World,
    pub(crate) feed: Feed,
    pub(crate) options: Arc<StakeholderOptions>,
}

impl Hands {
    /// What requests are read with.
    pub(crate) fn reading(&self) -> Reading<'_> {
        Reading { fields: Collector::new(), now: self.world.now(), hands: self }
    }
}

/// A request that is being read: every violation found is kept until the end.
pub(crate) struct Reading<'a> {
    pub(crate) fields: Collector,
    pub(crate) now: Timestamp,
    hands: &'a Hands,
}

impl Reading<'_> {
    /// The same request, one message deeper.
    pub(crate) fn at(&self, field: &str) -> Self {
        Reading { fields: self.fields.at(field), now: self.now, hands: self.hands }
    }

    /// The same request, at an element of a list.
    pub(crate) fn index(&self, field: &str, index: usize) -> Self {
        Reading { fields: self.fields.index(field, index), now: self.now, hands: self.hands }
    }

    /// A fresh id.
    pub(crate) fn next_id(&self) -> Uuid {
        self.hands.world.next_id()
    }

    /// The country whose plan reads a national number: the first of these that is said, else the configured one.
    pub(crate) fn country<'c>(&'c self, said: &[&'c str]) -> &'c str {
        said.iter().find(|code| !code.is_empty()).copied().unwrap_or(&self.hands.options.default_country)
    }
}
