//! Crashes: `kill -9` under load, and aborts exactly at the boundaries of a commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::size;

use super::load::{self, Book};

/// Ready again within this, as a promise to operators.
const READY: Duration = Duration::from_secs(2);

rapport_testkit::each_store! {
    async fn fault_kill_9_under_load_loses_doubles_and_tears_nothing(place: StorePlace) {
        let mut sandbox = Sandbox::builder(rapport::modules).place(place).topology(Topology::Child).start().await;
        let party = load::party();
        let book = Arc::new(Book::default());
        let kills: usize = size::pick(8, 500);
        let mut unacknowledged = 0;
        for kill in 0..kills {
            let before = book.acknowledged();
            let callers: Vec<_> = (0..24)
                .map(|_| {
                    let (book, party, channel) = (Arc::clone(&book), party.clone(), sandbox.channel("interactions"));
                    tokio::spawn(async move { load::record_until(channel, &party, &book, || false).await })
                })
                .collect();
            // Killed at another depth of the load each time.
            let depth = before + 20 + (kill * 37) % 200;
            while book.acknowledged() < depth {
                tokio::task::yield_now().await;
            }
            sandbox.kill_9("interactions").await;
            for caller in callers {
                caller.await.expect("a caller ends when its server is gone");
            }
            let started = Instant::now();
            sandbox.restart("interactions").await;
            load::ready(&sandbox.channel("interactions"), &party, READY).await;
            assert!(started.elapsed() < READY, "ready after {:?}", started.elapsed());
            unacknowledged += book.entries().iter().filter(|(_, name)| name.is_none()).count();
        }
        let channel = sandbox.channel("interactions");
        let audit = load::audit(&channel, &party, &book).await;
        load::feed(&channel, &audit.names).await;
        println!(
            "{kills} kills: {} acknowledged, {} left open by a kill, of which {} had committed",
            book.acknowledged(),
            book.entries().len() - book.acknowledged(),
            audit.unacknowledged_effects
        );
        assert!(unacknowledged >= kills, "vacuous: no call was open when the process was killed");
        sandbox.stop().await;
    }
}

/// The boundaries of a commit, as the store names them.
const BOUNDARIES: [&str; 4] = ["before_begin", "before_commit", "after_commit", "before_reply"];

async fn abort_at(boundary: &str, store: rapport_testkit::sandbox::StoreKind) {
    let hits: &[usize] = size::pick(&[1, 4], &[1, 2, 3, 5, 8, 13, 21, 34, 55]);
    for hit in hits {
        let mut sandbox = Sandbox::builder(rapport::modules)
            .store(store)
            .topology(Topology::Child)
            .setting("services", vec!["interactions"])
            .setting("store.failpoints.interactions", format!("{boundary}=abort@{hit}"))
            .start()
            .await;
        let party = load::party();
        let book = Arc::new(Book::default());
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let (book, party, channel) = (Arc::clone(&book), party.clone(), sandbox.channel("interactions"));
                tokio::spawn(async move { load::record_until(channel, &party, &book, || false).await })
            })
            .collect();
        let status = sandbox.wait_for_exit("interactions", Duration::from_secs(30)).await;
        assert!(!status.success(), "{boundary}: the process aborts");
        for caller in callers {
            caller.await.expect("a caller ends when its server is gone");
        }
        let config = sandbox.config("interactions").to_owned();
        let text = std::fs::read_to_string(&config).expect("the configuration is read");
        let text: Vec<_> = text.lines().filter(|line| !line.contains("=abort@")).collect();
        std::fs::write(&config, text.join("\n")).expect("the configuration is written");
        sandbox.restart("interactions").await;
        let channel = sandbox.channel("interactions");
        load::ready(&channel, &party, READY).await;
        let audit = load::audit(&channel, &party, &book).await;
        load::feed(&channel, &audit.names).await;
        let open = book.entries().len() - book.acknowledged();
        assert!(open > 0, "{boundary}: vacuous, no call was open at the abort");
        match boundary {
            // Nothing had reached the database, or all of it was rolled back. Batches before it may be on their way.
            "before_begin" | "before_commit" if *hit == 1 => assert_eq!(audit.unacknowledged_effects, 0, "{boundary}"),
            // Durable and not answered: the retry gets the first answer.
            "before_reply" => assert!(audit.unacknowledged_effects > 0, "{boundary}"),
            // On PostgreSQL committed and perhaps not yet flushed: either is right, half is not (the audit saw that).
            _ => {}
        }
        sandbox.stop().await;
    }
}

#[test]
fn fault_aborts_at_every_commit_boundary_tear_nothing() {
    use rapport_testkit::sandbox::StoreKind;
    // Both stores side by side: each process dies by itself, so that nobody waits for the other.
    for boundary in BOUNDARIES {
        let both = [StoreKind::Sqlite, StoreKind::Postgres].map(|store| abort_at(boundary, store));
        rapport_testkit::block_on(futures::future::join_all(both));
    }
}
