use rapport_types::error::{Error, FieldError};
use rapport_types::time::Timestamp;
use rapport_types::{Uuid, reason};

use super::wording::{block, line};
use super::{Named, Provenance, Slug, coded};

/// The most characters of a title.
pub(crate) const MAX_TITLE: usize = 300;
/// The most characters of a description.
pub(crate) const MAX_DESCRIPTION: usize = 20_000;
/// The most characters of a note.
pub(crate) const MAX_NOTE: usize = 2_000;
/// The most interactions that are linked when a case is opened.
pub(crate) const MAX_LINKED: usize = 100;

coded! {
    /// Where a case stands.
    CaseStatus {
        /// Opened, nobody has acted on it.
        New = 1 "new",
        /// Somebody works on it.
        InProgress = 2 "in_progress",
        /// It waits for the other side.
        Waiting = 3 "waiting",
        /// Solved, from the tenant's point of view.
        Resolved = 4 "resolved",
        /// Done with.
        Closed = 5 "closed",
    }
}

impl CaseStatus {
    /// What may follow.
    pub(crate) fn followers(self) -> &'static [CaseStatus] {
        use CaseStatus::{Closed, InProgress, New, Resolved, Waiting};
        match self {
            New => &[InProgress, Waiting, Resolved],
            InProgress => &[Waiting, Resolved],
            Waiting => &[InProgress, Resolved],
            Resolved => &[Closed, InProgress],
            Closed => &[InProgress],
        }
    }

    /// Its word in sentences.
    fn word(self) -> &'static str {
        CaseStatus::ALL.iter().find(|(status, _, _)| *status == self).map_or("", |(_, _, word)| *word)
    }

    /// Whether the tenant still has to do something, now or later.
    pub(crate) fn open(self) -> bool {
        !matches!(self, CaseStatus::Resolved | CaseStatus::Closed)
    }
}

coded! {
    /// How urgent a case is.
    CasePriority {
        /// Can wait.
        Low = 1 "low",
        /// As usual.
        Normal = 2 "normal",
        /// Before the usual.
        High = 3 "high",
        /// At once.
        Urgent = 4 "urgent",
    }
}

/// A checked case that is to be opened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewCase {
    /// For whom it is.
    pub(crate) named: Named,
    /// The type of the role that they act in here.
    pub(crate) role_type: Option<Slug>,
    /// What it is.
    pub(crate) kind: Slug,
    /// How urgent it is.
    pub(crate) priority: CasePriority,
    /// One line that says what it is; never empty.
    pub(crate) title: String,
    /// What it is about.
    pub(crate) description: String,
    /// The interactions that it is about.
    pub(crate) interactions: Vec<Uuid>,
    /// When it was opened; the time of the record when it was not said.
    pub(crate) opened_at: Option<Timestamp>,
    /// Where the record comes from.
    pub(crate) provenance: Provenance,
}

impl NewCase {
    /// A checked title.
    pub(crate) fn title(text: &str) -> Result<String, FieldError> {
        line(text, 1, MAX_TITLE)
    }

    /// A checked description.
    pub(crate) fn description(text: &str) -> Result<String, FieldError> {
        block(text, 0, MAX_DESCRIPTION)
    }
}

/// What moves in a case: its status and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Case {
    /// Grows by one with each change; 1 when it is opened.
    pub(crate) version: i64,
    /// The status, by its code.
    status: i16,
    /// When it was opened.
    pub(crate) opened_at: Timestamp,
    /// When the tenant first acted on it.
    pub(crate) first_response_at: Option<Timestamp>,
    /// When it was resolved.
    pub(crate) resolved_at: Option<Timestamp>,
    /// When it was closed.
    pub(crate) closed_at: Option<Timestamp>,
    /// How many times it was reopened.
    pub(crate) reopen_count: i32,
    /// When it last changed its status, by the caller's clock.
    pub(crate) moved_at: Timestamp,
}

impl Case {
    /// A note for the history.
    pub(crate) fn note(text: &str) -> Result<String, FieldError> {
        block(text, 0, MAX_NOTE)
    }

    /// A case as it is opened.
    pub(crate) fn open(at: Timestamp) -> Case {
        Case {
            version: 1,
            status: CaseStatus::New.code(),
            opened_at: at,
            first_response_at: None,
            resolved_at: None,
            closed_at: None,
            reopen_count: 0,
            moved_at: at,
        }
    }

    /// A case from its row.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn stored(
        version: i64,
        status: CaseStatus,
        opened_at: Timestamp,
        first_response_at: Option<Timestamp>,
        resolved_at: Option<Timestamp>,
        closed_at: Option<Timestamp>,
        reopen_count: i32,
        moved_at: Timestamp,
    ) -> Case {
        let status = status.code();
        Case { version, status, opened_at, first_response_at, resolved_at, closed_at, reopen_count, moved_at }
    }

    /// Where it stands.
    pub(crate) fn status(&self) -> CaseStatus {
        // Only codes of the enum get in.
        CaseStatus::from_code(i64::from(self.status)).unwrap_or(CaseStatus::New)
    }

    /// The case after it was given to somebody, or to nobody: a change that leaves it where it stands.
    ///
    /// # Errors
    /// Precondition `INVALID_TRANSITION` when it is closed.
    pub(crate) fn assigned(&self) -> Result<Case, Error> {
        let status = self.status();
        if status == CaseStatus::Closed {
            return Err(Error::precondition(reason::INVALID_TRANSITION, "a case that is closed cannot be assigned")
                .with("from", status.word())
                .with("to", "assigned")
                .with("allowed", CaseStatus::InProgress.word()));
        }
        Ok(Case { version: self.version + 1, ..*self })
    }

    /// The case after one more interaction was linked to it: a change that leaves it where it stands.
    pub(crate) fn linked(&self) -> Case {
        Case { version: self.version + 1, ..*self }
    }

    /// The case after it moved to another status at a time.
    ///
    /// # Errors
    /// Precondition `INVALID_TRANSITION` when the status may not follow, or when the time is before the last move.
    pub(crate) fn moved(&self, to: CaseStatus, at: Timestamp) -> Result<Case, Error> {
        let from = self.status();
        if !from.followers().contains(&to) {
            let followers: Vec<&str> = from.followers().iter().map(|status| status.word()).collect();
            return Err(Error::precondition(
                reason::INVALID_TRANSITION,
                format!("a case that is {} cannot become {}", from.word(), to.word()),
            )
            .with("from", from.word())
            .with("to", to.word())
            .with("allowed", followers.join(",")));
        }
        if at < self.moved_at {
            return Err(Error::precondition(
                reason::INVALID_TRANSITION,
                "the transition is earlier than the one before it",
            )
            .with("from", from.word())
            .with("to", to.word())
            .with("occurred_time", at)
            .with("last_transition_time", self.moved_at));
        }
        let reopened = !from.open() && to.open();
        let mut next = *self;
        next.version += 1;
        next.status = to.code();
        next.moved_at = at;
        next.first_response_at = self.first_response_at.or(Some(at));
        match to {
            CaseStatus::Resolved => next.resolved_at = Some(at),
            CaseStatus::Closed => next.closed_at = Some(at),
            _ if reopened => {
                next.resolved_at = None;
                next.closed_at = None;
                next.reopen_count = self.reopen_count.saturating_add(1);
            }
            _ => {}
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn start() -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000)
    }

    fn any_status() -> impl Strategy<Value = CaseStatus> {
        (1..=5i64).prop_map(|code| CaseStatus::from_code(code).unwrap())
    }

    #[test]
    fn the_usual_way() {
        use CaseStatus::{Closed, InProgress, Resolved, Waiting};
        let mut case = Case::open(start());
        for (step, to) in [InProgress, Waiting, InProgress, Resolved, Closed].into_iter().enumerate() {
            let at = start().checked_add(Duration::from_secs(60 * (step as u64 + 1))).unwrap();
            case = case.moved(to, at).unwrap();
        }
        assert_eq!((case.status(), case.version, case.reopen_count), (Closed, 6, 0));
        assert_eq!(case.first_response_at, start().checked_add(Duration::from_secs(60)));
        let again = case.moved(InProgress, case.moved_at).unwrap();
        assert_eq!((again.reopen_count, again.resolved_at, again.closed_at), (1, None, None));
        assert_eq!(again.first_response_at, case.first_response_at);
    }

    #[test]
    fn a_case_is_assigned_until_it_is_closed() {
        use CaseStatus::{Closed, InProgress, Resolved};
        let case = Case::open(start());
        let assigned = case.assigned().unwrap();
        assert_eq!(assigned, Case { version: 2, ..case });
        let resolved = assigned.moved(Resolved, start()).unwrap();
        assert!(resolved.assigned().is_ok());
        let closed = resolved.moved(Closed, start()).unwrap();
        assert_eq!(closed.assigned().unwrap_err().reason, reason::INVALID_TRANSITION);
        assert!(closed.moved(InProgress, start()).unwrap().assigned().is_ok());
    }

    #[test]
    fn every_status_can_be_left_and_none_follows_itself() {
        for (status, _, _) in CaseStatus::ALL {
            assert!(!status.followers().is_empty());
            assert!(!status.followers().contains(status));
            assert!(!status.followers().contains(&CaseStatus::New));
        }
    }

    proptest! {
        /// Whatever is asked: exactly the documented moves pass; the times say what the status says; the version
        /// counts the moves; a refused move changes nothing.
        #[test]
        fn a_case_stays_consistent(steps in proptest::collection::vec((any_status(), -5..60i64), 0..40)) {
            let mut case = Case::open(start());
            let mut clock = start();
            let mut moves = 1;
            for (to, seconds) in steps {
                let at = Timestamp::from_micros(clock.as_micros() + seconds * 1_000_000);
                let allowed = case.status().followers().contains(&to) && at >= case.moved_at;
                match case.moved(to, at) {
                    Ok(next) => {
                        prop_assert!(allowed);
                        moves += 1;
                        clock = at;
                        case = next;
                    }
                    Err(error) => {
                        prop_assert!(!allowed);
                        prop_assert_eq!(error.reason, reason::INVALID_TRANSITION);
                    }
                }
                prop_assert_eq!(case.version, moves);
                prop_assert_eq!(case.resolved_at.is_some(), !case.status().open());
                prop_assert_eq!(case.closed_at.is_some(), case.status() == CaseStatus::Closed);
                prop_assert_eq!(case.first_response_at.is_some(), case.status() != CaseStatus::New);
                prop_assert!(case.opened_at <= case.moved_at);
            }
        }
    }
}
