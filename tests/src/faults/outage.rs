//! PostgreSQL stops and comes back: callers hear of it within a second, and nobody has to restart anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_testkit::Code;
use rapport_testkit::asserts::reason;
use rapport_testkit::cluster::{Cluster, Stop};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::size;

use super::load::{self, Book};

#[test]
fn fault_a_stopped_database_is_unavailable_and_recovers_without_a_restart() {
    rapport_testkit::block_on(async {
        let mut cluster = Cluster::start();
        let place = StorePlace::in_database(cluster.database().await);
        let sandbox = Sandbox::builder(rapport::modules).place(place).topology(Topology::Child).start().await;
        let party = load::party();
        let book = Arc::new(Book::default());
        let channel = sandbox.channel("interactions");
        let mut client = InteractionServiceClient::new(channel.clone());
        for _ in 0..size::pick(2, 30) {
            let before = book.acknowledged();
            let callers: Vec<_> = (0..16)
                .map(|_| {
                    let (book, party, channel) = (Arc::clone(&book), party.clone(), channel.clone());
                    tokio::spawn(async move { load::record_until(channel, &party, &book, || false).await })
                })
                .collect();
            while book.acknowledged() < before + 200 {
                tokio::task::yield_now().await;
            }
            cluster.stop(Stop::Immediate);
            for caller in callers {
                caller.await.expect("a caller is told of the outage");
            }
            for _ in 0..5 {
                let request_id = book.send();
                let asked = Instant::now();
                let status = client
                    .record_interaction(load::request(&party, request_id))
                    .await
                    .expect_err("the database is gone");
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                assert_eq!(reason(&status).as_deref(), Some("STORE_UNAVAILABLE"));
                assert!(asked.elapsed() < Duration::from_secs(1), "told after {:?}", asked.elapsed());
            }
            cluster.start_again();
            load::ready(&channel, &party, Duration::from_secs(10)).await;
        }
        let audit = load::audit(&channel, &party, &book).await;
        load::feed(&channel, &audit.names).await;
        assert!(book.acknowledged() >= 400, "vacuous");
        sandbox.stop().await;
    });
}
