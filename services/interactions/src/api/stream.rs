use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, FuturesUnordered};
use futures::{FutureExt, Stream, StreamExt};
use rapport_proto::interactions::v1 as proto;
use rapport_rpc::Call;
use rapport_server::Context;
use rapport_store::{Scope, Store};
use rapport_types::error::Error;
use rapport_types::reason;

use super::convert::too_many;
use super::item_error::item_error;
use super::recording::{ready, to_receipt};
use crate::commands::RecordInteraction;
use crate::domain::Watermark;
use crate::error::out_of_order;

/// The most items of a message.
const MAX_CHUNK: usize = 1_000;
/// How often an item is handed over again while the store's queue is full, before its caller is told.
const PATIENCE: usize = 50;
/// The most errors, and the most receipts, of one acknowledgement: it has to fit into a reply.
const MAX_TOLD: usize = 500;

/// Records what comes in and acknowledges it. Nothing is spawned: reading, submitting and acknowledging go on as the
/// caller takes the acknowledgements, so a caller that does neither read nor write holds nothing but its window: reading goes on while fewer items than that are
/// under way.
pub(crate) fn acknowledgements(
    cx: Context,
    call: Call,
    window: usize,
    inbound: impl Stream<Item = Result<proto::StreamInteractionsRequest, Error>> + Send + 'static,
) -> impl Stream<Item = Result<proto::StreamInteractionsResponse, Error>> + Send + 'static {
    let session = Session {
        cx,
        call,
        window,
        inbound: inbound.boxed(),
        mark: Watermark::default(),
        running: FuturesUnordered::new(),
        errors: BTreeMap::new(),
        receipts: BTreeMap::new(),
        position: 0,
        told: 0,
        due: false,
        phase: Phase::Reading,
    };
    stream::unfold(session, |mut session| async move {
        let next = session.next().await?;
        Some((next, session))
    })
}

struct Session {
    cx: Context,
    call: Call,
    window: usize,
    inbound: BoxStream<'static, Result<proto::StreamInteractionsRequest, Error>>,
    mark: Watermark,
    /// Chunks under way.
    running: FuturesUnordered<BoxFuture<'static, Settled>>,
    /// What has to be told of items, by their sequence.
    errors: BTreeMap<i64, proto::ItemError>,
    receipts: BTreeMap<i64, proto::RecordReceipt>,
    /// The newest position of the feed that a settled item has.
    position: i64,
    /// What the last acknowledgement said.
    told: i64,
    /// The caller asked for an acknowledgement, whether or not there is something new.
    due: bool,
    phase: Phase,
}

enum Phase {
    /// More may come.
    Reading,
    /// Nothing more is read; what is under way is settled and told.
    Closing(Ending),
    /// All is told.
    Ended,
}

/// How a stream ends.
enum Ending {
    /// The caller has sent everything.
    Done,
    /// The server stops.
    Stopping,
    /// Something was wrong with the stream itself.
    Failed(Error),
}

/// What became of a chunk.
struct Settled {
    ticket: u64,
    errors: Vec<(i64, proto::ItemError)>,
    receipts: Vec<(i64, proto::RecordReceipt)>,
    position: i64,
}

/// What can happen while a stream is open.
enum Happened {
    Settled(Settled),
    Came(Option<Result<proto::StreamInteractionsRequest, Error>>),
    Stopping,
}

impl Session {
    async fn next(&mut self) -> Option<Result<proto::StreamInteractionsResponse, Error>> {
        loop {
            // What is settled already goes into one acknowledgement.
            while let Some(Some(settled)) = self.running.next().now_or_never() {
                self.settle(settled);
            }
            if let Some(acknowledgement) = self.acknowledge() {
                return Some(Ok(acknowledgement));
            }
            match &mut self.phase {
                Phase::Reading => match self.wait().await {
                    Happened::Settled(settled) => self.settle(settled),
                    Happened::Came(Some(Ok(message))) => self.take(message),
                    Happened::Came(Some(Err(error))) => self.phase = Phase::Closing(Ending::Failed(error)),
                    Happened::Came(None) => self.phase = Phase::Closing(Ending::Done),
                    Happened::Stopping => self.phase = Phase::Closing(Ending::Stopping),
                },
                Phase::Closing(ending) => {
                    if let Some(settled) = self.running.next().await {
                        self.settle(settled);
                        continue;
                    }
                    let ending = std::mem::replace(ending, Ending::Done);
                    self.phase = Phase::Ended;
                    match ending {
                        Ending::Done => return None,
                        Ending::Stopping => {
                            let last = self.answer(Vec::new(), Vec::new(), self.told);
                            return Some(Ok(proto::StreamInteractionsResponse { draining: true, ..last }));
                        }
                        Ending::Failed(error) => return Some(Err(error)),
                    }
                }
                Phase::Ended => return None,
            }
        }
    }

    async fn wait(&mut self) -> Happened {
        let may_read = self.mark.under_way() < self.window;
        tokio::select! {
            () = self.cx.stopping.cancelled() => Happened::Stopping,
            Some(settled) = self.running.next() => Happened::Settled(settled),
            message = self.inbound.next(), if may_read => Happened::Came(message),
        }
    }

    /// Submits what can be submitted of a message; the rest is settled at once.
    fn take(&mut self, message: proto::StreamInteractionsRequest) {
        let proto::StreamInteractionsRequest { items, receipts } = message;
        if items.is_empty() {
            self.due = true;
            return;
        }
        if items.len() > MAX_CHUNK {
            self.phase = Phase::Closing(Ending::Failed(too_many(MAX_CHUNK).at("items")));
            return;
        }
        let (admitted, wrong) = self.mark.admit(items.iter().map(|item| item.sequence));
        if let Some(wrong) = wrong {
            self.phase = Phase::Closing(Ending::Failed(out_of_order(wrong)));
        }
        let items = items.get(..admitted).unwrap_or_default();
        let Some(last) = items.last().map(|item| item.sequence) else {
            return;
        };
        let ticket = self.mark.begin(last, items.len());
        let mut settled = Settled { ticket, errors: Vec::new(), receipts: Vec::new(), position: 0 };
        let mut writes = Vec::with_capacity(items.len());
        for item in items {
            match ready(&self.cx.store, &self.call, "", item.interaction.as_ref(), &item.request_id) {
                Ok(ready) => writes.push((item.sequence, ready.scope, ready.command)),
                Err(error) => settled.errors.push((item.sequence, item_error(error))),
            }
        }
        self.running.push(write(self.cx.store.clone(), writes, receipts, settled).boxed());
    }

    fn settle(&mut self, settled: Settled) {
        self.mark.settle(settled.ticket);
        self.errors.extend(settled.errors);
        self.receipts.extend(settled.receipts);
        self.position = self.position.max(settled.position);
    }

    /// The next acknowledgement, if there is something to tell.
    fn acknowledge(&mut self) -> Option<proto::StreamInteractionsResponse> {
        if self.mark.through() <= self.told && !std::mem::take(&mut self.due) {
            return None;
        }
        let through = self.mark.through().min(before_surplus(&self.errors)).min(before_surplus(&self.receipts));
        let errors = up_to(&mut self.errors, through);
        let receipts = up_to(&mut self.receipts, through);
        self.told = through;
        Some(self.answer(errors, receipts, through))
    }

    fn answer(
        &self,
        errors: Vec<(i64, proto::ItemError)>,
        receipts: Vec<(i64, proto::RecordReceipt)>,
        through: i64,
    ) -> proto::StreamInteractionsResponse {
        proto::StreamInteractionsResponse {
            committed_through: through,
            errors: errors
                .into_iter()
                .map(|(sequence, error)| proto::StreamItemError { sequence, error: Some(error) })
                .collect(),
            receipts: receipts
                .into_iter()
                .map(|(sequence, receipt)| proto::StreamItemReceipt { sequence, receipt: Some(receipt) })
                .collect(),
            position: format!("{}@{}", self.cx.store.service(), self.position),
            draining: false,
        }
    }
}

/// Writes a chunk. While the store's queue is full the chunk waits: a stream is held back, not turned away.
async fn write(
    store: Store,
    mut writes: Vec<(i64, Scope, RecordInteraction)>,
    receipts: bool,
    mut settled: Settled,
) -> Settled {
    for attempt in 0.. {
        let again = if attempt < PATIENCE { writes.clone() } else { Vec::new() };
        let sequences: Vec<i64> = writes.iter().map(|(sequence, _, _)| *sequence).collect();
        let results = store.submit_many(writes.into_iter().map(|(_, scope, command)| (scope, command)).collect()).await;
        let mut full = HashSet::new();
        let mut pause = Duration::ZERO;
        for (sequence, result) in sequences.into_iter().zip(results) {
            match result {
                Ok(committed) => {
                    settled.position = settled.position.max(committed.position);
                    if receipts {
                        settled.receipts.push((sequence, to_receipt(&committed.reply, committed.replayed)));
                    }
                }
                Err(error) if error.reason == reason::QUEUE_FULL && attempt < PATIENCE => {
                    pause = pause.max(error.retry_after.unwrap_or_default());
                    full.insert(sequence);
                }
                Err(error) => settled.errors.push((sequence, item_error(error))),
            }
        }
        writes = again.into_iter().filter(|(sequence, _, _)| full.contains(sequence)).collect();
        if writes.is_empty() {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    settled
}

/// The greatest sequence up to which everything fits into one acknowledgement.
fn before_surplus<T>(told: &BTreeMap<i64, T>) -> i64 {
    told.keys().nth(MAX_TOLD).map_or(i64::MAX, |surplus| surplus - 1)
}

/// Takes out what belongs to items up to a sequence.
fn up_to<T>(all: &mut BTreeMap<i64, T>, through: i64) -> Vec<(i64, T)> {
    let later = match through.checked_add(1) {
        Some(next) => all.split_off(&next),
        None => BTreeMap::new(),
    };
    std::mem::replace(all, later).into_iter().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn an_acknowledgement_ends_before_what_does_not_fit() {
        let few: BTreeMap<i64, ()> = (1..=MAX_TOLD as i64).map(|sequence| (sequence, ())).collect();
        assert_eq!(before_surplus(&few), i64::MAX);
        let many: BTreeMap<i64, ()> = (1..=2_000).map(|sequence| (sequence * 10, ())).collect();
        assert_eq!(before_surplus(&many), (MAX_TOLD as i64 + 1) * 10 - 1);
    }

    #[test]
    fn what_is_taken_is_gone_and_the_rest_stays() {
        let mut all: BTreeMap<i64, char> = [(1, 'a'), (5, 'b'), (9, 'c')].into();
        assert_eq!(up_to(&mut all, 5), [(1, 'a'), (5, 'b')]);
        assert_eq!(up_to(&mut all, 8), []);
        assert_eq!(up_to(&mut all, i64::MAX), [(9, 'c')]);
        assert!(all.is_empty());
    }
}
