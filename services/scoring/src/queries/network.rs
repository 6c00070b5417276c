//! Influence over a tenant's relationships: computed when it is asked for, kept while it holds.

use std::collections::{HashMap, VecDeque};
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
/// Whoever asks for now is answered for a moment that is less than so many microseconds ago, however long they waited for their
/// turn.
const JUST_NOW: i64 = 600 * 1_000_000;

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
    /// Whether it was asked for as of the moment at which it was computed.
    now: bool,
    /// The network.
    pub(crate) network: Network,
}

/// How several parties stand.
#[derive(Debug)]
pub(crate) struct Several {
    /// The party that each id stands for now, and its standing, if it has one; in the order in which they were asked for.
    pub(crate) standings: Vec<(Uuid, Option<Standing>)>,
    /// The network.
    pub(crate) computed: Arc<Computed>,
    /// Whether the network is that of now.
    pub(crate) of_now: bool,
}

/// What was computed, the last used last.
#[derive(Debug, Default)]
struct Kept(VecDeque<Arc<Computed>>);

impl Kept {
    /// The newest network of a tenant that was computed at a moment or later, whatever happened since.
    fn since(&self, tenant: &TenantId, moment: Timestamp) -> Option<Arc<Computed>> {
        let recent = |one: &&Arc<Computed>| one.tenant == *tenant && one.now && one.computed_at >= moment;
        self.0.iter().filter(recent).max_by_key(|one| one.computed_at).map(Arc::clone)
    }

    fn find(&mut self, tenant: &TenantId, position: i64, as_of: Timestamp) -> Option<Arc<Computed>> {
        // What an event made outdated may be good enough for those who say so: the newest stays, until there is another.
        let newest = self.0.iter().filter(|one| one.tenant == *tenant && one.now).map(|one| one.computed_at).max();
        self.0.retain(|one| one.tenant != *tenant || one.position == position || Some(one.computed_at) == newest);
        let holds =
            |one: &Arc<Computed>| one.tenant == *tenant && one.position == position && one.network.holds_at(as_of);
        let place = self.0.iter().position(holds)?;
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
        let now = as_of <= computed_at && computed_at.micros_since(as_of) < JUST_NOW;
        // The turn goes along: a caller that leaves does not let the next one begin while this one is at work.
        let computing = tokio::task::spawn_blocking(move || {
            let network = Network::of(&ties, as_of);
            drop(turn);
            network
        });
        let network = computing.await.map_err(|_| Error::bug("the computation of a network panicked"))?;
        let network = network.map_err(|error| Error::bug(format!("stored relationships make no graph: {error}")))?;
        let computed = Arc::new(Computed { tenant: tenant.clone(), position, computed_at, now, network });
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

    /// How influential parties are, over a network that was computed at most `max_age` microseconds before, else over that of
    /// now.
    ///
    /// # Errors
    /// As [`Networks::get`].
    pub(crate) async fn influences(
        &self,
        tenant: &TenantId,
        parties: &[Uuid],
        now: Timestamp,
        max_age: i64,
    ) -> Result<Several, Error> {
        let mut ids = parties.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let holders = store::alias_whose_each(self.store.reader(), tenant, &ids).await.map_err(read_error)?;
        let whose: HashMap<Uuid, Uuid> = holders.into_iter().map(|holder| (holder.asked, holder.party)).collect();
        let recent = (max_age > 0).then(|| self.kept().since(tenant, before(now, max_age))).flatten();
        let (computed, of_now) = match recent {
            Some(recent) => (recent, false),
            None => (self.get(tenant, now).await?, true),
        };
        let standings = parties.iter().map(|party| {
            let party = whose.get(party).copied().unwrap_or(*party);
            (party, computed.network.standing(party))
        });
        Ok(Several { standings: standings.collect(), computed, of_now })
    }

    async fn position(&self, tenant: &TenantId) -> Result<i64, Error> {
        store::network_position(self.store.reader(), tenant).await.map_err(read_error)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The moment so many microseconds before another.
fn before(moment: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(moment.as_micros().saturating_sub(micros))
}
