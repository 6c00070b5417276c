//! Parties on their way through a batch: what was loaded, what the decisions made of it, and how the difference is
//! written.

use std::collections::BTreeMap;

use futures::TryFutureExt as _;
use rapport_store::{StoreError, Tx};
use rapport_types::{Error, TenantId};
use uuid::Uuid;

use super::history::{self, Version};
use super::{Key, identifier, party, role};
use crate::domain::names::PartyName;
use crate::domain::party::Party;

/// The parties that a batch reads and writes.
#[derive(Debug, Default)]
pub struct PartySet {
    before: BTreeMap<Key, Party>,
    now: BTreeMap<Key, Party>,
    versions: Vec<Version>,
}

impl PartySet {
    /// The parties of these keys, as far as they exist.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(tx: &Tx, mut keys: Vec<Key>) -> Result<PartySet, StoreError> {
        keys.sort_unstable();
        keys.dedup();
        let before = party::load(tx.db(), &keys).await?;
        Ok(PartySet::of(before))
    }

    /// Parties that are known already.
    pub fn of(before: BTreeMap<Key, Party>) -> PartySet {
        PartySet { now: before.clone(), before, versions: Vec::new() }
    }

    /// A party as the decisions so far have left it.
    ///
    /// # Errors
    /// NotFound.
    pub fn get(&self, tenant: &TenantId, id: Uuid) -> Result<&Party, Error> {
        self.now.get(&(tenant.clone(), id)).ok_or_else(|| Error::not_found(PartyName::new(id)))
    }

    /// Takes a party as a decision has left it: a new version.
    pub fn put(&mut self, tenant: &TenantId, principal: &str, party: Party) {
        self.versions.push(Version { tenant: tenant.clone(), principal: principal.to_owned(), party: party.clone() });
        self.now.insert((tenant.clone(), party.id), party);
    }

    /// All parties, as the decisions so far have left them.
    pub fn all(&self) -> &BTreeMap<Key, Party> {
        &self.now
    }

    /// Writes what has changed.
    ///
    /// # Errors
    /// The database's.
    pub async fn save(self, tx: &Tx) -> Result<(), StoreError> {
        let (mut fresh, mut changed) = (Vec::new(), Vec::new());
        let (mut fresh_media, mut changed_media) = (Vec::new(), Vec::new());
        let (mut claims, mut roles) = (Vec::new(), Vec::new());
        for (key, party) in &self.now {
            let before = self.before.get(key);
            if before == Some(party) {
                continue;
            }
            let tenant = &key.0;
            let media = party.profile.media.as_slice();
            match before {
                None => {
                    fresh.push((tenant, party));
                    fresh_media.push((tenant, party.id, media));
                }
                Some(before) => {
                    changed.push((tenant, party));
                    if before.profile.media != media {
                        changed_media.push((tenant, party.id, media));
                    }
                }
            }
            let held = before.map_or(&[][..], |before| &before.identifiers);
            claims.extend(
                party.identifiers.iter().filter(|claim| !held.contains(claim)).map(|claim| (tenant, party.id, claim)),
            );
            let had = before.map_or(&[][..], |before| &before.roles);
            roles.extend(party.roles.iter().filter(|role| !had.contains(role)).map(|role| (tenant, role)));
        }
        // Together: while the rows of one table are written, those of the next are made. The versions take longest.
        futures::try_join!(
            history::append(tx, &self.versions),
            party::insert(tx, &fresh).err_into(),
            party::update(tx, &changed).err_into(),
            identifier::put_claims(tx, &claims).err_into(),
            identifier::replace_media(tx, &fresh_media, &changed_media, tx.now()).err_into(),
            role::put(tx, &roles).err_into(),
        )?;
        Ok(())
    }
}
