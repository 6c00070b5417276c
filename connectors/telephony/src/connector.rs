//! What all ways in share: a call rings, somebody answers it, it ends.

use std::sync::Arc;
use std::time::Duration;

use rapport_proto::interactions::v1::Call;
use rapport_types::{Timestamp, World};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::call::{End, Key};
use crate::calls::Calls;
use crate::desk::{Desk, Said};
use crate::number::Number;

/// What of the budget stays for telling telephony the answer: a tenth, this at most.
const RESERVE: Duration = Duration::from_millis(30);

/// How long one call may still be held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Rapport's answer is not waited for beyond this.
    pub(crate) ask: Instant,
    /// The call goes on by then.
    pub(crate) all: Instant,
}

/// The way to Rapport, for every way in.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    desk: Desk,
    calls: Arc<Calls>,
    world: World,
    budget: Duration,
    country: String,
}

impl Connector {
    /// A connector over its parts.
    pub(crate) fn new(desk: Desk, calls: Arc<Calls>, world: World, budget: Duration, country: &str) -> Connector {
        Connector { desk, calls, world, budget, country: country.to_owned() }
    }

    /// The budget of a call that was heard of at a moment.
    pub(crate) fn budget(&self, since: Instant) -> Budget {
        let all = since + self.budget;
        Budget { ask: all - (self.budget / 10).min(RESERVE), all }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// Reads a number by the plan of a country, by default the connector's.
    pub(crate) fn number(&self, raw: &str, country: Option<&str>) -> Number {
        Number::read(raw, country.unwrap_or(&self.country))
    }

    /// A call rings: Rapport is told and asked. Returns by `until`; what Rapport did not take by then it is told later,
    /// even if nobody waits for this answer any more.
    pub(crate) async fn ring(&self, call: &Call, number: &Number, until: Instant) -> Answer {
        // A moment later, so that what is told just in time is not told twice.
        self.calls.begins(call, until + RESERVE);
        let said = self.desk.ring(call, until).await;
        if said.call.is_some() {
            self.calls.begun(&Key::of(call));
        }
        Answer::of(&said, number)
    }

    /// Who has a number, without any call. Returns by `until`.
    pub(crate) async fn who(&self, number: &Number, until: Instant) -> Answer {
        let context = self.desk.context(number.identifier(), until).await;
        Answer::of(&Said { call: None, context }, number)
    }

    /// Somebody answered a call, or it is known that nobody did so far.
    pub(crate) fn answered(&self, call: &Call, yes: bool) {
        self.calls.answered(call, yes);
    }

    /// Whether somebody answered a call, as far as that is known.
    pub(crate) fn was_answered(&self, call: &Call) -> Option<bool> {
        self.calls.was_answered(&Key::of(call))
    }

    /// A call ended. Where nothing says whether it was answered, word of that may still come for the time of `settle`.
    pub(crate) fn ended(&self, call: &Call, end: End, settle: Duration) {
        self.calls.ended(call, end, settle);
    }
}
