use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::{Error, Etag, TenantId};
use uuid::Uuid;

use super::{party_lock, subject};
use crate::domain::party::{Lifecycle, Party};
use crate::domain::party_change::Change;
use crate::events;
use crate::store::party_set::PartySet;

/// Changes fields of a party.
#[derive(Debug)]
pub struct UpdateParty {
    /// The party.
    pub party: Uuid,
    /// The version the caller has seen; empty for any.
    pub etag: String,
    /// What to change.
    pub changes: Vec<Change>,
    /// Whether the caller may set parties apart, and lift that; else how they are refused.
    pub may_restrict: Result<(), Error>,
}

#[async_trait]
impl Command for UpdateParty {
    type State = PartySet;
    type Reply = Party;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![party_lock(tenant, self.party)]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<PartySet, StoreError> {
        let keys = items.iter().map(|item| (item.scope.tenant.clone(), item.command.party)).collect();
        PartySet::load(tx, keys).await
    }

    fn decide(item: &Item<Self>, parties: &mut PartySet, out: &mut Outbox) -> Result<Party, Error> {
        let (tenant, command) = (&item.scope.tenant, &item.command);
        let mut party = parties.get(tenant, command.party)?.clone();
        Etag::check(&command.etag, party.version, party.name())?;
        let before = party.lifecycle;
        let paths = party.change(&command.changes)?;
        if before != party.lifecycle && [before, party.lifecycle].contains(&Lifecycle::Restricted) {
            command.may_restrict.clone()?;
        }
        party.note_restriction(before, &item.scope.principal, item.now);
        out.subject(subject(item, party.id));
        // What changes nothing makes no version and no event.
        if paths.is_empty() {
            return Ok(party);
        }
        party.version += 1;
        party.updated_at = item.now;
        events::party_updated(out, tenant, &party, paths);
        parties.put(tenant, &item.scope.principal, party.clone());
        Ok(party)
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
    use crate::domain::party::tests::draft;
    use crate::domain::provenance::Provenance;

    fn parties() -> PartySet {
        let party = draft("Ana").record(NOW).unwrap();
        PartySet::of(BTreeMap::from([((tenant(), party.id), party)]))
    }

    fn rename(etag: &str, name: &str) -> UpdateParty {
        let changes = vec![Change::DisplayName(name.into())];
        UpdateParty { party: Uuid::from_u128(1), etag: etag.into(), changes, may_restrict: Ok(()) }
    }

    #[test]
    fn the_second_of_two_edits_with_one_etag_is_refused_within_a_batch_too() {
        let mut parties = parties();
        let seen = Etag::of(1).to_string();
        let (party, events) = decide(rename(&seen, "Bea"), &mut parties).unwrap();
        assert_eq!((party.version, events, party.profile.display_name.as_str()), (2, 1, "Bea"));
        let error = decide(rename(&seen, "Cleo"), &mut parties).unwrap_err();
        assert_eq!((error.kind, error.reason), (Kind::Conflict, reason::ETAG_MISMATCH));
        assert_eq!(decide(rename("", "Cleo"), &mut parties).unwrap().0.version, 3);
    }

    fn set_apart(to: Lifecycle, why: &str, may_restrict: Result<(), Error>) -> UpdateParty {
        let provenance = Provenance { reason: why.to_owned(), ..Provenance::default() };
        let changes = vec![Change::Lifecycle(to), Change::Provenance(provenance)];
        UpdateParty { changes, may_restrict, ..rename("", "") }
    }

    #[test]
    fn a_restriction_takes_a_permission_and_keeps_its_reason() {
        let mut parties = parties();
        let denied = || Err(Error::new(Kind::Denied, reason::PERMISSION_DENIED, "not you"));
        let why = |party: &Party| party.profile.restriction.as_ref().map(|one| one.provenance.reason.clone());
        let refused = decide(set_apart(Lifecycle::Restricted, "a letter", denied()), &mut parties).unwrap_err();
        assert_eq!(refused.reason, reason::PERMISSION_DENIED);
        let (party, _) = decide(set_apart(Lifecycle::Restricted, "a letter", Ok(())), &mut parties).unwrap();
        assert_eq!((party.lifecycle, why(&party).as_deref()), (Lifecycle::Restricted, Some("a letter")));
        let since = party.profile.restriction.clone().unwrap();
        assert_eq!(since.restricted_at, NOW);
        // Whatever is said of the record after that, by whoever may write it.
        let (party, _) = decide(set_apart(Lifecycle::Restricted, "a new address", denied()), &mut parties).unwrap();
        assert_eq!(party.profile.provenance.reason, "a new address");
        assert_eq!(party.profile.restriction, Some(since));
        let refused = decide(set_apart(Lifecycle::Identified, "enough", denied()), &mut parties).unwrap_err();
        assert_eq!(refused.reason, reason::PERMISSION_DENIED);
        let (party, _) = decide(set_apart(Lifecycle::Identified, "taken back", Ok(())), &mut parties).unwrap();
        assert_eq!((party.lifecycle, party.profile.restriction), (Lifecycle::Identified, None));
        // Who may not restrict may move everybody else.
        assert!(decide(set_apart(Lifecycle::Curated, "checked", denied()), &mut parties).is_ok());
    }

    #[test]
    fn changing_nothing_is_no_event() {
        let (party, events) = decide(rename("", "Ana"), &mut parties()).unwrap();
        assert_eq!((party.version, events), (1, 0));
    }

    #[test]
    fn an_unknown_party_is_not_found() {
        let mut command = rename("", "Ana");
        command.party = Uuid::from_u128(5);
        assert_eq!(decide(command, &mut parties()).unwrap_err().kind, Kind::NotFound);
    }
}
