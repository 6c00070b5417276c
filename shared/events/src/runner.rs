use std::collections::BTreeSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use rapport_store::Store;
use rapport_types::error::{Error, Kind};
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, jitter};
use crate::batch::{Aggregate, Batch, Parking, aggregate, panicked};
use crate::reapply::Reapplied;
use crate::{Consumer, Cursor, Cursors, Event, EventStream, Source};

/// So many events behind what the source told of, more of them are on their way.
const FAR: i64 = 500;
/// How long those on their way are waited for.
const SOON: Duration = Duration::from_millis(25);

/// How a consumer is driven. The defaults are meant for production.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How often an event that fails on its own is tried before it is parked.
    pub attempts: u32,
    /// The first pause after a failure; it doubles up to `longest_pause`.
    pub shortest_pause: Duration,
    /// The longest pause after a failure.
    pub longest_pause: Duration,
    /// How long a replica steps aside after another one was first.
    pub standby: Duration,
}

impl Default for RunOptions {
    fn default() -> RunOptions {
        RunOptions {
            attempts: 5,
            shortest_pause: Duration::from_millis(10),
            longest_pause: Duration::from_secs(2),
            standby: Duration::from_millis(200),
        }
    }
}

/// Drives a consumer until `cancel`, whatever happens to the source or the database meanwhile.
///
/// The consumer is registered with `cursors` at once, the rest happens when the future is polled; spawn it under the
/// process's supervisor. Dropping the future at any point is safe.
pub fn run<C: Consumer>(
    consumer: C,
    store: Store,
    source: Arc<dyn Source>,
    cursors: Cursors,
    cancel: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    run_with(RunOptions::default(), consumer, store, source, cursors, cancel)
}

/// [`run`] with other than the default options.
pub fn run_with<C: Consumer>(
    options: RunOptions,
    consumer: C,
    store: Store,
    source: Arc<dyn Source>,
    cursors: Cursors,
    cancel: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let consumer = Arc::new(consumer);
    let reapply = Arc::new(Reapplied::new(&consumer, &store));
    cursors.register(consumer.name(), consumer.source(), reapply);
    let runner = Runner { options, consumer, store, source, cursors };
    async move {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = runner.forever() => {}
        }
        runner.note(|progress| progress.connected = false);
    }
}

struct Runner<C: Consumer> {
    options: RunOptions,
    consumer: Arc<C>,
    store: Store,
    source: Arc<dyn Source>,
    cursors: Cursors,
}

/// Why a session stopped without a failure.
enum Stopped {
    /// Another replica moved the cursor.
    Fenced,
    /// The source ended the stream, as it does when it stops.
    Ended,
}

/// How far a session has come.
struct Session {
    /// Where the stored cursor stands, for the compare-and-set; `None` before the first event.
    cursor: Option<Cursor>,
    /// The aggregates of this consumer that have parked events.
    parked: BTreeSet<Aggregate>,
    /// How the stream broke, while the events before that are still to be applied.
    broken: Option<Error>,
}

impl<C: Consumer> Runner<C> {
    fn note(&self, change: impl FnOnce(&mut crate::Progress)) {
        self.cursors.change(self.consumer.source(), self.consumer.name(), change);
    }

    async fn forever(&self) {
        let mut backoff = Backoff::new(self.options.shortest_pause, self.options.longest_pause);
        let mut missed = false;
        loop {
            let stopped = self.session(&mut backoff, missed).await;
            missed = !matches!(stopped, Ok(Stopped::Fenced));
            self.note(|progress| progress.connected = false);
            let pause = match stopped {
                // The other replica has the work; this one looks again a little later, in case it stops.
                Ok(Stopped::Fenced) => {
                    self.note(|progress| progress.last_error = None);
                    jitter(self.options.standby)
                }
                Ok(Stopped::Ended) => backoff.pause(),
                Err(error) => {
                    let pause = backoff.pause();
                    self.report(&error, pause);
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn report(&self, error: &Error, pause: Duration) {
        self.note(|progress| {
            progress.retries += 1;
            progress.last_error = Some(error.to_string());
        });
        let (consumer, source) = (self.consumer.name(), self.consumer.source());
        let pause_ms = pause.as_millis() as u64;
        if error.kind == Kind::Unavailable {
            tracing::info!(consumer, source, %error, pause_ms, "source or database not available, trying again");
        } else {
            tracing::warn!(consumer, source, %error, pause_ms, "consuming failed, trying again");
        }
    }

    /// Subscribes from the stored cursor and applies what comes. Where something may have been missed, the source counts as
    /// heard again only when it says something: its first message tells what that was.
    async fn session(&self, backoff: &mut Backoff, missed: bool) -> Result<Stopped, Error> {
        let mut session = self.open().await?;
        let mut stream = self.source.subscribe(session.cursor.clone()).await?;
        self.note(|progress| {
            progress.connected = true;
            progress.heard = (!missed).then(Instant::now);
        });
        while let Some(events) = self.next_batch(&mut stream, &mut session).await? {
            if events.is_empty() {
                continue;
            }
            if let Some(stopped) = self.process(events, &mut session).await? {
                return Ok(stopped);
            }
            backoff.reset();
        }
        Ok(Stopped::Ended)
    }

    async fn open(&self) -> Result<Session, Error> {
        let (name, source) = (self.consumer.name(), self.consumer.source());
        let cursor = self.store.cursor(name, source).await?;
        let parked = self.store.parked_aggregates(name, source).await?;
        self.note(|progress| {
            progress.position = progress.position.max(cursor.as_ref().map_or(0, |cursor| cursor.position));
            progress.parked = parked.iter().map(|(_, _, count)| count.unsigned_abs()).sum();
            // What this process was too late for another replica has applied.
            if progress.position >= progress.delivered {
                progress.behind_since = None;
            }
        });
        Ok(Session {
            cursor: cursor.map(|cursor| Cursor { epoch: cursor.epoch, position: cursor.position }),
            parked: parked.into_iter().map(|(tenant, aggregate, _)| (tenant, aggregate)).collect(),
            broken: None,
        })
    }

    /// The next events, together with what else has already arrived; far behind, also with what is about to.
    async fn next_batch(&self, stream: &mut EventStream, session: &mut Session) -> Result<Option<Vec<Event>>, Error> {
        if let Some(error) = session.broken.take() {
            return Err(error);
        }
        let Some(first) = stream.next().await else {
            return Ok(None);
        };
        self.note(|progress| progress.heard = Some(Instant::now()));
        let mut events = first?;
        while events.len() < self.consumer.batch() {
            let mut more = stream.next().now_or_never();
            if more.is_none() && events.last().is_some_and(|last| self.source.newest() - last.position >= FAR) {
                more = tokio::time::timeout(SOON, stream.next()).await.ok();
            }
            match more {
                Some(Some(Ok(more))) => events.extend(more),
                Some(Some(Err(error))) => {
                    session.broken = Some(error);
                    break;
                }
                Some(None) | None => break,
            }
        }
        let delivered = events.last().map_or(0, |last| last.position);
        let newest = self.source.newest();
        // Behind since the first of them was recorded: what waits is old, however quickly it is applied now.
        let age = events.first().map(|first| self.store.world().now().since(first.recorded_at));
        let now = Instant::now();
        self.note(|progress| {
            progress.delivered = progress.delivered.max(delivered);
            progress.newest = progress.newest.max(newest).max(delivered);
            if let Some(age) = age {
                progress.behind_since = Some(now.checked_sub(age).unwrap_or(now));
            }
        });
        let mut behind = session.cursor.clone();
        for event in &events {
            if let Some(behind) = &behind
                && (behind.epoch != event.epoch || behind.position >= event.position)
            {
                return Err(Error::bug(format!(
                    "{} delivered position {} of epoch {} after {} of {}",
                    self.consumer.source(),
                    event.position,
                    event.epoch,
                    behind.position,
                    behind.epoch
                )));
            }
            behind = Some(event.cursor());
        }
        Ok(Some(events))
    }

    /// Applies events in order. A batch that fails by its own fault is halved until the event to blame is alone.
    async fn process(&self, events: Vec<Event>, session: &mut Session) -> Result<Option<Stopped>, Error> {
        let mut todo: Vec<Vec<Event>> = Vec::new();
        let mut rest = events;
        while rest.len() > self.consumer.batch() {
            let tail = rest.split_off(self.consumer.batch());
            todo.push(rest);
            rest = tail;
        }
        todo.push(rest);
        todo.reverse();
        while let Some(mut events) = todo.pop() {
            let at_work = events.first().map(|event| event.recorded_at);
            self.note(|progress| progress.at_work = at_work);
            let mut attempt = 1;
            loop {
                let error = match self.attempt(&events, session).await {
                    Ok(Some(stopped)) => return Ok(Some(stopped)),
                    Ok(None) => break,
                    Err(error) if is_transient(&error) => return Err(error),
                    Err(error) => error,
                };
                if events.len() > 1 {
                    todo.push(events.split_off(events.len() / 2));
                    continue;
                }
                if attempt >= self.attempts(&error) {
                    if let Some(stopped) = self.park(&events, &error, session).await? {
                        return Ok(Some(stopped));
                    }
                    break;
                }
                let pause = self.options.shortest_pause * 2u32.saturating_pow(attempt - 1);
                let pause = jitter(pause.min(self.options.longest_pause));
                self.report(&error, pause);
                tokio::time::sleep(pause).await;
                attempt += 1;
            }
        }
        Ok(None)
    }

    /// A conflict is mostly somebody else's doing, but a unique value that is taken for good looks the same: so it is
    /// tried longer, not for ever.
    fn attempts(&self, error: &Error) -> u32 {
        match error.kind {
            Kind::Conflict => self.options.attempts * 4,
            _ => self.options.attempts,
        }
    }

    /// Gathers and applies one batch in one transaction; events of parked aggregates join those parked.
    async fn attempt(&self, events: &[Event], session: &mut Session) -> Result<Option<Stopped>, Error> {
        let (held, flowing): (Vec<Event>, Vec<Event>) =
            events.iter().cloned().partition(|event| session.parked.contains(&aggregate(event)));
        let gathered = if flowing.is_empty() {
            None
        } else {
            let gathering = AssertUnwindSafe(self.consumer.gather(&flowing)).catch_unwind().await;
            Some(gathering.unwrap_or_else(|panic| Err(panicked(panic)))?)
        };
        let parked = held.into_iter().map(|event| (event, Parking::Behind)).collect();
        self.write(flowing, gathered, parked, events, session).await
    }

    async fn park(&self, events: &[Event], error: &Error, session: &mut Session) -> Result<Option<Stopped>, Error> {
        for event in events {
            tracing::error!(
                consumer = self.consumer.name(),
                source = self.consumer.source(),
                position = event.position,
                kind = event.kind,
                %error,
                "event parked with all later events of its aggregate"
            );
        }
        let parked = events.iter().map(|event| (event.clone(), Parking::Failed(error.clone()))).collect();
        self.write(Vec::new(), None, parked, events, session).await
    }

    /// One transaction: cursor, effect, parking.
    async fn write(
        &self,
        flowing: Vec<Event>,
        gathered: Option<C::Gathered>,
        parked: Vec<(Event, Parking)>,
        all: &[Event],
        session: &mut Session,
    ) -> Result<Option<Stopped>, Error> {
        let Some(last) = all.last() else {
            return Ok(None);
        };
        let to = last.cursor();
        let newly: Vec<Aggregate> = parked.iter().map(|(event, _)| aggregate(event)).collect();
        let touched: BTreeSet<Aggregate> = all.iter().map(aggregate).collect();
        let stale = Arc::new(AtomicBool::new(false));
        let batch = Batch {
            consumer: Arc::clone(&self.consumer),
            flowing,
            gathered,
            parked,
            from: session.cursor.clone(),
            to: to.clone(),
            known: touched.iter().filter(|aggregate| session.parked.contains(*aggregate)).cloned().collect(),
            touched: if session.parked.is_empty() { Vec::new() } else { touched.into_iter().collect() },
            stale: Arc::clone(&stale),
        };
        match self.store.run(batch).await {
            Ok(_) => {}
            Err(_) if stale.load(Ordering::Acquire) => {
                self.note(|progress| progress.fenced += 1);
                return Ok(Some(Stopped::Fenced));
            }
            Err(error) => return Err(error),
        }
        let (position, count) = (to.position, newly.len() as u64);
        session.cursor = Some(to);
        session.parked.extend(newly);
        self.note(|progress| {
            progress.position = progress.position.max(position);
            progress.parked += count;
            progress.last_error = None;
            if progress.position >= progress.delivered {
                progress.behind_since = None;
            }
            // From here on it is listened to, and its silence counts.
            progress.heard = Some(Instant::now());
        });
        Ok(None)
    }
}

/// Whether trying again later can help without anything being wrong with the events.
fn is_transient(error: &Error) -> bool {
    matches!(
        error.kind,
        Kind::Unavailable
            | Kind::Deadline
            | Kind::Cancelled
            | Kind::Exhausted
            | Kind::Unauthenticated
            | Kind::Denied
            | Kind::Unimplemented
    )
}
