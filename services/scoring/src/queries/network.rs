//! Influence over a tenant's relationships: computed when it is asked for, kept while it holds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::{TenantId, Timestamp, Uuid};
use tokio::sync::Semaphore;

use crate::domain::{Network, Standing};
use crate::error::ScoringError;
use crate::options::ScoringOptions;
use crate::store;

/// Parties of all networks kept, at most (but one network is kept whatever its size): about 40 bytes each.
const KEPT_PARTIES: usize = 2_000_000;
/// Networks kept at most: looked through one by one.
const KEPT_NETWORKS: usize = 256;

/// Reads influence.
#[derive(Clone, Debug)]
pub(crate) struct Networks {
    store: Store,
    options: ScoringOptions,
    kept: Arc<Mutex<Kept>>,
    /// One computation at a time: it takes a whole processor and the memory for all of a tenant's relationships.
    turn: Arc<Semaphore>,
}

/// A network as it was computed.
#[derive(Debug)]
pub(crate) struct Computed {
    tenant: TenantId,
    /// The position of the last event that it knows of.
    pub(crate) position: i64,
    /// When it was computed.
    pub(crate) computed_at: Timestamp,
    /// The network.
    pub(crate) network: Network,
}

/// What was computed, the last used last.
#[derive(Debug, Default)]
struct Kept(VecDeque<Arc<Computed>>);

impl Kept {
    fn find(&mut self, tenant: &TenantId, position: i64, as_of: Timestamp) -> Option<Arc<Computed>> {
        // What an event made outdated is of no use any more.
        self.0.retain(|one| one.tenant != *tenant || one.position == position);
        let place = self.0.iter().position(|one| one.tenant == *tenant && one.network.holds_at(as_of))?;
        let found = self.0.remove(place)?;
        self.0.push_back(Arc::clone(&found));
        Some(found)
    }

    fn keep(&mut self, computed: Arc<Computed>) {
        self.0.push_back(computed);
        let mut parties: usize = self.0.iter().map(|one| one.network.len()).sum();
        while self.0.len() > 1 && (parties > KEPT_PARTIES || self.0.len() > KEPT_NETWORKS) {
            parties -= self.0.pop_front().map_or(0, |one| one.network.len());
        }
    }
}

impl Networks {
    pub(crate) fn new(store: Store, options: ScoringOptions) -> Networks {
        Networks { store, options, kept: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }

    /// The time of the service's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.store.world().now()
    }

    /// A tenant's network as of a moment.
    ///
    /// # Errors
    /// Exhausted if the tenant has more relationships than an answer may read; the store's.
    pub(crate) async fn get(&self, tenant: &TenantId, as_of: Timestamp) -> Result<Arc<Computed>, Error> {
        let position = self.position(tenant).await?;
        if let Some(found) = self.kept().find(tenant, position, as_of) {
            return Ok(found);
        }
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| Error::bug("the turn was closed"))?;
        // Whoever was first may have computed what is wanted here. The position before the relationships: should one
        // come between, the next request finds that there is something newer.
        let position = self.position(tenant).await?;
        if let Some(found) = self.kept().find(tenant, position, as_of) {
            return Ok(found);
        }
        let limit = self.options.relationship_limit;
        let ties =
            store::relationship_list(self.store.reader(), tenant, limit.saturating_add(1)).await.map_err(read_error)?;
        if ties.len() > limit as usize {
            return Err(ScoringError::NetworkTooLarge(limit).into());
        }
        let computed_at = self.now();
        // The turn goes along: a caller that leaves does not let the next one begin while this one is at work.
        let computing = tokio::task::spawn_blocking(move || {
            let network = Network::of(&ties, as_of);
            drop(turn);
            network
        });
        let network = computing.await.map_err(|_| Error::bug("the computation of a network panicked"))?;
        let network = network.map_err(|error| Error::bug(format!("stored relationships make no graph: {error}")))?;
        let computed = Arc::new(Computed { tenant: tenant.clone(), position, computed_at, network });
        self.kept().keep(Arc::clone(&computed));
        Ok(computed)
    }

    /// How influential a party is: the party that the id asked for stands for now, and its standing, if it has one.
    ///
    /// # Errors
    /// As [`Networks::get`].
    pub(crate) async fn influence(
        &self,
        tenant: &TenantId,
        party: Uuid,
        as_of: Timestamp,
    ) -> Result<(Uuid, Option<Standing>, Arc<Computed>), Error> {
        let (party, _) = store::alias_whose(self.store.reader(), tenant, party).await.map_err(read_error)?;
        let computed = self.get(tenant, as_of).await?;
        Ok((party, computed.network.standing(party), computed))
    }

    async fn position(&self, tenant: &TenantId) -> Result<i64, Error> {
        store::network_position(self.store.reader(), tenant).await.map_err(read_error)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
