use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use rapport_store::{Outbox, Store, StoreError, Tx, Work};
use tokio::sync::{Mutex, mpsc};

use crate::store::{Known, SectionKey, section_mark, section_put};

/// How many answers may wait to be kept. What comes on top is not kept: it is asked for again.
const WAITING: usize = 1_024;
/// How many are written at once.
const BATCH: usize = 256;

/// What was said, and what is wanted besides.
type Kept = (Vec<(SectionKey, Known)>, Vec<(SectionKey, i64)>);

/// Takes what other services said while somebody waited for it, and keeps it as the last that is known, beside the
/// answer and never in its way.
#[derive(Clone)]
pub(crate) struct Keeper {
    sender: mpsc::Sender<Kept>,
    receiver: Arc<Mutex<mpsc::Receiver<Kept>>>,
}

impl Default for Keeper {
    fn default() -> Keeper {
        let (sender, receiver) = mpsc::channel(WAITING);
        Keeper { sender, receiver: Arc::new(Mutex::new(receiver)) }
    }
}

impl Keeper {
    /// Hands over what was said, and what is wanted up to which position of its source's feed.
    pub(crate) fn keep(&self, sections: Vec<(SectionKey, Known)>, wanted: Vec<(SectionKey, i64)>) {
        if (!sections.is_empty() || !wanted.is_empty()) && self.sender.try_send((sections, wanted)).is_err() {
            tracing::debug!("too much waits to be kept: left out");
        }
    }

    /// Keeps what is handed over, as long as it is polled.
    pub(crate) async fn run(&self, store: &Store) {
        let mut receiver = self.receiver.lock().await;
        let mut waiting = Vec::with_capacity(BATCH);
        while receiver.recv_many(&mut waiting, BATCH).await > 0 {
            let mut sections: BTreeMap<SectionKey, Known> = BTreeMap::new();
            let mut wanted: BTreeMap<SectionKey, i64> = BTreeMap::new();
            for (said, missing) in waiting.drain(..) {
                wanted.extend(missing);
                for (key, known) in said {
                    match sections.get(&key) {
                        Some(other) if other.as_of > known.as_of => {}
                        _ => {
                            sections.insert(key, known);
                        }
                    }
                }
            }
            // One after the other: a transaction that locks rows of both in an order of its own would block the consumers.
            for keep in [Keep { sections, wanted: BTreeMap::new() }, Keep { sections: BTreeMap::new(), wanted }] {
                if keep.sections.is_empty() && keep.wanted.is_empty() {
                    continue;
                }
                if let Err(error) = store.run(keep).await {
                    tracing::info!(%error, "what other services said is not kept");
                }
            }
        }
    }
}

/// One write of what was said.
struct Keep {
    sections: BTreeMap<SectionKey, Known>,
    wanted: BTreeMap<SectionKey, i64>,
}

#[async_trait]
impl Work for Keep {
    type Output = ();

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<(), StoreError> {
        section_mark(tx, &self.wanted).await?;
        section_put(tx, &self.sections).await
    }
}
