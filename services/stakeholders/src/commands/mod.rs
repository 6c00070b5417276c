//! The writes, one file each: what is locked, what is read, what is decided, what is written.

mod assign_role;
mod claim_identifier;
mod create_party;
mod create_relationship;
mod end_relationship;
mod end_role;
mod record_consent;
mod resolve_party;
mod update_party;
mod update_relationship;

#[cfg(test)]
mod bench;

pub use assign_role::AssignRole;
pub use claim_identifier::ClaimIdentifier;
pub use create_party::CreateParty;
pub use create_relationship::CreateRelationship;
pub use end_relationship::EndRelationship;
pub use end_role::EndRole;
pub use record_consent::RecordConsent;
pub use resolve_party::ResolveParty;
pub use update_party::UpdateParty;
pub use update_relationship::UpdateRelationship;

use std::collections::BTreeMap;

use rapport_store::{Item, LockKey, StoreError, Subject, Tx};
use rapport_types::{Error, TenantId};
use uuid::Uuid;

use crate::domain::identifier::{Identifier, Strength};
use crate::error;
use crate::store::identifier::{self as rows, Value3};

/// The lock on a party.
fn party_lock(tenant: &TenantId, party: Uuid) -> LockKey {
    LockKey::of(tenant, "party", party.as_bytes())
}

/// The lock on a relationship.
fn relationship_lock(tenant: &TenantId, relationship: Uuid) -> LockKey {
    LockKey::of(tenant, "relationship", relationship.as_bytes())
}

/// The lock on a normalised identifier.
fn identifier_lock(tenant: &TenantId, scheme: &str, normalized: &str) -> LockKey {
    LockKey::of(tenant, "identifier", format!("{scheme}|{normalized}").as_bytes())
}

/// The subject under whose key the reply of an item is kept.
fn subject<C>(item: &Item<C>, party: Uuid) -> Subject {
    Subject::of(&item.scope.tenant, party)
}

/// Who holds which identifiers, as far as a batch of claims needs to know.
#[derive(Debug, Default)]
struct Claims {
    unique: BTreeMap<Value3, Uuid>,
    all: BTreeMap<Value3, Vec<Uuid>>,
}

impl Claims {
    /// What is known of these claims.
    async fn load(tx: &Tx, claims: &[(&TenantId, &Identifier)]) -> Result<Claims, StoreError> {
        let key = |(tenant, claim): &(&TenantId, &Identifier)| value(tenant, claim);
        let mut every: Vec<_> = claims.iter().map(key).collect();
        every.sort_unstable();
        every.dedup();
        let mut unique: Vec<_> =
            claims.iter().filter(|(_, claim)| claim.strength == Strength::Unique).map(key).collect();
        unique.sort_unstable();
        unique.dedup();
        Ok(Claims {
            unique: rows::unique_holders(tx.db(), &every).await?,
            all: rows::claimants(tx.db(), &unique).await?,
        })
    }

    /// Whether the party may hold the identifier.
    fn check(&self, tenant: &TenantId, party: Uuid, claim: &Identifier) -> Result<(), Error> {
        let key = value(tenant, claim);
        let holder = self.unique.get(&key).filter(|holder| **holder != party);
        let other = match claim.strength {
            Strength::Unique => self.all.get(&key).and_then(|all| all.iter().find(|one| **one != party)),
            Strength::Strong | Strength::Weak => None,
        };
        match holder.or(other) {
            Some(holder) => Err(error::identifier_taken(&claim.scheme, *holder)),
            None => Ok(()),
        }
    }

    /// Takes note of a claim that was granted.
    fn grant(&mut self, tenant: &TenantId, party: Uuid, claim: &Identifier) {
        let key = value(tenant, claim);
        if claim.strength == Strength::Unique {
            self.unique.insert(key.clone(), party);
        }
        let all = self.all.entry(key).or_default();
        if !all.contains(&party) {
            all.push(party);
        }
    }
}

fn value(tenant: &TenantId, claim: &Identifier) -> Value3 {
    (tenant.clone(), claim.scheme.as_str().to_owned(), claim.normalized.clone())
}
