use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame};
use rapport_types::error::Error;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::body::Body;
use tonic::{Code, Status};

use super::catch_panic::error_of_panic;
use super::deadline::passed;
use rapport_types::error::Kind;
use rapport_types::reason;

use super::places::Place;
use super::{Flow, Tools, code_of};
use crate::metrics::Metrics;
use crate::status;

/// Watches over a stream after its handler returned: it holds the stream's place, ends it at the caller's deadline and
/// when the process stops, turns a panic into INTERNAL, and counts it once when it is over.
struct Outlet {
    body: Body,
    deadline: Option<Pin<Box<Sleep>>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    /// What the stream occupies until it ends; nothing after that, however long its reader keeps it.
    open: Option<Open>,
}

/// Counts the stream when it is dropped, which a caller who leaves causes too.
struct Open {
    _place: Option<Place>,
    metrics: Arc<Metrics>,
    method: Option<usize>,
    started: Instant,
    code: Code,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.close(self.method, self.code, self.started.elapsed());
    }
}

/// A streaming call's response with its watch.
pub(super) fn wrap(response: Response<Body>, flow: Flow, tools: &Tools) -> Response<Body> {
    let mut open = Open {
        _place: flow.place,
        metrics: Arc::clone(&tools.metrics),
        method: flow.method.map(|method| method.index),
        started: flow.started,
        code: Code::Cancelled,
    };
    if response.headers().contains_key(Status::GRPC_STATUS) {
        // Refused before it began.
        open.code = code_of(&response);
        return response;
    }
    let deadline = flow.deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline.into())));
    // Services end their streams themselves, with a last cursor, as soon as the process begins to stop; health and
    // reflection do not know of it.
    let own = flow.method.is_some_and(|method| method.module.is_empty());
    let stop = if own { tools.stopping.clone() } else { tools.ending.clone() };
    let stop = Box::pin(stop.cancelled_owned());
    response.map(|body| Body::new(Outlet { body, deadline, stop, open: Some(open) }))
}

fn stopping() -> Error {
    Error::new(Kind::Unavailable, reason::SHUTTING_DOWN, "the server is stopping: subscribe again from the last cursor")
        .retry(Duration::ZERO)
}

impl Outlet {
    /// The stream is over: it is counted, and its place is free.
    fn close(&mut self, code: Code) {
        if let Some(mut open) = self.open.take() {
            open.code = code;
        }
    }

    fn end(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // What the handler still holds is let go now, not when the caller has read the trailers.
        self.body = Body::empty();
        let status = status(error);
        self.close(status.code());
        let mut trailers = HeaderMap::with_capacity(4);
        // Fails only for texts that are no header values, and ours are percent-encoded.
        let _written = status.add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

impl HttpBody for Outlet {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(open) = &this.open else {
            return Poll::Ready(None);
        };
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.body).poll_frame(cx)));
        match polled {
            Err(panic) => {
                open.metrics.count_panic();
                this.end(error_of_panic(panic.as_ref()))
            }
            Ok(Poll::Ready(Some(Ok(frame)))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    let status = trailers.get(Status::GRPC_STATUS);
                    this.close(status.map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes())));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Ok(Poll::Pending) => {
                if this.deadline.as_mut().is_some_and(|deadline| deadline.poll_unpin(cx).is_ready()) {
                    return this.end(passed());
                }
                if this.stop.poll_unpin(cx).is_ready() {
                    return this.end(stopping());
                }
                Poll::Pending
            }
            Ok(other) => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.open.is_none()
    }
}
