use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::{Error, Etag, TenantId, Timestamp};
use uuid::Uuid;

use super::{relationship_lock, subject};
use crate::domain::relationship::Relationship;
use crate::events;
use crate::store::tie_set::TieSet;

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

#[async_trait]
impl Command for EndRelationship {
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
        let tie = ties.get(tenant, command.relationship)?;
        Etag::check(&command.etag, tie.version, tie.name())?;
        let ended = tie.ended(command.at, &command.reason, item.now)?;
        ties.put(tenant, ended.clone());
        events::relationship_ended(out, tenant, &ended);
        out.subject(subject(item, ended.from));
        Ok(ended)
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
    use crate::domain::relationship::tests::draft;

    fn end(id: u128, etag: &str) -> EndRelationship {
        EndRelationship { relationship: Uuid::from_u128(id), at: None, reason: String::new(), etag: etag.into() }
    }

    #[test]
    fn a_tie_ends_once() {
        let tie = draft("knows", 1, 2).record((PartyKind::Individual, PartyKind::Individual), NOW).unwrap();
        let mut ties = TieSet::of([((tenant(), tie.id), tie)].into());
        let stale = Etag::of(9).to_string();
        assert_eq!(decide(end(100, &stale), &mut ties).unwrap_err().reason, reason::ETAG_MISMATCH);
        let (ended, events) = decide(end(100, Etag::of(1).as_str()), &mut ties).unwrap();
        assert_eq!((ended.version, ended.validity.until, events), (2, NOW, 1));
        assert_eq!(decide(end(100, ""), &mut ties).unwrap_err().reason, reason::RELATIONSHIP_ALREADY_ENDED);
        assert_eq!(decide(end(7, ""), &mut ties).unwrap_err().kind, Kind::NotFound);
    }
}
