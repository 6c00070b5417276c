//! Rapports that do not answer.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One that is down: nobody listens there.
pub(crate) async fn down() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound")
}

/// One that hangs. Dropping it closes it.
pub(crate) struct Hanging {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Hanging {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// It accepts connections and says nothing at all.
    pub(crate) async fn at_the_door() -> Hanging {
        Hanging::with(|stream| async move {
            let _held = stream;
            std::future::pending::<()>().await;
        })
        .await
    }

    /// It speaks HTTP/2, takes every call and answers none.
    pub(crate) async fn in_the_call() -> Hanging {
        Hanging::with(|stream| async move {
            let never =
                service_fn(|_: Request<Incoming>| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>());
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), never).await;
        })
        .await
    }

    async fn with<F, Fut>(serve: F) -> Hanging
    where
        F: Fn(tokio::net::TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        Hanging { address, serving }
    }
}
