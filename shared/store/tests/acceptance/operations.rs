//! Long jobs: claimed by one, taken up again when left behind, ended once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rapport_proto::operations::v1::{OperationBegan, OperationEnded};
use rapport_store::{
    Claim, Command, Effect, Ending, Failpoints, Item, LEASE, NewOperation, Operation, OperationList, OperationState,
    Outbox, Progress, Sql, Store, StoreError, Subject, Tx,
};
use rapport_types::Uuid;
use rapport_types::error::{Error, Kind};
use rapport_types::id::World;
use rapport_types::reason;
use rapport_types::time::{Clock, ManualClock, Timestamp};

use crate::bed::Bed;
use crate::toy::{self, scope, scope_of};

crate::on_both_stores!(
    one_of_many_claims_it,
    who_lost_the_claim_ends_nothing,
    what_is_cancelled_is_not_done,
    what_is_left_behind_too_often_ends,
    a_released_one_waits_for_its_time,
    lists_are_paged_and_old_ones_are_forgotten,
    a_start_recovers_what_only_it_can_have,
    tenants_take_turns_however_long_one_queue_is,
    what_cannot_be_read_ends_and_holds_nobody_up,
    a_claim_that_fails_costs_no_other_claim,
);

const METHOD: &str = "toy.v1.Accounts.Count";

struct Begin(Uuid);

#[async_trait]
impl Command for Begin {
    type State = Vec<NewOperation>;
    type Reply = Operation;

    async fn load(_: &Tx, _: &[Item<Self>]) -> Result<Vec<NewOperation>, StoreError> {
        Ok(Vec::new())
    }

    fn decide(item: &Item<Self>, state: &mut Vec<NewOperation>, out: &mut Outbox) -> Result<Operation, Error> {
        let operation = Operation::begin("toy", &item.scope, item.command.0, METHOD, item.now, out);
        let subject = Subject::tenant(&item.scope.tenant);
        state.push(NewOperation { operation: operation.clone(), input: b"input".to_vec(), subject });
        Ok(operation)
    }

    async fn apply(tx: &Tx, state: Vec<NewOperation>) -> Result<(), StoreError> {
        tx.operation_insert(state).await
    }
}

/// An effect that can be counted: an event of its own.
struct Tell;

#[async_trait]
impl Effect for Tell {
    async fn write(&self, tx: &Tx, operation: &Operation, out: &mut Outbox) -> Result<Option<String>, StoreError> {
        out.event(&operation.tenant, "accounts/1", 1, tx.now(), &OperationBegan::default());
        Ok(Some("accounts/1".to_owned()))
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)))
}

async fn open(bed: &Bed, clock: &Arc<ManualClock>) -> Store {
    let world = World::with_clock(Arc::clone(clock) as Arc<dyn Clock>);
    Store::open(&bed.options(), "toy", toy::migrations(), world).await.unwrap()
}

async fn begin(store: &Store) -> Operation {
    store.submit(scope(None), Begin(store.world().next_id())).await.unwrap().reply
}

async fn claim(store: &Store) -> Option<Claim> {
    store.operation_claim(&[METHOD], &[], 1).await.unwrap().pop()
}

async fn end(store: &Store, claim: &Claim, ending: Ending) -> bool {
    store.operation_end(claim, &Progress { done: 3, total: 3, note: String::new() }, ending).await.unwrap()
}

async fn state(store: &Store, operation: &Operation) -> Operation {
    store.operation(&operation.tenant, operation.id).await.unwrap().unwrap()
}

/// How many effects there were, and how many ends were told.
async fn told(store: &Store) -> (usize, usize) {
    let events = store.events_after(0, 1000, None).await.unwrap();
    let ends = events.iter().filter(|event| event.kind.ends_with("OperationEnded")).count();
    (events.iter().filter(|event| event.aggregate == "accounts/1").count(), ends)
}

async fn one_of_many_claims_it(bed: Arc<Bed>) {
    let stores = bed.replicas(3).await;
    let operation = begin(&stores[0]).await;
    assert_eq!(
        (operation.state, operation.principal.as_str()),
        (OperationState::Pending, scope(None).principal.as_str())
    );
    let mut claims = Vec::new();
    let claimants: Vec<_> = (0..12)
        .map(|at| {
            let store = stores[at % stores.len()].clone();
            tokio::spawn(async move { claim(&store).await })
        })
        .collect();
    for claimant in claimants {
        claims.extend(claimant.await.unwrap());
    }
    let [only] = claims.as_slice() else { panic!("{} claims", claims.len()) };
    assert_eq!((only.input.as_slice(), only.operation.state), (b"input".as_slice(), OperationState::Running));
    assert!(stores[0].operation_claim(&["toy.v1.Accounts.Other"], &[], 5).await.unwrap().is_empty());
    let progress = Progress { done: 1, total: 3, note: "counting".to_owned() };
    assert_eq!(stores[0].operation_renew(only, &progress).await.unwrap(), Some(false));
    assert_eq!(state(&stores[0], &operation).await.progress, progress);
    assert!(end(&stores[0], only, Ending::Done(Arc::new(Tell))).await);
    let ended = state(&stores[0], &operation).await;
    assert_eq!((ended.state, ended.result.as_deref()), (OperationState::Succeeded, Some("accounts/1")));
    assert!(ended.started_at.is_some() && ended.ended_at.is_some());
    assert_eq!(told(&stores[0]).await, (1, 1));
    // Events carry the name.
    let events = stores[0].events_after(0, 10, None).await.unwrap();
    let last = events.iter().rfind(|event| event.kind.ends_with("OperationEnded")).unwrap();
    let ended = <OperationEnded as prost::Message>::decode(last.payload.as_slice()).unwrap();
    assert_eq!((ended.operation, ended.state), (operation.name("toy"), 3));
}

async fn who_lost_the_claim_ends_nothing(bed: Arc<Bed>) {
    let clock = clock();
    let store = open(&bed, &clock).await;
    let operation = begin(&store).await;
    let first = claim(&store).await.unwrap();
    clock.advance(LEASE / 2);
    assert!(claim(&store).await.is_none(), "a lease holds");
    assert_eq!(store.operation_renew(&first, &Progress::default()).await.unwrap(), Some(false));
    clock.advance(LEASE / 2 + Duration::from_secs(1));
    assert!(claim(&store).await.is_none(), "and longer when renewed");
    clock.advance(LEASE);
    let second = claim(&store).await.expect("a lease that ran out is nobody's");
    assert_eq!(store.operation_renew(&first, &Progress::default()).await.unwrap(), None);
    assert!(!end(&store, &first, Ending::Done(Arc::new(Tell))).await);
    assert_eq!(told(&store).await, (0, 0), "nothing of it was written");
    assert!(end(&store, &second, Ending::Done(Arc::new(Tell))).await);
    assert!(!end(&store, &second, Ending::Failed(Error::bug("again"))).await);
    assert_eq!(told(&store).await, (1, 1));
    assert_eq!(state(&store, &operation).await.state, OperationState::Succeeded);
}

async fn what_is_cancelled_is_not_done(bed: Arc<Bed>) {
    let store = bed.store().await;
    let pending = begin(&store).await;
    let foreign = store.operation_cancel(scope_of("other", None), pending.id).await.unwrap_err();
    assert_eq!(foreign.reason, reason::RESOURCE_NOT_FOUND);
    let cancelled = store.operation_cancel(scope(None), pending.id).await.unwrap().reply;
    assert_eq!((cancelled.state, cancelled.cancel_asked), (OperationState::Cancelled, true));
    assert!(claim(&store).await.is_none());
    let again = store.operation_cancel(scope(None), pending.id).await.unwrap().reply;
    assert_eq!(again.state, OperationState::Cancelled);
    assert_eq!(told(&store).await, (0, 1), "told once");

    let running = begin(&store).await;
    let held = claim(&store).await.unwrap();
    assert!(!store.operation_cancel_asked(&held).await.unwrap());
    let asked = store.operation_cancel(scope(None), running.id).await.unwrap().reply;
    assert_eq!((asked.state, asked.cancel_asked), (OperationState::Running, true));
    assert!(store.operation_cancel_asked(&held).await.unwrap());
    assert_eq!(store.operation_renew(&held, &Progress::default()).await.unwrap(), Some(true));
    assert!(end(&store, &held, Ending::Cancelled).await);
    assert_eq!(state(&store, &running).await.state, OperationState::Cancelled);

    begin(&store).await;
    let done = claim(&store).await.unwrap();
    assert!(end(&store, &done, Ending::Failed(Error::precondition(reason::NOT_ENOUGH_DATA, "too little"))).await);
    let failed = state(&store, &done.operation).await;
    let failure = failed.failure.unwrap();
    assert_eq!((failure.code.as_str(), failure.reason.as_str()), ("FAILED_PRECONDITION", "NOT_ENOUGH_DATA"));
    let late = store.operation_cancel(scope(None), failed.id).await.unwrap_err();
    assert_eq!((late.kind, late.reason), (Kind::Precondition, reason::INVALID_TRANSITION));
}

async fn what_is_left_behind_too_often_ends(bed: Arc<Bed>) {
    let clock = clock();
    let store = open(&bed, &clock).await;
    let operation = begin(&store).await;
    for _ in 0..6 {
        assert!(claim(&store).await.is_some());
        clock.advance(LEASE + Duration::from_secs(1));
    }
    assert!(claim(&store).await.is_none());
    let ended = state(&store, &operation).await;
    assert_eq!((ended.state, ended.failure.unwrap().metadata["times"].as_str()), (OperationState::Failed, "6"));
    // Asked to stop while nobody worked on it: whoever comes ends it.
    let operation = begin(&store).await;
    claim(&store).await.unwrap();
    store.operation_cancel(scope(None), operation.id).await.unwrap();
    clock.advance(LEASE + Duration::from_secs(1));
    assert!(claim(&store).await.is_none());
    assert_eq!(state(&store, &operation).await.state, OperationState::Cancelled);
}

async fn a_released_one_waits_for_its_time(bed: Arc<Bed>) {
    let clock = clock();
    let store = open(&bed, &clock).await;
    let operation = begin(&store).await;
    for _ in 0..20 {
        let held = claim(&store).await.expect("letting go is not leaving behind");
        let later = clock.now().saturating_add(Duration::from_secs(1));
        store.operation_release(&held, &Progress::default(), later).await.unwrap();
        assert_eq!(state(&store, &operation).await.state, OperationState::Pending);
        assert!(claim(&store).await.is_none());
        clock.advance(Duration::from_secs(1));
    }
}

async fn lists_are_paged_and_old_ones_are_forgotten(bed: Arc<Bed>) {
    let clock = clock();
    let store = open(&bed, &clock).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, begin(&store).await.id);
    }
    let held = claim(&store).await.unwrap();
    assert_eq!(held.operation.id, ids[4], "the oldest first");
    assert!(end(&store, &held, Ending::Cancelled).await);
    let tenant = scope(None).tenant;
    let list = async |state, before, limit| {
        let list = OperationList { state, before, limit };
        store.operation_list(&tenant, list).await.unwrap().into_iter().map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 10).await, ids);
    assert_eq!(list(None, Some(ids[1]), 2).await, ids[2..4]);
    assert_eq!(list(Some(OperationState::Cancelled), None, 10).await, ids[4..]);
    let foreign = scope_of("other", None).tenant;
    let theirs = store.operation_list(&foreign, OperationList { limit: 9, ..Default::default() }).await.unwrap();
    assert!(theirs.is_empty());
    clock.advance(Duration::from_secs(91 * 86_400));
    store.operation_sweep().await.unwrap();
    assert_eq!(list(None, None, 10).await, ids[..4], "what has not ended is kept");
}

async fn a_start_recovers_what_only_it_can_have(bed: Arc<Bed>) {
    let store = bed.store().await;
    let operation = begin(&store).await;
    assert!(claim(&store).await.is_some());
    store.close().await;
    let store = bed.store().await;
    store.operation_recover().await.unwrap();
    let again = claim(&store).await;
    // A PostgreSQL database may have other processes: there the lease has to run out.
    assert_eq!(again.is_some(), !bed.is_postgres());
    assert_eq!(state(&store, &operation).await.state, OperationState::Running);
}

async fn tenants_take_turns_however_long_one_queue_is(bed: Arc<Bed>) {
    let store = bed.store().await;
    let begin_all = async |tenant: &str, count: usize| {
        let writes = (0..count).map(|_| (scope_of(tenant, None), Begin(store.world().next_id()))).collect();
        for begun in store.submit_many(writes).await {
            begun.unwrap();
        }
    };
    let tenants = |claims: &[Claim]| claims.iter().map(|claim| claim.operation.tenant.to_string()).collect::<Vec<_>>();
    begin_all("flood", 1_000).await;
    begin_all("calm", 2).await;
    begin_all("quiet", 1).await;
    let claims = store.operation_claim(&[METHOD], &[], 3).await.unwrap();
    assert_eq!(tenants(&claims), ["flood", "calm", "quiet"], "one each, the oldest first");
    // Whoever has work under way stands back behind who has none.
    let busy: Vec<_> =
        claims.into_iter().map(|claim| claim.operation).filter(|one| one.tenant != toy::tenant("calm")).collect();
    let claims = store.operation_claim(&[METHOD], &busy, 3).await.unwrap();
    assert_eq!(tenants(&claims), ["calm", "flood", "flood"]);
    assert_eq!(store.operation_claim(&[METHOD], &[], 20).await.unwrap().len(), 20, "a queue of one goes on");
}

async fn what_cannot_be_read_ends_and_holds_nobody_up(bed: Arc<Bed>) {
    let store = bed.store().await;
    let (stateless, garbled, sound) = (begin(&store).await, begin(&store).await, begin(&store).await);
    let outside = bed.outside().await;
    let damage = async |set: &str, operation: &Operation| {
        let sql = Sql::new(&outside, &format!("UPDATE operation SET {set} WHERE id = ")).bind(operation.id);
        assert_eq!(sql.execute(&outside).await.unwrap().rows_affected(), 1);
    };
    damage("state = 0", &stateless).await;
    damage("input = subject_key.wrapped FROM subject_key", &garbled).await;
    let claims = store.operation_claim(&[METHOD], &[], 3).await.unwrap();
    let claimed: BTreeSet<_> = claims.iter().map(|claim| claim.operation.id).collect();
    assert_eq!(claimed, BTreeSet::from([sound.id]));
    for bad in [&stateless, &garbled] {
        let ended = state(&store, bad).await;
        assert_eq!((ended.state, ended.failure.unwrap().reason.as_str()), (OperationState::Failed, reason::INTERNAL));
        assert!(ended.ended_at.is_some());
    }
    assert_eq!(told(&store).await, (0, 2), "and who waits for them is told");
}

async fn a_claim_that_fails_costs_no_other_claim(bed: Arc<Bed>) {
    // Three begun, one claimed, and the answer to the second claim is lost.
    let failpoints = Failpoints::parse("after_commit=error@5").unwrap();
    let store = bed.store_with(rapport_store::StoreOptions { failpoints, ..bed.options() }).await;
    let begun = [begin(&store).await, begin(&store).await, begin(&store).await];
    let claims = store.operation_claim(&[METHOD], &[], 3).await.unwrap();
    let claimed: Vec<_> = claims.iter().map(|claim| claim.operation.id).collect();
    assert_eq!(claimed, [begun[0].id, begun[2].id]);
    for held in &claims {
        assert!(end(&store, held, Ending::Done(Arc::new(Tell))).await);
    }
}
