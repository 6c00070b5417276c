//! The desk's projection made anew from the feeds: what was learned is forgotten, and the consumers read from position 0.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rapport_store::{Outbox, Store, StoreError, Tx, Work, read_error};
use rapport_types::error::Error;

use crate::domain::SectionKind;
use crate::events::DESK;
use crate::store::{desk_reset, section_behind};

/// How many sections are counted at most.
const COUNTED: usize = 10_000;

/// Forgets what was learned for the desk, and how far its consumers had read, in one transaction. Consumers that start
/// then begin anew, and those that run, in whichever process, with their next batch; until they are done a context asks
/// the services live for what is missing. Gives the positions that the consumers had reached, by service.
///
/// # Errors
/// Unavailable; nothing is forgotten then.
pub async fn forget_desk(store: &Store) -> Result<BTreeMap<String, i64>, Error> {
    Ok(store.run(Forget).await?.reply)
}

/// How far the desk's consumers have read, by service, and how many sections are still to be asked for; 10,000 stand
/// for as many or more of one sort.
///
/// # Errors
/// Unavailable.
pub async fn desk_progress(store: &Store) -> Result<(BTreeMap<String, i64>, usize), Error> {
    let cursors = store.cursors().await?.into_iter().filter(|cursor| cursor.consumer == DESK);
    let mut behind = 0;
    for (kind, _, _) in SectionKind::ALL {
        behind += section_behind(store.reader(), *kind, COUNTED).await.map_err(read_error)?.len();
    }
    Ok((cursors.map(|cursor| (cursor.source, cursor.position)).collect(), behind))
}

struct Forget;

#[async_trait]
impl Work for Forget {
    type Output = BTreeMap<String, i64>;

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<BTreeMap<String, i64>, StoreError> {
        desk_reset(tx, DESK).await
    }
}
