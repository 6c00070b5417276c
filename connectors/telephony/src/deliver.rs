//! Tells Rapport what it still has to be told, until it has been.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rapport_types::error::{Error, Kind};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::calls::{Calls, Outcome, Work};
use crate::desk::Desk;

/// How many calls are told of at once.
const AT_ONCE: usize = 16;
/// How long the last tries may take together when the process stops.
const LAST: Duration = Duration::from_secs(5);

/// Tells until `stop`; then once more what is left, within a few seconds, and logs what still is by call id. Returns how
/// many calls that were.
pub(crate) async fn deliver(calls: Arc<Calls>, desk: Desk, stop: CancellationToken) -> usize {
    tell(&calls, &desk, stop.cancelled()).await;
    calls.hasten();
    let until = Instant::now() + LAST;
    let all = async {
        while !calls.owed().is_empty() {
            let (work, next) = calls.take(Instant::now(), AT_ONCE);
            let told: FuturesUnordered<_> = work.into_iter().map(|work| one(&desk, work)).collect();
            if told.is_empty() {
                // What failed waits out its pause: Rapport may be back before the time is up.
                sleep_until(next.unwrap_or(until).min(until)).await;
            }
            told.for_each(async |(work, outcome)| calls.told(&work, outcome)).await;
        }
    };
    // What is left is counted below.
    let _ = timeout_at(until, all).await;
    let left = calls.owed();
    for key in &left {
        tracing::error!(call = %key, "Rapport could not be told of this call before the connector stopped");
    }
    left.len()
}

async fn tell(calls: &Calls, desk: &Desk, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut telling = FuturesUnordered::new();
    loop {
        let (work, next) = calls.take(Instant::now(), AT_ONCE - telling.len());
        telling.extend(work.into_iter().map(|work| one(desk, work)));
        let room = telling.len() < AT_ONCE;
        let wait = async {
            match next {
                Some(at) if room => sleep_until(at).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = &mut stop => break,
            () = wait => {}
            () = calls.changed() => {}
            Some((work, outcome)) = telling.next() => calls.told(&work, outcome),
        }
    }
    // What is being told is told to its end: it is not known what became of it otherwise.
    telling.for_each(async |(work, outcome)| calls.told(&work, outcome)).await;
}

/// Tells of one call, its beginning first.
async fn one(desk: &Desk, work: Work) -> (Work, Outcome) {
    if let Some(call) = &work.begin
        && let Err(error) = desk.begin(call).await
        && failed(&work, "beginning", &error)
    {
        return (work, Outcome::Later);
    }
    if let Some(end) = &work.end
        && let Err(error) = desk.end(end).await
        && failed(&work, "end", &error)
    {
        return (work, Outcome::Later);
    }
    (work, Outcome::Done)
}

/// Whether to try again. What is wrong with the request itself stays so, and is said once.
fn failed(work: &Work, what: &str, error: &Error) -> bool {
    let for_good = matches!(
        error.kind,
        Kind::Invalid | Kind::OutOfRange | Kind::NotFound | Kind::AlreadyExists | Kind::Precondition
    );
    if for_good {
        let fields: Vec<String> =
            error.violations.iter().map(|one| format!("{}: {}", one.field, one.description)).collect();
        tracing::error!(
            call = %work.key, code = error.kind.code(), fields = %fields.join("; "),
            "Rapport refuses the {what} of this call, it is not recorded: {}", error.message
        );
    } else {
        tracing::warn!(
            call = %work.key, code = error.kind.code(), reason = error.reason,
            "Rapport could not be told the {what} of this call, it is told again: {}", error.message
        );
    }
    !for_good
}
