//! One request id, one effect.

use std::sync::Arc;
use std::time::Duration;

use rapport_store::sea_orm::{DatabaseConnection, TransactionTrait};
use rapport_store::{Outbox, Sql, Store, StoreError, StoreOptions, Subject, Tx, Work};
use rapport_types::Uuid;
use rapport_types::error::Kind;
use rapport_types::reason;

use crate::bed::Bed;
use crate::toy::{self, Claim, deposit, scope};

crate::on_both_stores!(
    replay_gives_the_first_answer,
    another_request_under_the_same_id_is_refused,
    failures_are_not_recorded,
    what_a_second_decision_would_refuse_is_replayed,
    twins_at_once_have_one_effect,
    twins_on_two_replicas_have_one_effect,
    an_erased_answer_is_said_to_be_erased,
    old_records_are_swept,
);
crate::on_postgres!(what_another_replica_did_meanwhile_is_replayed);

async fn replay_gives_the_first_answer(bed: Arc<Bed>) {
    let store = bed.store().await;
    let (account, id) = (Uuid::now_v7(), Uuid::new_v4());
    let first = store.submit(scope(Some(id)), deposit(account, 5)).await.unwrap();
    assert!(!first.replayed);
    assert_eq!(first.reply.balance, 5);
    toy::add(&store, account, 1).await.unwrap();
    let again = store.submit(scope(Some(id)), deposit(account, 5)).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.reply, first.reply);
    assert!(again.position >= first.position);
    // another method, another principal, another tenant: other requests
    let mut other = scope(Some(id));
    other.method = "toy.v1.Accounts/Other";
    assert!(!store.submit(other, deposit(account, 5)).await.unwrap().replayed);
    let mut other = scope(Some(id));
    other.principal = "users/ben".to_owned();
    assert!(!store.submit(other, deposit(account, 5)).await.unwrap().replayed);
    let other = toy::scope_of("other", Some(id));
    assert!(!store.submit(other, deposit(account, 5)).await.unwrap().replayed);
    store.close().await;

    let store = bed.store().await;
    let again = store.submit(scope(Some(id)), deposit(account, 5)).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.reply, first.reply);
}

async fn another_request_under_the_same_id_is_refused(bed: Arc<Bed>) {
    let store = bed.store().await;
    let (account, id) = (Uuid::now_v7(), Uuid::new_v4());
    store.submit(scope(Some(id)), deposit(account, 5)).await.unwrap();
    let mut other = scope(Some(id));
    other.fingerprint = [8; 32];
    let error = store.submit(other, deposit(account, 6)).await.unwrap_err();
    assert_eq!(error.kind, Kind::AlreadyExists);
    assert_eq!(error.reason, reason::REQUEST_ID_REUSED);
    assert_eq!(error.metadata["request_id"], id.to_string());
    assert_eq!(toy::balances(&store).await[&account], (5, 1));
}

async fn failures_are_not_recorded(bed: Arc<Bed>) {
    let store = bed.store().await;
    let (account, id) = (Uuid::now_v7(), Uuid::new_v4());
    let error = store.submit(scope(Some(id)), deposit(account, -5)).await.unwrap_err();
    assert_eq!(error.reason, "OVERDRAWN");
    toy::add(&store, account, 9).await.unwrap();
    let now = store.submit(scope(Some(id)), deposit(account, -5)).await.unwrap();
    assert!(!now.replayed);
    assert_eq!(now.reply.balance, 4);
}

async fn what_a_second_decision_would_refuse_is_replayed(bed: Arc<Bed>) {
    let store = bed.store().await;
    let claim = |name: &str| Claim { name: name.to_owned(), owner: None };
    let id = Uuid::new_v4();
    let first = store.submit(scope(Some(id)), claim("a")).await.unwrap();
    let writes = vec![
        (scope(Some(Uuid::new_v4())), claim("b")),
        (scope(Some(id)), claim("a")),
        (scope(Some(Uuid::new_v4())), claim("a")),
    ];
    let answers = store.submit_many(writes).await;
    assert!(!answers[0].as_ref().unwrap().replayed);
    let again = answers[1].as_ref().unwrap();
    assert!(again.replayed && again.reply == first.reply);
    assert_eq!(answers[2].as_ref().unwrap_err().reason, "IDENTIFIER_TAKEN");
    assert_eq!(toy::count(&store, "claim").await, 2);
    assert_eq!(toy::count(&store, "idempotency").await, 2);
}

async fn twins_at_once_have_one_effect(bed: Arc<Bed>) {
    let store = bed.store().await;
    let (account, id) = (Uuid::now_v7(), Uuid::new_v4());
    let twins = (0..20).map(|_| (scope(Some(id)), deposit(account, 5))).collect();
    let answers = store.submit_many(twins).await;
    let fresh = answers.iter().filter(|a| !a.as_ref().unwrap().replayed).count();
    assert_eq!(fresh, 1);
    for answer in &answers {
        assert_eq!(answer.as_ref().unwrap().reply.balance, 5);
    }
    assert_eq!(toy::balances(&store).await[&account], (5, 1));
    assert_eq!(store.stats().open, 0);
}

async fn twins_on_two_replicas_have_one_effect(bed: Arc<Bed>) {
    let stores = bed.replicas(3).await;
    for _ in 0..30 {
        let (account, id) = (Uuid::now_v7(), Uuid::new_v4());
        let mut calls = Vec::new();
        for store in stores.iter().cycle().take(6) {
            let store = store.clone();
            calls.push(tokio::spawn(async move { store.submit(scope(Some(id)), deposit(account, 5)).await.unwrap() }));
        }
        let mut fresh = 0;
        for call in calls {
            let answer = call.await.unwrap();
            assert_eq!(answer.reply.balance, 5);
            fresh += usize::from(!answer.replayed);
        }
        assert_eq!(fresh, 1);
    }
}

/// Waits until somebody in this database waits for a lock of this kind.
async fn waits_for(outside: &DatabaseConnection, kind: &str) {
    loop {
        let waiting = Sql::new(
            outside,
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = ",
        )
        .bind(kind)
        .one(outside)
        .await
        .unwrap();
        if waiting.is_some() {
            return;
        }
    }
}

async fn what_another_replica_did_meanwhile_is_replayed(bed: Arc<Bed>) {
    let options = || StoreOptions {
        lock_timeout: Duration::from_secs(60),
        statement_timeout: Duration::from_secs(60),
        ..bed.options()
    };
    let (one, other) = (bed.store_with(options()).await, bed.store_with(options()).await);
    let (account, id) = (Uuid::now_v7(), Uuid::new_v4());
    toy::add(&one, account, 5).await.unwrap();
    let outside = bed.outside().await;
    let row = outside.begin().await.unwrap();
    Sql::new(&row, "SELECT 1 FROM account WHERE id = ").bind(account).text(" FOR UPDATE").all(&row).await.unwrap();
    let withdraw = |store: &Store, ids: Vec<Uuid>| {
        let store = store.clone();
        let writes = ids.into_iter().map(|id| (scope(Some(id)), deposit(account, -5))).collect();
        tokio::spawn(async move { store.submit_many(writes).await })
    };
    // The first one has the lock of the account and waits for its row; the second one waits for the lock, and sees the
    // balance only when it is taken.
    let first = withdraw(&one, vec![id]);
    waits_for(&outside, "transactionid").await;
    let second = withdraw(&other, vec![id, Uuid::new_v4()]);
    waits_for(&outside, "advisory").await;
    row.rollback().await.unwrap();
    let first = first.await.unwrap().remove(0).unwrap();
    assert_eq!((first.reply.balance, first.replayed), (0, false));
    let second = second.await.unwrap();
    let again = second[0].as_ref().expect("the answer of the first, not a refusal");
    assert!(again.replayed && again.reply == first.reply);
    assert_eq!(second[1].as_ref().unwrap_err().reason, "OVERDRAWN", "a request of its own is refused");
    assert_eq!(toy::balances(&one).await[&account], (0, 2));
}

struct Destroy(Subject);

#[async_trait::async_trait]
impl Work for Destroy {
    type Output = ();

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<(), StoreError> {
        tx.destroy_keys(std::slice::from_ref(&self.0)).await
    }
}

async fn an_erased_answer_is_said_to_be_erased(bed: Arc<Bed>) {
    let store = bed.store().await;
    let (account, id, person) = (Uuid::now_v7(), Uuid::new_v4(), Uuid::now_v7());
    let mut command = deposit(account, 5);
    command.subject = Some(person);
    store.submit(scope(Some(id)), command.clone()).await.unwrap();
    let again = store.submit(scope(Some(id)), command.clone()).await.unwrap();
    assert!(again.replayed);
    store.run(Destroy(Subject::of(&toy::tenant("acme"), person))).await.unwrap();
    let error = store.submit(scope(Some(id)), command).await.unwrap_err();
    assert_eq!(error.reason, reason::ERASED);
    assert_eq!(toy::balances(&store).await[&account], (5, 1));
}

async fn old_records_are_swept(bed: Arc<Bed>) {
    let mut options = bed.options();
    options.request_retention = std::time::Duration::ZERO;
    let store = bed.store_with(options).await;
    for _ in 0..3 {
        let scope = scope(Some(Uuid::new_v4()));
        store.submit(scope, deposit(Uuid::now_v7(), 1)).await.unwrap();
    }
    assert_eq!(toy::count(&store, "idempotency").await, 3);
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    store.sweep().await.unwrap();
    assert_eq!(toy::count(&store, "idempotency").await, 0);
    assert_eq!(store.events_after(0, 10, None).await.unwrap().len(), 3);
}
