use std::time::Duration;

use futures::StreamExt;
use rapport_events::{Cursor, FeedBatch};
use rapport_server::Context;
use rapport_types::error::Error;

use crate::events;
use crate::queries::Touched;

/// How far back the feed is read when it is followed anew, so that what was kept a while ago still serves.
const BACK: i64 = 20_000;
/// How long a feed that cannot be read is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Notes whom the own feed speaks of, as long as it is polled.
pub(crate) async fn follow_own(cx: &Context, touched: &Touched) {
    loop {
        if let Err(error) = follow(cx, touched).await {
            tracing::debug!(%error, "the own feed is read anew");
        }
        touched.end();
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow(cx: &Context, touched: &Touched) -> Result<(), Error> {
    let (oldest, newest) = cx.store.feed_bounds().await?;
    let from = (newest - BACK).max(oldest - 1).clamp(0, newest);
    let cursor = Cursor { epoch: cx.store.epoch().to_owned(), position: from };
    let mut feed = cx.feed.subscribe(Some(cursor), None).await?;
    touched.begin(from);
    while let Some(batch) = feed.next().await {
        let FeedBatch { events, through } = batch?;
        for event in &events {
            match events::named(event) {
                Some(ids) => touched.note(event.position, ids),
                // It may speak of anybody.
                None => touched.begin(event.position),
            }
        }
        touched.through(through.position);
    }
    Ok(())
}
