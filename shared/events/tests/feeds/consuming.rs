use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use rapport_events::{Cursor, Cursors, EventStream, Feed, Progress, Source};
use rapport_testkit::each_store;
use rapport_testkit::place::StorePlace;
use rapport_types::error::Error;

use crate::house::*;

/// A source that refuses every second subscription and breaks every stream after a few batches.
struct Flaky {
    feed: Feed,
    subscriptions: AtomicU32,
}

#[async_trait]
impl Source for Flaky {
    async fn subscribe(&self, after: Option<Cursor>) -> Result<EventStream, Error> {
        if self.subscriptions.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            return Err(Error::unavailable("not now", Duration::from_millis(1)));
        }
        let stream = Source::subscribe(&self.feed, after).await?;
        let broken = async { Err(Error::unavailable("connection lost", Duration::from_millis(1))) };
        let short = stream.map(|batch| batch.map(|events| events.into_iter().take(7).collect())).take(1);
        Ok(short.chain(futures::stream::once(broken)).boxed())
    }
}

/// A source that tells how much there is and sends it piece by piece, no piece at once.
struct Slow(Feed);

/// How much it tells of.
const MUCH: i64 = 3000;

#[async_trait]
impl Source for Slow {
    async fn subscribe(&self, after: Option<Cursor>) -> Result<EventStream, Error> {
        let mut stream = Source::subscribe(&self.0, after).await?;
        let (mut pieces, mut count) = (Vec::new(), 0);
        while count < MUCH {
            let piece = stream.next().await.unwrap()?;
            count += i64::try_from(piece.len()).unwrap();
            pieces.push(piece);
        }
        let pieces = futures::stream::iter(pieces).then(async |piece| {
            tokio::task::yield_now().await;
            Ok(piece)
        });
        Ok(pieces.chain(futures::stream::pending()).boxed())
    }

    fn newest(&self) -> i64 {
        MUCH
    }
}

/// Waits until a consumer says so of itself: what it counts may come a moment after its cursor.
async fn until(cursors: &Cursors, there: impl Fn(&Progress) -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let progress = cursors.progress().remove(0);
        if there(&progress) {
            return;
        }
        assert!(Instant::now() < patience, "{progress:?}");
        // For a position that nobody reaches: a pause, and no longer.
        cursors.wait(TELLER, i64::MAX, Instant::now() + Duration::from_millis(10)).await;
    }
}

each_store! {
    async fn every_event_is_applied_once_in_order(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        tell(&told, 0, 1200).await;
        let scribe = Scribe::default();
        let running = start(&scribe, &heard, feed(&told));
        caught_up(&running.cursors, 1200).await;
        tell(&told, 120, 300).await;
        caught_up(&running.cursors, 1500).await;
        running.stop().await;
        assert_each_once(&effects(&heard).await, 1500);
        assert!(scribe.applied_batches.load(Ordering::Relaxed) >= 3, "nothing was batched within the limit");
    }

    async fn whoever_is_far_behind_takes_much_at_once(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        tell(&told, 0, MUCH).await;
        let scribe = Scribe { batch: 2000, ..Scribe::default() };
        let running = start(&scribe, &heard, Slow(feed(&told)));
        caught_up(&running.cursors, MUCH).await;
        running.stop().await;
        assert_each_once(&effects(&heard).await, MUCH);
        let batches = scribe.applied_batches.load(Ordering::Relaxed);
        assert!((2..=4).contains(&batches), "{batches} batches: two of 2000 at most, or a piece came late");
    }

    async fn what_was_applied_stays_applied_over_a_restart(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        for round in 0..5 {
            tell(&told, round * 10, 100).await;
            let running = start(&Scribe::default(), &heard, feed(&told));
            caught_up(&running.cursors, (round + 1) * 100).await;
            running.stop().await;
        }
        assert_each_once(&effects(&heard).await, 500);
    }

    async fn a_source_that_fails_is_asked_again(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        tell(&told, 0, 100).await;
        let source = Flaky { feed: feed(&told), subscriptions: AtomicU32::new(0) };
        let running = start(&Scribe::default(), &heard, source);
        caught_up(&running.cursors, 100).await;
        assert!(running.cursors.progress()[0].retries >= 20, "the source did not fail");
        running.stop().await;
        assert_each_once(&effects(&heard).await, 100);
    }

    async fn a_peer_that_is_down_parks_nothing(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        let scribe = Scribe::default();
        *scribe.peer_down.lock().unwrap() = true;
        tell(&told, 0, 100).await;
        let running = start(&scribe, &heard, feed(&told));
        until(&running.cursors, |progress| progress.retries > 3 && progress.last_error.is_some()).await;
        assert!(!running.cursors.wait(TELLER, 1, Instant::now()).await.is_fresh());
        *scribe.peer_down.lock().unwrap() = false;
        caught_up(&running.cursors, 100).await;
        assert_each_once(&effects(&heard).await, 100);
        tell(&told, 10, 10).await;
        caught_up(&running.cursors, 110).await;
        assert_eq!(running.cursors.progress()[0].parked, 0);
        running.stop().await;
    }

    async fn poison_is_parked_with_its_aggregate_while_others_flow(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        let scribe = Scribe {
            mood: Arc::new(|event| match (event.aggregate.as_str(), event.version) {
                ("parties/p3", 4) => Mood::RefusesToApply,
                ("parties/p5", 6) => Mood::RefusesToGather,
                ("parties/p8", 2) => Mood::Panics,
                ("parties/p9", 10) => Mood::Collides,
                _ => Mood::Content,
            }),
            ..Scribe::default()
        };
        tell(&told, 0, 100).await;
        let running = start(&scribe, &heard, feed(&told));
        caught_up(&running.cursors, 100).await;
        // 4..=10 of p3, 6..=10 of p5, 2..=10 of p8, 10 of p9.
        until(&running.cursors, |progress| progress.parked == 7 + 5 + 9 + 1).await;
        running.stop().await;

        // Nor does a restart forget what is parked, though nothing is wrong with the next events.
        tell(&told, 10, 50).await;
        let running = start(&Scribe::default(), &heard, feed(&told));
        caught_up(&running.cursors, 150).await;
        until(&running.cursors, |progress| progress.parked == 22 + 20).await;
        running.stop().await;

        let applied = effects(&heard).await;
        assert_eq!(applied.len(), 150 - 42);
        for number in 0..10 {
            let aggregate = format!("parties/p{number}");
            let versions: Vec<i64> =
                applied.iter().filter(|effect| effect.aggregate == aggregate).map(|effect| effect.version).collect();
            let last = match number {
                3 => 3,
                5 => 5,
                8 => 1,
                9 => 9,
                _ => 15,
            };
            assert_eq!(versions, (1..=last).collect::<Vec<_>>(), "{aggregate}");
        }
        let parked = rows(&heard, "SELECT aggregate, version, reason FROM parked_event ORDER BY position").await;
        let reason = |aggregate: &str, version: i64| -> String {
            let found = parked.iter().find(|row| {
                row.try_get::<String>("", "aggregate").unwrap() == aggregate
                    && row.try_get::<i64>("", "version").unwrap() == version
            });
            found.expect("parked").try_get("", "reason").unwrap()
        };
        assert_eq!(parked.len(), 42);
        assert!(reason("parties/p3", 4).contains("INVALID_TRANSITION"));
        assert!(reason("parties/p5", 6).contains("RESOURCE_NOT_FOUND"));
        assert!(reason("parties/p8", 2).contains("unbearable"));
        assert!(reason("parties/p9", 10).contains("CONTENTION"));
        assert!(reason("parties/p3", 5).contains("earlier event"));
        assert!(reason("parties/p3", 12).contains("earlier event"));
    }

    async fn an_idle_consumer_wakes_at_once(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        let running = start(&Scribe::default(), &heard, feed(&told));
        let mut lags = Vec::new();
        for n in 1..=40 {
            tokio::time::sleep(Duration::from_millis(7)).await;
            told.run(Tell(vec![one(0, n)])).await.unwrap();
            let acknowledged = Instant::now();
            caught_up(&running.cursors, n).await;
            lags.push(acknowledged.elapsed());
        }
        running.stop().await;
        lags.sort();
        // Measured for the log; machines differ too much for a limit close to what it is (a few milliseconds).
        eprintln!("freshness after the acknowledgement: p50 {:?}, max {:?}", lags[20], lags[39]);
        assert!(lags[20] < Duration::from_millis(500), "{lags:?}");
    }
}
