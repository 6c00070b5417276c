//! A call that Asterisk holds for us: asks who it is, says so in channel variables, lets it go on.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::task::TaskTracker;

use super::Ari;
use super::event::{self, Channel};
use super::rest::{Channeled, RestError};
use crate::answer::Answer;
use crate::backoff::pause;
use crate::call::Told;
use crate::number::Number;
use crate::words::Words;

/// How often letting a call go on is tried before the connection is taken for broken.
const TRIES: u32 = 5;

/// The calls that are held on one connection.
pub(super) struct Holder {
    ari: Ari,
    /// The channels that somebody is at work on: an event and the sweep may tell of the same one.
    held: Arc<Mutex<HashSet<String>>>,
    work: TaskTracker,
    failing: mpsc::Sender<RestError>,
    failed: tokio::sync::Mutex<mpsc::Receiver<RestError>>,
}

impl Holder {
    pub(super) fn new(ari: &Ari) -> Holder {
        let (failing, failed) = mpsc::channel(1);
        let failed = tokio::sync::Mutex::new(failed);
        Holder { ari: ari.clone(), held: Arc::default(), work: TaskTracker::new(), failing, failed }
    }

    /// Takes on a channel that is held since a moment.
    pub(super) fn hold(&self, channel: Channel, arguments: &[String], since: Instant) {
        let new = self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.id.clone());
        if !new {
            return;
        }
        self.ari.learn(&channel.id);
        let (words, problems) = Words::read(arguments.iter().map(String::as_str));
        for problem in problems {
            tracing::warn!(call = channel.id, "Stasis: {problem}");
        }
        let (ari, held, failing) = (self.ari.clone(), Arc::clone(&self.held), self.failing.clone());
        // Tracked twice: this connection waits for its own, and the process for all.
        self.ari.tasks.spawn(self.work.track_future(async move {
            let passed = ari.pass(&channel, &words, since).await;
            held.lock().unwrap_or_else(PoisonError::into_inner).remove(&channel.id);
            if let Err(error) = passed {
                tracing::error!(
                    call = channel.id,
                    "Asterisk still holds this call, it is tried again on a new connection: {error}"
                );
                // One is enough to end the connection.
                let _ = failing.try_send(error);
            }
        }));
    }

    /// Finds out what happened while nobody was connected: lets go what is held, and ends what has ended.
    pub(super) async fn sweep(&self) -> Result<(), RestError> {
        let since = Instant::now();
        let known = self.ari.known();
        let subscribed = self.ari.rest.application().await?.channel_ids;
        let channels = self.ari.rest.channels().await?;
        let alive: HashSet<&str> = channels.iter().map(|channel| channel.id.as_str()).collect();
        for id in known.iter().filter(|id| !alive.contains(id.as_str())) {
            if self.ari.forget(id) {
                self.ari.end(id, false, None);
            }
        }
        for channel in &channels {
            if let Some(arguments) = channel.held_in(&self.ari.options.app) {
                self.hold(channel.clone(), &arguments, since);
            } else if subscribed.contains(&channel.id) {
                // Of the time before this process: its end is still ours to tell.
                self.ari.learn(&channel.id);
            } else if known.contains(&channel.id) {
                self.ari.rest.subscribe(&channel.id).await?;
            }
        }
        Ok(())
    }

    /// Returns when a call could not be let go.
    pub(super) async fn failed(&self) -> RestError {
        match self.failed.lock().await.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Returns when no call is held any more.
    pub(super) async fn wait(&self) {
        self.work.close();
        self.work.wait().await;
    }
}

impl Ari {
    /// Lets a call pass, with what is known of it.
    async fn pass(&self, channel: &Channel, words: &Words, since: Instant) -> Result<(), RestError> {
        let budget = self.connector.budget(since);
        let (theirs, ours) = match words.outbound {
            true => (&channel.dialplan.exten, &channel.caller.number),
            false => (&channel.caller.number, &channel.dialplan.exten),
        };
        let number = if words.restricted {
            Number::Withheld
        } else {
            self.connector.number(words.number.as_ref().unwrap_or(theirs), words.country.as_deref())
        };
        let call = Told {
            id: &channel.id,
            leg: "",
            outbound: Some(words.outbound),
            number: Some(&number),
            dialled: words.dialled.as_ref().unwrap_or(ours),
            agent: words.agent.as_deref().unwrap_or_default(),
            started: event::time(&channel.creationtime).or_else(|| Some(self.connector.now())),
            source: "asterisk",
        }
        .message();
        // Asked for beside the question who it is, so that it takes no time of its own.
        let subscribed = AtomicBool::new(false);
        let subscribe = async {
            let asked = self.rest.subscribe(&channel.id).await;
            subscribed.store(asked.is_ok(), Ordering::Relaxed);
        };
        let none_yet = Answer::none_yet(&number);
        let first = none_yet.first_variables();
        let work = async {
            let asked = self.connector.ring(&call, &number, budget.ask);
            // The first variables are set beside the question, so that nothing is left to do when there is no answer.
            let (answer, (), ()) = futures::join!(asked, subscribe, self.set(&channel.id, &first));
            if answer.says_something()
                && let [others @ .., matched] = answer.variables().as_slice()
            {
                self.set(&channel.id, others).await;
                self.set(&channel.id, &[*matched]).await;
            }
        };
        if timeout_at(budget.all, work).await.is_err() {
            tracing::warn!(call = channel.id, "the budget was up before Asterisk had all variables");
        }
        self.let_go(&channel.id).await?;
        // Without it nobody would tell how the call ends; but the call does not wait for it.
        if !subscribed.into_inner()
            && let Err(error) = self.rest.subscribe(&channel.id).await
        {
            tracing::warn!(call = channel.id, "Asterisk will not tell how this call ends: {error}");
        }
        Ok(())
    }

    async fn set(&self, channel: &str, variables: &[(&'static str, &str)]) {
        let set = variables.iter().map(|(name, value)| self.rest.set(channel, name, value));
        for (done, (name, _)) in join_all(set).await.into_iter().zip(variables) {
            if let Err(error) = done {
                tracing::warn!(call = channel, "{name} is not set: {error}");
            }
        }
    }

    async fn let_go(&self, channel: &str) -> Result<(), RestError> {
        let mut failures = 0;
        loop {
            match self.rest.go_on(channel).await {
                Ok(Channeled::Done | Channeled::Gone) => return Ok(()),
                Err(error) => {
                    failures += 1;
                    if failures >= TRIES {
                        return Err(error);
                    }
                }
            }
            sleep(pause(failures, Duration::from_millis(20), Duration::from_millis(500))).await;
        }
    }
}
