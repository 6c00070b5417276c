//! Ctrl-C, SIGTERM and SIGHUP.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// The signals that ask the process to stop. While this exists they do not end it by themselves.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn install() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::failed(format!("cannot listen for signals: {error}")));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Returns when the process is asked to stop; until then, each SIGHUP asks for files to be read again.
    pub(crate) async fn asked_to_stop_or(&mut self, reload: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hangup.recv() => reload(),
            }
        }
    }

    /// Returns when the process is asked to stop; a terminal that closes asks for it too.
    pub(crate) async fn asked_to_stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// Stops gracefully; asked a second time, at once.
    pub(crate) async fn stop(&mut self, stopping: impl Future<Output = ()>) -> Result<(), Failure> {
        tokio::select! {
            () = stopping => Ok(()),
            () = self.asked_to_stop_or(|| {}) => Err(Failure::interrupted()),
        }
    }
}
