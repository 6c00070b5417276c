use std::time::Duration;

use rapport_store::{Store, read_error};
use rapport_types::error::Error;

use crate::commands::BookDue;
use crate::store::commitment_due;

/// How many commitments one transaction tells of: it must not hold up the writes behind it.
const SOME: usize = if cfg!(test) { 3 } else { 200 };

/// Tells of commitments whose due time has passed, as long as it is polled. Any number of replicas may do so at once, and
/// none needs to: what is late is late for whoever asks, and what is due stays due until it was told.
pub(crate) async fn due_commitments(store: &Store, every: Duration) {
    loop {
        match fall_due(store).await {
            Ok(0) => {}
            Ok(told) => tracing::debug!(told, "commitments fell due"),
            Err(error) => tracing::info!(%error, "commitments that fell due wait for the next look"),
        }
        tokio::time::sleep(every).await;
    }
}

/// Tells of all that are due now; how many this one told of.
///
/// # Errors
/// Unavailable, and those of a write.
pub(crate) async fn fall_due(store: &Store) -> Result<usize, Error> {
    let mut told = 0;
    loop {
        let due = commitment_due(store.reader(), store.world().now(), SOME).await.map_err(read_error)?;
        let more = due.len() == SOME;
        if !due.is_empty() {
            let booked = store.run(BookDue { names: due.into_iter().collect() }).await?.reply;
            told += booked;
            // Another replica did it all: it goes on, and this one need not race it.
            if booked == 0 {
                return Ok(told);
            }
        }
        if !more {
            return Ok(told);
        }
    }
}
