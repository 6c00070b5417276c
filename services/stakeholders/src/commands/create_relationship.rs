use std::collections::BTreeMap;

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::{Error, TenantId};
use uuid::Uuid;

use super::subject;
use crate::domain::names::PartyName;
use crate::domain::party::PartyKind;
use crate::domain::relationship::{Relationship, RelationshipDraft};
use crate::store::relationship::{self as rows, Ends};
use crate::store::{Key, party};
use crate::{error, events};

/// Records a relationship.
#[derive(Debug)]
pub struct CreateRelationship {
    /// The relationship, with the id it will have.
    pub draft: RelationshipDraft,
}

/// What the batch knows and makes.
#[derive(Debug, Default)]
pub struct State {
    kinds: BTreeMap<Key, PartyKind>,
    ties: BTreeMap<Ends, Vec<Relationship>>,
    made: Vec<(TenantId, Relationship)>,
}

impl State {
    fn kind(&self, tenant: &TenantId, party: Uuid) -> Result<PartyKind, Error> {
        let kind = self.kinds.get(&(tenant.clone(), party)).copied();
        kind.ok_or_else(|| Error::not_found(PartyName::new(party)))
    }
}

#[async_trait]
impl Command for CreateRelationship {
    type State = State;
    type Reply = Relationship;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        let (from, to) = self.draft.ends();
        let bytes = [self.draft.kind.slug.as_bytes(), from.as_bytes(), to.as_bytes()].concat();
        vec![LockKey::of(tenant, "relationship between", &bytes)]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let mut parties = Vec::with_capacity(items.len() * 2);
        let mut ends = Vec::with_capacity(items.len());
        for item in items {
            let (from, to) = item.command.draft.ends();
            parties.extend([(item.scope.tenant.clone(), from), (item.scope.tenant.clone(), to)]);
            ends.push((item.scope.tenant.clone(), from, to));
        }
        parties.sort_unstable();
        parties.dedup();
        ends.sort_unstable();
        ends.dedup();
        Ok(State {
            kinds: party::kinds(tx.db(), &parties).await?,
            ties: rows::between(tx.db(), &ends).await?,
            made: Vec::new(),
        })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Relationship, Error> {
        let (tenant, draft) = (&item.scope.tenant, &item.command.draft);
        let kinds = (state.kind(tenant, draft.from)?, state.kind(tenant, draft.to)?);
        let tie = draft.record(kinds, item.now)?;
        let ties = state.ties.entry((tenant.clone(), tie.from, tie.to)).or_default();
        if let Some(clash) = ties.iter().find(|other| other.clashes(&tie)) {
            return Err(error::relationship_exists(clash));
        }
        ties.push(tie.clone());
        events::relationship_created(out, tenant, &tie);
        out.subject(subject(item, tie.from));
        state.made.push((tenant.clone(), tie.clone()));
        Ok(tie)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        let ties: Vec<_> = state.made.iter().map(|(tenant, tie)| (tenant, tie)).collect();
        rows::put(tx, &ties).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::{Kind, reason};

    use super::*;
    use crate::commands::bench::{decide, tenant};
    use crate::domain::relationship::tests::draft;

    fn state() -> State {
        let kinds = [(1, PartyKind::Individual), (2, PartyKind::Organization), (3, PartyKind::Individual)];
        State { kinds: kinds.map(|(id, kind)| ((tenant(), Uuid::from_u128(id)), kind)).into(), ..State::default() }
    }

    fn create(kind: &str, from: u128, to: u128) -> CreateRelationship {
        CreateRelationship { draft: draft(kind, from, to) }
    }

    #[test]
    fn a_tie_is_recorded_once_in_a_batch_too() {
        let mut state = state();
        let (tie, events) = decide(create("employs", 2, 1), &mut state).unwrap();
        assert_eq!((tie.version, events), (1, 1));
        let error = decide(create("employs", 2, 1), &mut state).unwrap_err();
        assert_eq!((error.kind, error.reason), (Kind::AlreadyExists, reason::RELATIONSHIP_ALREADY_EXISTS));
        assert_eq!(error.metadata["name"], tie.name().to_string());
        decide(create("employs", 2, 3), &mut state).unwrap();
        decide(create("knows", 3, 1), &mut state).unwrap();
        assert!(decide(create("knows", 1, 3), &mut state).is_err(), "a symmetric tie is the same from both ends");
        assert_eq!(state.made.len(), 3);
    }

    #[test]
    fn both_ends_must_exist_and_fit() {
        let mut state = state();
        assert_eq!(decide(create("knows", 1, 7), &mut state).unwrap_err().kind, Kind::NotFound);
        let error = decide(create("employs", 1, 2), &mut state).unwrap_err();
        assert_eq!(error.reason, reason::RELATIONSHIP_NOT_ALLOWED);
        assert_eq!(decide(create("knows", 1, 1), &mut state).unwrap_err().reason, reason::SELF_RELATIONSHIP);
        assert!(state.made.is_empty());
    }
}
