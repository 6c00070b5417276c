use std::collections::BTreeMap;

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::{Error, Etag, TenantId};
use uuid::Uuid;

use super::{relationship_lock, subject};
use crate::domain::names::RelationshipName;
use crate::domain::relationship::{Change, Relationship};
use crate::events;
use crate::store::Key;
use crate::store::relationship as rows;

/// Corrects a relationship.
#[derive(Debug)]
pub struct UpdateRelationship {
    /// The relationship.
    pub relationship: Uuid,
    /// The version the caller has seen; empty for any.
    pub etag: String,
    /// What to change.
    pub changes: Vec<Change>,
}

/// What the batch knows and makes.
#[derive(Debug, Default)]
pub struct State {
    ties: BTreeMap<Key, Relationship>,
    changed: Vec<Key>,
}

#[async_trait]
impl Command for UpdateRelationship {
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
        Ok(State { ties: rows::load(tx.db(), &keys).await?, changed: Vec::new() })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Relationship, Error> {
        let (tenant, command) = (&item.scope.tenant, &item.command);
        let key = (tenant.clone(), command.relationship);
        let name = RelationshipName::new(command.relationship);
        let tie = state.ties.get_mut(&key).ok_or_else(|| Error::not_found(name))?;
        Etag::check(&command.etag, tie.version, name)?;
        let paths = tie.change(&command.changes, item.now);
        out.subject(subject(item, tie.from));
        // What changes nothing makes no version and no event.
        if !paths.is_empty() {
            events::relationship_updated(out, tenant, tie, &paths);
            state.changed.push(key);
        }
        Ok(tie.clone())
    }

    async fn apply(tx: &Tx, mut state: State) -> Result<(), StoreError> {
        // One tie may have changed twice in a batch.
        state.changed.sort_unstable();
        state.changed.dedup();
        let ties: Vec<_> =
            state.changed.iter().filter_map(|key| state.ties.get(key).map(|tie| (&key.0, tie))).collect();
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
    use crate::domain::relationship::Weight;
    use crate::domain::relationship::tests::draft;

    fn weigh(id: u128, etag: &str, weight: f64) -> UpdateRelationship {
        let changes = vec![Change::Weight(Weight::parse(weight).unwrap())];
        UpdateRelationship { relationship: Uuid::from_u128(id), etag: etag.into(), changes }
    }

    #[test]
    fn the_second_of_two_edits_with_one_etag_is_refused_within_a_batch_too() {
        let tie = draft("knows", 1, 2).record((PartyKind::Individual, PartyKind::Individual), NOW).unwrap();
        let mut state = State { ties: [((tenant(), tie.id), tie)].into(), changed: Vec::new() };
        let seen = Etag::of(1).to_string();
        let (tie, events) = decide(weigh(100, &seen, 1.0), &mut state).unwrap();
        assert_eq!((tie.version, events), (1, 0), "it has that weight");
        let (tie, events) = decide(weigh(100, &seen, 0.5), &mut state).unwrap();
        assert_eq!((tie.version, events, tie.weight.value()), (2, 1, 0.5));
        assert_eq!(decide(weigh(100, &seen, 0.6), &mut state).unwrap_err().reason, reason::ETAG_MISMATCH);
        assert_eq!(decide(weigh(100, "", 0.6), &mut state).unwrap().0.version, 3);
        assert_eq!(decide(weigh(7, "", 0.6), &mut state).unwrap_err().kind, Kind::NotFound);
        assert_eq!(state.changed.len(), 2);
    }
}
