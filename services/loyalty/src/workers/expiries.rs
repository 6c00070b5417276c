use std::sync::Arc;
use std::time::Duration;

use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use tokio_util::sync::CancellationToken;

use crate::commands::SettleMembers;
use crate::store::{Catalogs, catalogs_warm, due_list};

/// Members of whom something expired, and members whose tier may have fallen, of one transaction: up to twice as many in
/// all. A sweep must not hold up the postings behind it.
const SOME: usize = 200;

/// Books expiries and tiers that fell, from time to time. Answers do not wait for it, and so many replicas may do it.
pub(crate) async fn sweep(store: Store, catalogs: Arc<Catalogs>, pause: Duration, stop: CancellationToken) {
    loop {
        match settle(&store, &catalogs).await {
            Ok(0) => {}
            Ok(booked) => tracing::debug!(booked, "expiries were booked"),
            Err(error) => tracing::warn!(%error, "expiries could not be booked; they will be"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Books all that is due now; how many entries that were.
///
/// # Errors
/// Unavailable, and those of a write.
pub(crate) async fn settle(store: &Store, catalogs: &Arc<Catalogs>) -> Result<usize, Error> {
    let mut booked = 0;
    loop {
        let now = store.world().now();
        let members = due_list(store.reader(), now, SOME).await.map_err(read_error)?;
        if members.is_empty() {
            return Ok(booked);
        }
        let few = members.len() < SOME;
        booked += store.run(SettleMembers { members, catalogs: Arc::clone(catalogs) }).await?.reply;
        catalogs_warm(store, catalogs).await;
        if few {
            return Ok(booked);
        }
    }
}
