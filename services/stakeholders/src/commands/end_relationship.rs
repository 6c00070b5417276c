use std::collections::BTreeMap;

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::{Error, Etag, TenantId, Timestamp};
use uuid::Uuid;

use super::{relationship_lock, subject};
use crate::domain::names::RelationshipName;
use crate::domain::relationship::Relationship;
use crate::events;
use crate::store::Key;
use crate::store::relationship as rows;

/// Ends a relationship.
#[derive(Debug)]
pub struct EndRelationship {
    /// The relationship.
    pub relationship: Uuid,
    /// When it ended; with the write when absent.
    pub at: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// The version the caller has seen; empty for any.
    pub etag: String,
}

/// What the batch knows and makes.
#[derive(Debug, Default)]
pub struct State {
    ties: BTreeMap<Key, Relationship>,
    ended: Vec<Key>,
}

#[async_trait]
impl Command for EndRelationship {
    type State = State;
    type Reply = Relationship;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![relationship_lock(tenant, self.relationship)]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let mut keys: Vec<_> =
            items.iter().map(|item| (item.scope.tenant.clone(), item.command.relationship)).collect();
        keys.sort_unstable();
        keys.dedup();
        Ok(State { ties: rows::load(tx.db(), &keys).await?, ended: Vec::new() })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Relationship, Error> {
        let (tenant, command) = (&item.scope.tenant, &item.command);
        let key = (tenant.clone(), command.relationship);
        let name = RelationshipName::new(command.relationship);
        let tie = state.ties.get_mut(&key).ok_or_else(|| Error::not_found(name))?;
        Etag::check(&command.etag, tie.version, name)?;
        let ended = tie.ended(command.at, &command.reason, item.now)?;
        *tie = ended.clone();
        state.ended.push(key);
        events::relationship_ended(out, tenant, &ended);
        out.subject(subject(item, ended.from));
        Ok(ended)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        let ties: Vec<_> = state.ended.iter().filter_map(|key| state.ties.get(key).map(|tie| (&key.0, tie))).collect();
        rows::put(tx, &ties).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::{Kind, reason};

    use super::*;
    use crate::commands::bench::{NOW, decide, tenant};
    use crate::domain::party::PartyKind;
    use crate::domain::relationship::tests::draft;

    fn end(id: u128, etag: &str) -> EndRelationship {
        EndRelationship { relationship: Uuid::from_u128(id), at: None, reason: String::new(), etag: etag.into() }
    }

    #[test]
    fn a_tie_ends_once() {
        let tie = draft("knows", 1, 2).record((PartyKind::Individual, PartyKind::Individual), NOW).unwrap();
        let mut state = State { ties: [((tenant(), tie.id), tie)].into(), ended: Vec::new() };
        let stale = Etag::of(9).to_string();
        assert_eq!(decide(end(100, &stale), &mut state).unwrap_err().reason, reason::ETAG_MISMATCH);
        let (ended, events) = decide(end(100, Etag::of(1).as_str()), &mut state).unwrap();
        assert_eq!((ended.version, ended.validity.until, events), (2, NOW, 1));
        assert_eq!(decide(end(100, ""), &mut state).unwrap_err().reason, reason::RELATIONSHIP_ALREADY_ENDED);
        assert_eq!(decide(end(7, ""), &mut state).unwrap_err().kind, Kind::NotFound);
        assert_eq!(state.ended.len(), 1);
    }
}
