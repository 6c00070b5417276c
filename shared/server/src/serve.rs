use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rapport_rpc::Stack;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::codegen::BoxFuture;

use crate::options::LimitOptions;

/// A connection that says nothing for this long after it was accepted is closed.
const SILENT: Duration = Duration::from_secs(10);
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
    pub(crate) fn start(listener: TcpListener, stack: Stack, limits: &LimitOptions) -> io::Result<Listening> {
        let listening = Listening {
            addr: listener.local_addr()?,
            connections: TaskTracker::new(),
            closing: CancellationToken::new(),
            killing: CancellationToken::new(),
        };
        let server = Arc::new(server(limits));
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
                let (server, stack) = (Arc::clone(&server), stack.clone());
                let (closing, killing) = (closing.clone(), killing.clone());
                tracker.spawn(async move {
                    let served = connection(stream, &server, stack, closing);
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
    // HTTP/1 is spoken only to say that gRPC needs HTTP/2.
    server.http1().timer(TokioTimer::new()).header_read_timeout(SILENT).keep_alive(false);
    server
}

async fn connection(
    stream: TcpStream,
    server: &auto::Builder<TokioExecutor>,
    stack: Stack,
    closing: CancellationToken,
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
    let connection = server.serve_connection(TokioIo::new(stream), Calls(stack));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients vanish; that is their affair.
        tracing::debug!(error = %error, "a connection ended with an error");
    }
}

/// The stack as hyper wants it.
struct Calls(Stack);

impl Service<Request<Incoming>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.0.answer(request.map(Body::new))
    }
}
