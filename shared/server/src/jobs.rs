//! Long jobs: what a service does for its operations, and the worker that sees to it that each is done, once.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use rapport_store::{Claim, Effect, Ending, Operation, Progress, Store};
use rapport_types::error::{Error, Kind};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::async_trait;

/// How many operations one process works on at once for a service: they are heavy, and serving calls comes first.
const AT_ONCE: usize = 2;
/// How often the worker looks for operations that it was not told of: another replica's, or left behind.
const POLL: Duration = Duration::from_millis(500);
/// How soon it looks again at most.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a running operation is asked whether it is to stop.
const WATCH: Duration = Duration::from_millis(200);
/// How often a claim is renewed: three times and more within a lease.
const RENEW: Duration = Duration::from_secs(3);
/// How often progress is written at most.
const TELL: Duration = Duration::from_secs(1);
/// How often old operations are forgotten.
const SWEEP: Duration = Duration::from_secs(3600);

/// What a service does for the operations of one method.
#[async_trait]
pub trait Job: Send + Sync + 'static {
    /// The method, as it stands in the operations: `rapport.scoring.v1.ValueService.FitClvModel`.
    fn method(&self) -> &'static str;

    /// The long part: reads, computes, calls. No transaction is open. It may run more than once for one operation (a process that
    /// stops leaves it to another), and is dropped when the operation is cancelled; work on other threads watches
    /// [`Task::cancel`]. What it gives back is written in the transaction that ends the operation, once.
    ///
    /// # Errors
    /// Unavailable, Deadline, Conflict and whatever says when to come back are tried again without end; any other kind ends the
    /// operation.
    async fn work(&self, task: &Task) -> Result<Arc<dyn Effect>, Error>;
}

/// An operation at work. A clone is the same one, for other threads.
#[derive(Clone, Debug)]
pub struct Task {
    /// The operation.
    pub operation: Operation,
    /// What it works on, as it was begun with.
    pub input: Vec<u8>,
    /// Cancelled when the work is of no use any more.
    pub cancel: CancellationToken,
    progress: Arc<watch::Sender<Progress>>,
}

impl Task {
    /// Tells how far it is.
    pub fn progress(&self, done: u64, total: u64, note: &str) {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let progress = Progress { done: count(done), total: count(total), note: note.to_owned() };
        self.progress.send_if_modified(|known| std::mem::replace(known, progress.clone()) != progress);
    }
}

/// Works on the operations of a service until `cancel`; what is under way then is left to whoever comes next.
pub(crate) async fn work(store: Store, jobs: Vec<Arc<dyn Job>>, cancel: CancellationToken) {
    let methods: Vec<&'static str> = jobs.iter().map(|job| job.method()).collect();
    let mut position = store.position();
    let mut running = FuturesUnordered::new();
    let mut busy: Vec<Operation> = Vec::new();
    let mut recovered = false;
    let mut swept = Instant::now();
    loop {
        position.mark_unchanged();
        if !recovered {
            recovered = store.operation_recover().await.is_ok();
        }
        if swept.elapsed() > SWEEP {
            swept = Instant::now();
            report(store.operation_sweep().await);
        }
        if running.len() < AT_ONCE {
            for claim in report(store.operation_claim(&methods, &busy, AT_ONCE - running.len()).await) {
                let Some(job) = jobs.iter().find(|job| job.method() == claim.operation.method) else {
                    continue;
                };
                busy.push(claim.operation.clone());
                running.push(drive(store.clone(), Arc::clone(job), claim, cancel.child_token()));
            }
        }
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            Some(ended) = running.next() => {
                let ended: Operation = ended;
                busy.retain(|one| one.id != ended.id);
            }
            _ = position.changed() => {}
            () = tokio::time::sleep(POLL) => {}
            () = cancel.cancelled() => {
                // Each sees the token and lets its claim go.
                while running.next().await.is_some() {}
                return;
            }
        }
    }
}

fn report<T: Default>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| {
        tracing::warn!(%error, "operations cannot be looked after at the moment");
        T::default()
    })
}

/// Sees one claimed operation to its end, or to where this process has nothing more to do with it.
async fn drive(store: Store, job: Arc<dyn Job>, claim: Claim, stopping: CancellationToken) -> Operation {
    let (progress, mut told) = watch::channel(claim.operation.progress.clone());
    let task = Task {
        operation: claim.operation.clone(),
        input: claim.input.clone(),
        cancel: CancellationToken::new(),
        progress: Arc::new(progress),
    };
    let _dropped = task.cancel.clone().drop_guard();
    let ending = {
        let mut work = std::pin::pin!(AssertUnwindSafe(job.work(&task)).catch_unwind());
        let mut held = std::pin::pin!(hold(&store, &claim, &mut told));
        tokio::select! {
            worked = &mut work => match worked {
                Ok(Ok(effect)) => Outcome::End(Ending::Done(effect)),
                Ok(Err(error)) if is_transient(&error) => Outcome::Again(error),
                Ok(Err(error)) => Outcome::End(Ending::Failed(error)),
                Err(_) => Outcome::End(Ending::Failed(Error::bug("the work panicked"))),
            },
            lost = &mut held => if lost { Outcome::Lost } else { Outcome::End(Ending::Cancelled) },
            () = stopping.cancelled() => Outcome::Stop,
        }
    };
    let progress = task.progress.borrow().clone();
    let operation = claim.operation.id;
    match ending {
        Outcome::Lost => tracing::warn!(%operation, "another process took the operation up"),
        Outcome::Stop => report(store.operation_release(&claim, &progress, store.world().now()).await),
        Outcome::Again(error) => {
            tracing::warn!(%operation, %error, "the operation is tried again");
            let later = store.world().now().saturating_add(Duration::from_secs(1));
            report(store.operation_release(&claim, &progress, later).await);
        }
        Outcome::End(ending) => {
            if let Ending::Failed(error) = &ending {
                tracing::warn!(%operation, method = job.method(), %error, source = ?error.source, "operation failed");
            }
            end(&store, &claim, &progress, ending, &stopping).await;
        }
    }
    claim.operation
}

enum Outcome {
    End(Ending),
    Again(Error),
    Lost,
    Stop,
}

/// Ends an operation, waiting for a database that is away; if the process stops first, the work is done again by another.
async fn end(store: &Store, claim: &Claim, progress: &Progress, ending: Ending, stopping: &CancellationToken) {
    let mut pause = Duration::from_millis(100);
    let mut ending = ending;
    loop {
        let again = match &ending {
            Ending::Done(effect) => Ending::Done(Arc::clone(effect)),
            Ending::Failed(error) => Ending::Failed(error.clone()),
            Ending::Cancelled => Ending::Cancelled,
        };
        match store.operation_end(claim, progress, ending).await {
            Ok(true) => return,
            Ok(false) => {
                tracing::warn!(operation = %claim.operation.id, "another process took the operation up");
                return;
            }
            Err(error) if is_transient(&error) => {
                tracing::warn!(operation = %claim.operation.id, %error, "an operation cannot be ended at the moment");
                ending = again;
            }
            Err(error) => {
                // The effect was refused: that is how it ends. If even that cannot be written, the lease runs out.
                ending = match again {
                    Ending::Done(_) => Ending::Failed(error),
                    Ending::Failed(_) | Ending::Cancelled => return,
                };
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(RENEW),
            () = stopping.cancelled() => return,
        }
    }
}

/// Holds a claim while it is worked on. Ends when the operation was asked to stop (`false`) or is another's (`true`).
async fn hold(store: &Store, claim: &Claim, told: &mut watch::Receiver<Progress>) -> bool {
    let mut written = Instant::now();
    loop {
        tokio::time::sleep(WATCH).await;
        let asked = store.operation_cancel_asked(claim);
        if let Some(Ok(true)) = within(asked).await {
            return false;
        }
        let due = written.elapsed() >= RENEW;
        if due || (written.elapsed() >= TELL && told.has_changed().unwrap_or(false)) {
            let progress = told.borrow_and_update().clone();
            match within(store.operation_renew(claim, &progress)).await {
                Some(Ok(None)) => return true,
                Some(Ok(Some(true))) => return false,
                Some(Ok(Some(false))) => written = Instant::now(),
                // The next round tries again; should the lease run out, the count of claims tells.
                Some(Err(_)) | None => {}
            }
        }
    }
}

/// A look at the database must not keep a claim from being renewed.
async fn within<T>(look: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(RENEW, look).await.ok()
}

/// Whether trying again later can help without anything being wrong with the operation.
fn is_transient(error: &Error) -> bool {
    matches!(error.kind, Kind::Unavailable | Kind::Deadline | Kind::Conflict) || error.retry_after.is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::atomic::{AtomicU32, Ordering};

    use rapport_store::{
        Command, Item, NewOperation, OperationState, Outbox, Scope, StoreError, StoreOptions, Subject, Tx,
    };
    use rapport_types::Uuid;
    use rapport_types::id::World;
    use rapport_types::tenant::TenantId;

    use super::*;

    const METHOD: &str = "toy.v1.Toys.Make";

    struct Begin(Uuid, &'static str);

    #[async_trait]
    impl Command for Begin {
        type State = Vec<NewOperation>;
        type Reply = Operation;

        async fn load(_: &Tx, _: &[Item<Self>]) -> Result<Vec<NewOperation>, StoreError> {
            Ok(Vec::new())
        }

        fn decide(item: &Item<Self>, state: &mut Vec<NewOperation>, out: &mut Outbox) -> Result<Operation, Error> {
            let operation = Operation::begin("toy", &item.scope, item.command.0, METHOD, item.now, out);
            let (input, subject) = (item.command.1.as_bytes().to_vec(), Subject::tenant(&item.scope.tenant));
            state.push(NewOperation { operation: operation.clone(), input, subject });
            Ok(operation)
        }

        async fn apply(tx: &Tx, state: Vec<NewOperation>) -> Result<(), StoreError> {
            tx.operation_insert(state).await
        }
    }

    /// Does what its input says.
    #[derive(Default)]
    struct Toy {
        tries: AtomicU32,
        dropped: Arc<AtomicU32>,
    }

    struct Made(bool);

    #[async_trait]
    impl Effect for Made {
        async fn write(&self, _: &Tx, _: &Operation, _: &mut Outbox) -> Result<Option<String>, StoreError> {
            if self.0 {
                Ok(Some("toys/1".to_owned()))
            } else {
                Err(Error::precondition("NOT_ENOUGH_DATA", "too little").into())
            }
        }
    }

    #[async_trait]
    impl Job for Toy {
        fn method(&self) -> &'static str {
            METHOD
        }

        async fn work(&self, task: &Task) -> Result<Arc<dyn Effect>, Error> {
            task.progress(1, 2, "working");
            let tries = self.tries.fetch_add(1, Ordering::SeqCst);
            match task.input.as_slice() {
                b"away" if tries == 0 => Err(Error::unavailable("away", Duration::from_secs(1))),
                b"panic" => panic!("as told"),
                b"wrong" => Err(Error::precondition("NOT_ENOUGH_DATA", "too little")),
                b"refused" => Ok(Arc::new(Made(false))),
                b"for ever" => {
                    let (cancel, dropped) = (task.cancel.clone(), Arc::clone(&self.dropped));
                    tokio::spawn(async move {
                        cancel.cancelled().await;
                        dropped.fetch_add(1, Ordering::SeqCst);
                    });
                    std::future::pending().await
                }
                _ => Ok(Arc::new(Made(true))),
            }
        }
    }

    fn scope() -> Scope {
        Scope {
            tenant: TenantId::local(),
            principal: "users/ana".to_owned(),
            method: "m",
            request_id: None,
            fingerprint: [0; 32],
            traceparent: None,
        }
    }

    async fn begin(store: &Store, input: &'static str) -> Uuid {
        let id = store.world().next_id();
        store.submit(scope(), Begin(id, input)).await.unwrap();
        id
    }

    /// The operation once it is as wanted.
    async fn seen(store: &Store, id: Uuid, wanted: impl Fn(&Operation) -> bool) -> Operation {
        for _ in 0..2_000 {
            let operation = store.operation(&TenantId::local(), id).await.unwrap().unwrap();
            if wanted(&operation) {
                return operation;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the operation never was as wanted");
    }

    #[tokio::test]
    async fn operations_are_worked_on_until_they_end() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions { url: "sqlite".into(), data: folder.path().to_owned(), ..StoreOptions::default() };
        let store = Store::open(&options, "toy", Vec::new(), World::system()).await.unwrap();
        let toy = Arc::new(Toy::default());
        let jobs: Vec<Arc<dyn Job>> = vec![Arc::clone(&toy) as Arc<dyn Job>];
        let cancel = CancellationToken::new();
        let worker = tokio::spawn(work(store.clone(), jobs.clone(), cancel.clone()));

        for (input, state) in [
            ("away", OperationState::Succeeded),
            ("panic", OperationState::Failed),
            ("wrong", OperationState::Failed),
            ("refused", OperationState::Failed),
            ("plain", OperationState::Succeeded),
        ] {
            let id = begin(&store, input).await;
            let ended = seen(&store, id, |operation| operation.state.has_ended()).await;
            assert_eq!((ended.state, ended.result.is_some()), (state, state == OperationState::Succeeded), "{input}");
            let done = if state == OperationState::Succeeded { 2 } else { 1 };
            assert_eq!((ended.progress.done, ended.progress.note.as_str()), (done, "working"), "{input}");
            let reason = ended.failure.map(|failure| failure.reason).unwrap_or_default();
            let expected = match input {
                "panic" => "INTERNAL",
                "wrong" | "refused" => "NOT_ENOUGH_DATA",
                _ => "",
            };
            assert_eq!(reason, expected, "{input}");
        }

        // One that runs for ever is cancelled, and the next one stopped with the process and taken up by the next.
        let endless = begin(&store, "for ever").await;
        seen(&store, endless, |operation| operation.state == OperationState::Running).await;
        store.operation_cancel(scope(), endless).await.unwrap();
        seen(&store, endless, |operation| operation.state == OperationState::Cancelled).await;
        let tries = toy.tries.load(Ordering::SeqCst);
        let left = begin(&store, "for ever").await;
        // It may be claimed a moment before it is begun.
        seen(&store, left, |operation| {
            operation.state == OperationState::Running && toy.tries.load(Ordering::SeqCst) > tries
        })
        .await;
        cancel.cancel();
        worker.await.unwrap();
        let released = seen(&store, left, |operation| operation.state == OperationState::Pending).await;
        assert_eq!(released.ended_at, None);
        for _ in 0..100 {
            if toy.dropped.load(Ordering::SeqCst) == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(toy.dropped.load(Ordering::SeqCst), 2, "work on other threads is told");
        let (cancel, tries) = (CancellationToken::new(), toy.tries.load(Ordering::SeqCst));
        let worker = tokio::spawn(work(store.clone(), jobs, cancel.clone()));
        seen(&store, left, |operation| {
            operation.state == OperationState::Running && toy.tries.load(Ordering::SeqCst) > tries
        })
        .await;
        assert_eq!(toy.tries.load(Ordering::SeqCst), tries + 1);
        cancel.cancel();
        worker.await.unwrap();
        store.close().await;
    }
}
