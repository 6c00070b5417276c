use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use http::Response;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use tonic::body::Body;

use super::{Flow, Layer, Next, refuse};
use crate::metrics::Metrics;

/// A panic in a handler is INTERNAL for that one call, where tonic would reset the stream.
pub(super) struct CatchPanic {
    metrics: Arc<Metrics>,
}

impl CatchPanic {
    pub(super) fn new(metrics: &Arc<Metrics>) -> CatchPanic {
        CatchPanic { metrics: Arc::clone(metrics) }
    }
}

impl Layer for CatchPanic {
    const NAME: &'static str = "catch-panic";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        // Nothing below shares state that a panic could leave half-changed except behind its own locks.
        match AssertUnwindSafe(next.run(flow)).catch_unwind().await {
            Ok(response) => response,
            Err(panic) => {
                self.metrics.count_panic();
                refuse(error_of_panic(panic.as_ref()))
            }
        }
    }
}

pub(super) fn error_of_panic(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned());
    Error::new(Kind::Internal, reason::INTERNAL, format!("a handler panicked: {text}"))
}
