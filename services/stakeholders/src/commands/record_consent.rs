use std::collections::BTreeMap;

use async_trait::async_trait;
use rapport_store::{Command, Item, Outbox, StoreError, Tx};
use rapport_types::{Error, TenantId};

use super::subject;
use crate::domain::consent::Consent;
use crate::domain::names::PartyName;
use crate::domain::party::PartyKind;
use crate::events;
use crate::store::{Key, consent, party};

/// Records that a party gave or withdrew consent.
#[derive(Debug)]
pub struct RecordConsent {
    /// The record; when the server records it is filled in by the write.
    pub consent: Consent,
}

/// What the batch knows and makes.
#[derive(Debug, Default)]
pub struct State {
    known: BTreeMap<Key, PartyKind>,
    made: Vec<(TenantId, Consent)>,
}

#[async_trait]
impl Command for RecordConsent {
    type State = State;
    type Reply = Consent;

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let mut keys: Vec<_> =
            items.iter().map(|item| (item.scope.tenant.clone(), item.command.consent.party)).collect();
        keys.sort_unstable();
        keys.dedup();
        Ok(State { known: party::kinds(tx.db(), &keys).await?, made: Vec::new() })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Consent, Error> {
        let tenant = &item.scope.tenant;
        let mut consent = item.command.consent.clone();
        if !state.known.contains_key(&(tenant.clone(), consent.party)) {
            return Err(Error::not_found(PartyName::new(consent.party)));
        }
        consent.recorded_at = item.now;
        events::consent_recorded(out, tenant, &consent);
        out.subject(subject(item, consent.party));
        state.made.push((tenant.clone(), consent.clone()));
        Ok(consent)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        consent::append(tx, &state.made).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::Kind;
    use uuid::Uuid;

    use super::*;
    use crate::commands::bench::{NOW, decide, tenant};
    use crate::domain::consent::tests::record;

    #[test]
    fn a_record_is_kept_as_it_was_said() {
        let mut state =
            State { known: [((tenant(), Uuid::from_u128(1)), PartyKind::Individual)].into(), made: Vec::new() };
        let (kept, events) =
            decide(RecordConsent { consent: record(1, "marketing", "email", true, 5) }, &mut state).unwrap();
        assert_eq!((kept.recorded_at, kept.occurred_at.as_micros(), events), (NOW, 5, 1));
        let mut foreign = record(2, "marketing", "email", true, 5);
        foreign.party = Uuid::from_u128(2);
        assert_eq!(decide(RecordConsent { consent: foreign }, &mut state).unwrap_err().kind, Kind::NotFound);
        assert_eq!(state.made.len(), 1);
    }
}
