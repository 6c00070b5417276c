//! The calls under way, and what Rapport still has to be told of them: in memory, within a bound.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rapport_proto::interactions::v1::{Call, EndCallRequest};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backoff::pause;
use crate::call::{End, Key, learn};

/// The shortest and the longest pause before Rapport is told again.
const FIRST: Duration = Duration::from_millis(250);
const MOST: Duration = Duration::from_secs(30);

/// What Rapport has to be told of one call, now.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) key: Key,
    /// Its beginning, where that is owed.
    pub(crate) begin: Option<Call>,
    /// Its end, where that is owed.
    pub(crate) end: Option<EndCallRequest>,
}

/// How telling it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Rapport took what was due, or refused it for good.
    Done,
    /// Rapport did not answer.
    Later,
}

/// Every call that somebody may still say something of.
#[derive(Debug)]
pub(crate) struct Calls {
    state: Mutex<State>,
    wake: Notify,
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    calls: HashMap<Key, Entry>,
    /// In the order in which they were first heard of.
    order: BTreeMap<u64, Key>,
    /// What is owed, by when it is due.
    due: BTreeSet<(Instant, u64)>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    told: Call,
    /// Rapport has not yet said that it knows of the beginning.
    begin: bool,
    /// Whether somebody answered; none while nothing says so.
    answered: Option<bool>,
    end: Option<End>,
    /// When Rapport is told next; none while nothing is owed or somebody is telling.
    due: Option<Instant>,
    telling: bool,
    failures: u32,
    order: u64,
}

impl Entry {
    fn owes(&self) -> bool {
        self.begin || self.end.is_some()
    }

    /// Rapport is told at this moment, and not at another.
    fn plan(&mut self, due: &mut BTreeSet<(Instant, u64)>, at: Option<Instant>) {
        if let Some(before) = self.due.take() {
            due.remove(&(before, self.order));
        }
        if let Some(at) = at {
            due.insert((at, self.order));
        }
        self.due = at;
    }
}

impl Calls {
    /// Keeps so many calls at most.
    pub(crate) fn new(most: usize) -> Calls {
        Calls { state: Mutex::default(), wake: Notify::new(), most }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins, and somebody is telling Rapport so until `due`; unless they say that it went well
    /// ([`Calls::begun`]), Rapport is told again from then on.
    pub(crate) fn begins(&self, told: &Call, due: Instant) {
        self.change(told, |entry| {
            entry.begin = true;
            if entry.telling { None } else { entry.due.or(Some(due)) }
        });
    }

    /// Rapport knows of the beginning.
    pub(crate) fn begun(&self, key: &Key) {
        let mut state = self.state();
        let State { calls, due, .. } = &mut *state;
        if let Some(entry) = calls.get_mut(key) {
            entry.begin = false;
            if entry.end.is_none() {
                entry.plan(due, None);
            }
        }
    }

    /// Somebody answered a call, or it is known by now that it rang and nobody did. Once answered it stays so.
    pub(crate) fn answered(&self, told: &Call, yes: bool) {
        self.change(told, |entry| {
            entry.answered = Some(yes || entry.answered == Some(true));
            if yes && entry.end.is_some() && !entry.telling { Some(Instant::now()) } else { entry.due }
        });
    }

    /// A call ended. Where nothing says whether it was answered, word of that may still come for the time of `settle`.
    pub(crate) fn ended(&self, told: &Call, end: End, settle: Duration) {
        self.change(told, |entry| {
            if entry.end.is_some() || entry.telling {
                entry.end.get_or_insert(end);
                return entry.due;
            }
            let known = end.disposition.is_some() || entry.answered.is_some();
            entry.end = Some(end);
            Some(Instant::now() + if known { Duration::ZERO } else { settle })
        });
    }

    /// What is known of whether somebody answered a call.
    pub(crate) fn was_answered(&self, key: &Key) -> Option<bool> {
        self.state().calls.get(key).and_then(|entry| entry.answered)
    }

    /// Changes what is known of a call; `change` says when Rapport is to be told of it.
    fn change(&self, told: &Call, change: impl FnOnce(&mut Entry) -> Option<Instant>) {
        let key = Key::of(told);
        let lost = {
            let mut state = self.state();
            let lost = if state.calls.contains_key(&key) { None } else { state.room(self.most) };
            let State { calls, order, due, next } = &mut *state;
            let entry = calls.entry(key).or_insert_with_key(|key| {
                *next += 1;
                order.insert(*next, key.clone());
                Entry {
                    told: told.clone(),
                    begin: false,
                    answered: None,
                    end: None,
                    due: None,
                    telling: false,
                    failures: 0,
                    order: *next,
                }
            });
            learn(&mut entry.told, told);
            let at = change(entry);
            entry.plan(due, at);
            lost
        };
        if let Some(lost) = lost {
            tracing::error!(call = %lost, "too many calls wait for Rapport: this one is given up and not recorded");
        }
        self.wake.notify_one();
    }

    /// What is due by now, at most so many, and when something is due next.
    pub(crate) fn take(&self, now: Instant, most: usize) -> (Vec<Work>, Option<Instant>) {
        let mut state = self.state();
        let mut work = Vec::new();
        while work.len() < most
            && let Some(&(at, number)) = state.due.first()
            && at <= now
        {
            state.due.remove(&(at, number));
            let State { calls, order, .. } = &mut *state;
            let Some((key, entry)) = order.get(&number).and_then(|key| Some((key, calls.get_mut(key)?))) else {
                continue;
            };
            entry.due = None;
            entry.telling = true;
            let answered = entry.answered == Some(true);
            work.push(Work {
                key: key.clone(),
                begin: entry.begin.then(|| entry.told.clone()),
                end: entry.end.as_ref().map(|end| end.request(&entry.told, answered)),
            });
        }
        (work, state.due.first().map(|(at, _)| *at))
    }

    /// How telling went. After success everything that waited for Rapport to come back is due at once.
    pub(crate) fn told(&self, work: &Work, outcome: Outcome) {
        let now = Instant::now();
        let mut state = self.state();
        let State { calls, order, due, .. } = &mut *state;
        let Some(entry) = calls.get_mut(&work.key) else { return };
        entry.telling = false;
        match outcome {
            Outcome::Done => {
                entry.begin &= work.begin.is_none();
                if work.end.is_some() {
                    entry.plan(due, None);
                    order.remove(&entry.order);
                    calls.remove(&work.key);
                } else {
                    entry.failures = 0;
                    let at = entry.owes().then_some(now);
                    entry.plan(due, at);
                }
                for entry in calls.values_mut().filter(|entry| entry.failures > 0) {
                    entry.failures = 0;
                    if let Some(at) = entry.due {
                        entry.plan(due, Some(at.min(now)));
                    }
                }
            }
            Outcome::Later => {
                entry.failures = entry.failures.saturating_add(1);
                entry.plan(due, Some(now + pause(entry.failures, FIRST, MOST)));
            }
        }
        self.wake.notify_one();
    }

    /// Makes everything that is owed due at once, the ends that still wait for word of an answer too.
    pub(crate) fn hasten(&self) {
        let now = Instant::now();
        let mut state = self.state();
        let State { calls, due, .. } = &mut *state;
        for entry in calls.values_mut().filter(|entry| entry.owes() && !entry.telling) {
            entry.plan(due, Some(now));
        }
        self.wake.notify_one();
    }

    /// Returns when something changed since it was last asked.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// The calls that Rapport still has to be told something of, the oldest first.
    pub(crate) fn owed(&self) -> Vec<Key> {
        let state = self.state();
        state.order.values().filter(|key| state.calls.get(*key).is_some_and(Entry::owes)).cloned().collect()
    }
}

impl State {
    /// Makes room for one more call: a call of which nothing is owed goes first, else the oldest, which is lost.
    fn room(&mut self, most: usize) -> Option<Key> {
        if self.calls.len() < most {
            return None;
        }
        let idle = self.order.iter().find(|(_, key)| self.calls.get(*key).is_none_or(|entry| !entry.owes()));
        let (number, key) =
            idle.or_else(|| self.order.first_key_value()).map(|(number, key)| (*number, key.clone()))?;
        self.order.remove(&number);
        let mut entry = self.calls.remove(&key)?;
        entry.plan(&mut self.due, None);
        entry.owes().then_some(key)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_proto::interactions::v1::CallDisposition;

    use super::*;
    use crate::call::Told;

    const SETTLE: Duration = Duration::from_secs(2);

    fn call(id: &str) -> Call {
        Told { id, ..Told::default() }.message()
    }

    fn due(calls: &Calls) -> Vec<Work> {
        calls.take(Instant::now(), 100).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_beginning_is_owed_until_it_is_told() {
        let calls = Calls::new(10);
        calls.begins(&call("1"), Instant::now() + SETTLE);
        assert!(due(&calls).is_empty() && calls.owed().len() == 1);
        calls.begun(&Key::of(&call("1")));
        assert!(calls.owed().is_empty() && calls.take(Instant::now(), 1).1.is_none());
        calls.begins(&call("2"), Instant::now() + SETTLE);
        tokio::time::advance(SETTLE).await;
        let work = due(&calls);
        assert!(work[0].begin.is_some() && work[0].end.is_none());
        calls.ended(&call("2"), End::default(), Duration::ZERO);
        assert!(due(&calls).is_empty(), "somebody is telling");
        calls.told(&work[0], Outcome::Done);
        let work = due(&calls);
        assert!(work[0].begin.is_none() && work[0].end.is_some());
        calls.told(&work[0], Outcome::Done);
        assert!(calls.owed().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_waits_for_word_that_it_was_answered_and_no_longer() {
        let calls = Calls::new(10);
        calls.ended(&call("1"), End::default(), SETTLE);
        assert!(due(&calls).is_empty());
        calls.answered(&call("1"), true);
        assert_eq!(due(&calls)[0].end.as_ref().unwrap().disposition(), CallDisposition::Handled);
        calls.ended(&call("2"), End::default(), SETTLE);
        tokio::time::advance(SETTLE).await;
        assert_eq!(due(&calls)[0].end.as_ref().unwrap().disposition(), CallDisposition::Missed);
        calls.answered(&call("3"), true);
        calls.answered(&call("3"), false);
        calls.ended(&call("3"), End::default(), SETTLE);
        assert_eq!(due(&calls)[0].end.as_ref().unwrap().disposition(), CallDisposition::Handled);
        calls.ended(&call("4"), End::default(), SETTLE);
        calls.hasten();
        assert_eq!(due(&calls).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_told_again_later_and_all_at_once_when_rapport_is_back() {
        let calls = Calls::new(10);
        for id in ["1", "2"] {
            calls.ended(&call(id), End::default(), Duration::ZERO);
        }
        let work = due(&calls);
        for one in &work {
            calls.told(one, Outcome::Later);
        }
        assert!(due(&calls).is_empty() && calls.owed().len() == 2);
        tokio::time::advance(FIRST).await;
        let again = due(&calls);
        assert_eq!(again.len(), 2);
        calls.told(&again[0], Outcome::Later);
        calls.told(&again[1], Outcome::Done);
        assert_eq!(due(&calls).len(), 1, "the other one does not wait out its pause");
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_bound_and_the_oldest_goes() {
        let calls = Calls::new(2);
        calls.ended(&call("1"), End::default(), SETTLE);
        calls.answered(&call("2"), true);
        calls.ended(&call("3"), End::default(), SETTLE);
        assert_eq!(calls.owed().len(), 2, "a call of which nothing is owed goes first");
        calls.ended(&call("4"), End::default(), SETTLE);
        let left: Vec<String> = calls.owed().iter().map(Key::to_string).collect();
        assert_eq!(left, ["3", "4"]);
        tokio::time::advance(SETTLE).await;
        assert_eq!(due(&calls).len(), 2);
        assert!(due(&calls).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn told_twice_is_told_once() {
        let calls = Calls::new(10);
        for _ in 0..2 {
            calls.ended(&call("1"), End::default(), Duration::ZERO);
        }
        let work = due(&calls);
        assert_eq!(work.len(), 1);
        calls.ended(&call("1"), End::default(), Duration::ZERO);
        calls.told(&work[0], Outcome::Done);
        assert!(due(&calls).is_empty());
    }
}
