//! What the port speaks besides gRPC: JSON, gRPC-Web, and the OpenAPI document that describes them.
//!
//! All of it is translated into a gRPC request and handed to the one stack, so that every caller passes the same
//! authentication, permission, deadline, limits and metrics, and no service knows in which language it was asked.
//! gRPC itself goes through untouched.

mod document;
mod fault;
mod json;
mod lines;
mod parse;

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer as _, Service};
use tower_http::cors::{AllowOrigin, Any, Cors, CorsLayer};

use crate::header;
use crate::stack::{Stack, refuse};
use crate::status::status;

pub use document::openapi;

/// Where the OpenAPI document is. It tells what is in the contract and nothing of anybody's data, so it needs no
/// credential.
pub const DOCUMENT: &str = "/openapi.json";

/// A call that its language cannot express: the stack's handler answers it with this, once the caller has passed all
/// that stands before.
#[derive(Clone, Debug)]
pub(crate) struct Unspoken(pub(crate) Error);

/// The stack as the port serves it.
#[derive(Clone)]
pub struct Front {
    doors: Doors,
    cors: Option<Cors<Doors>>,
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").field("cors", &self.cors.is_some()).finish_non_exhaustive()
    }
}

impl Front {
    /// In front of a stack. `services` are the full names of those this process hosts, for the document. Web pages of
    /// `origins` may read the answers: `*` is any; without origins no page of another site may. Origins that cannot stand
    /// in a header match nothing.
    pub fn new(stack: Stack, services: Vec<String>, origins: &[String]) -> Front {
        let document = Arc::new(Document { services, written: OnceLock::new() });
        let web = GrpcWebLayer::new().layer(AsGrpc(stack.clone()));
        let doors = Doors { stack, web, document };
        let cors = (!origins.is_empty()).then(|| cors(origins).layer(doors.clone()));
        Front { doors, cors }
    }

    /// Answers a request in the language it came in.
    pub fn answer(&self, request: Request<Body>) -> BoxFuture<Response<Body>, Infallible> {
        match &self.cors {
            Some(cors) if request.headers().contains_key(ORIGIN) => Box::pin(cors.clone().call(request)),
            _ => self.doors.answer(request),
        }
    }
}

/// The answer to a request that came without TLS to a port that speaks nothing else, in the request's language. Nothing of
/// its body is read; the credential it may hold was seen on the way and is no secret any more.
pub fn needs_tls<B>(request: &Request<B>) -> Response<Body> {
    const TEXT: &str = "this port speaks TLS: use an address that begins with https://";
    let error = Error::new(Kind::Precondition, reason::NEEDS_TLS, TEXT);
    let kind = request.headers().get(CONTENT_TYPE);
    let bytes = kind.map(HeaderValue::as_bytes).unwrap_or_default();
    if is(bytes, b"application/json") {
        return fault::response(HeaderMap::new(), &status(error));
    }
    let mut response = refuse(error);
    match kind {
        // gRPC and gRPC-Web take a status in the headers.
        Some(kind) if bytes.starts_with(b"application/grpc") => {
            response.headers_mut().insert(CONTENT_TYPE, kind.clone());
        }
        _ => {
            *response.status_mut() = StatusCode::BAD_REQUEST;
            *response.body_mut() = Body::new(http_body_util::Full::from(format!("{TEXT}\n")));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        }
    }
    response
}

/// What a page may send, and what it may read of the answer.
fn cors(origins: &[String]) -> CorsLayer {
    let sent = [
        AUTHORIZATION,
        CONTENT_TYPE,
        HeaderName::from_static(header::GRPC_TIMEOUT),
        HeaderName::from_static(header::REQUEST_ID),
        HeaderName::from_static(header::TRACEPARENT),
        HeaderName::from_static(header::AT_LEAST),
        HeaderName::from_static("x-grpc-web"),
        HeaderName::from_static("x-user-agent"),
    ];
    let read = [
        HeaderName::from_static("grpc-status"),
        HeaderName::from_static("grpc-message"),
        HeaderName::from_static("grpc-status-details-bin"),
        HeaderName::from_static(header::REQUEST_ID),
        HeaderName::from_static(header::POSITION),
        HeaderName::from_static(header::REPLAYED),
        HeaderName::from_static(header::STALE),
        HeaderName::from_static(header::ERROR_ID),
        http::header::RETRY_AFTER,
    ];
    let layer = CorsLayer::new()
        .allow_methods([Method::POST, Method::GET])
        .allow_headers(sent)
        .expose_headers(read)
        // Asking again for each call would double the calls; a day is the most that browsers keep it.
        .max_age(std::time::Duration::from_secs(86_400));
    if origins.iter().any(|origin| origin == "*") {
        return layer.allow_origin(Any);
    }
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()).collect();
    layer.allow_origin(AllowOrigin::list(origins))
}

/// The languages, and what is behind each.
#[derive(Clone)]
struct Doors {
    stack: Stack,
    web: GrpcWebService<AsGrpc>,
    document: Arc<Document>,
}

impl Doors {
    fn answer(&self, request: Request<Body>) -> BoxFuture<Response<Body>, Infallible> {
        let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let post = request.method() == Method::POST;
        if post && is(kind, b"application/json") {
            let stack = self.stack.clone();
            Box::pin(async move { Ok(json::answer(&stack, request).await) })
        } else if post && WEB.contains(&kind) {
            Box::pin(self.web.clone().call(request))
        } else if request.method() == Method::GET && request.uri().path() == DOCUMENT {
            Box::pin(std::future::ready(Ok(self.document.response())))
        } else {
            self.stack.answer(request)
        }
    }
}

impl Service<Request<Body>> for Doors {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.answer(request)
    }
}

/// The forms of gRPC-Web that are read.
const WEB: &[&[u8]] = &[
    b"application/grpc-web",
    b"application/grpc-web+proto",
    b"application/grpc-web-text",
    b"application/grpc-web-text+proto",
];

/// Whether a content type is this one, parameters aside.
fn is(kind: &[u8], wanted: &[u8]) -> bool {
    match kind.get(..wanted.len()) {
        Some(head) if head.eq_ignore_ascii_case(wanted) => {
            matches!(kind.get(wanted.len()), None | Some(b';' | b' '))
        }
        _ => false,
    }
}

/// The stack for requests that were translated: it takes no other HTTP than gRPC's.
#[derive(Clone)]
struct AsGrpc(Stack);

impl Service<Request<Body>> for AsGrpc {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        *request.version_mut() = Version::HTTP_2;
        self.0.answer(request)
    }
}

/// The OpenAPI document of the hosted services, written when it is first asked for.
struct Document {
    services: Vec<String>,
    written: OnceLock<Bytes>,
}

impl Document {
    fn response(&self) -> Response<Body> {
        let bytes = self.written.get_or_init(|| {
            let document = openapi(|service| self.services.iter().any(|hosted| hosted == service));
            Bytes::from(document.to_string())
        });
        let mut response = Response::new(Body::new(http_body_util::Full::from(bytes.clone())));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_told_apart() {
        for json in ["application/json", "application/json;charset=utf-8", "Application/JSON; charset=UTF-8"] {
            assert!(is(json.as_bytes(), b"application/json"), "{json}");
        }
        for other in ["application/jsonx", "application/json+x", "application/jso", "", "text/json"] {
            assert!(!is(other.as_bytes(), b"application/json"), "{other}");
        }
    }
}
