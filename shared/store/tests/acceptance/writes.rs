//! Batches: what one item may do to another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rapport_store::{Outbox, Sql, StoreError, Tx, Work};
use rapport_types::Uuid;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;

use crate::bed::Bed;
use crate::toy::{self, Claim, deposit, scope, scope_of};

crate::on_both_stores!(
    a_write_is_there_when_it_is_answered,
    items_of_a_batch_see_one_another,
    a_bad_item_fails_alone,
    a_panic_fails_alone,
    a_broken_row_fails_alone,
    a_full_queue_refuses,
    a_race_for_a_name_has_one_winner,
    hot_accounts_add_up,
    tenants_take_turns,
    work_is_one_transaction,
    closing_finishes_what_was_accepted,
);

async fn a_write_is_there_when_it_is_answered(bed: Arc<Bed>) {
    let store = bed.store().await;
    let account = Uuid::now_v7();
    for n in 1..=5 {
        let done = toy::add(&store, account, 2).await.unwrap();
        assert_eq!(done.reply.version, n);
        assert_eq!(done.position, n);
        assert_eq!(*store.position().borrow(), n);
        assert_eq!(toy::balances(&store).await[&account], (2 * n, n));
        assert_eq!(store.events_after(n - 1, 9, None).await.unwrap().len(), 1);
    }
    let rejected = toy::add(&store, account, -100).await.unwrap_err();
    assert_eq!(rejected.kind, Kind::Precondition);
    assert_eq!(store.feed_bounds().await.unwrap(), (1, 5));
    assert!(store.ready().await.is_ok());
}

async fn items_of_a_batch_see_one_another(bed: Arc<Bed>) {
    let store = bed.store().await;
    let account = Uuid::now_v7();
    let amounts = [5, -7, 3, -8, -1, 2];
    let writes = amounts.iter().map(|a| (scope(None), deposit(account, *a))).collect();
    let answers = store.submit_many(writes).await;
    let balances: Vec<_> = answers.iter().map(|a| a.as_ref().ok().map(|a| a.reply.balance)).collect();
    assert_eq!(balances, [Some(5), None, Some(8), Some(0), None, Some(2)]);
    let positions: Vec<_> = answers.iter().flatten().map(|a| a.position).collect();
    assert_eq!(positions, [1, 2, 3, 4]);
    let events = store.events_after(0, 10, None).await.unwrap();
    assert_eq!(events.iter().map(|e| e.version).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(events[0].kind, "toy.v1.Deposited");
    assert_eq!(events[0].aggregate, format!("accounts/{account}"));
    assert!(store.stats().batches <= 2);
}

async fn a_bad_item_fails_alone(bed: Arc<Bed>) {
    let store = bed.store().await;
    let writes: Vec<_> =
        (0..100).map(|n| (scope(None), deposit(Uuid::now_v7(), if n == 37 { -1 } else { 1 }))).collect();
    let answers = store.submit_many(writes).await;
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_ok(), n != 37, "{n}");
    }
    assert_eq!(toy::balances(&store).await.len(), 99);
}

async fn a_panic_fails_alone(bed: Arc<Bed>) {
    one_of_many_fails(bed, 999).await;
}

async fn a_broken_row_fails_alone(bed: Arc<Bed>) {
    one_of_many_fails(bed, 666).await;
}

async fn one_of_many_fails(bed: Arc<Bed>, amount: i64) {
    let store = bed.store().await;
    let writes: Vec<_> = (0..50)
        .map(|n| (scope(Some(Uuid::new_v4())), deposit(Uuid::now_v7(), if n == 17 { amount } else { 1 })))
        .collect();
    let answers = store.submit_many(writes).await;
    for (n, answer) in answers.iter().enumerate() {
        match answer {
            Ok(_) => assert_ne!(n, 17),
            Err(error) => {
                assert_eq!(n, 17);
                assert_eq!(error.kind, Kind::Internal);
                assert!(!error.message.to_lowercase().contains("constraint"), "{error}");
                assert!(error.source.is_some());
            }
        }
    }
    let balances = toy::balances(&store).await;
    assert_eq!(balances.len(), 49);
    assert!(balances.values().all(|(balance, version)| (*balance, *version) == (1, 1)));
    assert_eq!(store.events_after(0, 100, None).await.unwrap().len(), 49);
    toy::add(&store, Uuid::now_v7(), 1).await.unwrap();
}

async fn a_full_queue_refuses(bed: Arc<Bed>) {
    let mut options = bed.options();
    options.queue_limit = 20;
    let store = bed.store_with(options).await;
    let writes = (0..50).map(|_| (scope(None), deposit(Uuid::now_v7(), 1))).collect();
    let answers = store.submit_many(writes).await;
    let refused: Vec<_> = answers.iter().filter_map(|a| a.as_ref().err()).collect();
    // one tenant may hold half of the queue
    assert_eq!(refused.len(), 40);
    for error in refused {
        assert_eq!(error.kind, Kind::Exhausted);
        assert_eq!(error.reason, reason::QUEUE_FULL);
        assert!(error.retry_after.is_some());
    }
    assert_eq!(toy::balances(&store).await.len(), 10);
    toy::add(&store, Uuid::now_v7(), 1).await.unwrap();
    assert_eq!(store.stats().open, 0);
}

async fn a_race_for_a_name_has_one_winner(bed: Arc<Bed>) {
    let stores = bed.replicas(4).await;
    for round in 0..40 {
        let mut calls = Vec::new();
        for store in stores.iter().cycle().take(12) {
            let store = store.clone();
            let command = Claim { name: format!("name-{round}"), owner: (round % 2 == 0).then(Uuid::new_v4) };
            calls.push(tokio::spawn(async move { store.submit(scope(None), command).await }));
        }
        let mut winners = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(_) => winners += 1,
                Err(error) => assert_eq!(error.kind, Kind::AlreadyExists, "{error:?}"),
            }
        }
        assert_eq!(winners, 1);
    }
}

async fn hot_accounts_add_up(bed: Arc<Bed>) {
    let stores = bed.replicas(3).await;
    let accounts: Vec<_> = (0..3).map(|_| Uuid::now_v7()).collect();
    let mut calls = Vec::new();
    for n in 0..300 {
        let store = stores[n % stores.len()].clone();
        let account = accounts[n % 3];
        calls.push(tokio::spawn(async move { toy::add(&store, account, 1).await }));
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    for balance in toy::balances(&stores[0]).await.values() {
        assert_eq!(*balance, (100, 100));
    }
}

async fn tenants_take_turns(bed: Arc<Bed>) {
    let mut options = bed.options();
    options.max_batch = 20;
    options.batches_in_flight = 1;
    let store = bed.store_with(options).await;
    let flood = (0..2000).map(|_| (scope_of("flood", None), deposit(Uuid::now_v7(), 1))).collect();
    let flooding = tokio::spawn({
        let store = store.clone();
        async move { store.submit_many(flood).await }
    });
    while store.stats().open < 100 {
        tokio::task::yield_now().await;
    }
    let calm = store.submit(scope_of("calm", None), deposit(Uuid::now_v7(), 1)).await.unwrap();
    assert!(calm.position < 1000, "waited behind the flood: {}", calm.position);
    assert!(flooding.await.unwrap().iter().all(Result::is_ok));
}

struct Move {
    from: Uuid,
    to: Uuid,
    fail: bool,
}

#[async_trait::async_trait]
impl Work for Move {
    type Output = u64;

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<u64, StoreError> {
        let mut moved = 0;
        for (account, amount) in [(self.from, -1_i64), (self.to, 1)] {
            moved += Sql::new(tx.db(), "UPDATE account SET version = version + 1, balance = balance + ")
                .bind(amount)
                .text(" WHERE id = ")
                .bind(account)
                .execute(tx.db())
                .await?
                .rows_affected();
            out.event(
                &toy::tenant("acme"),
                format!("accounts/{account}"),
                2,
                tx.now(),
                &toy::Deposited { amount, balance: 0 },
            );
        }
        if self.fail {
            return Err(Error::precondition("ROLE_NOT_ALLOWED", "no").into());
        }
        Ok(moved)
    }
}

async fn work_is_one_transaction(bed: Arc<Bed>) {
    let store = bed.store().await;
    let (from, to) = (Uuid::now_v7(), Uuid::now_v7());
    toy::add(&store, from, 10).await.unwrap();
    toy::add(&store, to, 10).await.unwrap();
    let error = store.run(Move { from, to, fail: true }).await.unwrap_err();
    assert_eq!(error.reason, "ROLE_NOT_ALLOWED");
    assert_eq!(toy::balances(&store).await[&from], (10, 1));
    let done = store.run(Move { from, to, fail: false }).await.unwrap();
    assert_eq!((done.reply, done.position), (2, 4));
    let balances = toy::balances(&store).await;
    assert_eq!((balances[&from], balances[&to]), ((9, 2), (11, 2)));
    assert_eq!(store.events_after(2, 9, None).await.unwrap().len(), 2);
}

async fn closing_finishes_what_was_accepted(bed: Arc<Bed>) {
    let store = bed.store().await;
    let writes = (0..200).map(|_| (scope(None), deposit(Uuid::now_v7(), 1))).collect();
    let writing = tokio::spawn({
        let store = store.clone();
        async move { store.submit_many(writes).await }
    });
    while store.stats().open == 0 && !writing.is_finished() {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    store.close().await;
    assert!(start.elapsed() < Duration::from_secs(10));
    let answers = writing.await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
    let error = toy::add(&store, Uuid::now_v7(), 1).await.unwrap_err();
    assert_eq!(error.reason, reason::SHUTTING_DOWN);
    let store = bed.store().await;
    assert_eq!(toy::balances(&store).await.len(), 200);
}
