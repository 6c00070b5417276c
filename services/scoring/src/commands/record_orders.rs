use std::collections::BTreeSet;

use rapport_store::{StoreError, Tx};
use rapport_types::TenantId;

use crate::domain::{Key, OrderBook, Version};
use crate::store;

/// Puts a batch of versions of interactions into the order history, in at most four statements whatever its size (up to 5,000
/// keys).
///
/// # Errors
/// The database's, and Precondition when a sum cannot hold more.
pub(crate) async fn record_orders(tx: &Tx, versions: &[(TenantId, Version)]) -> Result<(), StoreError> {
    let named: BTreeSet<Key> = versions
        .iter()
        .flat_map(|(tenant, version)| {
            [Some(version.interaction), version.supersedes].into_iter().flatten().map(|id| (tenant.clone(), id))
        })
        .collect();
    let mut book = OrderBook::default();
    book.know(store::order_line_find(tx.db(), &named).await?);
    for (tenant, version) in versions {
        book.record(tenant, version);
    }
    let (lines, sums) = book.into_changes();
    store::order_line_save(tx.db(), lines).await?;
    store::order_day_add(tx.db(), sums).await
}
