use std::time::Duration;

use futures::StreamExt;
use rapport_events::{Cursor, Event, Feed, FeedStream};
use rapport_testkit::each_store;
use rapport_testkit::place::StorePlace;
use rapport_types::error::Kind;
use rapport_types::reason;

use crate::house::*;

/// The next `count` events of a stream and where to resume.
async fn take(stream: &mut FeedStream, count: usize) -> (Vec<Event>, Cursor) {
    let mut events = Vec::new();
    loop {
        let batch = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
        let batch = batch.unwrap_or_else(|_| panic!("only {} of {count} events came", events.len()));
        let batch = batch.expect("a feed has no end").unwrap();
        events.extend(batch.events);
        if events.len() >= count {
            return (events, batch.through);
        }
    }
}

fn positions(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.position).collect()
}

async fn refused(feed: &Feed, cursor: Cursor) -> rapport_types::Error {
    match feed.subscribe(Some(cursor), None).await {
        Ok(_) => panic!("the cursor was accepted"),
        Err(error) => error,
    }
}

each_store! {
    async fn eight_writers_and_many_readers_see_one_order(place: StorePlace) {
        let told = teller(&place).await;
        let feed = feed(&told);
        let mut readers: Vec<_> = Vec::new();
        for _ in 0..4 {
            let mut stream = feed.subscribe(None, None).await.unwrap();
            readers.push(tokio::spawn(async move { take(&mut stream, 1600).await.0 }));
        }
        let mut writers = Vec::new();
        for writer in 0..8_i64 {
            let told = told.clone();
            writers.push(tokio::spawn(async move {
                for version in 1..=200 {
                    told.run(Tell(vec![one(writer, version)])).await.unwrap();
                }
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let mut seen = Vec::new();
        for reader in readers {
            seen.push(reader.await.unwrap());
        }
        let mut late = feed.subscribe(None, None).await.unwrap();
        seen.push(take(&mut late, 1600).await.0);
        for events in &seen {
            assert_eq!(positions(events), (1..=1600).collect::<Vec<_>>());
            assert_eq!(events, &seen[0]);
        }
        for writer in 0..8 {
            let versions: Vec<i64> = seen[0]
                .iter()
                .filter(|event| event.aggregate == format!("parties/p{writer}"))
                .map(|event| event.version)
                .collect();
            assert_eq!(versions, (1..=200).collect::<Vec<_>>());
        }
    }

    async fn a_reader_resumes_where_it_was(place: StorePlace) {
        let told = teller(&place).await;
        tell(&told, 0, 1000).await;
        let feed = feed(&told);
        let (mut all, mut cursor) = (Vec::new(), None);
        while all.len() < 1500 {
            let mut stream = feed.subscribe(cursor.take(), None).await.unwrap();
            let batch = stream.next().await.unwrap().unwrap();
            all.extend(batch.events);
            // Over the wire and back.
            cursor = Some(batch.through.to_string().parse().unwrap());
            if all.len() == 1000 {
                tell(&told, 100, 500).await;
            }
        }
        assert_eq!(positions(&all), (1..=1500).collect::<Vec<_>>());
    }

    async fn a_tenant_sees_its_own_events_only(place: StorePlace) {
        let told = teller(&place).await;
        tell(&told, 0, 700).await;
        let feed = feed(&told);
        let mut acme = feed.subscribe(None, Some(tenant("acme"))).await.unwrap();
        let (before, through) = take(&mut acme, 350).await;
        tell(&told, 70, 300).await;
        let (after, _) = take(&mut acme, 150).await;
        let mut resumed = feed.subscribe(Some(through), Some(tenant("acme"))).await.unwrap();
        assert_eq!(take(&mut resumed, 150).await.0, after);
        let all: Vec<Event> = before.into_iter().chain(after).collect();
        assert_eq!(all.len(), 500);
        assert!(all.iter().all(|event| event.tenant == tenant("acme")));
        assert!(positions(&all).is_sorted());
        assert!(all.iter().all(|event| event.decode::<String>().unwrap().unwrap().contains("parties/p")));
        let mut nobody = feed.subscribe(None, Some(tenant("nobody"))).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(200), nobody.next()).await.is_err());
    }

    async fn the_head_is_where_the_future_begins(place: StorePlace) {
        let told = teller(&place).await;
        let feed = feed(&told);
        assert_eq!(feed.head().await.unwrap().position, 0);
        tell(&told, 0, 50).await;
        let head = feed.head().await.unwrap();
        assert_eq!(head.position, 50);
        let mut stream = feed.subscribe(Some(head), None).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(100), stream.next()).await.is_err());
        tell(&told, 5, 10).await;
        assert_eq!(positions(&take(&mut stream, 10).await.0), (51..=60).collect::<Vec<_>>());
    }

    async fn cursors_that_cannot_be_served_are_refused(place: StorePlace) {
        let told = teller(&place).await;
        tell(&told, 0, 100).await;
        let feed = feed(&told);
        let foreign = Cursor { epoch: "another".to_owned(), position: 10 };
        let beyond = Cursor { epoch: told.epoch().to_owned(), position: 101 };
        let mut behind = feed.subscribe(Some(Cursor { epoch: told.epoch().to_owned(), position: 5 }), None).await.unwrap();
        for cursor in [foreign, beyond] {
            let error = refused(&feed, cursor).await;
            assert_eq!((error.kind, error.reason), (Kind::OutOfRange, reason::CURSOR_EXPIRED));
        }
        trim(&told, 40).await;
        let error = refused(&feed, Cursor { epoch: told.epoch().to_owned(), position: 39 }).await;
        assert_eq!((error.kind, error.reason), (Kind::OutOfRange, reason::CURSOR_EXPIRED));
        assert_eq!(error.metadata["oldest_position"], "41");
        // A stream that retention overtook says so instead of skipping.
        let error = behind.next().await.unwrap().unwrap_err();
        assert_eq!(error.reason, reason::CURSOR_EXPIRED);
        assert!(behind.next().await.is_none());
        let at_the_edge = Cursor { epoch: told.epoch().to_owned(), position: 40 };
        let mut edge = feed.subscribe(Some(at_the_edge), None).await.unwrap();
        assert_eq!(positions(&take(&mut edge, 60).await.0), (41..=100).collect::<Vec<_>>());
        let mut oldest = feed.subscribe(None, None).await.unwrap();
        assert_eq!(positions(&take(&mut oldest, 60).await.0), (41..=100).collect::<Vec<_>>());
    }
}

/// What retention does.
async fn trim(store: &rapport_store::Store, through: i64) {
    struct Trim(i64);
    #[async_trait::async_trait]
    impl rapport_store::Work for Trim {
        type Output = ();
        async fn run(
            &self,
            tx: &rapport_store::Tx,
            _out: &mut rapport_store::Outbox,
        ) -> Result<(), rapport_store::StoreError> {
            use sea_orm::ConnectionTrait as _;
            let old = format!("FROM feed_batch WHERE last_position <= {}", self.0);
            tx.db().execute_unprepared(&format!("DELETE FROM outbox WHERE batch IN (SELECT batch {old})")).await?;
            tx.db().execute_unprepared(&format!("DELETE {old}")).await?;
            tx.db().execute_unprepared(&format!("UPDATE feed_state SET trimmed = {}", self.0)).await?;
            Ok(())
        }
    }
    store.run(Trim(through)).await.unwrap();
}
