use std::time::Duration;

use futures::StreamExt;
use rapport_events::Cursor;
use rapport_server::Context;
use rapport_types::error::Error;

use crate::events::{DESK, whom};
use crate::queries::Touched;

/// How long a feed that cannot be heard is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Notes whom a service's feed speaks of, as long as it is polled. The desk's consumer writes what it learns of that, now and
/// then, one replica for all; this hears of it at once in each.
pub(crate) async fn overhear(cx: &Context, source: &'static str, touched: &Touched) {
    loop {
        if let Err(error) = listen(cx, source, touched).await {
            tracing::debug!(%error, source, "whom the feed speaks of is not heard, trying again");
        }
        touched.end();
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(cx: &Context, source: &'static str, touched: &Touched) -> Result<(), Error> {
    let cursor = cx.store.cursor(DESK, source).await?;
    let cursor = cursor.map(|cursor| Cursor { epoch: cursor.epoch, position: cursor.position });
    touched.begin(cursor.as_ref().map_or(0, |cursor| cursor.position));
    let mut feed = cx.source(source).subscribe(cursor).await?;
    while let Some(events) = feed.next().await {
        let events = events?;
        for event in &events {
            match whom(event) {
                Ok(Some(parties)) => touched.note(event.position, parties),
                // What cannot be read may be of anybody; the consumer deals with it.
                Ok(None) | Err(_) => touched.begin(event.position),
            }
        }
        if let Some(last) = events.last() {
            touched.through(last.position);
        }
    }
    Ok(())
}
