use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rapport_rpc::tls::{Greeting, ServerTls};
use rapport_rpc::{Front, needs_tls};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::codegen::BoxFuture;

use crate::opening::{Language, Opened};
use crate::options::LimitOptions;

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

/// What stands behind a port.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) front: Front,
    /// `None` speaks plain HTTP.
    pub(crate) tls: Option<ServerTls>,
    /// How long a handshake may take.
    pub(crate) handshake: Duration,
}

/// Binds an address.
pub(crate) async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(addr).await
}

impl Listening {
    /// Starts to accept.
    pub(crate) fn start(listener: TcpListener, door: Door, limits: &LimitOptions) -> io::Result<Listening> {
        let listening = Listening {
            addr: listener.local_addr()?,
            connections: TaskTracker::new(),
            closing: CancellationToken::new(),
            killing: CancellationToken::new(),
        };
        let server = Arc::new(server(limits));
        let age = Age { limit: limits.connection_age.0, grace: limits.connection_age_grace.0 };
        let begin = limits.connection_begin.0;
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
                let (server, door) = (Arc::clone(&server), door.clone());
                let (closing, killing) = (closing.clone(), killing.clone());
                tracker.spawn(async move {
                    let served = connection(stream, &server, door, closing, age, Instant::now() + begin);
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

/// Serves a connection that has until `begin` to come to its first request, or to be ready for requests over HTTP/2.
async fn connection(
    stream: TcpStream,
    server: &auto::Builder<TokioExecutor>,
    Door { front, tls, handshake }: Door,
    closing: CancellationToken,
    age: Age,
    begin: Instant,
) {
    let _may_fail = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return opened(stream, server, front, closing, age, begin).await;
    };
    // Nobody who says nothing at all is counted among the handshakes.
    let greeting = async {
        timeout_at(begin, stream.readable()).await.ok()?.ok()?;
        let left = begin.saturating_duration_since(Instant::now());
        Some(tls.accept(stream, handshake.min(left)).await)
    };
    let greeting = tokio::select! {
        () = closing.cancelled() => return,
        greeting = greeting => greeting,
    };
    match greeting {
        None => {}
        Some(Ok(Greeting::Tls(stream))) => opened(*stream, server, front, closing, age, begin).await,
        Some(Ok(Greeting::Plain(stream))) => {
            tracing::debug!("a client does not speak TLS");
            let told = closing.child_token();
            let telling = converse(stream, server, Plain { told: told.clone() }, told, age, std::future::pending());
            let _unheard = timeout_at(begin, telling).await;
        }
        Some(Err(error)) => tracing::debug!(%error, "a handshake did not end well"),
    }
}

/// Hears what a connection speaks, and serves its requests.
async fn opened<I: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: I,
    server: &auto::Builder<TokioExecutor>,
    front: Front,
    closing: CancellationToken,
    age: Age,
    begin: Instant,
) {
    // Hyper would wait without an end to know the version of HTTP.
    let (stream, language) = tokio::select! {
        () = closing.cancelled() => return,
        heard = timeout_at(begin, Opened::hear(stream)) => match heard {
            Ok(Ok(heard)) => heard,
            Ok(Err(error)) => return tracing::debug!(%error, "a connection ended before it began"),
            Err(_) => return tracing::debug!("closed a connection that did not begin"),
        }
    };
    // Over HTTP/1 there is nothing before the head of a request; over HTTP/2 who is silent is asked whether it lives.
    let asked = Arc::new(AtomicBool::new(language == Language::Http2));
    let calls = Calls { front, asked: Arc::clone(&asked) };
    let unasked = async move {
        tokio::time::sleep_until(begin).await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    };
    converse(stream, server, calls, closing, age, unasked).await;
}

/// Serves the requests of one connection, until `given_up` at most.
async fn converse<I, S>(
    stream: I,
    server: &auto::Builder<TokioExecutor>,
    service: S,
    closing: CancellationToken,
    age: Age,
    given_up: impl Future<Output = ()>,
) where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = given_up => return tracing::debug!("closed a connection whose first request did not come"),
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
struct Calls {
    front: Front,
    /// Whether there was a request, or need not be one.
    asked: Arc<AtomicBool>,
}

impl Service<Request<Incoming>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.asked.store(true, Ordering::Relaxed);
        self.front.answer(request.map(Body::new))
    }
}

/// What stands on the port for those who do not speak TLS: one answer, and the connection ends.
struct Plain {
    told: CancellationToken,
}

impl Service<Request<Incoming>> for Plain {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.told.cancel();
        std::future::ready(Ok(needs_tls(&request)))
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
