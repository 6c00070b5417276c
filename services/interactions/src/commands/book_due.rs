use std::collections::HashSet;

use async_trait::async_trait;
use rapport_store::{LockKey, Outbox, StoreError, Tx, Work};
use rapport_types::{TenantId, Uuid};

use crate::events;
use crate::store::{CommitmentRow, commitment_find, commitment_lock, commitment_update};

/// Tells of commitments that their due time has passed, and books in the same transaction that it was told. Whoever comes
/// second, or after the commitment ended, finds nothing to tell.
pub(crate) struct BookDue {
    /// Those that were found to be due.
    pub(crate) names: HashSet<(TenantId, Uuid)>,
}

#[async_trait]
impl Work for BookDue {
    /// How many this one told of.
    type Output = usize;

    fn locks(&self) -> Vec<LockKey> {
        self.names.iter().map(|(tenant, id)| commitment_lock(tenant, *id)).collect()
    }

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<usize, StoreError> {
        let mut rows: Vec<CommitmentRow> = commitment_find(tx.db(), &self.names).await?.into_values().collect();
        // In the order in which they fell due.
        rows.sort_unstable_by_key(|row| (row.commitment.due_at, row.id));
        let now = tx.now();
        rows.retain_mut(|row| row.commitment.fall_due(now));
        for row in &mut rows {
            row.updated_at = now.max(row.updated_at);
            let event = events::commitment_fell_due(row, now);
            out.event(&row.tenant, row.name(), row.commitment.version, row.commitment.due_at, &event);
        }
        commitment_update(tx, rows.iter()).await?;
        Ok(rows.len())
    }
}
