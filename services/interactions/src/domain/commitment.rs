use std::time::Duration;

use rapport_types::error::{Error, FieldError};
use rapport_types::time::Timestamp;
use rapport_types::{Uuid, reason};
use serde::{Deserialize, Serialize};

use super::wording::{block, line};
use super::{Assignee, Named, Provenance, Slug, coded};

/// The most characters of what was promised, in one line.
const MAX_PROMISE: usize = 300;
/// The most characters of a description.
const MAX_DESCRIPTION: usize = 20_000;
/// The most characters of a note or a reason.
const MAX_NOTE: usize = 2_000;
/// How far ahead a due time may be: ten years.
const AHEAD: Duration = Duration::from_secs(3_653 * 86_400);

coded! {
    /// Who promised.
    Side {
        /// We promised a party.
        Ours = 1 "ours",
        /// A party promised us.
        Theirs = 2 "theirs",
    }
}

coded! {
    /// Where a commitment stands.
    CommitmentState {
        /// To be kept.
        Open = 1 "open",
        /// Kept in time.
        Kept = 2 "kept",
        /// Kept after its due time.
        KeptLate = 3 "kept_late",
        /// Not kept, and not going to be.
        Broken = 4 "broken",
        /// Not insisted on any more.
        Waived = 5 "waived",
    }
}

impl CommitmentState {
    /// Its word in sentences.
    fn word(self) -> &'static str {
        match self {
            CommitmentState::Open => "open",
            CommitmentState::Kept => "kept",
            CommitmentState::KeptLate => "kept late",
            CommitmentState::Broken => "broken",
            CommitmentState::Waived => "waived",
        }
    }
}

/// How a commitment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitmentEnd {
    /// It was kept; when says whether that was in time.
    Kept,
    /// It was not kept, and is not going to be.
    Broken,
    /// It is not insisted on any more.
    Waived,
}

impl CommitmentEnd {
    /// The state after it, of a commitment that was due at a time.
    fn state(self, at: Timestamp, due_at: Timestamp) -> CommitmentState {
        match self {
            CommitmentEnd::Kept if at <= due_at => CommitmentState::Kept,
            CommitmentEnd::Kept => CommitmentState::KeptLate,
            CommitmentEnd::Broken => CommitmentState::Broken,
            CommitmentEnd::Waived => CommitmentState::Waived,
        }
    }
}

/// A checked promise that is to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewCommitment {
    /// The other side.
    pub(crate) named: Named,
    /// The type of the role that they act in here.
    pub(crate) role_type: Option<Slug>,
    /// Who promised.
    pub(crate) side: Side,
    /// One line that says what was promised; never empty.
    pub(crate) promise: String,
    /// What exactly was promised.
    pub(crate) description: String,
    /// When it was promised.
    pub(crate) made_at: Timestamp,
    /// Until when it is to be kept.
    pub(crate) due_at: Timestamp,
    /// The case that it was made about.
    pub(crate) case: Option<Uuid>,
    /// The interaction in which it was made.
    pub(crate) interaction: Option<Uuid>,
    /// Who of ours is to keep it.
    pub(crate) owner: Option<Assignee>,
    /// Where the record comes from.
    pub(crate) provenance: Provenance,
}

impl NewCommitment {
    /// A checked line that says what was promised.
    pub(crate) fn promise(text: &str) -> Result<String, FieldError> {
        line(text, 1, MAX_PROMISE)
    }

    /// A checked description.
    pub(crate) fn description(text: &str) -> Result<String, FieldError> {
        block(text, 0, MAX_DESCRIPTION)
    }

    /// A checked due time of what is promised at a time.
    pub(crate) fn due(due_at: Timestamp, made_at: Timestamp, now: Timestamp) -> Result<Timestamp, FieldError> {
        if due_at < made_at {
            return Err(FieldError::new(reason::END_BEFORE_START, "must not be before made_time"));
        }
        if due_at > now.saturating_add(AHEAD) {
            return Err(FieldError::new(reason::OUT_OF_RANGE, "must be at most 10 years (3,653 days) from now"));
        }
        Ok(due_at)
    }

    /// A checked owner: only what we promised has one.
    pub(crate) fn owner(owner: Option<Assignee>, side: Side) -> Result<Option<Assignee>, FieldError> {
        match (owner, side) {
            (Some(_), Side::Theirs) => {
                Err(FieldError::new(reason::CONFLICTING_FIELDS, "must be absent for what a party promised us"))
            }
            (owner, _) => Ok(owner),
        }
    }
}

/// What moves in a commitment: it ends once, and falls due once before that or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commitment {
    /// Grows by one with each change; 1 when it is made.
    pub(crate) version: i64,
    /// The state, by its code.
    state: i16,
    /// When it was promised.
    pub(crate) made_at: Timestamp,
    /// Until when it is to be kept.
    pub(crate) due_at: Timestamp,
    /// When it was told that its due time had passed.
    pub(crate) fell_due_at: Option<Timestamp>,
    /// When it ended, by the caller's clock.
    pub(crate) ended_at: Option<Timestamp>,
}

impl Commitment {
    /// A note on how it ended, which may be empty.
    pub(crate) fn note(text: &str) -> Result<String, FieldError> {
        block(text, 0, MAX_NOTE)
    }

    /// Why it ended, which must be said.
    pub(crate) fn why(text: &str) -> Result<String, FieldError> {
        block(text, 1, MAX_NOTE)
    }

    /// A commitment as it is made.
    pub(crate) fn make(made_at: Timestamp, due_at: Timestamp) -> Commitment {
        let state = CommitmentState::Open.code();
        Commitment { version: 1, state, made_at, due_at, fell_due_at: None, ended_at: None }
    }

    /// A commitment from its row.
    pub(crate) fn stored(
        version: i64,
        state: CommitmentState,
        (made_at, due_at): (Timestamp, Timestamp),
        (fell_due_at, ended_at): (Option<Timestamp>, Option<Timestamp>),
    ) -> Commitment {
        Commitment { version, state: state.code(), made_at, due_at, fell_due_at, ended_at }
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> CommitmentState {
        // Only codes of the enum get in.
        CommitmentState::from_code(i64::from(self.state)).unwrap_or(CommitmentState::Open)
    }

    /// Whether it is still to be kept.
    pub(crate) fn open(&self) -> bool {
        self.state() == CommitmentState::Open
    }

    /// Whether it is open and its due time has passed: a moment after it, not at it. What was told stays true whatever the
    /// clock does.
    pub(crate) fn late(&self, now: Timestamp) -> bool {
        self.open() && (self.fell_due_at.is_some() || now > self.due_at)
    }

    /// The moment after which it is to be told that the due time has passed; none when there is nothing to tell any more.
    pub(crate) fn timer(&self) -> Option<Timestamp> {
        (self.open() && self.fell_due_at.is_none()).then_some(self.due_at)
    }

    /// What its etag is made of: what callers changed. That its due time passed is nothing that somebody who read it
    /// before would have to read again.
    pub(crate) fn revision(&self) -> i64 {
        self.version - i64::from(self.fell_due_at.is_some())
    }

    /// Books that its due time has passed; `false` where that is not so, or was booked before.
    pub(crate) fn fall_due(&mut self, now: Timestamp) -> bool {
        let due = self.timer().is_some_and(|timer| now > timer);
        if due {
            self.version += 1;
            self.fell_due_at = Some(now);
        }
        due
    }

    /// The commitment after it ended at a time.
    ///
    /// # Errors
    /// Precondition `INVALID_TRANSITION` when it had ended before, or when the time is before it was made.
    pub(crate) fn ended(&self, end: CommitmentEnd, at: Timestamp) -> Result<Commitment, Error> {
        let (from, to) = (self.state(), end.state(at, self.due_at));
        let refused = |message: String| {
            Error::precondition(reason::INVALID_TRANSITION, message).with("from", from.word()).with("to", to.word())
        };
        if from != CommitmentState::Open {
            return Err(refused(format!("a commitment that is {} cannot become {}", from.word(), to.word())));
        }
        if at < self.made_at {
            return Err(refused("the commitment would end before it was made".to_owned())
                .with("occurred_time", at)
                .with("made_time", self.made_at));
        }
        Ok(Commitment { version: self.version + 1, state: to.code(), ended_at: Some(at), ..*self })
    }
}

#[cfg(test)]
mod tests;
