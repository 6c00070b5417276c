use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a task that ended by itself rests before it is started again.
const REST: Duration = Duration::from_secs(1);

/// Owns every task of the process: none is spawned past it, and it waits for all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Supervisor {
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl Supervisor {
    /// Runs a task until the process stops; one that ends or panics before that is started again.
    pub(crate) fn keep<F, Fut>(&self, name: String, mut task: F)
    where
        F: FnMut(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let cancel = self.cancel.clone();
        self.tracker.spawn(async move {
            loop {
                let ended = AssertUnwindSafe(task(cancel.child_token())).catch_unwind().await;
                if cancel.is_cancelled() {
                    return;
                }
                match ended {
                    Ok(()) => {
                        tracing::warn!(task = name, "task ended by itself, starting it again")
                    }
                    Err(_) => tracing::error!(task = name, "task panicked, starting it again"),
                }
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = tokio::time::sleep(REST) => {}
                }
            }
        });
    }

    /// Runs a task once.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Tells all tasks to end and waits for them, up to `limit`. Returns whether all ended.
    pub(crate) async fn stop(&self, limit: Duration) -> bool {
        self.cancel.cancel();
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panicking_task_is_started_again_and_stops_when_told() {
        let supervisor = Supervisor::default();
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        supervisor.keep("test".into(), move |cancel| {
            let run = seen.fetch_add(1, Ordering::SeqCst);
            async move {
                assert_ne!(run, 0, "the first run fails");
                cancel.cancelled().await;
            }
        });
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        assert!(supervisor.stop(Duration::from_secs(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_listen_is_not_waited_for_for_ever() {
        let supervisor = Supervisor::default();
        supervisor.spawn(std::future::pending());
        assert!(!supervisor.stop(Duration::from_secs(1)).await);
    }
}
