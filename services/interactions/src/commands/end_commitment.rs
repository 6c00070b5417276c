use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::etag::Etag;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use crate::domain::{CommitmentEnd, CommitmentName, Provenance};
use crate::events;
use crate::store::{CommitmentRow, commitment_ending, commitment_find, commitment_lock, commitment_update, sealing};

/// Records that a promise was kept, broken or waived.
pub(crate) struct EndCommitment {
    /// The commitment.
    pub(crate) id: Uuid,
    /// How it ended.
    pub(crate) end: CommitmentEnd,
    /// What was said of it; empty when nothing was.
    pub(crate) note: String,
    /// When it ended; the time of the record when it was not said.
    pub(crate) occurred_at: Option<Timestamp>,
    /// The etag of the commitment as the caller knows it; empty when it does not matter.
    pub(crate) etag: String,
    /// Where the change comes from.
    pub(crate) provenance: Provenance,
}

/// What a group of ends needs and leaves.
pub(crate) struct State {
    /// The commitments as they stand.
    rows: HashMap<(TenantId, Uuid), CommitmentRow>,
    /// The keys of their origins.
    keys: SubjectKeys,
    /// Those that changed.
    changed: HashSet<(TenantId, Uuid)>,
}

#[async_trait]
impl Command for EndCommitment {
    type State = State;
    type Reply = CommitmentRow;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![commitment_lock(tenant, self.id)]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let names = items.iter().map(|item| (item.scope.tenant.clone(), item.command.id)).collect();
        let rows = commitment_find(tx.db(), &names).await?;
        let subjects: Vec<_> = rows.values().map(|row| sealing::subject(&row.tenant, row.origin.id)).collect();
        let keys = tx.keys(&subjects).await?;
        Ok(State { rows, keys, changed: HashSet::new() })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<CommitmentRow, Error> {
        let command = &item.command;
        let tenant = &item.scope.tenant;
        let name = CommitmentName::new(command.id);
        let key = (tenant.clone(), command.id);
        let Some(row) = state.rows.get_mut(&key) else {
            return Err(Error::not_found(name));
        };
        Etag::check(&command.etag, row.commitment.revision(), name)?;
        // Without a time of the caller's, it is never before it was made, whatever the clock does.
        let at = command.occurred_at.unwrap_or_else(|| item.now.max(row.commitment.made_at));
        let ended = row.commitment.ended(command.end, at)?;
        row.ending = commitment_ending(&state.keys, tenant, row.origin.id, &command.note, &command.provenance)?;
        row.commitment = ended;
        row.ended_by.clone_from(&item.scope.principal);
        row.updated_at = item.now.max(row.updated_at);
        events::commitment_ended(out, row, at, item.now);
        state.changed.insert(key);
        Ok(row.clone())
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        let State { rows, changed, .. } = state;
        commitment_update(tx, rows.values().filter(|row| changed.contains(&(row.tenant.clone(), row.id)))).await
    }
}
