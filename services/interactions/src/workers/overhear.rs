use std::time::Duration;

use futures::StreamExt;
use rapport_events::Cursor;
use rapport_server::Context;
use rapport_types::error::Error;

use crate::events::{DESK, spoken};
use crate::queries::Overheard;

/// How long a feed that cannot be heard is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens to what a service's feed speaks of, as long as it is polled. The desk's consumer writes what it learns of that,
/// now and then, one replica for all; this hears of it at once in each.
pub(crate) async fn overhear(cx: &Context, source: &'static str, overheard: &Overheard) {
    loop {
        if let Err(error) = listen(cx, source, overheard).await {
            tracing::debug!(%error, source, "what the feed speaks of is not heard, trying again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(cx: &Context, source: &'static str, overheard: &Overheard) -> Result<(), Error> {
    let cursor = cx.store.cursor(DESK, source).await?;
    let cursor = cursor.map(|cursor| Cursor { epoch: cursor.epoch, position: cursor.position });
    let mut feed = cx.source(source).subscribe(cursor).await?;
    while let Some(events) = feed.next().await {
        // What cannot be read speaks of nobody; the consumer deals with it.
        let spoken = events?.iter().filter_map(|event| Some((spoken(event).ok()??, event.position))).collect();
        let applied = cx.cursors.of(DESK, source).map_or(0, |progress| progress.position);
        overheard.note(source, spoken, applied);
    }
    Ok(())
}
