//! The process dies at every boundary of a commit, and nothing acknowledged is lost, doubled or torn.

#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rapport_store::{Failpoints, Store, StoreOptions};
use rapport_types::Uuid;
use rapport_types::id::World;

use crate::bed::{self, Bed};
use crate::toy::{self, deposit, scope};

crate::on_both_stores!(aborted_at_every_boundary);

/// The account a request writes to, so that the parent can tell what a request did.
fn account(request: Uuid) -> Uuid {
    Uuid::from_u128(request.as_u128() ^ 1)
}

/// What the parent starts: writes, says what was asked and what was acknowledged, and aborts.
#[test]
#[ignore = "started by aborted_at_every_boundary"]
fn child() {
    let Ok(plan) = std::env::var("RAPPORT_STORE_TEST_CHILD") else {
        return;
    };
    let mut plan = plan.split('\n');
    let (url, data, failpoints) = (plan.next().unwrap(), plan.next().unwrap(), plan.next().unwrap());
    let options = StoreOptions {
        url: url.to_owned(),
        data: data.into(),
        failpoints: Failpoints::parse(failpoints).unwrap(),
        ..StoreOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // the test harness has left its own words on the line
    println!();
    runtime.block_on(async {
        let store = Store::open(&options, "toy", toy::migrations(), World::system()).await.unwrap();
        for _ in 0..6 {
            let store = store.clone();
            tokio::spawn(async move {
                loop {
                    let id = Uuid::new_v4();
                    println!("asked {id}");
                    if store.submit(scope(Some(id)), deposit(account(id), 3)).await.is_ok() {
                        println!("done {id}");
                    }
                }
            });
        }
        std::future::pending::<()>().await;
    });
}

async fn aborted_at_every_boundary(bed: Arc<Bed>) {
    let (mut asked, mut done) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..2 * bed::size() {
        for boundary in ["before_begin", "before_commit", "after_commit", "before_reply"] {
            let failpoint = format!("{boundary}=abort@{}", 3 + 7 * round);
            let plan = format!("{}\n{}\n{failpoint}", bed.url, bed.folder.path().display());
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "aborts::child", "--ignored", "--nocapture", "--test-threads=1"])
                .env("RAPPORT_STORE_TEST_CHILD", plan)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
                if let Some((what, id)) = line.split_once(' ')
                    && let Ok(id) = id.parse::<Uuid>()
                {
                    match what {
                        "asked" => asked.insert(id),
                        "done" => done.insert(id),
                        _ => false,
                    };
                }
            }
            assert!(!child.wait().unwrap().success(), "{failpoint} did not abort");
        }
    }
    assert!(done.len() >= 20, "too few acknowledged: {}", done.len());
    let store = bed.store().await;
    let balances = toy::balances(&store).await;
    for id in &done {
        assert_eq!(balances.get(&account(*id)), Some(&(3, 1)), "an acknowledged write is lost");
    }
    let mut unheard = 0;
    for id in &asked {
        let again = store.submit(scope(Some(*id)), deposit(account(*id), 3)).await.unwrap();
        assert_eq!(again.reply.balance, 3);
        assert_eq!(again.replayed, balances.contains_key(&account(*id)));
        unheard += usize::from(again.replayed && !done.contains(id));
    }
    assert!(unheard > 0, "no write was committed and not acknowledged");
    assert_eq!(toy::balances(&store).await.len(), asked.len());
    let mut position = 0;
    let mut seen = BTreeSet::new();
    loop {
        let events = store.events_after(position, 100, None).await.unwrap();
        if events.is_empty() {
            break;
        }
        for event in events {
            position += 1;
            assert_eq!(event.position, position);
            assert!(seen.insert(event.aggregate), "an event came twice");
        }
    }
    assert_eq!(seen.len(), asked.len());
}
