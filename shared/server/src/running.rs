use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rapport_rpc::{Local, Metrics, Transport};
use rapport_store::Store;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::admin::{Phase, Probed};
use crate::module::Context;
use crate::options::StopOptions;
use crate::reload::Reload;
use crate::serve::Listening;
use crate::supervisor::Supervisor;

/// How long consumers and workers may take to end; what they do is a transaction, and it is redone after a restart.
const TASKS: Duration = Duration::from_secs(5);

/// A process that serves. Stop it with [`Running::stop`]; dropped without, its tasks end with the runtime.
#[derive(Debug)]
pub struct Running {
    parts: Parts,
}

pub(crate) struct Parts {
    pub(crate) listening: Listening,
    pub(crate) admin_addr: Option<SocketAddr>,
    pub(crate) admin_cancel: CancellationToken,
    pub(crate) local: Local,
    pub(crate) stopping: CancellationToken,
    pub(crate) ending: CancellationToken,
    pub(crate) supervisor: Supervisor,
    pub(crate) health: HealthReporter,
    pub(crate) public: Vec<&'static str>,
    pub(crate) phase: Arc<Phase>,
    pub(crate) probed: Arc<Probed>,
    pub(crate) contexts: Vec<Context>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) reload: Reload,
    pub(crate) stop: StopOptions,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("addr", &self.listening.addr).finish_non_exhaustive()
    }
}

impl Running {
    pub(crate) fn new(parts: Parts) -> Running {
        Running { parts }
    }

    /// Where gRPC is served.
    pub fn addr(&self) -> SocketAddr {
        self.parts.listening.addr
    }

    /// Where probes and metrics are served, if they are.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.parts.admin_addr
    }

    /// The way in without a network: the same stack, the same credentials. See
    /// [`Transport::with_token`] and [`Transport::with_principal`].
    pub fn transport(&self) -> Transport {
        Transport::local(self.parts.local.clone())
    }

    /// The store of a hosted service.
    pub fn store(&self, service: &str) -> Option<&Store> {
        self.context(service).map(|cx| &cx.store)
    }

    /// What a hosted service works with.
    pub fn context(&self, service: &str) -> Option<&Context> {
        self.parts.contexts.iter().find(|cx| cx.store.service() == service)
    }

    /// What the stack counted.
    pub fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    /// Asks for certificates, keys, authorities and tokens to be read again soon, whether or not their files changed. What
    /// came of it is in the log and in the metrics.
    pub fn reload(&self) {
        self.parts.reload.ask();
    }

    /// Whether a call would be served now.
    ///
    /// # Errors
    /// Why not.
    pub async fn ready(&self) -> Result<(), String> {
        self.parts.probed.ready().await
    }

    /// Stops so that nothing is lost and nobody is surprised: health says so first, streams end with the cursor their
    /// readers have, calls in flight are answered within the grace period, then consumers and workers end, then the
    /// stores close.
    pub async fn stop(self) {
        let parts = self.parts;
        tracing::info!("stopping");
        parts.phase.stopping();
        parts.health.set_service_status("", ServingStatus::NotServing).await;
        for service in &parts.public {
            parts.health.set_service_status(service, ServingStatus::NotServing).await;
        }
        tokio::time::sleep(parts.stop.notice.0).await;
        parts.stopping.cancel();
        // Streams end by themselves, at once. One that does not is ended for it while there is time to tell its reader.
        let (ending, grace) = (parts.ending.clone(), parts.stop.grace.0);
        let nudge = async {
            tokio::time::sleep(grace / 2).await;
            ending.cancel();
            std::future::pending::<bool>().await
        };
        let drained = tokio::select! {
            drained = parts.listening.stop(grace) => drained,
            never = nudge => never,
        };
        if !drained {
            tracing::warn!(grace = %parts.stop.grace, "calls were still in flight after the grace period");
        }
        parts.admin_cancel.cancel();
        if !parts.supervisor.stop(TASKS).await {
            tracing::warn!("a consumer or worker did not end in time");
        }
        // From here on nobody is left to call: the stack and the services it holds are let go.
        parts.local.close();
        for cx in &parts.contexts {
            cx.store.close().await;
        }
        tracing::info!("stopped");
    }
}
