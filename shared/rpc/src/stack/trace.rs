use std::sync::Arc;

use http::Response;
use tonic::body::Body;
use tracing::{Instrument, Span};

use super::{Flow, Layer, Next, code_of};
use crate::header;

/// Makes the spans of calls. The server gives one when traces are exported; without it a call has no span and costs
/// nothing.
pub trait Spans: Send + Sync + 'static {
    /// A span for a call to `method`, child of the caller's context, and the context to hand on to events and other
    /// services.
    fn open(&self, method: &'static str, traceparent: Option<&str>) -> (Span, Option<String>);

    /// The call is over with this gRPC code.
    fn close(&self, span: &Span, code: i32);
}

/// Takes the W3C trace context in, and puts the call under a span.
pub(super) struct Trace {
    spans: Option<Arc<dyn Spans>>,
}

impl Trace {
    pub(super) fn new(spans: Option<Arc<dyn Spans>>) -> Trace {
        Trace { spans }
    }
}

impl Layer for Trace {
    const NAME: &'static str = "trace context";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        let given = flow
            .request
            .headers()
            .get(header::TRACEPARENT)
            .and_then(|value| value.to_str().ok())
            .filter(|text| is_traceparent(text));
        let Some(spans) = &self.spans else {
            flow.traceparent = given.map(str::to_owned);
            return next.run(flow).await;
        };
        let (span, context) = spans.open(flow.path(), given);
        flow.traceparent = context.or_else(|| given.map(str::to_owned));
        let response = next.run(flow).instrument(span.clone()).await;
        spans.close(&span, code_of(&response) as i32);
        response
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, neither id zero: what is handed on must be well-formed.
fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let mut parts = text.split('-');
    let (Some(version), Some(trace), Some(span), Some(flags), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    version == "00"
        && hex(trace, 32)
        && hex(span, 16)
        && hex(flags, 2)
        && trace.bytes().any(|b| b != b'0')
        && span.bytes().any(|b| b != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_contexts_are_taken() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
