use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rapport_rpc::Front;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::codegen::BoxFuture;

use crate::options::LimitOptions;

/// A connection that says nothing for this long after it was accepted is closed.
const SILENT: Duration = Duration::from_secs(10);
/// A connection over HTTP/1.1 may rest this long between two requests.
const IDLE: Duration = Duration::from_secs(60);
/// After a failed accept (no file descriptors left, mostly) the listener rests this long.
const REST: Duration = Duration::from_millis(50);

/// Accepts connections and hands their requests to the stack, without a layer between: what tonic's own server adds is
/// in the stack already, and drains here can be bounded.
pub(crate) struct Listening {
    pub(crate) addr: SocketAddr,
    connections: TaskTracker,
    closing: CancellationToken,
    killing: CancellationToken,
}

/// Binds an address.
pub(crate) async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(addr).await
}

impl Listening {
    /// Starts to accept.
    pub(crate) fn start(listener: TcpListener, front: Front, limits: &LimitOptions) -> io::Result<Listening> {
        let listening = Listening {
            addr: listener.local_addr()?,
            connections: TaskTracker::new(),
            closing: CancellationToken::new(),
            killing: CancellationToken::new(),
        };
        let server = Arc::new(server(limits));
        let age = Age { limit: limits.connection_age.0, grace: limits.connection_age_grace.0 };
        let places = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
        let (tracker, closing, killing) =
            (listening.connections.clone(), listening.closing.clone(), listening.killing.clone());
        listening.connections.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = closing.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let stream = match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::debug!(%error, "a connection could not be accepted");
                        tokio::time::sleep(REST).await;
                        continue;
                    }
                };
                // Closed at once rather than left to wait: a client that is told no can go elsewhere.
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    tracing::debug!("closed a connection: as many are open as may be");
                    continue;
                };
                let (server, front) = (Arc::clone(&server), front.clone());
                let (closing, killing) = (closing.clone(), killing.clone());
                tracker.spawn(async move {
                    let served = connection(stream, &server, front, closing, age);
                    tokio::select! {
                        () = killing.cancelled() => {}
                        () = served => {}
                    }
                    drop(place);
                });
            }
        });
        Ok(listening)
    }

    /// Accepts no more, lets calls in flight end for up to `grace`, then closes what is left. Returns whether all ended
    /// by themselves.
    pub(crate) async fn stop(&self, grace: Duration) -> bool {
        self.closing.cancel();
        self.connections.close();
        if tokio::time::timeout(grace, self.connections.wait()).await.is_ok() {
            return true;
        }
        self.killing.cancel();
        self.connections.wait().await;
        false
    }
}

fn server(limits: &LimitOptions) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(limits.header_bytes)
        .keep_alive_interval(limits.keepalive.0)
        .keep_alive_timeout(limits.keepalive_timeout.0)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    // The buffer bounds the headers; hyper wants at least this much.
    let buffer = (limits.header_bytes as usize).max(8192);
    server.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(buffer);
    server
}

async fn connection(
    stream: TcpStream,
    server: &auto::Builder<TokioExecutor>,
    front: Front,
    closing: CancellationToken,
    age: Age,
) {
    let _may_fail = stream.set_nodelay(true);
    tokio::select! {
        () = closing.cancelled() => return,
        spoken = tokio::time::timeout(SILENT, stream.readable()) => {
            if !matches!(spoken, Ok(Ok(()))) {
                return;
            }
        }
    }
    let connection = server.serve_connection(TokioIo::new(stream), Calls(front));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = age.reached() => {
            // The client is asked to come anew; what it has begun here is answered.
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(age.grace, connection).await {
                Ok(ended) => ended,
                Err(_) => {
                    tracing::debug!("closed a connection: calls were in flight after its age's grace");
                    return;
                }
            }
        }
    };
    if let Err(error) = ended {
        // Clients vanish; that is their affair.
        tracing::debug!(error = %error, "a connection ended with an error");
    }
}

/// How old a connection becomes.
#[derive(Clone, Copy)]
struct Age {
    limit: Duration,
    grace: Duration,
}

impl Age {
    async fn reached(self) {
        if self.limit.is_zero() {
            return std::future::pending().await;
        }
        tokio::time::sleep(jittered(self.limit, RandomState::new().build_hasher().finish())).await;
    }
}

/// A tenth more or less, so that clients that came together do not all come back together.
fn jittered(limit: Duration, random: u64) -> Duration {
    let parts = u32::try_from(random % 201).unwrap_or(100);
    limit * (900 + parts) / 1000
}

/// What stands on the port, as hyper wants it.
struct Calls(Front);

impl Service<Request<Incoming>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.0.answer(request.map(Body::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_differ_by_a_tenth_at_most() {
        let limit = Duration::from_secs(100);
        let ages: std::collections::BTreeSet<Duration> = (0..1000).map(|random| jittered(limit, random)).collect();
        assert_eq!(ages.first(), Some(&Duration::from_secs(90)));
        assert_eq!(ages.last(), Some(&Duration::from_secs(110)));
    }
}
