use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::{StatusCode, header::CONTENT_TYPE};
use rapport_events::Cursors;
use rapport_rpc::Metrics;
use rapport_store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::guard::Guard;
use crate::metrics::{Sample, StoreSample};
use crate::supervisor::Supervisor;

/// A database that does not answer a probe within this time is not ready.
const PROBE: Duration = Duration::from_secs(1);

/// Where the process stands in its life.
#[derive(Debug, Default)]
pub(crate) struct Phase(AtomicU8);

impl Phase {
    pub(crate) fn serving(&self) {
        self.0.store(1, Ordering::Release);
    }

    pub(crate) fn stopping(&self) {
        self.0.store(2, Ordering::Release);
    }

    fn has_started(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    fn is_serving(&self) -> bool {
        self.0.load(Ordering::Acquire) == 1
    }
}

/// What probes ask about.
pub(crate) struct Probed {
    pub(crate) phase: Arc<Phase>,
    pub(crate) services: Vec<(&'static str, Store, Cursors)>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) data: PathBuf,
    pub(crate) started: Instant,
    pub(crate) guard: Guard,
}

impl Probed {
    /// Whether a call would be served now, or why not.
    pub(crate) async fn ready(&self) -> Result<(), String> {
        if !self.phase.is_serving() {
            return Err(if self.phase.has_started() { "stopping" } else { "starting" }.to_owned());
        }
        for (service, store, _) in &self.services {
            match tokio::time::timeout(PROBE, store.ready()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    return Err(format!("the database of {service} is not ready: {}", error.message));
                }
                Err(_) => return Err(format!("the database of {service} does not answer")),
            }
        }
        Ok(())
    }
}

/// Serves probes and metrics until `cancel`.
pub(crate) fn serve(
    listener: TcpListener,
    probed: Arc<Probed>,
    supervisor: &Supervisor,
    cancel: CancellationToken,
) -> io::Result<SocketAddr> {
    let addr = listener.local_addr()?;
    let router = Router::new()
        // Alive means that this line runs: a database that is down is no reason to restart the process.
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/metrics", get(metrics))
        .with_state(probed);
    supervisor.spawn(async move {
        let serving = axum::serve(listener, router).with_graceful_shutdown(cancel.clone().cancelled_owned());
        // A scraper that keeps its connection open does not keep the process.
        let bounded = async {
            cancel.cancelled().await;
            tokio::time::sleep(PROBE).await;
        };
        tokio::select! {
            served = serving => {
                if let Err(error) = served {
                    tracing::error!(%error, "the admin port stopped serving");
                }
            }
            () = bounded => {}
        }
    });
    Ok(addr)
}

async fn readyz(State(probed): State<Arc<Probed>>) -> (StatusCode, String) {
    match probed.ready().await {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn startupz(State(probed): State<Arc<Probed>>) -> (StatusCode, &'static str) {
    if probed.phase.has_started() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "starting\n") }
}

async fn metrics(State(probed): State<Arc<Probed>>) -> ([(http::HeaderName, &'static str); 1], String) {
    let stores = futures::future::join_all(probed.services.iter().map(|(_, store, _)| StoreSample::of(store))).await;
    let consumers = probed
        .services
        .iter()
        .flat_map(|(service, _, cursors)| cursors.progress().into_iter().map(move |progress| (*service, progress)));
    let sample = Sample {
        calls: &probed.metrics,
        stores,
        consumers: consumers.collect(),
        data: &probed.data,
        started: probed.started,
        guard: &probed.guard,
    };
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], sample.text())
}
