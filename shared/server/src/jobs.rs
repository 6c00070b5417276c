//! Long jobs: what a service does for its operations, and the worker that sees to it that each is done, once.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use rapport_store::{Claim, Effect, Ending, Operation, Progress, Store};
use rapport_types::error::{Error, Kind};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
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
    let mut running = Running::default();
    let mut recovered = false;
    let mut swept = Instant::now();
    loop {
        position.mark_unchanged();
        if !recovered {
            recovered = report(store.operation_recover().await.map(|()| true));
        }
        if swept.elapsed() > SWEEP {
            swept = Instant::now();
            report(store.operation_sweep().await);
        }
        let free = AT_ONCE.saturating_sub(running.tasks.len());
        // What this process left behind before it was started again comes first.
        if recovered && free > 0 {
            for claim in report(store.operation_claim(&methods, &running.operations(), free).await) {
                let Some(job) = jobs.iter().find(|job| job.method() == claim.operation.method) else {
                    continue;
                };
                let operation = claim.operation.clone();
                running.spawn(operation, drive(store.clone(), Arc::clone(job), claim, cancel.child_token()));
            }
        }
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            true = running.ended(&store) => {}
            _ = position.changed() => {}
            () = tokio::time::sleep(POLL) => {}
            () = cancel.cancelled() => {
                // Each sees the token and lets its claim go.
                while running.ended(&store).await {}
                return;
            }
        }
    }
}

/// The operations this process works on, each in a task of its own.
#[derive(Default)]
struct Running {
    tasks: JoinSet<()>,
    operations: HashMap<Id, Operation>,
}

impl Running {
    fn operations(&self) -> Vec<Operation> {
        self.operations.values().cloned().collect()
    }

    fn spawn(&mut self, operation: Operation, task: impl Future<Output = ()> + Send + 'static) {
        self.operations.insert(self.tasks.spawn(task).id(), operation);
    }

    /// Waits for one to end; `false` when there is none.
    async fn ended(&mut self, store: &Store) -> bool {
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return false;
        };
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
        let operation = self.operations.remove(&id).map(|operation| operation.name(store.service()));
        if let Err(error) = ended {
            // The claim was not given back: its lease runs out.
            tracing::error!(operation, %error, "the task of an operation panicked, it is taken up again later");
        }
        true
    }
}

fn report<T: Default>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| {
        tracing::warn!(%error, "operations cannot be looked after at the moment");
        T::default()
    })
}

/// Sees one claimed operation to its end, or to where this process has nothing more to do with it.
async fn drive(store: Store, job: Arc<dyn Job>, claim: Claim, stopping: CancellationToken) {
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
    let operation = claim.operation.name(store.service());
    match ending {
        Outcome::Lost => tracing::warn!(operation, "another process took the operation up"),
        Outcome::Stop => report(store.operation_release(&claim, &progress, store.world().now()).await),
        Outcome::Again(error) => {
            tracing::warn!(operation, %error, "the operation is tried again");
            let later = store.world().now().saturating_add(Duration::from_secs(1));
            report(store.operation_release(&claim, &progress, later).await);
        }
        Outcome::End(ending) => {
            if let Ending::Failed(error) = &ending {
                tracing::warn!(operation, method = job.method(), %error, source = ?error.source, "operation failed");
            }
            end(&store, &claim, &progress, ending, &stopping).await;
        }
    }
}

enum Outcome {
    End(Ending),
    Again(Error),
    Lost,
    Stop,
}

/// Ends an operation, waiting for a database that is away; if the process stops first, the work is done again by another.
async fn end(store: &Store, claim: &Claim, progress: &Progress, ending: Ending, stopping: &CancellationToken) {
    let operation = claim.operation.name(store.service());
    let mut pause = Duration::from_millis(100);
    let mut ending = ending;
    let mut unanswered = false;
    loop {
        let again = match &ending {
            Ending::Done(effect) => Ending::Done(Arc::clone(effect)),
            Ending::Failed(error) => Ending::Failed(error.clone()),
            Ending::Cancelled => Ending::Cancelled,
        };
        match store.operation_end(claim, progress, ending).await {
            Ok(true) => return,
            Ok(false) if unanswered => {
                tracing::info!(
                    operation,
                    "the operation was ended by a try that was not answered, or by another process"
                );
                return;
            }
            Ok(false) => {
                tracing::warn!(operation, "the operation is not ended here: another process took it up");
                return;
            }
            Err(error) if is_transient(&error) => {
                tracing::warn!(operation, %error, "the end of an operation cannot be written at the moment, trying again");
                unanswered = true;
                ending = again;
            }
            // The effect was refused: that is how it ends.
            Err(error) if matches!(again, Ending::Done(_)) => {
                tracing::warn!(operation, %error, source = ?error.source, "the effect of an operation was refused");
                ending = Ending::Failed(error);
            }
            Err(error) => {
                tracing::error!(
                    operation, %error, source = ?error.source,
                    "the end of an operation cannot be written: it is taken up again when its lease runs out"
                );
                return;
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
    use std::sync::{Condvar, Mutex};

    use rapport_store::{
        Command, Failpoints, Item, NewOperation, OperationState, Outbox, Scope, StoreError, StoreOptions, Subject, Tx,
    };
    use rapport_types::Uuid;
    use rapport_types::id::World;
    use rapport_types::tenant::TenantId;
    use tokio::sync::Notify;

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
        worked: Mutex<Vec<Uuid>>,
        met: Mutex<u32>,
        came: Condvar,
        fell: Arc<Notify>,
    }

    impl Toy {
        /// Blocks its task until another one comes: jobs that share a task never meet.
        fn meet(&self) -> bool {
            let mut met = self.met.lock().unwrap();
            *met += 1;
            self.came.notify_all();
            let both = met.next_multiple_of(2);
            let (met, _) = self.came.wait_timeout_while(met, Duration::from_secs(20), |met| *met < both).unwrap();
            *met >= both
        }
    }

    /// Panics where no work is caught any more: when it is dropped.
    struct Falls(Arc<Notify>);

    impl Drop for Falls {
        fn drop(&mut self) {
            self.0.notify_one();
            panic!("as told");
        }
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
            self.worked.lock().unwrap().push(task.operation.id);
            let tries = self.tries.fetch_add(1, Ordering::SeqCst);
            match task.input.as_slice() {
                b"away" if tries == 0 => Err(Error::unavailable("away", Duration::from_secs(1))),
                b"panic" => panic!("as told"),
                b"wrong" => Err(Error::precondition("NOT_ENOUGH_DATA", "too little")),
                b"refused" => Ok(Arc::new(Made(false))),
                b"meet" => Ok(Arc::new(Made(tokio::task::block_in_place(|| self.meet())))),
                b"falls" => {
                    let _falls = Falls(Arc::clone(&self.fell));
                    task.progress(2, 2, "about to fall");
                    std::future::pending().await
                }
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
        let before = toy.tries.load(Ordering::SeqCst);
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
        // A machine that stands still for a lease lets one be tried again.
        let begun = toy.tries.load(Ordering::SeqCst) - before;
        for _ in 0..1_000 {
            if toy.dropped.load(Ordering::SeqCst) == begun {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(toy.dropped.load(Ordering::SeqCst), begun, "work on other threads is told");
        assert!(begun >= 2, "{begun}");
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
    #[tokio::test]
    async fn what_was_left_behind_comes_first_even_if_it_is_not_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        // Two are begun, one is claimed, and the first look for what was left behind fails.
        let failpoints = Failpoints::parse("before_begin=error@4").unwrap();
        let options = StoreOptions { failpoints, ..StoreOptions::sqlite(folder.path()) };
        let store = Store::open(&options, "toy", Vec::new(), World::system()).await.unwrap();
        let (left, new) = (begin(&store, "plain").await, begin(&store, "plain").await);
        let claims = store.operation_claim(&[METHOD], &[], 1).await.unwrap();
        assert_eq!(claims[0].operation.id, left);
        let toy = Arc::new(Toy::default());
        let cancel = CancellationToken::new();
        let worker = tokio::spawn(work(store.clone(), vec![Arc::clone(&toy) as Arc<dyn Job>], cancel.clone()));
        for id in [left, new] {
            let ended = seen(&store, id, |operation| operation.state.has_ended()).await;
            assert_eq!(ended.state, OperationState::Succeeded);
        }
        assert_eq!(*toy.worked.lock().unwrap(), [left, new]);
        cancel.cancel();
        worker.await.unwrap();
        store.close().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn operations_run_side_by_side_and_none_takes_another_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Store::open(&StoreOptions::sqlite(folder.path()), "toy", Vec::new(), World::system()).await.unwrap();
        let toy = Arc::new(Toy::default());
        let cancel = CancellationToken::new();
        let worker = tokio::spawn(work(store.clone(), vec![Arc::clone(&toy) as Arc<dyn Job>], cancel.clone()));
        let meet = async || {
            for id in [begin(&store, "meet").await, begin(&store, "meet").await] {
                let ended = seen(&store, id, |operation| operation.state.has_ended()).await;
                assert_eq!(ended.state, OperationState::Succeeded, "{:?}", ended.failure);
            }
        };
        meet().await;
        // One whose task panics gives its place back.
        let falls = begin(&store, "falls").await;
        seen(&store, falls, |operation| operation.progress.done == 2).await;
        store.operation_cancel(scope(), falls).await.unwrap();
        toy.fell.notified().await;
        meet().await;
        cancel.cancel();
        worker.await.unwrap();
        store.close().await;
    }
}
