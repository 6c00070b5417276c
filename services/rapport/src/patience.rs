//! How long a command asks again for what is refused only for now.

use std::time::{Duration, Instant};

use rapport_rpc::error_of;
use rapport_types::error::{Error, Kind};
use tonic::Status;

/// How long a service that is away, full or contended is asked again. By the clock and not by the count: one that is
/// killed and comes back may cut off many calls in a row, each of them soon.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first pause, unless the service says when to come back; each next one is twice as long.
const FIRST: Duration = Duration::from_millis(50);
/// The longest pause of our own.
const LONGEST: Duration = Duration::from_secs(2);
/// The longest that a service may send us away for.
const LONGEST_ASKED: Duration = Duration::from_secs(5);

/// Whether asking again may help.
#[must_use]
pub fn passing(kind: Kind) -> bool {
    matches!(kind, Kind::Unavailable | Kind::Exhausted | Kind::Conflict | Kind::Deadline)
}

/// What is left of it for one call.
#[derive(Debug)]
pub struct Patience {
    begun: Instant,
    pause: Duration,
}

impl Patience {
    /// All of it, from now on.
    #[must_use]
    pub fn new() -> Self {
        Self { begun: Instant::now(), pause: FIRST }
    }

    /// Waits until the call may be made again.
    ///
    /// # Errors
    /// The refusal, where asking again cannot help or was of no use for a minute.
    pub async fn bear(&mut self, refusal: Error) -> Result<(), Error> {
        if !passing(refusal.kind) || self.begun.elapsed() > PATIENCE {
            return Err(refusal);
        }
        tokio::time::sleep(refusal.retry_after.unwrap_or(self.pause).min(LONGEST_ASKED)).await;
        self.pause = (self.pause * 2).min(LONGEST);
        Ok(())
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::new()
    }
}

/// Calls until there is an answer, a refusal for good, or no patience left.
///
/// # Errors
/// The refusal.
pub async fn tried<P>(call: impl AsyncFn() -> Result<P, Status>) -> Result<P, Error> {
    let mut patience = Patience::new();
    loop {
        match call().await {
            Ok(answer) => return Ok(answer),
            Err(status) => patience.bear(error_of(status)).await?,
        }
    }
}
