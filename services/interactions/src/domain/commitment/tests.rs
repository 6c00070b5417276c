#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;

use super::*;

const START: i64 = 1_700_000_000_000_000;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(START + micros)
}

fn any_end() -> impl Strategy<Value = CommitmentEnd> {
    prop_oneof![Just(CommitmentEnd::Kept), Just(CommitmentEnd::Broken), Just(CommitmentEnd::Waived)]
}

#[test]
fn what_is_due_now_is_not_late_and_a_microsecond_after_is() {
    let made = Commitment::make(at(0), at(10));
    for (now, late) in [(9, false), (10, false), (11, true)] {
        assert_eq!(made.late(at(now)), late, "{now}");
        assert_eq!({ made }.fall_due(at(now)), late, "{now}");
        let kept = made.ended(CommitmentEnd::Kept, at(now)).unwrap();
        let state = if late { CommitmentState::KeptLate } else { CommitmentState::Kept };
        assert_eq!((kept.state(), kept.late(at(99))), (state, false), "{now}");
    }
}

#[test]
fn when_it_was_kept_says_whether_that_was_in_time_whatever_was_told_before() {
    let mut made = Commitment::make(at(0), at(10));
    assert!(made.fall_due(at(20)));
    let kept = made.ended(CommitmentEnd::Kept, at(10)).unwrap();
    assert_eq!((kept.state(), kept.ended_at, kept.fell_due_at), (CommitmentState::Kept, Some(at(10)), Some(at(20))));
}

#[test]
fn nothing_ends_before_it_was_made() {
    let made = Commitment::make(at(0), at(10));
    let refused = made.ended(CommitmentEnd::Waived, at(-1)).unwrap_err();
    assert_eq!(refused.reason, reason::INVALID_TRANSITION);
    assert!(made.ended(CommitmentEnd::Waived, at(0)).is_ok());
}

#[test]
fn a_due_time_is_not_before_the_promise_and_not_too_far_away() {
    let limit = at(0).saturating_add(AHEAD);
    let due = |due_at| NewCommitment::due(due_at, at(0), at(0)).map_err(|error| error.reason);
    assert_eq!(due(at(0)), Ok(at(0)));
    assert_eq!(due(limit), Ok(limit));
    assert_eq!(due(at(-1)), Err(reason::END_BEFORE_START));
    assert_eq!(due(limit.saturating_add(Duration::from_micros(1))), Err(reason::OUT_OF_RANGE));
}

#[test]
fn only_what_we_promised_has_an_owner() {
    let team = || Some(Assignee::team("logistics").unwrap());
    assert_eq!(NewCommitment::owner(team(), Side::Ours).unwrap(), team());
    assert_eq!(NewCommitment::owner(None, Side::Theirs).unwrap(), None);
    assert_eq!(NewCommitment::owner(team(), Side::Theirs).unwrap_err().reason, reason::CONFLICTING_FIELDS);
}

/// What may happen to a commitment that is kept in a database by several replicas with clocks of their own.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The clock goes on, or back.
    Clock(i64),
    /// A sweep reads which commitments are due.
    Look,
    /// It books what it found: with what the row holds by then.
    Book,
    /// The process dies between the two.
    Restart,
    /// Somebody says that it ended, at the time of the clock and so much.
    End(CommitmentEnd, i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (-40..60i64).prop_map(Step::Clock),
        3 => Just(Step::Look),
        3 => Just(Step::Book),
        1 => Just(Step::Restart),
        1 => (any_end(), -30..30i64).prop_map(|(end, shift)| Step::End(end, shift)),
    ]
}

proptest! {
    /// Whatever is asked, in whatever order: it ends at most once, and nothing changes afterwards; exactly those ends pass
    /// that come first and not before the promise; the version counts the changes, the revision those of callers.
    #[test]
    fn a_commitment_ends_exactly_once(due in 0..100i64, ends in proptest::collection::vec((any_end(), -20..200i64), 1..20)) {
        let mut commitment = Commitment::make(at(0), at(due));
        let mut ended = 0;
        for (end, when) in ends {
            let before = commitment;
            match commitment.ended(end, at(when)) {
                Ok(next) => {
                    prop_assert!(before.open() && when >= 0);
                    prop_assert_eq!(next.state() == CommitmentState::KeptLate, end == CommitmentEnd::Kept && when > due);
                    prop_assert_eq!(next.state() == CommitmentState::Kept, end == CommitmentEnd::Kept && when <= due);
                    prop_assert_eq!(next.ended_at, Some(at(when)));
                    ended += 1;
                    commitment = next;
                }
                Err(error) => {
                    prop_assert!(!before.open() || when < 0);
                    prop_assert_eq!(error.reason, reason::INVALID_TRANSITION);
                }
            }
            prop_assert!(ended <= 1);
            prop_assert_eq!(commitment.open(), ended == 0);
            prop_assert_eq!(commitment.version, 1 + ended);
            prop_assert_eq!(commitment.revision(), 1 + ended);
            prop_assert!(commitment.timer().is_none() || commitment.open());
        }
    }

    /// Late is exactly open and a moment after the due time, until it was told; then it is so for as long as it is open,
    /// also when the clock goes back.
    #[test]
    fn the_clock_going_back_unsays_nothing(due in 0..50i64, clocks in proptest::collection::vec((0..100i64, any::<bool>()), 1..30)) {
        let mut commitment = Commitment::make(at(0), at(due));
        let mut told = false;
        for (now, sweep) in clocks {
            let before = commitment;
            if sweep {
                let first = commitment.fall_due(at(now));
                prop_assert_eq!(first, !told && now > due);
                told |= first;
                prop_assert_eq!(commitment.version - before.version, i64::from(first));
            }
            prop_assert_eq!(commitment.late(at(now)), told || now > due);
            prop_assert_eq!(commitment.fell_due_at.is_some(), told);
            prop_assert_eq!(commitment.revision(), 1, "time alone changes no etag");
            if before.fell_due_at.is_some() {
                prop_assert_eq!(commitment, before);
            }
        }
    }

    /// Any number of sweeps, of which some die between looking and booking, and people who say that it ended, in any order
    /// and on clocks that go back: it is told at most once, never after its end, and exactly once where a sweep that looked
    /// after the due time booked while it was open.
    #[test]
    fn it_falls_due_once_under_any_interleaving(
        due in 0..60i64,
        steps in proptest::collection::vec((0..3usize, any_step()), 1..120),
    ) {
        let mut row = Commitment::make(at(0), at(due));
        let mut clock = 0i64;
        let mut found = [false; 3];
        let (mut told, mut owed) = (0, false);
        for (replica, step) in steps {
            match step {
                Step::Clock(by) => clock = (clock + by).max(0),
                // What the index of timers says.
                Step::Look => found[replica] = row.timer().is_some_and(|timer| timer < at(clock)),
                Step::Book if found[replica] => {
                    owed |= row.open() && clock > due;
                    let was_open = row.open();
                    if row.fall_due(at(clock)) {
                        told += 1;
                        prop_assert!(was_open && clock > due);
                    }
                    found[replica] = false;
                }
                Step::Book => {}
                Step::Restart => found[replica] = false,
                Step::End(end, shift) => {
                    if let Ok(next) = row.ended(end, at(clock + shift)) {
                        row = next;
                    }
                }
            }
            prop_assert!(told <= 1);
            prop_assert_eq!(row.fell_due_at.is_some(), told == 1);
        }
        prop_assert_eq!(told == 1, owed);
        prop_assert_eq!(row.version, 1 + i64::from(told) + i64::from(!row.open()));
        // Once the clock is past the due time, one whole sweep leaves nothing to be told.
        row.fall_due(at(1_000_000));
        prop_assert!(row.timer().is_none());
    }
}
