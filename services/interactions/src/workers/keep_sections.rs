use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use rapport_store::{Outbox, Store, StoreError, Tx, Work};
use tokio::sync::{Mutex, mpsc};

use crate::store::{Known, SectionKey, section_put};

/// How many answers may wait to be kept. What comes on top is not kept: it is asked for again.
const WAITING: usize = 1_024;
/// How many are written at once.
const BATCH: usize = 256;

type Kept = Vec<(SectionKey, Known)>;

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
    /// Hands over what was said.
    pub(crate) fn keep(&self, sections: Kept) {
        if !sections.is_empty() && self.sender.try_send(sections).is_err() {
            tracing::debug!("too much waits to be kept: left out");
        }
    }

    /// Keeps what is handed over, as long as it is polled.
    pub(crate) async fn run(&self, store: &Store) {
        let mut receiver = self.receiver.lock().await;
        let mut waiting = Vec::with_capacity(BATCH);
        while receiver.recv_many(&mut waiting, BATCH).await > 0 {
            let mut sections: BTreeMap<SectionKey, Known> = BTreeMap::new();
            for (key, known) in waiting.drain(..).flatten() {
                match sections.get(&key) {
                    Some(other) if other.as_of > known.as_of => {}
                    _ => {
                        sections.insert(key, known);
                    }
                }
            }
            if let Err(error) = store.run(Keep { sections }).await {
                tracing::info!(%error, "what other services said is not kept");
            }
        }
    }
}

/// One write of what was said.
struct Keep {
    sections: BTreeMap<SectionKey, Known>,
}

#[async_trait]
impl Work for Keep {
    type Output = ();

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<(), StoreError> {
        section_put(tx, &self.sections).await
    }
}
