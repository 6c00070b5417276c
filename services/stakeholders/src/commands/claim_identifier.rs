use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::{Error, TenantId};
use uuid::Uuid;

use super::{Claims, identifier_lock, party_lock, subject};
use crate::domain::identifier::Identifier;
use crate::domain::party::Party;
use crate::domain::provenance::Provenance;
use crate::events;
use crate::store::party_set::PartySet;

/// Adds an identifier to a party.
#[derive(Debug)]
pub struct ClaimIdentifier {
    /// The party.
    pub party: Uuid,
    /// The identifier.
    pub identifier: Identifier,
    /// Where the fact came from.
    pub provenance: Provenance,
}

/// What the batch knows and makes.
#[derive(Debug, Default)]
pub struct State {
    claims: Claims,
    parties: PartySet,
}

#[async_trait]
impl Command for ClaimIdentifier {
    type State = State;
    type Reply = Party;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        let claim = &self.identifier;
        vec![party_lock(tenant, self.party), identifier_lock(tenant, claim.scheme.as_str(), &claim.normalized)]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let claims: Vec<_> = items.iter().map(|item| (&item.scope.tenant, &item.command.identifier)).collect();
        let parties = items.iter().map(|item| (item.scope.tenant.clone(), item.command.party)).collect();
        Ok(State { claims: Claims::load(tx, &claims).await?, parties: PartySet::load(tx, parties).await? })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Party, Error> {
        let (tenant, command) = (&item.scope.tenant, &item.command);
        let mut party = state.parties.get(tenant, command.party)?.clone();
        state.claims.check(tenant, party.id, &command.identifier)?;
        out.subject(subject(item, party.id));
        let mut claim = command.identifier.clone();
        claim.created_at = item.now;
        match party.identifiers.iter_mut().find(|held| held.key() == claim.key()) {
            // The stronger strength stays; the smaller one is the stronger.
            Some(held) if held.strength <= claim.strength => return Ok(party),
            Some(held) => held.strength = claim.strength,
            None => {
                party.may_claim()?;
                party.identifiers.push(claim.clone());
            }
        }
        if !command.provenance.is_empty() {
            party.profile.provenance = command.provenance.clone();
        }
        party.version += 1;
        party.updated_at = item.now;
        state.claims.grant(tenant, party.id, &claim);
        events::identifier_claimed(out, tenant, &party, &claim, item.now);
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

    use super::*;
    use crate::commands::bench::{NOW, decide, tenant};
    use crate::domain::identifier::{LIMIT, Scheme, Strength};
    use crate::domain::party::tests::draft;

    fn state() -> State {
        let parties = [1, 2].map(|id| {
            let mut start = draft("Ana");
            start.id = Uuid::from_u128(id);
            let party = start.record(NOW).unwrap();
            ((tenant(), party.id), party)
        });
        State { claims: Claims::default(), parties: PartySet::of(parties.into()) }
    }

    fn claim(party: u128, value: &str, strength: Strength) -> ClaimIdentifier {
        ClaimIdentifier {
            party: Uuid::from_u128(party),
            identifier: Identifier::parse(Scheme::parse("crm").unwrap(), value, strength, "").unwrap(),
            provenance: Provenance::default(),
        }
    }

    #[test]
    fn a_unique_identifier_has_one_holder() {
        let mut state = state();
        let (party, events) = decide(claim(1, "7", Strength::Unique), &mut state).unwrap();
        assert_eq!((party.version, events, party.identifiers.len()), (2, 1, 1));
        let error = decide(claim(2, "7", Strength::Strong), &mut state).unwrap_err();
        assert_eq!((error.kind, error.reason), (Kind::AlreadyExists, reason::IDENTIFIER_TAKEN));
        assert_eq!(error.metadata["holder"], format!("parties/{}", Uuid::from_u128(1)));
        assert!(!error.message.contains('7') || error.message.contains("parties/"));
    }

    #[test]
    fn claiming_again_keeps_the_stronger() {
        let mut state = state();
        decide(claim(1, "7", Strength::Strong), &mut state).unwrap();
        let (party, events) = decide(claim(1, "7", Strength::Weak), &mut state).unwrap();
        assert_eq!((party.identifiers[0].strength, events), (Strength::Strong, 0));
        let (party, events) = decide(claim(1, "7", Strength::Unique), &mut state).unwrap();
        assert_eq!((party.identifiers[0].strength, party.identifiers.len(), events), (Strength::Unique, 1, 1));
    }

    #[test]
    fn identifiers_are_bounded_and_parties_must_exist() {
        let mut state = state();
        for number in 0..LIMIT {
            decide(claim(1, &number.to_string(), Strength::Strong), &mut state).unwrap();
        }
        let error = decide(claim(1, "more", Strength::Strong), &mut state).unwrap_err();
        assert_eq!(error.reason, reason::TOO_MANY_CHILDREN);
        assert_eq!(decide(claim(3, "x", Strength::Weak), &mut state).unwrap_err().kind, Kind::NotFound);
    }
}
