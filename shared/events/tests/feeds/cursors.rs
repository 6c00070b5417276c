use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use rapport_events::{Cursor, Cursors, EventStream, Freshness, Source};
use rapport_testkit::each_store;
use rapport_testkit::place::StorePlace;
use rapport_types::error::Error;

use crate::house::*;

/// A source that never says anything.
struct Silent;

#[async_trait]
impl Source for Silent {
    async fn subscribe(&self, _after: Option<Cursor>) -> Result<EventStream, Error> {
        Ok(futures::stream::pending().boxed())
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(150)
}

each_store! {
    async fn waiting_ends_when_the_position_is_applied_or_the_deadline_comes(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        let running = start(&Scribe::default(), &heard, feed(&told));
        let waiting = tokio::spawn({
            let cursors = running.cursors.clone();
            async move { cursors.wait(TELLER, 20, Instant::now() + Duration::from_secs(20)).await }
        });
        tell(&told, 0, 20).await;
        assert_eq!(waiting.await.unwrap(), Freshness::Reached { position: 20 });
        assert_eq!(running.cursors.wait(TELLER, 21, soon()).await, Freshness::Behind { position: 20 });
        assert_eq!(running.cursors.applied()[TELLER], 20);
        running.stop().await;
    }

    async fn own_writes_are_always_visible_and_strangers_are_not_waited_for(place: StorePlace) {
        let heard = listener(&place).await;
        let cursors = Cursors::new(heard.clone());
        let began = Instant::now();
        assert_eq!(cursors.wait(LISTENER, 7, soon()).await, Freshness::Reached { position: 7 });
        assert_eq!(cursors.wait("loyalty", 7, soon()).await, Freshness::NotConsumed);
        assert!(began.elapsed() < Duration::from_millis(100));
    }

    async fn a_consumer_that_does_not_run_yet_is_waited_for(place: StorePlace) {
        let cursors = Cursors::new(listener(&place).await);
        cursors.expect("slow", TELLER);
        cursors.expect("quick", TELLER);
        assert_eq!(cursors.wait(TELLER, 1, soon()).await, Freshness::Behind { position: 0 });
    }

    async fn what_another_replica_applied_is_seen(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        let deaf = start(&Scribe::default(), &heard, Silent);
        let working = start(&Scribe::default(), &heard, feed(&told));
        tell(&told, 0, 100).await;
        caught_up(&deaf.cursors, 100).await;
        deaf.stop().await;
        working.stop().await;
    }
}
