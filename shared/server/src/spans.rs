use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use rapport_rpc::Spans;
use std::collections::HashMap;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Spans of calls for OTLP: children of the caller's context, handed on to events and other services.
#[derive(Debug, Default)]
pub(crate) struct CallSpans {
    propagator: TraceContextPropagator,
}

impl Spans for CallSpans {
    fn open(&self, method: &'static str, traceparent: Option<&str>) -> (Span, Option<String>) {
        let name = method.trim_start_matches('/');
        let span = tracing::info_span!(
            target: "rapport::call",
            "call",
            otel.name = name,
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.method = name,
            rpc.grpc.status_code = field::Empty,
        );
        if let Some(traceparent) = traceparent {
            let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
            // Fails only without an OpenTelemetry layer, and then there is nothing to join.
            let _joined = span.set_parent(self.propagator.extract(&carrier));
        }
        let context = span.context();
        if !context.span().span_context().is_valid() {
            return (span, None);
        }
        let mut carrier = HashMap::new();
        self.propagator.inject_context(&context, &mut carrier);
        (span, carrier.remove("traceparent"))
    }

    fn close(&self, span: &Span, code: i32) {
        span.record("rpc.grpc.status_code", code);
    }
}
