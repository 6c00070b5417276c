use std::sync::Arc;
use std::time::Duration;

use http::Response;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use tokio::sync::Semaphore;
use tonic::body::Body;

use super::{Flow, Layer, Next, refuse};
use crate::method::Requirement;
use crate::metrics::Metrics;

/// When a shed caller may try again.
const RETRY: Duration = Duration::from_millis(500);

/// Sheds what is more than the process can do at once: an immediate no helps a caller more than a late yes.
/// Health checks always pass, so that a busy process does not look like a dead one.
pub(super) struct Limits {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Limits {
    pub(super) fn new(calls: usize, streams: usize, metrics: &Arc<Metrics>) -> Limits {
        let places = |limit: usize| {
            let limit = limit.min(Semaphore::MAX_PERMITS);
            (Arc::new(Semaphore::new(limit)), limit)
        };
        let (calls, streams) = (places(calls), places(streams));
        metrics.watch(calls.clone(), streams.clone());
        Limits { calls: calls.0, streams: streams.0, metrics: Arc::clone(metrics) }
    }
}

impl Layer for Limits {
    const NAME: &'static str = "limits";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        let inside = flow.inside.as_ref().is_some_and(|inside| inside.admitted);
        let open = flow.method.is_some_and(|method| method.requirement == Requirement::Open);
        if inside || open {
            return next.run(flow).await;
        }
        if flow.is_stream() {
            let Ok(permit) = Arc::clone(&self.streams).try_acquire_owned() else {
                return self.shed("as many streams are open as this process serves at once");
            };
            // Held until the stream ends, which is after this layer returns.
            flow.permit = Some(permit);
            return next.run(flow).await;
        }
        let Ok(_permit) = self.calls.try_acquire() else {
            return self.shed("the process works on as many calls as it may");
        };
        next.run(flow).await
    }
}

impl Limits {
    fn shed(&self, text: &str) -> Response<Body> {
        self.metrics.count_shed();
        let mut error = Error::new(Kind::Exhausted, reason::OVERLOADED, text);
        error.retry_after = Some(RETRY);
        refuse(error)
    }
}
