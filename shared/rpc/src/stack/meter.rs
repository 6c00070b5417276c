use std::sync::Arc;
use std::time::Instant;

use http::Response;
use tonic::Code;
use tonic::body::Body;

use super::{Flow, Layer, Next, code_of};
use crate::metrics::Metrics;

/// Counts every call once, with its code and time. A stream is counted when it ends (see `outlet`).
pub(super) struct Meter {
    metrics: Arc<Metrics>,
}

impl Meter {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Meter {
        Meter { metrics: Arc::clone(metrics) }
    }
}

impl Layer for Meter {
    const NAME: &'static str = "metrics";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        let method = flow.method.map(|method| method.index);
        self.metrics.open(method);
        flow.counted = true;
        // A caller who leaves drops this future: what is dropped here was cancelled.
        let mut open = Open { metrics: &self.metrics, method, started: flow.started, code: Some(Code::Cancelled) };
        let streaming = flow.is_stream();
        let response = next.run(flow).await;
        open.code = if streaming { None } else { Some(code_of(&response)) };
        response
    }
}

struct Open<'a> {
    metrics: &'a Metrics,
    method: Option<usize>,
    started: Instant,
    code: Option<Code>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if let Some(code) = self.code {
            self.metrics.close(self.method, code, self.started.elapsed());
        }
    }
}
