use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::{Error, TenantId};

use super::{Claims, identifier_lock, subject};
use crate::domain::party::{Lifecycle, Party, PartyDraft};
use crate::events;
use crate::store::party_set::PartySet;

/// Records a party, with its identifiers and roles.
#[derive(Debug)]
pub struct CreateParty {
    /// The party to record, with the ids it will have.
    pub draft: PartyDraft,
    /// Whether the caller may set a party apart, if this one is to be; else how they are refused.
    pub may_restrict: Result<(), Error>,
}

/// What the batch knows and makes.
#[derive(Debug, Default)]
pub struct State {
    claims: Claims,
    parties: PartySet,
}

#[async_trait]
impl Command for CreateParty {
    type State = State;
    type Reply = Party;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        let claims = self.draft.identifiers.iter();
        claims.map(|claim| identifier_lock(tenant, claim.scheme.as_str(), &claim.normalized)).collect()
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let claims: Vec<_> = items
            .iter()
            .flat_map(|item| item.command.draft.identifiers.iter().map(|claim| (&item.scope.tenant, claim)))
            .collect();
        Ok(State { claims: Claims::load(tx, &claims).await?, parties: PartySet::default() })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Party, Error> {
        let (tenant, draft) = (&item.scope.tenant, &item.command.draft);
        for claim in &draft.identifiers {
            state.claims.check(tenant, draft.id, claim)?;
        }
        // Who is there already is told first: it may be set apart as it should be.
        item.command.may_restrict.clone()?;
        let mut party = draft.record(item.now)?;
        party.note_restriction(Lifecycle::Identified, &item.scope.principal, item.now);
        for claim in &party.identifiers {
            state.claims.grant(tenant, party.id, claim);
        }
        events::party_created(out, tenant, &mut party);
        out.subject(subject(item, party.id));
        state.parties.put(tenant, &item.scope.principal, party.clone());
        Ok(party)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        state.parties.save(tx).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::{Kind, reason};
    use uuid::Uuid;

    use super::*;
    use crate::commands::bench::decide;
    use crate::domain::identifier::{Identifier, Scheme, Strength};
    use crate::domain::party::tests::{draft, role};

    fn claiming(id: u128, value: &str, strength: Strength) -> CreateParty {
        let mut draft = draft("Ana");
        draft.id = Uuid::from_u128(id);
        let scheme = Scheme::parse("crm").unwrap();
        draft.identifiers = vec![Identifier::parse(scheme, value, strength, "").unwrap()];
        CreateParty { draft, may_restrict: Ok(()) }
    }

    #[test]
    fn each_fact_is_an_event_and_a_version() {
        let mut command = claiming(1, "7", Strength::Unique);
        command.draft.roles = vec![role("customer"), role("dealer")];
        let (party, events) = decide(command, &mut State::default()).unwrap();
        assert_eq!((party.version, events), (4, 4));
        assert_eq!(party.roles[0].role_type.as_str(), "dealer", "the newest role is first");
    }

    #[test]
    fn who_is_set_apart_from_the_start_takes_the_permission_and_is_so_in_the_first_event() {
        let mut state = State::default();
        let denied = || Err(Error::new(Kind::Denied, reason::PERMISSION_DENIED, "not you"));
        let apart = |id, may_restrict| {
            let mut command = claiming(id, "7", Strength::Unique);
            command.draft.stated = Some(Lifecycle::Restricted);
            command.draft.profile.provenance.reason = "a letter".to_owned();
            CreateParty { may_restrict, ..command }
        };
        assert_eq!(decide(apart(1, denied()), &mut state).unwrap_err().reason, reason::PERMISSION_DENIED);
        assert!(state.parties.all().is_empty(), "nobody is recorded half");
        let (party, _) = decide(apart(1, Ok(())), &mut state).unwrap();
        assert_eq!(party.lifecycle, Lifecycle::Restricted);
        assert_eq!(party.profile.restriction.unwrap().provenance.reason, "a letter");
        assert_eq!(decide(apart(2, denied()), &mut state).unwrap_err().reason, reason::IDENTIFIER_TAKEN);
    }

    #[test]
    fn a_unique_identifier_has_one_holder_within_a_batch_too() {
        let mut state = State::default();
        decide(claiming(1, "7", Strength::Unique), &mut state).unwrap();
        for strength in [Strength::Unique, Strength::Strong, Strength::Weak] {
            let error = decide(claiming(2, "7", strength), &mut state).unwrap_err();
            assert_eq!((error.kind, error.reason), (Kind::AlreadyExists, reason::IDENTIFIER_TAKEN));
            assert_eq!(error.metadata["holder"], format!("parties/{}", Uuid::from_u128(1)));
        }
        decide(claiming(2, "8", Strength::Unique), &mut state).unwrap();
    }

    #[test]
    fn a_strong_identifier_may_have_several_but_then_never_become_unique() {
        let mut state = State::default();
        decide(claiming(1, "7", Strength::Strong), &mut state).unwrap();
        decide(claiming(2, "7", Strength::Strong), &mut state).unwrap();
        let error = decide(claiming(3, "7", Strength::Unique), &mut state).unwrap_err();
        assert_eq!(error.reason, reason::IDENTIFIER_TAKEN);
    }

    #[test]
    fn a_refused_party_leaves_nothing_behind() {
        let mut state = State::default();
        let mut command = claiming(1, "7", Strength::Unique);
        command.draft.roles = vec![role("customer"), role("customer")];
        assert!(decide(command, &mut state).is_err());
        assert!(state.parties.all().is_empty());
        decide(claiming(2, "7", Strength::Unique), &mut state).unwrap();
    }
}
