//! `rapport serve` and `rapport migrate`.

use std::io::Write;
use std::net::SocketAddr;

use rapport_server::{system, telemetry};
use rapport_store::Store;
use rapport_types::id::World;

use crate::cli::Serve;
use crate::configure;
use crate::failure::Failure;
use crate::signals::Signals;

/// Serves until it is asked to stop.
pub(crate) async fn serve(arguments: &Serve) -> Result<(), Failure> {
    let options = configure::load(arguments)?;
    let telemetry = telemetry::install(&options.telemetry, World::system().clock.as_ref()).map_err(Failure::failed)?;
    let mut signals = Signals::install()?;
    // `rapport doctor` says when that is fewer than the connections that are promised.
    let _limit = system::raise_file_limit();
    let running = rapport_server::start(options, rapport::modules(), World::system()).await?;
    if let Err(error) = ready(running.addr(), running.admin_addr()) {
        running.stop().await;
        return Err(Failure::output(&error));
    }
    signals.asked_to_stop_or(|| running.reload()).await;
    let stopped = signals.stop(running.stop()).await;
    telemetry.flush();
    stopped
}

/// Tells scripts where to call, once calls are answered.
fn ready(addr: SocketAddr, admin: Option<SocketAddr>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "rapport listening on {addr}")?;
    if let Some(admin) = admin {
        writeln!(out, "admin listening on {admin}")?;
    }
    out.flush()
}

/// Brings each hosted service's database to this version's schema.
pub(crate) async fn migrate(arguments: &Serve) -> Result<(), Failure> {
    let options = configure::load(arguments)?;
    let _telemetry = telemetry::install(&options.telemetry, World::system().clock.as_ref()).map_err(Failure::failed)?;
    let hosted = |name: &str| options.services.is_empty() || options.services.iter().any(|one| one == name);
    for module in rapport::modules().into_iter().filter(|module| hosted(module.name())) {
        let store =
            Store::open(&options.store_options(module.name()), module.name(), module.migrations(), World::system())
                .await
                .map_err(|error| Failure::failed(format!("{}: {error}", module.name())))?;
        store.close().await;
        writeln!(std::io::stdout(), "{}: up to date", module.name()).map_err(|error| Failure::output(&error))?;
    }
    Ok(())
}
