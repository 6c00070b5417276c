use futures::{Stream, StreamExt};
use rapport_types::error::Error;
use tokio_util::sync::CancellationToken;
use tonic::codegen::BoxStream;

use crate::status;

/// A handler's stream as a generated server wants it: errors become statuses.
pub fn reply_stream<T: Send + 'static>(items: impl Stream<Item = Result<T, Error>> + Send + 'static) -> BoxStream<T> {
    items.map(|item| item.map_err(status)).boxed()
}

/// Ends a stream, without an error, when the server stops. The reader resumes elsewhere from the last cursor it was
/// given, so put one into every message.
pub fn until_stopped<T: Send + 'static>(
    items: impl Stream<Item = Result<T, Error>> + Send + 'static,
    stopping: CancellationToken,
) -> impl Stream<Item = Result<T, Error>> + Send + 'static {
    items.take_until(stopping.cancelled_owned())
}
