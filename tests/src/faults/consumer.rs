//! A consumer that is killed at any moment applies each event exactly once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::scoring::v1::GetScoresRequest;
use rapport_proto::scoring::v1::score_service_client::ScoreServiceClient;
use rapport_testkit::asserts::{at_least, position};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::size;

use super::load::{self, Book};

rapport_testkit::each_store! {
    async fn fault_a_killed_consumer_applies_each_event_once(place: StorePlace) {
        let mut sandbox = Sandbox::builder(rapport::modules).place(place).topology(Topology::Processes).start().await;
        let party = load::party();
        let book = Arc::new(Book::default());
        let stop = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let (book, party, channel) = (Arc::clone(&book), party.clone(), sandbox.channel("interactions"));
                let stop = Arc::clone(&stop);
                tokio::spawn(async move {
                    load::record_until(channel, &party, &book, || stop.load(Ordering::Relaxed)).await;
                })
            })
            .collect();
        let kills = size::pick(4, 200);
        for kill in 0..kills {
            let depth = book.acknowledged() + 50 + (kill * 61) % 150;
            while book.acknowledged() < depth {
                tokio::task::yield_now().await;
            }
            sandbox.kill_9("scoring").await;
            sandbox.restart("scoring").await;
        }
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await.expect("a caller ends");
        }
        // One more record, whose position scoring has to reach.
        let last = book.send();
        let mut client = InteractionServiceClient::new(sandbox.channel("interactions"));
        let reply = client.record_interaction(load::request(&party, last)).await.expect("the last record");
        let seen = BTreeMap::from([("interactions".to_owned(), position(reply.metadata(), "interactions"))]);
        book.acknowledge(last, reply.into_inner().name);
        let mut scores = ScoreServiceClient::new(sandbox.channel("scoring"));
        let request = at_least(GetScoresRequest { party: party.clone(), ..Default::default() }, &seen);
        let answer = scores.get_scores(request).await.expect("scores are given");
        assert!(answer.metadata().get("rapport-stale").is_none(), "scoring did not catch up: {:?}", answer.metadata());
        let counted = answer.into_inner().scores[0].evidence.as_ref().expect("evidence").contribution_count;
        assert_eq!(counted, i64::try_from(book.entries().len()).expect("a count"), "each event counts once");
        assert_eq!(book.acknowledged(), book.entries().len(), "interactions itself was never disturbed");
        sandbox.stop().await;
    }
}
