use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How often at most a consumer asks about what moved. Nobody waits for it: whoever wants the newest asks live.
const PACE: Duration = Duration::from_millis(25);

/// Lets a consumer begin a batch now and then only, so that what moves in a storm gathers into a few large batches:
/// a party that moved a hundred times is then asked about once.
#[derive(Default)]
pub(super) struct Pace {
    begun: Mutex<Option<Instant>>,
}

impl Pace {
    /// Waits until the next batch may begin; the first one after a calm begins at once.
    pub(super) async fn keep(&self) {
        let mut begun = self.begun.lock().await;
        if let Some(before) = *begun {
            tokio::time::sleep_until(before + PACE).await;
        }
        *begun = Some(Instant::now());
    }
}
