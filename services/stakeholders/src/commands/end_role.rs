use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::{Error, TenantId, Timestamp};

use super::{party_lock, subject};
use crate::domain::names::RoleName;
use crate::domain::provenance::Provenance;
use crate::domain::role::Role;
use crate::events;
use crate::store::party_set::PartySet;

/// Ends a role.
#[derive(Debug)]
pub struct EndRole {
    /// The role.
    pub role: RoleName,
    /// When it ended; with the write when absent.
    pub at: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// Where the fact came from.
    pub provenance: Provenance,
}

#[async_trait]
impl Command for EndRole {
    type State = PartySet;
    type Reply = Role;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![party_lock(tenant, self.role.parent().uuid())]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<PartySet, StoreError> {
        let party = |item: &Item<Self>| (item.scope.tenant.clone(), item.command.role.parent().uuid());
        PartySet::load(tx, items.iter().map(party).collect()).await
    }

    fn decide(item: &Item<Self>, parties: &mut PartySet, out: &mut Outbox) -> Result<Role, Error> {
        let (tenant, command) = (&item.scope.tenant, &item.command);
        let unknown = || Error::not_found(command.role);
        let mut party = parties.get(tenant, command.role.parent().uuid()).map_err(|_| unknown())?.clone();
        let held = party.roles.iter_mut().find(|role| role.id == command.role.uuid()).ok_or_else(unknown)?;
        let ended = held.ended(command.at, &command.reason, &command.provenance, item.now)?;
        *held = ended.clone();
        party.version += 1;
        party.updated_at = item.now;
        events::role_ended(out, tenant, &party, &ended);
        out.subject(subject(item, party.id));
        parties.put(tenant, &item.scope.principal, party);
        Ok(ended)
    }

    async fn apply(tx: &Tx, parties: PartySet) -> Result<(), StoreError> {
        parties.save(tx).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeMap;

    use rapport_types::{Kind, reason};
    use uuid::Uuid;

    use super::*;
    use crate::commands::bench::{NOW, decide, tenant};
    use crate::domain::names::PartyName;
    use crate::domain::party::tests::{draft, role};

    fn end(party: u128, role: u128) -> EndRole {
        EndRole {
            role: RoleName::new(PartyName::new(Uuid::from_u128(party)), Uuid::from_u128(role)),
            at: None,
            reason: "contract over".into(),
            provenance: Provenance::default(),
        }
    }

    #[test]
    fn a_role_ends_once_and_may_be_given_again() {
        let mut start = draft("Ana");
        start.roles = vec![role("customer")];
        let party = start.record(NOW).unwrap();
        let mut parties = PartySet::of(BTreeMap::from([((tenant(), party.id), party)]));
        let (ended, events) = decide(end(1, 9), &mut parties).unwrap();
        assert!(!ended.holds_at(NOW));
        assert_eq!((ended.end_reason.as_str(), events), ("contract over", 1));
        let error = decide(end(1, 9), &mut parties).unwrap_err();
        assert_eq!((error.kind, error.reason), (Kind::Precondition, reason::ROLE_ALREADY_ENDED));
        for unknown in [end(1, 8), end(2, 9)] {
            assert_eq!(decide(unknown, &mut parties).unwrap_err().kind, Kind::NotFound);
        }
        let again = role("customer").record(Uuid::from_u128(1), NOW);
        assert!(parties.get(&tenant(), Uuid::from_u128(1)).unwrap().may_take(&again).is_ok());
    }
}
