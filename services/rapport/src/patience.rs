//! How long a command asks again for what is refused only for now.

use std::time::Duration;

use rapport_rpc::error_of;
use rapport_types::error::{Error, Kind};
use tokio::time::Instant;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::reason;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_now_is_asked_again_for_a_minute_however_often_it_ends_at_once() {
        let (begun, mut patience, mut asked) = (Instant::now(), Patience::new(), 0);
        let away = || Error::unavailable("it restarts", Duration::from_millis(1));
        while patience.bear(away()).await.is_ok() {
            asked += 1;
        }
        assert!(asked > 10_000, "by the clock, not by the count: {asked}");
        assert!((60..62).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_two_seconds_and_a_service_sends_us_away_for_five_at_most() {
        let mut patience = Patience::new();
        let mut waited = async |refusal: Error| {
            let before = Instant::now();
            patience.bear(refusal).await.unwrap();
            before.elapsed().as_millis()
        };
        let full = || Error::new(Kind::Exhausted, reason::OVERLOADED, "full");
        let mut pauses = Vec::new();
        for _ in 0..7 {
            pauses.push(waited(full()).await);
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_600, 2_000]);
        assert_eq!(waited(Error::unavailable("tomorrow", Duration::from_secs(86_400))).await, 5_000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_good_is_told_at_once() {
        let begun = Instant::now();
        let wrong = Error::not_found("parties/1");
        assert_eq!(Patience::new().bear(wrong.clone()).await.unwrap_err().reason, wrong.reason);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
