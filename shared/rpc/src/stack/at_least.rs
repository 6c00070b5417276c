use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Response};
use rapport_events::{Cursors, Freshness};
use tonic::body::Body;

use super::{Flow, Layer, Next, refuse};
use crate::header::{self, positions};
use crate::metrics::Metrics;

/// Lets a caller read its own write across services: `rapport-at-least: service@position` waits until the called
/// service has applied that much of the other's feed. If the deadline comes near first, the call is answered all the
/// same and says how far it knows (`rapport-stale`). A method that keeps a budget of its own waits itself, within it.
pub(super) struct AtLeast {
    cursors: HashMap<String, Cursors>,
    metrics: Arc<Metrics>,
}

impl AtLeast {
    pub(super) fn new(cursors: HashMap<String, Cursors>, metrics: &Arc<Metrics>) -> AtLeast {
        AtLeast { cursors, metrics: Arc::clone(metrics) }
    }
}

impl Layer for AtLeast {
    const NAME: &'static str = "at-least";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        if !flow.request.headers().contains_key(header::AT_LEAST) {
            return next.run(flow).await;
        }
        let wanted = match positions(flow.request.headers()) {
            Ok(wanted) => wanted,
            Err(error) => return refuse(error),
        };
        let mut stale = Vec::new();
        if let Some(module) = flow.method.filter(|method| !method.budgeted).map(|method| method.module)
            && let Some(cursors) = self.cursors.get(module)
        {
            let until = wait_until(flow);
            for (source, position) in wanted {
                // A service sees its own rows at once.
                if source == module {
                    continue;
                }
                if let Freshness::Behind { position } = cursors.wait(&source, position, until).await {
                    stale.push(format!("{source}@{position}"));
                }
            }
        }
        let mut response = next.run(flow).await;
        if let (false, Ok(value)) = (stale.is_empty(), HeaderValue::try_from(stale.join(","))) {
            response.headers_mut().insert(header::STALE, value);
        }
        if response.headers().contains_key(header::STALE) {
            self.metrics.count_stale();
        }
        response
    }
}

/// A fifth of the time that is left stays for the answer itself.
fn wait_until(flow: &Flow) -> Instant {
    let now = Instant::now();
    let left = flow.deadline.map_or(Duration::from_secs(10), |deadline| deadline.saturating_duration_since(now));
    now + left.mul_f64(0.8)
}
