//! Faults of the database under load, and at the boundaries of a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rapport_store::sea_orm::{ConnectionTrait, TransactionTrait};
use rapport_store::{Failpoints, Store, StoreOptions};
use rapport_types::Uuid;
use rapport_types::error::Kind;
use rapport_types::reason;

use crate::bed::Bed;
use crate::toy::{self, deposit, scope};

crate::on_both_stores!(a_lost_commit_is_told_by_the_request_id, a_lost_begin_or_apply_has_no_effect);
crate::on_postgres!(
    connections_cut_under_load,
    a_lock_held_outside_fails_only_its_item,
    an_unreachable_server_is_answered_within_a_second,
);

async fn store_with(bed: &Bed, failpoints: &str) -> Store {
    let mut options = bed.options();
    options.failpoints = Failpoints::parse(failpoints).unwrap();
    bed.store_with(options).await
}

async fn a_lost_commit_is_told_by_the_request_id(bed: Arc<Bed>) {
    for point in ["after_commit=error", "before_reply=error"] {
        let store = store_with(&bed, point).await;
        let (account, id) = (Uuid::now_v7(), Uuid::new_v4());
        let error = store.submit(scope(Some(id)), deposit(account, 5)).await.unwrap_err();
        assert_eq!((error.kind, error.reason), (Kind::Unavailable, reason::STORE_UNAVAILABLE));
        assert!(error.retry_after.is_some());
        let again = store.submit(scope(Some(id)), deposit(account, 5)).await.unwrap();
        assert!(again.replayed);
        assert_eq!(toy::balances(&store).await[&account], (5, 1));
        store.close().await;
    }
}

async fn a_lost_begin_or_apply_has_no_effect(bed: Arc<Bed>) {
    let store = store_with(&bed, "before_begin=error, before_commit=error@1, before_commit=error@2").await;
    let (account, id) = (Uuid::now_v7(), Uuid::new_v4());
    for _ in 0..2 {
        // the first time nothing is begun, the second time two attempts are rolled back
        let error = store.submit(scope(Some(id)), deposit(account, 5)).await.unwrap_err();
        assert_eq!(error.reason, reason::STORE_UNAVAILABLE);
        assert!(toy::balances(&store).await.is_empty());
    }
    let done = store.submit(scope(Some(id)), deposit(account, 5)).await.unwrap();
    assert!(!done.replayed);
    assert_eq!(done.position, 1);
}

async fn connections_cut_under_load(bed: Arc<Bed>) {
    let store = bed.store().await;
    let done = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for _ in 0..8 {
        let (store, done) = (store.clone(), done.clone());
        writers.push(tokio::spawn(async move {
            let (mut calls, mut lost) = (Vec::new(), 0);
            while !done.load(Ordering::SeqCst) {
                let (account, id) = (Uuid::now_v7(), Uuid::new_v4());
                match store.submit(scope(Some(id)), deposit(account, 1)).await {
                    Ok(_) => calls.push((account, id, true)),
                    Err(error) => {
                        assert_eq!(error.reason, reason::STORE_UNAVAILABLE, "{error:?}");
                        calls.push((account, id, false));
                        lost += 1;
                    }
                }
            }
            (calls, lost)
        }));
    }
    let outside = bed.outside().await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        outside
            .execute_unprepared(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rapport' AND datname = current_database()",
            )
            .await
            .unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    done.store(true, Ordering::SeqCst);
    let (mut calls, mut lost) = (Vec::new(), 0);
    for writer in writers {
        let (some, errors) = writer.await.unwrap();
        calls.extend(some);
        lost += errors;
    }
    assert!(lost > 0, "no call was hit");
    for (account, id, acknowledged) in &calls {
        let mut again = store.submit(scope(Some(*id)), deposit(*account, 1)).await;
        if again.is_err() {
            // one read of a connection that was cut and never used since
            again = store.submit(scope(Some(*id)), deposit(*account, 1)).await;
        }
        assert!(again.unwrap().replayed || !acknowledged, "an acknowledged write was lost");
    }
    let balances = loop {
        // a reader's connection may still be one that was cut
        if store.ready().await.is_ok() && store.feed_bounds().await.is_ok() {
            break toy::balances(&store).await;
        }
    };
    assert_eq!(balances.len(), calls.len());
    assert!(balances.values().all(|balance| *balance == (1, 1)));
    assert_eq!(store.feed_bounds().await.unwrap().1, calls.len() as i64);
}

async fn a_lock_held_outside_fails_only_its_item(bed: Arc<Bed>) {
    let mut options = bed.options();
    options.lock_timeout = Duration::from_millis(300);
    let store = bed.store_with(options).await;
    let held = Uuid::now_v7();
    toy::add(&store, held, 1).await.unwrap();
    let outside = bed.outside().await;
    let tx = outside.begin().await.unwrap();
    tx.execute_unprepared(&format!("SELECT 1 FROM account WHERE id = '{held}' FOR UPDATE")).await.unwrap();
    let accounts: Vec<_> = (0..20).map(|n| if n == 11 { held } else { Uuid::now_v7() }).collect();
    let writes = accounts.iter().map(|account| (scope(None), deposit(*account, 1))).collect();
    let start = Instant::now();
    let answers = store.submit_many(writes).await;
    assert!(start.elapsed() < Duration::from_secs(3));
    for (account, answer) in accounts.iter().zip(&answers) {
        match answer {
            Ok(_) => assert_ne!(*account, held),
            Err(error) => {
                assert_eq!(*account, held);
                assert_eq!(error.kind, Kind::Unavailable);
            }
        }
    }
    assert!(answers[11].is_err());
    tx.rollback().await.unwrap();
    assert_eq!(toy::add(&store, held, 1).await.unwrap().reply.balance, 2);
}

async fn an_unreachable_server_is_answered_within_a_second(bed: Arc<Bed>) {
    // A port that forwards, until it does not.
    let target = bed.url.split('@').next_back().unwrap().trim_start_matches("postgres://");
    let target = target.split('/').next().unwrap().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let forwarding = tokio::spawn({
        let target = target.clone();
        async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((mut from, _)) = listener.accept().await {
                let mut to = tokio::net::TcpStream::connect(&target).await.unwrap();
                open.spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                });
            }
        }
    });
    let options = StoreOptions { url: bed.url.replace(&target, &format!("127.0.0.1:{port}")), ..bed.options() };
    let store = bed.store_with(options).await;
    toy::add(&store, Uuid::now_v7(), 1).await.unwrap();
    forwarding.abort();
    let _ = forwarding.await;
    for _ in 0..3 {
        let start = Instant::now();
        let writes = (0..50).map(|_| (scope(None), deposit(Uuid::now_v7(), 1))).collect();
        for answer in store.submit_many(writes).await {
            assert_eq!(answer.unwrap_err().reason, reason::STORE_UNAVAILABLE);
        }
        assert!(start.elapsed() < Duration::from_millis(1000), "{:?}", start.elapsed());
        let start = Instant::now();
        let error = store.events_after(0, 1, None).await.unwrap_err();
        assert_eq!(error.reason, reason::STORE_UNAVAILABLE);
        assert!(start.elapsed() < Duration::from_millis(1000), "{:?}", start.elapsed());
    }
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let mut to = tokio::net::TcpStream::connect(&target).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    let start = Instant::now();
    while toy::add(&store, Uuid::now_v7(), 1).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(2), "did not recover");
    }
    assert!(store.events_after(0, 1, None).await.is_ok());
}
