use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rapport_events::Cursors;
use rapport_store::{ParkedFilter, Store};
use rapport_testkit::each_store;
use rapport_testkit::place::StorePlace;
use rapport_types::error::Kind;

use crate::house::*;

/// Applies what is parked until nothing is, or something fails again.
async fn reapply_all(cursors: &Cursors, store: &Store) -> usize {
    let mut applied = 0;
    for first in store.parked_firsts(ParkedFilter::default(), 100).await.unwrap() {
        let mut next = Some(first);
        while let Some(event) = next {
            match cursors.reapply(event.clone()).await {
                Ok(()) => applied += 1,
                // Somebody else was first with this one: the next is theirs or ours.
                Err(error) if error.kind == Kind::Conflict => {}
                Err(error) => panic!("{error}"),
            }
            next = store.parked_next(&event).await.unwrap();
        }
    }
    applied
}

each_store! {
    async fn parked_events_are_applied_after_all_in_order_and_once(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        let mended = Arc::new(AtomicBool::new(false));
        let is_mended = Arc::clone(&mended);
        let scribe = Scribe {
            mood: Arc::new(move |event| match (event.aggregate.as_str(), event.version) {
                ("parties/p3", 4) | ("parties/p6", 2) if !is_mended.load(Ordering::SeqCst) => Mood::RefusesToApply,
                _ => Mood::Content,
            }),
            ..Scribe::default()
        };
        tell(&told, 0, 100).await;
        let running = start(&scribe, &heard, feed(&told));
        caught_up(&running.cursors, 100).await;
        assert_eq!(running.cursors.progress()[0].parked, 7 + 9);

        // The cause is still there: nothing changes.
        let firsts = heard.parked_firsts(ParkedFilter::default(), 100).await.unwrap();
        let names: Vec<(&str, i64)> = firsts.iter().map(|event| (event.aggregate.as_str(), event.version)).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names.contains(&("parties/p3", 4)) && names.contains(&("parties/p6", 2)), "{names:?}");
        let first = firsts.into_iter().find(|event| event.version == 4).unwrap();
        assert_eq!(running.cursors.reapply(first.clone()).await.unwrap_err().kind, Kind::Precondition);
        let page = heard.parked_page(ParkedFilter { consumer: Some("scribe"), ..Default::default() }, None, 100).await;
        let later = page.unwrap().into_iter().find(|event| event.aggregate == first.aggregate && event.version == 5).unwrap();
        // Nor can a later one pass it.
        assert_eq!(running.cursors.reapply(later).await.unwrap_err().kind, Kind::Conflict);
        assert_eq!(heard.parked_count(ParkedFilter::default()).await.unwrap(), 16);
        assert_eq!(effects(&heard).await.len(), 100 - 16);

        // Two at once, while more events of the same resources arrive.
        mended.store(true, Ordering::SeqCst);
        let telling = tell(&told, 10, 100);
        let ((), one, other) =
            tokio::join!(telling, reapply_all(&running.cursors, &heard), reapply_all(&running.cursors, &heard));
        caught_up(&running.cursors, 200).await;
        let rest = reapply_all(&running.cursors, &heard).await;
        assert!(one + other + rest >= 16, "{one} {other} {rest}");
        assert_eq!(heard.parked_count(ParkedFilter::default()).await.unwrap(), 0);
        assert_each_once(&effects(&heard).await, 200);
        // In the order in which they were written: both stores number what is only ever added.
        let written = if place.is_postgres() { "xmin::text::bigint, cmin::text::bigint" } else { "rowid" };
        for aggregate in ["parties/p3", "parties/p6"] {
            let sql = format!("SELECT version FROM effect WHERE aggregate = '{aggregate}' ORDER BY {written}");
            let rows = rows(&heard, &sql).await;
            let versions: Vec<i64> = rows.iter().map(|row| row.try_get("", "version").unwrap()).collect();
            assert_eq!(versions, (1..=20).collect::<Vec<_>>(), "{aggregate}");
        }
        // What was dealt with is not dealt with again.
        assert_eq!(running.cursors.reapply(first.clone()).await.unwrap_err().kind, Kind::Conflict);
        running.stop().await;
        let gone = Cursors::new(heard.clone()).reapply(first).await.unwrap_err();
        assert_eq!(gone.kind, Kind::Unavailable, "{gone}");
    }
}
