use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode, Version};
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use tonic::body::Body;

use super::{Flow, Layer, Next, refuse};
use crate::metrics::Metrics;

/// Refuses what is not gRPC (JSON and gRPC-Web were translated before, see `front`), in plain HTTP: a browser or a curl
/// that came to the wrong port shall understand the answer.
pub(super) struct Protocol {
    metrics: Arc<Metrics>,
}

impl Protocol {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Protocol {
        Protocol { metrics: Arc::clone(metrics) }
    }
}

impl Layer for Protocol {
    const NAME: &'static str = "protocol";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        let (code, text) = if flow.request.method() != Method::POST {
            (
                StatusCode::METHOD_NOT_ALLOWED,
                "this port speaks gRPC and JSON: only POST is a call, and GET /openapi.json tells of them",
            )
        } else if !is_grpc(flow.request.headers().get(CONTENT_TYPE)) {
            (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "this port speaks gRPC, gRPC-Web and JSON: the content-type must be application/json, application/grpc or \
                 application/grpc-web",
            )
        } else if flow.request.version() != Version::HTTP_2 {
            (
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "this port speaks gRPC over HTTP/2 alone: over HTTP/1.1 it speaks JSON and gRPC-Web",
            )
        } else {
            return next.run(flow).await;
        };
        self.metrics.count_refused();
        // Both ways at once: the HTTP status for whoever speaks HTTP, the gRPC status for a gRPC client behind a proxy
        // that rewrote its request.
        let error = Error::new(Kind::Invalid, reason::WRONG_CONTENT_TYPE, text).with("http_status", code.as_u16());
        let mut response = refuse(error).map(|_| Body::new(http_body_util::Full::from(format!("{text}\n"))));
        *response.status_mut() = code;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if code == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// `application/grpc`, with `+proto` or parameters after it; other message formats are not spoken here.
fn is_grpc(value: Option<&HeaderValue>) -> bool {
    let Some(rest) = value.and_then(|value| value.as_bytes().strip_prefix(b"application/grpc")) else {
        return false;
    };
    let rest = rest.strip_prefix(b"+proto").unwrap_or(rest);
    rest.is_empty() || rest.starts_with(b";") || rest.starts_with(b" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        let is = |text: &'static str| is_grpc(Some(&HeaderValue::from_static(text)));
        assert!(is("application/grpc"));
        assert!(is("application/grpc+proto"));
        assert!(is("application/grpc;charset=utf-8"));
        for other in ["application/grpc-web", "application/grpc+json", "application/json", "application/grpcx", ""] {
            assert!(!is(other), "{other}");
        }
        assert!(!is_grpc(None));
    }
}
