use std::time::Duration;

use rapport_types::error::Error;
use rapport_types::{Timestamp, Uuid, reason, resource_name};
use serde::{Deserialize, Serialize};

use super::code::coded;
use super::gate::{Decider, Gate, Sent, Verdict};
use super::{MemberName, TransactionName};
use rapport_types::Slug;

resource_name!(pub(crate) InvitationName, "invitations", "invitation");
resource_name!(pub(crate) SurveyName, "surveys", "survey");
resource_name!(pub(crate) ResponseName, SurveyName, "surveys", "responses");
resource_name!(pub(crate) CaseName, "cases", "case");

coded! {
    /// Where an invitation stands. The codes are stored and are those of the contract.
    InvitationState {
        /// Not made, so that the effect of inviting can be measured.
        HeldOut = 1,
        /// Not made, as a gate forbids it.
        Suppressed = 2,
        /// Waits for the end of quiet hours.
        Scheduled = 3,
        /// On its way, and may be answered.
        Sent = 4,
        /// Accepted.
        Accepted = 5,
        /// Declined.
        Declined = 6,
        /// Not answered in time.
        Expired = 7,
    }
}

impl InvitationState {
    /// The word for sentences and metadata.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            InvitationState::HeldOut => "held_out",
            InvitationState::Suppressed => "suppressed",
            InvitationState::Scheduled => "scheduled",
            InvitationState::Sent => "sent",
            InvitationState::Accepted => "accepted",
            InvitationState::Declined => "declined",
            InvitationState::Expired => "expired",
        }
    }
}

coded! {
    /// What a party says to an invitation. The codes are those of the contract.
    Answer {
        /// It accepts.
        Accepted = 1,
        /// It declines.
        Declined = 2,
    }
}

impl Answer {
    /// The state that it leads to.
    pub(crate) const fn state(self) -> InvitationState {
        match self {
            Answer::Accepted => InvitationState::Accepted,
            Answer::Declined => InvitationState::Declined,
        }
    }
}

/// Whom to invite, to what, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// The id under which the party was named, for ever: its own, or that of the identifier it answered by.
    pub(crate) origin: Uuid,
    /// The party that the origin belongs to now, if anybody is known.
    pub(crate) party: Option<Uuid>,
    /// The party's membership.
    pub(crate) member: Option<MemberName>,
    /// By what it goes.
    pub(crate) channel: Slug,
    /// The purpose whose consent it needs.
    pub(crate) purpose: Slug,
    /// What the party is asked for.
    pub(crate) ask: Slug,
    /// The survey response that leads to it.
    pub(crate) response: Option<ResponseName>,
}

/// An invitation, or the record of one that was not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    pub(crate) id: Uuid,
    /// Grows by one with each change; 1 when it is recorded.
    pub(crate) version: i64,
    pub(crate) origin: Uuid,
    pub(crate) party: Option<Uuid>,
    pub(crate) member: Option<MemberName>,
    pub(crate) channel: Slug,
    pub(crate) purpose: Slug,
    pub(crate) ask: Slug,
    pub(crate) response: Option<ResponseName>,
    /// As it was last booked: ask [`Invitation::state_at`], as a sent one expires by itself.
    pub(crate) booked: InvitationState,
    pub(crate) gate: Option<Gate>,
    /// What decided at the gate, by its name; empty where nothing did.
    pub(crate) decider: String,
    pub(crate) due_at: Timestamp,
    /// The zone in which the quiet hours were read.
    pub(crate) zone: String,
    pub(crate) sent_at: Option<Timestamp>,
    pub(crate) expire_at: Option<Timestamp>,
    pub(crate) answered_at: Option<Timestamp>,
    pub(crate) reward: Option<TransactionName>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl Invitation {
    /// A new invitation, as the gates decided.
    pub(crate) fn decided(
        id: Uuid,
        proposal: Proposal,
        verdict: Verdict,
        zone: &str,
        lifetime: Duration,
        now: Timestamp,
    ) -> Invitation {
        let Proposal { origin, party, member, channel, purpose, ask, response } = proposal;
        let mut invitation = Invitation {
            id,
            version: 0,
            origin,
            party,
            member,
            channel,
            purpose,
            ask,
            response,
            booked: InvitationState::Scheduled,
            gate: None,
            decider: String::new(),
            due_at: now,
            zone: zone.to_owned(),
            sent_at: None,
            expire_at: None,
            answered_at: None,
            reward: None,
            created_at: now,
            updated_at: now,
        };
        invitation.settle(verdict, lifetime, now);
        invitation
    }

    /// What the gates decided about an invitation that was scheduled.
    pub(crate) fn settle(&mut self, verdict: Verdict, lifetime: Duration, now: Timestamp) {
        self.version += 1;
        self.updated_at = now;
        match verdict {
            Verdict::Suppressed(gate, decider) => {
                self.booked = InvitationState::Suppressed;
                self.gate = Some(gate);
                self.decider = match decider {
                    Decider::Nothing => String::new(),
                    Decider::Consent(name) => name,
                    Decider::Case(id) => CaseName::new(id).to_string(),
                    Decider::Invitation(id) => InvitationName::new(id).to_string(),
                };
            }
            Verdict::HeldOut => self.booked = InvitationState::HeldOut,
            Verdict::Scheduled(due) => {
                self.booked = InvitationState::Scheduled;
                self.due_at = due;
            }
            Verdict::Sent => {
                self.booked = InvitationState::Sent;
                self.sent_at = Some(now);
                self.expire_at = Some(now.saturating_add(lifetime));
            }
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> InvitationName {
        InvitationName::new(self.id)
    }

    /// Where it stands at a moment: one that was sent expires without anybody doing anything.
    pub(crate) fn state_at(&self, now: Timestamp) -> InvitationState {
        match (self.booked, self.expire_at) {
            (InvitationState::Sent, Some(expire_at)) if now >= expire_at => InvitationState::Expired,
            (state, _) => state,
        }
    }

    /// When something has to be done about it again.
    pub(crate) fn timer_at(&self) -> Option<Timestamp> {
        match self.booked {
            InvitationState::Scheduled => Some(self.due_at),
            InvitationState::Sent => self.expire_at,
            _ => None,
        }
    }

    /// As the frequency cap counts it.
    pub(crate) fn as_sent(&self) -> Option<Sent> {
        self.sent_at.map(|at| Sent { invitation: self.id, at })
    }

    /// Books that it expired; `false` where it did not.
    pub(crate) fn expire(&mut self, now: Timestamp) -> bool {
        if self.booked != InvitationState::Sent || self.state_at(now) != InvitationState::Expired {
            return false;
        }
        self.booked = InvitationState::Expired;
        self.version += 1;
        self.updated_at = now;
        true
    }

    /// Takes an answer; `false` where the same one was given before, which changes nothing.
    ///
    /// # Errors
    /// Precondition `INVALID_TRANSITION` where another answer was given, it is not out or no more, or the answer is
    /// older than the invitation.
    pub(crate) fn answer(&mut self, answer: Answer, at: Timestamp, now: Timestamp) -> Result<bool, Error> {
        let (from, to) = (self.state_at(now), answer.state());
        if from == to {
            return Ok(false);
        }
        let refused = |message: String| {
            Error::precondition(reason::INVALID_TRANSITION, message).with("from", from.word()).with("to", to.word())
        };
        let Some(sent_at) = self.sent_at.filter(|_| from == InvitationState::Sent) else {
            return Err(refused(format!("an invitation that is {} cannot become {}", from.word(), to.word())));
        };
        if at < sent_at {
            return Err(refused("the answer is earlier than the invitation".to_owned())
                .with("occurred_time", at)
                .with("sent_time", sent_at));
        }
        self.booked = to;
        self.answered_at = Some(at);
        self.version += 1;
        self.updated_at = now;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn start() -> Timestamp {
        Timestamp::parse("2026-01-10T12:00:00Z").unwrap()
    }

    fn after(hours: u32) -> Timestamp {
        start().saturating_add(HOUR * hours)
    }

    fn made(verdict: Verdict) -> Invitation {
        let slug = |text| Slug::parse(text).unwrap();
        let proposal = Proposal {
            origin: Uuid::from_u128(1),
            party: Some(Uuid::from_u128(1)),
            member: None,
            channel: slug("email"),
            purpose: slug("reference"),
            ask: slug("review"),
            response: None,
        };
        Invitation::decided(Uuid::from_u128(2), proposal, verdict, "UTC", HOUR * 24, start())
    }

    #[test]
    fn an_invitation_is_answered_once() {
        let mut invitation = made(Verdict::Sent);
        assert_eq!((invitation.version, invitation.expire_at), (1, Some(after(24))));
        assert!(invitation.answer(Answer::Accepted, after(1), after(2)).unwrap());
        let accepted = invitation.clone();
        assert_eq!((accepted.version, accepted.answered_at), (2, Some(after(1))));
        assert_eq!(accepted.timer_at(), None);
        assert!(!invitation.answer(Answer::Accepted, after(3), after(48)).unwrap(), "the same once more");
        let error = invitation.answer(Answer::Declined, after(3), after(3)).unwrap_err();
        assert_eq!(error.reason, reason::INVALID_TRANSITION);
        assert_eq!((error.metadata["from"].as_str(), error.metadata["to"].as_str()), ("accepted", "declined"));
        assert_eq!(invitation, accepted, "a refusal changes nothing");
    }

    #[test]
    fn it_expires_by_itself_and_booking_it_changes_no_answer() {
        let mut invitation = made(Verdict::Sent);
        assert!(!invitation.expire(after(23)));
        assert_eq!(invitation.state_at(after(24)), InvitationState::Expired);
        let before = invitation.answer(Answer::Accepted, after(1), after(24)).unwrap_err();
        assert!(invitation.expire(after(30)));
        assert!(!invitation.expire(after(31)), "booked once");
        let booked = invitation.answer(Answer::Accepted, after(1), after(31)).unwrap_err();
        assert_eq!(before.metadata, booked.metadata);
    }

    #[test]
    fn what_was_not_sent_cannot_be_answered() {
        for verdict in [
            Verdict::HeldOut,
            Verdict::Scheduled(after(8)),
            Verdict::Suppressed(Gate::OpenComplaint, Decider::Case(Uuid::from_u128(3))),
        ] {
            let mut invitation = made(verdict);
            assert!(invitation.answer(Answer::Accepted, after(1), after(1)).is_err());
        }
        let early = made(Verdict::Sent).answer(Answer::Accepted, Timestamp::EPOCH, after(1)).unwrap_err();
        assert!(early.metadata.contains_key("sent_time"));
        let complaint = made(Verdict::Suppressed(Gate::OpenComplaint, Decider::Case(Uuid::from_u128(3))));
        assert_eq!(complaint.decider, CaseName::new(Uuid::from_u128(3)).to_string());
    }

    proptest! {
        /// Whatever happens to an invitation in whatever order: the version counts the changes, it is sent and answered
        /// at most once, and an answer stays.
        #[test]
        fn an_invitation_stays_consistent(steps in proptest::collection::vec((0..5u8, 0..60u32), 0..20)) {
            let mut invitation = made(Verdict::Scheduled(after(8)));
            let mut changes = 1;
            let mut hours = 0;
            for (step, later) in steps {
                hours += later;
                let (before, now) = (invitation.clone(), after(hours));
                let changed = match step {
                    0 => invitation.answer(Answer::Accepted, now, now).unwrap_or(false),
                    1 => invitation.answer(Answer::Declined, now, now).unwrap_or(false),
                    2 => invitation.expire(now),
                    _ if before.booked == InvitationState::Scheduled => {
                        invitation.settle(if step == 3 { Verdict::Sent } else { Verdict::Scheduled(now) }, HOUR * 24, now);
                        true
                    }
                    _ => false,
                };
                changes += i64::from(changed);
                prop_assert_eq!(invitation.version, changes);
                prop_assert!(changed || invitation == before);
                prop_assert!(before.sent_at.is_none() || before.sent_at == invitation.sent_at);
                prop_assert!(before.answered_at.is_none() || before.answered_at == invitation.answered_at);
                let open = matches!(invitation.booked, InvitationState::Scheduled | InvitationState::Sent);
                prop_assert_eq!(open, invitation.timer_at().is_some());
            }
        }
    }
}
