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
pub(super) const RETRY: Duration = Duration::from_millis(500);

/// Sheds calls beyond what the process can do at once: an immediate no helps a caller more than a late yes. Streams have
/// places by tenant, so they get theirs where the tenant is known.
/// Health checks always pass, so that a busy process does not look like a dead one.
pub(super) struct Limits {
    calls: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Limits {
    pub(super) fn new(calls: usize, metrics: &Arc<Metrics>) -> Limits {
        let limit = calls.min(Semaphore::MAX_PERMITS);
        let calls = Arc::new(Semaphore::new(limit));
        metrics.watch_calls(Arc::clone(&calls), limit);
        Limits { calls, metrics: Arc::clone(metrics) }
    }
}

impl Layer for Limits {
    const NAME: &'static str = "limits";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        let inside = flow.inside.as_ref().is_some_and(|inside| inside.admitted);
        let open = flow.method.is_some_and(|method| method.requirement == Requirement::Open);
        if inside || open || flow.is_stream() {
            return next.run(flow).await;
        }
        let Ok(_permit) = self.calls.try_acquire() else {
            self.metrics.count_shed();
            let text = "the process works on as many calls as it may";
            return refuse(Error::new(Kind::Exhausted, reason::OVERLOADED, text).retry(RETRY));
        };
        next.run(flow).await
    }
}
