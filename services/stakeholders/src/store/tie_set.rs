//! Ties on their way through a batch: what was loaded, and what the decisions made of it.

use std::collections::{BTreeMap, BTreeSet};

use rapport_store::{StoreError, Tx};
use rapport_types::{Error, TenantId};
use uuid::Uuid;

use super::{Key, relationship};
use crate::domain::names::RelationshipName;
use crate::domain::relationship::Relationship;

/// The ties that a batch reads and writes.
#[derive(Debug, Default)]
pub struct TieSet {
    now: BTreeMap<Key, Relationship>,
    changed: BTreeSet<Key>,
}

impl TieSet {
    /// The ties of these keys, as far as they exist.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(tx: &Tx, mut keys: Vec<Key>) -> Result<TieSet, StoreError> {
        keys.sort_unstable();
        keys.dedup();
        Ok(TieSet::of(relationship::load(tx.db(), &keys).await?))
    }

    /// Ties that are known already.
    pub fn of(now: BTreeMap<Key, Relationship>) -> TieSet {
        TieSet { now, changed: BTreeSet::new() }
    }

    /// A tie as the decisions so far have left it.
    ///
    /// # Errors
    /// NotFound.
    pub fn get(&self, tenant: &TenantId, id: Uuid) -> Result<&Relationship, Error> {
        self.now.get(&(tenant.clone(), id)).ok_or_else(|| Error::not_found(RelationshipName::new(id)))
    }

    /// Takes a tie as a decision has left it.
    pub fn put(&mut self, tenant: &TenantId, tie: Relationship) {
        let key = (tenant.clone(), tie.id);
        self.changed.insert(key.clone());
        self.now.insert(key, tie);
    }

    /// Writes what has changed.
    ///
    /// # Errors
    /// The database's.
    pub async fn save(self, tx: &Tx) -> Result<(), StoreError> {
        let ties: Vec<_> = self.now.iter().filter(|(key, _)| self.changed.contains(*key)).collect();
        let ties: Vec<_> = ties.into_iter().map(|(key, tie)| (&key.0, tie)).collect();
        relationship::put(tx, &ties).await?;
        Ok(())
    }
}
