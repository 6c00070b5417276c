//! FastAGI: a dial plan calls `AGI(agi://HOST/ring)` when a call rings and `AGI(agi://HOST/hangup)` from its `h`
//! extension. Asterisk sends headers, takes commands one at a time and goes on when the connection is closed.

mod head;
mod session;
mod wire;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connector::Connector;
use crate::options::AgiOptions;
use crate::web::refused;

/// Calls at once; further ones are closed at once, and so they pass.
const CALLS: usize = 1_024;

/// Serves until `stop`. Calls in work then are answered: that takes the budget at most.
pub(crate) async fn serve(
    listener: TcpListener,
    connector: Connector,
    options: AgiOptions,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let room = Arc::new(Semaphore::new(CALLS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let since = Instant::now();
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                refused("FastAGI", &error).await;
                continue;
            }
        };
        if !options.admits(peer.ip()) {
            tracing::warn!(%peer, "FastAGI is refused to an address that telephony.agi.allow does not name");
            continue;
        }
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            tracing::warn!("more than {CALLS} FastAGI calls at once: this one passes without an answer");
            continue;
        };
        // Commands are small packets that are waited for one at a time.
        let _ = stream.set_nodelay(true);
        let connector = connector.clone();
        tasks.spawn(async move {
            session::serve(stream, &connector, since).await;
            drop(place);
        });
    }
}
