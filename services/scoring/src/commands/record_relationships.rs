use std::collections::BTreeSet;

use rapport_store::{StoreError, Tx};

use crate::domain::{TieChange, change_ties};
use crate::store;

/// Takes in what became known of relationships, in at most three statements whatever the size of the batch (up to 5,000).
///
/// # Errors
/// The database's.
pub(crate) async fn record_relationships(tx: &Tx, changes: &[TieChange]) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    let keys: BTreeSet<_> = changes.iter().map(|change| (change.tenant.clone(), change.relationship)).collect();
    let stored = store::relationship_find(tx.db(), &keys).await?;
    let (ties, positions) = change_ties(stored, changes);
    store::relationship_save(tx.db(), ties).await?;
    store::network_save(tx.db(), positions).await?;
    Ok(())
}
