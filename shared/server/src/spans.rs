use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use rapport_events::Event;
use rapport_rpc::Spans;
use std::collections::HashMap;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The span of an event that a consumer applies, child of the call that caused it: named and described as the semantic
/// conventions have it for messages.
pub(crate) fn consumed(service: &str, consumer: &str, event: &Event, traceparent: &str) -> Span {
    let span = tracing::info_span!(
        target: "rapport::event",
        "event",
        otel.name = format!("process {}", event.source),
        otel.kind = "consumer",
        messaging.system = "rapport",
        messaging.operation.r#type = "process",
        messaging.destination.name = event.source,
        messaging.consumer.group.name = format!("{service}.{consumer}"),
        messaging.message.id = format!("events/{}-{}-{}", event.source, event.epoch, event.position),
        rapport.event.kind = event.kind,
    );
    join(&span, &TraceContextPropagator::new(), traceparent);
    span
}

fn join(span: &Span, propagator: &TraceContextPropagator, traceparent: &str) {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    // Fails only without an OpenTelemetry layer, and then there is nothing to join.
    let _joined = span.set_parent(propagator.extract(&carrier));
}

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
            join(&span, &self.propagator, traceparent);
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
