use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::{Error, TenantId};
use uuid::Uuid;

use super::{party_lock, subject};
use crate::domain::role::{Role, RoleDraft};
use crate::events;
use crate::store::party_set::PartySet;

/// Gives a party a role.
#[derive(Debug)]
pub struct AssignRole {
    /// The party.
    pub party: Uuid,
    /// The role, with the id it will have.
    pub role: RoleDraft,
}

#[async_trait]
impl Command for AssignRole {
    type State = PartySet;
    type Reply = Role;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![party_lock(tenant, self.party)]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<PartySet, StoreError> {
        let keys = items.iter().map(|item| (item.scope.tenant.clone(), item.command.party)).collect();
        PartySet::load(tx, keys).await
    }

    fn decide(item: &Item<Self>, parties: &mut PartySet, out: &mut Outbox) -> Result<Role, Error> {
        let (tenant, command) = (&item.scope.tenant, &item.command);
        let mut party = parties.get(tenant, command.party)?.clone();
        let role = command.role.clone().record(party.id, item.now);
        party.may_take(&role)?;
        party.roles.insert(0, role.clone());
        party.version += 1;
        party.updated_at = item.now;
        events::role_assigned(out, tenant, &party, &role);
        out.subject(subject(item, party.id));
        parties.put(tenant, &item.scope.principal, party);
        Ok(role)
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

    use super::*;
    use crate::commands::bench::{NOW, decide, tenant};
    use crate::domain::party::tests::{draft, role};

    fn assign(kind: &str, party: u128) -> AssignRole {
        AssignRole { party: Uuid::from_u128(party), role: role(kind) }
    }

    #[test]
    fn a_role_is_given_once() {
        let party = draft("Ana").record(NOW).unwrap();
        let mut parties = PartySet::of(BTreeMap::from([((tenant(), party.id), party)]));
        let (role, events) = decide(assign("supplier", 1), &mut parties).unwrap();
        assert!(role.holds_at(NOW));
        assert_eq!(events, 1);
        assert_eq!(parties.get(&tenant(), role.party).unwrap().version, 2);
        let error = decide(assign("supplier", 1), &mut parties).unwrap_err();
        assert_eq!((error.kind, error.reason), (Kind::Precondition, reason::ROLE_ALREADY_HELD));
        decide(assign("customer", 1), &mut parties).unwrap();
        assert_eq!(decide(assign("customer", 2), &mut parties).unwrap_err().kind, Kind::NotFound);
    }
}
