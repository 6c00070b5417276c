use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::{Error, Etag, TenantId};
use uuid::Uuid;

use super::{relationship_lock, subject};
use crate::domain::relationship::{Change, Relationship};
use crate::events;
use crate::store::tie_set::TieSet;

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

#[async_trait]
impl Command for UpdateRelationship {
    type State = TieSet;
    type Reply = Relationship;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![relationship_lock(tenant, self.relationship)]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<TieSet, StoreError> {
        let keys = items.iter().map(|item| (item.scope.tenant.clone(), item.command.relationship)).collect();
        TieSet::load(tx, keys).await
    }

    fn decide(item: &Item<Self>, ties: &mut TieSet, out: &mut Outbox) -> Result<Relationship, Error> {
        let (tenant, command) = (&item.scope.tenant, &item.command);
        let mut tie = ties.get(tenant, command.relationship)?.clone();
        Etag::check(&command.etag, tie.version, tie.name())?;
        let paths = tie.change(&command.changes, item.now);
        out.subject(subject(item, tie.from));
        // What changes nothing makes no version and no event.
        if !paths.is_empty() {
            events::relationship_updated(out, tenant, &tie, &paths);
            ties.put(tenant, tie.clone());
        }
        Ok(tie)
    }

    async fn apply(tx: &Tx, ties: TieSet) -> Result<(), StoreError> {
        ties.save(tx).await
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
        let mut ties = TieSet::of([((tenant(), tie.id), tie)].into());
        let seen = Etag::of(1).to_string();
        let (tie, events) = decide(weigh(100, &seen, 1.0), &mut ties).unwrap();
        assert_eq!((tie.version, events), (1, 0), "it has that weight");
        let (tie, events) = decide(weigh(100, &seen, 0.5), &mut ties).unwrap();
        assert_eq!((tie.version, events, tie.weight.value()), (2, 1, 0.5));
        assert_eq!(decide(weigh(100, &seen, 0.6), &mut ties).unwrap_err().reason, reason::ETAG_MISMATCH);
        assert_eq!(decide(weigh(100, "", 0.6), &mut ties).unwrap().0.version, 3);
        assert_eq!(decide(weigh(7, "", 0.6), &mut ties).unwrap_err().kind, Kind::NotFound);
    }
}
