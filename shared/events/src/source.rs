use async_trait::async_trait;
use futures::stream::BoxStream;
use rapport_types::error::Error;

use crate::{Cursor, Event};

/// Batches of events in order. A batch may be empty (the source is alive but has nothing new).
pub type EventStream = BoxStream<'static, Result<Vec<Event>, Error>>;

/// Where a consumer reads a feed from: the store in the same process, or another service through its client.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Streams every event after the cursor (`None`: from the first one on), in order, without end; each position once.
    ///
    /// # Errors
    /// OutOfRange `CURSOR_EXPIRED` when the feed no longer holds what follows the cursor or was rebuilt since;
    /// Unavailable when the source cannot be reached. Both may also come as the stream's last item.
    async fn subscribe(&self, after: Option<Cursor>) -> Result<EventStream, Error>;

    /// The newest position of the feed that a stream of this source has told of; 0 if it does not tell.
    fn newest(&self) -> i64 {
        0
    }
}
