//! The HTTP listener: small pages over HTTP/1.1, for telephony that calls us.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::caller_id;
use crate::connector::Connector;
use crate::options::HttpOptions;
use crate::webhook;

/// Connections at once; further ones are closed at once.
const CONNECTIONS: usize = 1_024;
/// How long the head of a request, and then its body, may take.
const READING: Duration = Duration::from_secs(5);
/// The most bytes of a body.
pub(crate) const MOST_BODY: usize = 64 * 1024;

/// What the pages need.
pub(crate) struct Pages {
    pub(crate) connector: Connector,
    pub(crate) options: HttpOptions,
}

/// A page's answer.
pub(crate) type Page = Response<Full<Bytes>>;

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, pages: Pages, stop: CancellationToken, tasks: TaskTracker) {
    let pages = Arc::new(pages);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                refused("HTTP", &error).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        // Answers are one small packet; without it they would wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let (pages, stop) = (Arc::clone(&pages), stop.clone());
        tasks.spawn(async move {
            let answer = service_fn(move |request| {
                let pages = Arc::clone(&pages);
                async move { Ok::<_, Infallible>(pages.answer(request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(READING)
                .serve_connection(TokioIo::new(stream), answer);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "an HTTP connection broke");
            }
            drop(place);
        });
    }
}

/// A listener that cannot accept is out of files or memory: others need a moment to give them back.
pub(crate) async fn refused(what: &str, error: &std::io::Error) {
    tracing::warn!(%error, "a {what} connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

impl Pages {
    async fn answer(&self, request: Request<Incoming>) -> Page {
        let started = Instant::now();
        let (head, body) = request.into_parts();
        match (head.uri.path(), &head.method) {
            ("/caller-id", &Method::GET | &Method::HEAD) => caller_id::answer(self, &head, started).await,
            ("/caller-id", _) => not_allowed("GET"),
            ("/webhook", &Method::POST) => {
                let limited = Limited::new(body, MOST_BODY).collect();
                match tokio::time::timeout(READING, limited).await {
                    Ok(Ok(body)) => webhook::answer(self, &head, &body.to_bytes(), started).await,
                    Ok(Err(error)) if error.is::<LengthLimitError>() => {
                        text(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is longer than {MOST_BODY} bytes"))
                    }
                    Ok(Err(_)) => text(StatusCode::BAD_REQUEST, "the body broke off"),
                    Err(_) => text(StatusCode::REQUEST_TIMEOUT, "the body took longer than 5 seconds"),
                }
            }
            ("/webhook", _) => not_allowed("POST"),
            ("/livez", &Method::GET) => text(StatusCode::OK, "ok"),
            _ => text(StatusCode::NOT_FOUND, "there are GET /caller-id, POST /webhook and GET /livez"),
        }
    }
}

/// One line of plain text.
pub(crate) fn text(status: StatusCode, line: &str) -> Page {
    page(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

/// An answer of a type.
pub(crate) fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Page {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    // Who calls is nobody else's business, and different a minute later.
    headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

fn not_allowed(allowed: &'static str) -> Page {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, &format!("only {allowed} is answered here"));
    response.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static(allowed));
    response
}
