//! Start and stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rapport_types::World;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agi;
use crate::ari::Ari;
use crate::calls::Calls;
use crate::connector::Connector;
use crate::deliver::deliver;
use crate::desk::Desk;
use crate::options::TelephonyOptions;
use crate::web::{self, Pages};

/// Before the names of the keys of the options of TLS.
const TLS: &str = "telephony.tls.";
/// How often the files of TLS are looked at.
const RELOAD: Duration = Duration::from_secs(5);

/// Why the connector did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An option is not valid; each problem is a sentence.
    #[error("{}", .0.join("; "))]
    Options(Vec<String>),
    /// A port could not be taken.
    #[error("{option}: cannot listen on {address}: {why}")]
    Listen {
        /// The option that names the address.
        option: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        why: std::io::Error,
    },
}

/// A connector that runs. Dropping it leaves it running; [`Running::stop`] ends it.
#[derive(Debug)]
pub struct Running {
    http: Option<SocketAddr>,
    agi: Option<SocketAddr>,
    calls: Arc<Calls>,
    stop: CancellationToken,
    tasks: TaskTracker,
    stop_delivery: CancellationToken,
    delivery: JoinHandle<usize>,
}

/// Starts everything that the options name. Neither Rapport nor Asterisk has to be there: both are called until they
/// answer. Needs a tokio runtime.
///
/// # Errors
/// An option that is not valid, a port that is taken.
pub async fn start(options: TelephonyOptions, world: World) -> Result<Running, StartError> {
    options.validate().map_err(StartError::Options)?;
    let wrong = |problem: String| StartError::Options(vec![problem]);
    let clock = Arc::clone(&world.clock);
    let tls = match options.rapport.starts_with("https://") {
        true => Some(options.tls.load(TLS, clock.as_ref()).map_err(|error| StartError::Options(error.problems))?),
        false => None,
    };
    let desk = Desk::new(&options.rapport, options.token.expose(), tls.as_ref())
        .map_err(|error| wrong(format!("telephony.rapport: {error}")))?;
    let calls = Arc::new(Calls::new(options.calls));
    let connector = Connector::new(desk.clone(), Arc::clone(&calls), world, options.budget.0, &options.country);
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();

    // Everything that may fail comes before anything runs.
    let ari = match options.asterisk.url.as_str() {
        "" => None,
        _ => Some(Ari::new(connector.clone(), options.asterisk.clone(), tasks.clone()).map_err(wrong)?),
    };
    let http = listen("telephony.http.listen", options.http.address().map_err(wrong)?).await?;
    let agi = listen("telephony.agi.listen", options.agi.address().map_err(wrong)?).await?;

    // The first number that is read would wait for the numbering plans, and its call with it.
    if let Err(error) = tokio::task::spawn_blocking(rapport_identity::warm).await {
        tracing::error!(%error, "the numbering plans could not be read beforehand");
    }

    let stop_delivery = CancellationToken::new();
    let delivery = tokio::spawn(deliver(Arc::clone(&calls), desk, stop_delivery.clone()));
    let mut running = Running { http: None, agi: None, calls, stop, tasks, stop_delivery, delivery };
    if let Some((listener, address)) = http {
        running.http = Some(address);
        let pages = Pages { connector: connector.clone(), options: options.http };
        let serving = web::serve(listener, pages, running.stop.clone(), running.tasks.clone());
        running.tasks.spawn(serving);
    }
    if let Some((listener, address)) = agi {
        running.agi = Some(address);
        let serving = agi::serve(listener, connector, options.agi, running.stop.clone(), running.tasks.clone());
        running.tasks.spawn(serving);
    }
    if let Some(tls) = tls {
        let (files, stop) = (options.tls, running.stop.clone());
        running.tasks.spawn(async move { files.keep(TLS, &tls, RELOAD, clock, stop).await });
    }
    if let Some(ari) = ari {
        let keeping = ari.keep(running.stop.clone());
        running.tasks.spawn(keeping);
    }
    Ok(running)
}

async fn listen(
    option: &'static str,
    address: Option<SocketAddr>,
) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    let Some(address) = address else { return Ok(None) };
    let failed = |why| StartError::Listen { option, address, why };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok(Some((listener, bound)))
}

impl Running {
    /// Where HTTP is answered, if it is.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Where FastAGI is answered, if it is.
    pub fn agi_addr(&self) -> Option<SocketAddr> {
        self.agi
    }

    /// How many calls Rapport still has to be told something of.
    pub fn waiting(&self) -> usize {
        self.calls.owed().len()
    }

    /// Stops: takes no new calls, lets go those that are held (which takes the budget at most), tells Rapport what is
    /// left within a few seconds, and logs by call id what could not be told. Returns how many calls that were.
    pub async fn stop(self) -> usize {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.stop_delivery.cancel();
        self.delivery.await.unwrap_or_else(|error| {
            tracing::error!(%error, "telling Rapport of calls ended by itself");
            self.calls.owed().len()
        })
    }
}
