//! A call as telephony tells it, in the message that Rapport takes.

use rapport_proto::interactions::v1::{Call, CallDisposition, Direction, EndCallRequest};
use rapport_proto::types::v1::Provenance;
use rapport_rpc::wire::to_timestamp;
use rapport_types::Timestamp;

use crate::number::Number;
use crate::text::clean;

/// What Rapport takes at most, in characters.
pub(crate) const MOST_ID: usize = 200;
pub(crate) const MOST_LEG: usize = 100;
const MOST_DIALLED: usize = 100;
const MOST_AGENT: usize = 200;

/// What tells calls apart, here and in Rapport, and makes telling one twice harmless.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// What telephony calls the call.
    pub(crate) id: String,
    /// Which leg; empty where there is one.
    pub(crate) leg: String,
}

impl Key {
    /// The key of a call.
    pub(crate) fn of(call: &Call) -> Key {
        Key { id: call.call_id.clone(), leg: call.leg.clone() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.id.escape_default())?;
        if self.leg.is_empty() { Ok(()) } else { write!(f, "/{}", self.leg.escape_default()) }
    }
}

/// What is known of a call when something about it is told; the rest stays empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told<'a> {
    /// What telephony calls it: at most [`MOST_ID`] characters, on one line.
    pub(crate) id: &'a str,
    /// Which leg.
    pub(crate) leg: &'a str,
    /// We called them, or they us; none when this event does not say it.
    pub(crate) outbound: Option<bool>,
    /// The other side's number; none where this event does not say it.
    pub(crate) number: Option<&'a Number>,
    /// Our own number.
    pub(crate) dialled: &'a str,
    /// Who of ours takes it.
    pub(crate) agent: &'a str,
    /// When it began to ring.
    pub(crate) started: Option<Timestamp>,
    /// The kind of telephony, such as `asterisk`.
    pub(crate) source: &'a str,
}

impl Told<'_> {
    /// As Rapport takes it. What is too long is cut: no call is refused for it.
    pub(crate) fn message(&self) -> Call {
        Call {
            call_id: one_line(self.id, MOST_ID),
            leg: one_line(self.leg, MOST_LEG),
            direction: match self.outbound {
                Some(true) => Direction::Outbound,
                Some(false) => Direction::Inbound,
                None => Direction::Unspecified,
            }
            .into(),
            identifier_used: self.number.and_then(Number::identifier),
            dialled_number: clean(self.dialled, MOST_DIALLED),
            agent: clean(self.agent, MOST_AGENT),
            started_time: self.started.map(to_timestamp),
            provenance: Some(Provenance { source_system: self.source.to_owned(), ..Provenance::default() }),
            ..Call::default()
        }
    }
}

fn one_line(text: &str, most: usize) -> String {
    text.trim().chars().filter(|letter| !letter.is_control()).take(most).collect()
}

/// Adds what is told later to what is known: what was said first stays.
pub(crate) fn learn(known: &mut Call, told: &Call) {
    let fill = |known: &mut String, told: &String| {
        if known.is_empty() {
            known.clone_from(told);
        }
    };
    fill(&mut known.dialled_number, &told.dialled_number);
    fill(&mut known.agent, &told.agent);
    known.identifier_used = known.identifier_used.take().or_else(|| told.identifier_used.clone());
    known.started_time = known.started_time.or(told.started_time);
    known.provenance = known.provenance.take().or_else(|| told.provenance.clone());
    if known.direction == 0 {
        known.direction = told.direction;
    }
}

/// How a call ended, as far as telephony says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct End {
    /// When; by Rapport's clock when nobody says.
    pub(crate) at: Option<Timestamp>,
    /// How; by whether it was answered when nobody says.
    pub(crate) disposition: Option<CallDisposition>,
    /// What it was about, in one line.
    pub(crate) subject: String,
    /// What was said.
    pub(crate) wrap_up: String,
}

impl End {
    /// The request that ends a call, which somebody answered or nobody did.
    pub(crate) fn request(&self, call: &Call, answered: bool) -> EndCallRequest {
        let by_answer = if answered { CallDisposition::Handled } else { CallDisposition::Missed };
        EndCallRequest {
            call: Some(call.clone()),
            disposition: self.disposition.unwrap_or(by_answer).into(),
            subject_line: self.subject.clone(),
            wrap_up: self.wrap_up.clone(),
            ended_time: self.at.map(to_timestamp),
            ..EndCallRequest::default()
        }
    }
}

/// Who of ours a channel such as `PJSIP/alice-0000001f` belongs to: `PJSIP/alice`.
pub(crate) fn agent_of_channel(channel: &str) -> &str {
    match channel.rsplit_once('-') {
        Some((agent, unique)) if !unique.is_empty() && unique.bytes().all(|byte| byte.is_ascii_hexdigit()) => agent,
        _ => channel,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_was_said_first_stays_and_what_was_not_is_filled_in() {
        let number = Number::Known("+12025550201".into());
        let mut known = Told { id: "1", agent: "ana", source: "cloud", ..Told::default() }.message();
        assert_eq!(known.direction(), Direction::Unspecified);
        let later = Told {
            id: "1",
            agent: "bo",
            number: Some(&number),
            dialled: "+12025550100",
            started: Some(Timestamp::EPOCH),
            outbound: Some(true),
            source: "other",
            ..Told::default()
        };
        learn(&mut known, &later.message());
        assert_eq!((known.agent.as_str(), known.dialled_number.as_str()), ("ana", "+12025550100"));
        assert_eq!(known.direction(), Direction::Outbound);
        assert_eq!(known.identifier_used.unwrap().value, "+12025550201");
        assert_eq!(known.started_time.unwrap().seconds, 0);
        assert_eq!(known.provenance.unwrap().source_system, "cloud");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let long = "x".repeat(500);
        let message = Told { id: &long, leg: &long, dialled: &long, agent: &long, ..Told::default() }.message();
        let lengths = [&message.call_id, &message.leg, &message.dialled_number, &message.agent].map(|text| text.len());
        assert_eq!(lengths, [MOST_ID, MOST_LEG, MOST_DIALLED, MOST_AGENT]);
    }

    #[test]
    fn a_call_that_nobody_answered_was_missed_unless_somebody_says_otherwise() {
        let call = Call::default();
        assert_eq!(End::default().request(&call, false).disposition(), CallDisposition::Missed);
        assert_eq!(End::default().request(&call, true).disposition(), CallDisposition::Handled);
        let told = End { disposition: Some(CallDisposition::Complaint), ..End::default() };
        assert_eq!(told.request(&call, false).disposition(), CallDisposition::Complaint);
    }

    #[test]
    fn channels_name_agents() {
        assert_eq!(agent_of_channel("PJSIP/alice-0000001f"), "PJSIP/alice");
        assert_eq!(agent_of_channel("PJSIP/front-desk-00000001"), "PJSIP/front-desk");
        assert_eq!(agent_of_channel("Local/1@queue-00000001;2"), "Local/1@queue-00000001;2");
        assert_eq!(agent_of_channel("alice"), "alice");
    }
}
