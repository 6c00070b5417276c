//! The feed: dense, complete, in order per aggregate; whatever else goes on in the database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prost::Message;
use rapport_store::sea_orm::{ConnectionTrait, TransactionTrait};
use rapport_store::{Outbox, Store, StoreError, StoredEvent, Tx, Work};
use rapport_types::Uuid;

use crate::bed::{self, Bed};
use crate::toy::{self, Deposited, deposit, scope_of};

crate::on_both_stores!(
    writers_and_rollbacks_and_open_transactions,
    pages_of_any_size_are_the_same_feed,
    old_events_are_trimmed,
    cursors_move_once,
);
crate::on_postgres!(another_process_numbers_what_a_dead_one_left, positions_reach_other_replicas);

/// Reads the feed as it grows, checking it, until `done` and nothing new came.
async fn follow(store: Store, done: Arc<AtomicBool>) -> Vec<StoredEvent> {
    let mut seen: Vec<StoredEvent> = Vec::new();
    let mut versions: BTreeMap<String, i64> = BTreeMap::new();
    loop {
        let finished = done.load(Ordering::SeqCst);
        let events = store.events_after(seen.len() as i64, 37, None).await.unwrap();
        if events.is_empty() && finished {
            return seen;
        }
        for event in events {
            assert_eq!(event.position, seen.len() as i64 + 1, "positions are dense");
            let version = versions.entry(event.aggregate.clone()).or_default();
            assert_eq!(event.version, *version + 1, "{} goes back or jumps", event.aggregate);
            *version = event.version;
            seen.push(event);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn writers_and_rollbacks_and_open_transactions(bed: Arc<Bed>) {
    let stores = bed.replicas(3).await;
    let done = Arc::new(AtomicBool::new(false));
    let followers: Vec<_> = stores.iter().map(|store| tokio::spawn(follow(store.clone(), done.clone()))).collect();
    let accounts: Arc<Vec<Uuid>> = Arc::new((0..6).map(|_| Uuid::now_v7()).collect());

    let stop = Arc::new(AtomicBool::new(false));
    let mut outsiders = Vec::new();
    if bed.is_postgres() {
        for n in 0..3 {
            let (db, stop, accounts) = (bed.outside().await, stop.clone(), accounts.clone());
            outsiders.push(tokio::spawn(async move {
                let mut held = 0;
                while !stop.load(Ordering::SeqCst) {
                    let tx = db.begin().await.unwrap();
                    // A transaction with an id, an open snapshot, and sometimes a row that the writers want.
                    tx.execute_unprepared("CREATE TEMPORARY TABLE IF NOT EXISTS mine (n INT)").await.unwrap();
                    tx.execute_unprepared("SELECT count(*) FROM outbox").await.unwrap();
                    if n > 0 {
                        let account = accounts[held % accounts.len()];
                        tx.execute_unprepared(&format!("SELECT 1 FROM account WHERE id = '{account}' FOR UPDATE"))
                            .await
                            .unwrap();
                    }
                    tokio::time::sleep(Duration::from_millis(15)).await;
                    if held % 2 == 0 {
                        tx.commit().await.unwrap()
                    } else {
                        tx.rollback().await.unwrap()
                    }
                    held += 1;
                }
                held
            }));
        }
    }

    let mut writers = Vec::new();
    for writer in 0..8_usize {
        let (store, accounts) = (stores[writer % stores.len()].clone(), accounts.clone());
        writers.push(tokio::spawn(async move {
            let (mut made, mut refused) = (0, 0);
            for round in 0..40 * bed::size() {
                let writes: Vec<_> = (0..1 + (round * 7 + writer) % 9)
                    .map(|n| {
                        let account = accounts[(round * 5 + writer * 3 + n) % accounts.len()];
                        let amount = if (round + n) % 5 == 4 { -1_000_000 } else { 1 };
                        (scope_of("acme", (n % 2 == 0).then(Uuid::new_v4)), deposit(account, amount))
                    })
                    .collect();
                for answer in store.submit_many(writes).await {
                    match answer {
                        Ok(_) => made += 1,
                        Err(error) => {
                            assert_eq!(error.reason, "OVERDRAWN", "{error:?}");
                            refused += 1;
                        }
                    }
                }
            }
            (made, refused)
        }));
    }
    let (mut made, mut refused) = (0, 0);
    for writer in writers {
        let (m, r) = writer.await.unwrap();
        made += m;
        refused += r;
    }
    stop.store(true, Ordering::SeqCst);
    for outsider in outsiders {
        assert!(outsider.await.unwrap() > 3, "the transactions held open were too few");
    }
    done.store(true, Ordering::SeqCst);
    let mut feeds = Vec::new();
    for follower in followers {
        feeds.push(follower.await.unwrap());
    }
    assert!(made > 500 && refused > 100, "{made} made, {refused} refused");
    let mut balances = BTreeMap::new();
    for event in &feeds[0] {
        let deposited = Deposited::decode(event.payload.as_slice()).unwrap();
        let balance = balances.entry(event.aggregate.clone()).or_insert((0, 0));
        *balance = (balance.0 + deposited.amount, event.version);
        assert_eq!(balance.0, deposited.balance);
    }
    assert_eq!(feeds[0].len(), made);
    for feed in &feeds {
        assert_eq!(*feed, feeds[0]);
    }
    for (id, account) in toy::balances(&stores[0]).await {
        assert_eq!(balances[&format!("accounts/{id}")], account);
    }
    for store in &stores {
        store.close().await;
    }
}

async fn pages_of_any_size_are_the_same_feed(bed: Arc<Bed>) {
    let store = bed.store().await;
    for n in 1..6 {
        let tenant = if n % 2 == 0 { "acme" } else { "other" };
        let writes = (0..n * 3).map(|_| (scope_of(tenant, None), deposit(Uuid::now_v7(), 1))).collect();
        store.submit_many(writes).await;
    }
    let all = store.events_after(0, 1000, None).await.unwrap();
    assert_eq!(all.len(), 45);
    for size in [1, 2, 7, 44, 45, 46] {
        let mut pages = Vec::new();
        loop {
            let after = pages.last().map_or(0, |event: &StoredEvent| event.position);
            let page = store.events_after(after, size, None).await.unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= size);
            pages.extend(page);
        }
        assert_eq!(pages, all, "pages of {size}");
    }
    let acme = toy::tenant("acme");
    let own = store.events_after(0, 1000, Some(&acme)).await.unwrap();
    let expected: Vec<_> = all.iter().filter(|event| event.tenant == acme).cloned().collect();
    assert_eq!(own, expected);
    assert_eq!(own.len(), 18);
    // page by page, never behind what was given out, never beyond what was looked at
    let (mut at, mut pages) = (0, Vec::new());
    loop {
        let page = store.scan_events(at, 4, Some(&acme)).await.unwrap();
        if page.scanned == at {
            break;
        }
        at = page.scanned;
        pages.extend(page.events);
    }
    assert_eq!((pages, at), (expected, 45));
    let nobody = store.scan_events(0, 4, Some(&toy::tenant("nobody"))).await.unwrap();
    assert_eq!((nobody.events.len(), nobody.scanned), (0, 45));
}

async fn old_events_are_trimmed(bed: Arc<Bed>) {
    let mut options = bed.options();
    options.feed_retention = Some(Duration::ZERO);
    let store = bed.store_with(options).await;
    for _ in 0..5 {
        toy::add(&store, Uuid::now_v7(), 1).await.unwrap();
    }
    let epoch = store.epoch().to_owned();
    assert_eq!(store.feed_bounds().await.unwrap(), (1, 5));
    tokio::time::sleep(Duration::from_millis(5)).await;
    store.sweep().await.unwrap();
    assert_eq!(store.feed_bounds().await.unwrap(), (6, 5));
    assert!(store.events_after(0, 10, None).await.unwrap().is_empty());
    let next = toy::add(&store, Uuid::now_v7(), 1).await.unwrap();
    assert_eq!(next.position, 6);
    store.close().await;
    let store = bed.store().await;
    assert_eq!(store.epoch(), epoch);
    assert_eq!(*store.position().borrow(), 6);
}

struct Advance {
    from: Option<(String, i64)>,
    to: (String, i64),
}

#[async_trait::async_trait]
impl Work for Advance {
    type Output = bool;

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<bool, StoreError> {
        let from = self.from.as_ref().map(|(epoch, position)| (epoch.as_str(), *position));
        tx.advance_cursor("fold", "toy", from, (&self.to.0, self.to.1)).await
    }
}

async fn cursors_move_once(bed: Arc<Bed>) {
    let store = bed.store().await;
    assert_eq!(store.cursor("fold", "toy").await.unwrap(), None);
    let at = |position| ("e".to_owned(), position);
    let moves = [
        (Some(at(0)), at(1), false),
        (None, at(1), true),
        (None, at(2), false),
        (Some(at(1)), at(5), true),
        (Some(at(1)), at(6), false),
        (Some(("f".to_owned(), 5)), at(7), false),
        (Some(at(5)), ("f".to_owned(), 0), true),
    ];
    for (from, to, expected) in moves {
        let done = store.run(Advance { from, to }).await.unwrap();
        assert_eq!(done.reply, expected);
    }
    let cursor = store.cursor("fold", "toy").await.unwrap().unwrap();
    assert_eq!((cursor.epoch.as_str(), cursor.position), ("f", 0));
}

async fn another_process_numbers_what_a_dead_one_left(bed: Arc<Bed>) {
    let store = bed.store().await;
    toy::add(&store, Uuid::now_v7(), 1).await.unwrap();
    let db = bed.outside().await;
    db.execute_unprepared(
        "WITH b AS (INSERT INTO feed_batch (events, recorded_at) VALUES (1, 0) RETURNING batch) \
         INSERT INTO outbox (batch, place, tenant, kind, aggregate, version, occurred_at, payload) \
         SELECT batch, 0, 'acme', 'toy.v1.Deposited', 'accounts/x', 1, 0, '' FROM b",
    )
    .await
    .unwrap();
    for _ in 0..50 {
        if store.events_after(1, 9, None).await.unwrap().len() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody numbered it");
}

async fn positions_reach_other_replicas(bed: Arc<Bed>) {
    let stores = bed.replicas(2).await;
    toy::add(&stores[0], Uuid::now_v7(), 1).await.unwrap();
    let receiver = stores[1].position();
    assert_eq!(stores[1].poll_position().await.unwrap(), 1);
    assert_eq!(*receiver.borrow(), 1);
    assert_eq!(stores[0].epoch(), stores[1].epoch());
}
