//! What may forbid an invitation, and in which order that is asked.
//!
//! Everything here is decided at the moment of sending, on what is known at that moment: a consent that held when an
//! invitation was scheduled says nothing about the morning on which it goes out.

use std::time::Duration;

use jiff::tz::TimeZone;
use rapport_types::{Timestamp, Uuid};

use super::code::coded;
use super::quiet::QuietHours;

coded! {
    /// What forbids. The codes are stored and are those of the contract; the order is the one in which gates are asked,
    /// the codes say when each was added.
    Gate {
        /// Nobody is known to stand behind the survey response.
        PartyUnknown = 1,
        /// The party is deceased or closed.
        PartyCeased = 2,
        /// The party is restricted.
        PartyRestricted = 9,
        /// No consent was ever given.
        NoConsent = 3,
        /// Consent was refused or withdrawn.
        ConsentWithdrawn = 4,
        /// The consent has run out.
        ConsentExpired = 5,
        /// The consent has not begun.
        ConsentNotYetValid = 6,
        /// A complaint is open.
        OpenComplaint = 7,
        /// Enough invitations went out.
        FrequencyCap = 8,
    }
}

/// What a party says about being addressed, as stakeholders knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consent {
    /// What forbids it; nothing where a consent holds.
    pub(crate) forbids: Option<Gate>,
    /// The record that decided, by its name; empty where there is none.
    pub(crate) record: String,
}

/// An invitation that was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Which.
    pub(crate) invitation: Uuid,
    /// When.
    pub(crate) at: Timestamp,
}

/// What is known of a party when an invitation is to go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Circumstances {
    /// What it says about being addressed; nothing where nobody is known.
    pub(crate) consent: Option<Consent>,
    /// A complaint of its that is open.
    pub(crate) open_complaint: Option<Uuid>,
    /// What was sent to it, at least as far back as the period of the cap.
    pub(crate) sent: Vec<Sent>,
    /// Whether it is in the hold-out group.
    pub(crate) held_out: bool,
}

/// How often, and when, a party may be invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// How many invitations within the period at most.
    pub(crate) cap: usize,
    /// The period.
    pub(crate) period: Duration,
    /// When nobody is invited.
    pub(crate) quiet: Option<QuietHours>,
}

/// What is to be done about an invitation now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is sent, as a gate forbids it.
    Suppressed(Gate, Decider),
    /// Nothing is sent, so that the effect of inviting can be measured.
    HeldOut,
    /// It is asked again at the end of the quiet hours.
    Scheduled(Timestamp),
    /// It goes out.
    Sent,
}

/// What decided at a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decider {
    /// No record.
    Nothing,
    /// A consent, by its name.
    Consent(String),
    /// A complaint.
    Case(Uuid),
    /// An earlier invitation.
    Invitation(Uuid),
}

/// Asks every gate, in order, and then the clock.
pub(crate) fn judge(standing: &Circumstances, pace: &Pace, zone: &TimeZone, now: Timestamp) -> Verdict {
    let Some(consent) = &standing.consent else {
        return Verdict::Suppressed(Gate::PartyUnknown, Decider::Nothing);
    };
    if let Some(gate) = consent.forbids {
        let decider =
            if consent.record.is_empty() { Decider::Nothing } else { Decider::Consent(consent.record.clone()) };
        return Verdict::Suppressed(gate, decider);
    }
    if let Some(case) = standing.open_complaint {
        return Verdict::Suppressed(Gate::OpenComplaint, Decider::Case(case));
    }
    let since = now.saturating_sub(pace.period);
    let recent = standing.sent.iter().filter(|sent| sent.at > since);
    if recent.clone().count() >= pace.cap {
        let newest = recent.max_by_key(|sent| (sent.at, sent.invitation));
        let decider = newest.map_or(Decider::Nothing, |sent| Decider::Invitation(sent.invitation));
        return Verdict::Suppressed(Gate::FrequencyCap, decider);
    }
    // After the gates: the hold-out group is compared with those who were invited, not with everybody.
    if standing.held_out {
        return Verdict::HeldOut;
    }
    match pace.quiet.and_then(|quiet| quiet.end_after(now, zone)) {
        Some(end) => Verdict::Scheduled(end),
        None => Verdict::Sent,
    }
}

/// Whether a party is in a hold-out group of so many percent. `blind` is a keyed digest of the party: the group is the
/// same at every moment and on every replica, and nobody outside can tell who is in it.
pub(crate) fn held_out(blind: Uuid, percent: u32) -> bool {
    let mut first = [0; 6];
    first.copy_from_slice(&blind.as_bytes()[..6]);
    // The first 48 bits of a blind index are random, the ones after them hold its version.
    let bytes = [0, 0, first[0], first[1], first[2], first[3], first[4], first[5]];
    u64::from_be_bytes(bytes) % 10_000 < u64::from(percent) * 100
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn noon() -> Timestamp {
        Timestamp::parse("2026-01-10T12:00:00Z").unwrap()
    }

    fn midnight() -> Timestamp {
        Timestamp::parse("2026-01-10T00:00:00Z").unwrap()
    }

    fn pace() -> Pace {
        Pace { cap: 2, period: 24 * HOUR, quiet: QuietHours::parse("21:00", "08:00").unwrap() }
    }

    fn willing() -> Circumstances {
        Circumstances {
            consent: Some(Consent { forbids: None, record: "parties/1/consents/1".to_owned() }),
            open_complaint: None,
            sent: Vec::new(),
            held_out: false,
        }
    }

    fn verdict(standing: &Circumstances, now: Timestamp) -> Verdict {
        judge(standing, &pace(), &TimeZone::UTC, now)
    }

    #[test]
    fn a_willing_party_is_invited_by_day_and_in_the_morning_otherwise() {
        assert_eq!(verdict(&willing(), noon()), Verdict::Sent);
        let morning = midnight().saturating_add(8 * HOUR);
        assert_eq!(verdict(&willing(), midnight()), Verdict::Scheduled(morning));
    }

    #[test]
    fn each_gate_forbids_by_itself_and_says_by_what() {
        let nobody = Circumstances { consent: None, ..willing() };
        assert_eq!(verdict(&nobody, noon()), Verdict::Suppressed(Gate::PartyUnknown, Decider::Nothing));
        for gate in
            [Gate::PartyCeased, Gate::PartyRestricted, Gate::NoConsent, Gate::ConsentWithdrawn, Gate::ConsentExpired]
        {
            let consent = Some(Consent { forbids: Some(gate), record: "parties/1/consents/2".to_owned() });
            let standing = Circumstances { consent, ..willing() };
            let decider = Decider::Consent("parties/1/consents/2".to_owned());
            assert_eq!(verdict(&standing, noon()), Verdict::Suppressed(gate, decider));
        }
        let bare = Some(Consent { forbids: Some(Gate::NoConsent), record: String::new() });
        let standing = Circumstances { consent: bare, ..willing() };
        assert_eq!(verdict(&standing, noon()), Verdict::Suppressed(Gate::NoConsent, Decider::Nothing));
        let standing = Circumstances { open_complaint: Some(Uuid::from_u128(7)), ..willing() };
        let case = Decider::Case(Uuid::from_u128(7));
        assert_eq!(verdict(&standing, noon()), Verdict::Suppressed(Gate::OpenComplaint, case));
        assert_eq!(verdict(&Circumstances { held_out: true, ..willing() }, noon()), Verdict::HeldOut);
    }

    #[test]
    fn the_cap_counts_what_was_sent_within_the_period() {
        let sent =
            |hours: u32| Sent { invitation: Uuid::from_u128(hours.into()), at: noon().saturating_sub(HOUR * hours) };
        let with =
            |hours: &[u32]| Circumstances { sent: hours.iter().map(|hours| sent(*hours)).collect(), ..willing() };
        assert_eq!(verdict(&with(&[1]), noon()), Verdict::Sent);
        assert_eq!(verdict(&with(&[1, 24]), noon()), Verdict::Sent, "a period ago is over");
        let decider = Decider::Invitation(Uuid::from_u128(1));
        assert_eq!(verdict(&with(&[23, 1]), noon()), Verdict::Suppressed(Gate::FrequencyCap, decider));
    }

    #[test]
    fn the_hold_out_group_has_its_size() {
        let group = |percent| {
            (0..20_000u128).filter(move |n| held_out(Uuid::from_u128((n * 0x9e37_79b9_7f4a_7c15) << 64), percent))
        };
        assert_eq!(group(0).count(), 0);
        assert_eq!(group(100).count(), 20_000);
        let ten = group(10).count();
        assert!((1_700..2_300).contains(&ten), "{ten} of 20000");
        // Whoever is in the smaller group is in the larger one.
        assert!(group(5).all(|n| held_out(Uuid::from_u128((n * 0x9e37_79b9_7f4a_7c15) << 64), 10)));
    }

    #[test]
    fn gates_are_asked_in_this_order() {
        let gates: Vec<Gate> = [1, 2, 9, 3, 4, 5, 6, 7, 8].map(|code| Gate::from_code(code).unwrap()).to_vec();
        assert!(gates.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((Gate::from_code(0), Gate::from_code(10)), (None, None));
    }

    fn consents() -> impl Strategy<Value = Option<Consent>> {
        let forbids = prop_oneof![
            3 => Just(None),
            1 => prop_oneof![2..7i64, Just(9)].prop_map(Gate::from_code),
        ];
        prop_oneof![1 => Just(None), 9 => forbids.prop_map(|forbids| Some(Consent { forbids, record: String::new() }))]
    }

    proptest! {
        /// All combinations: the first gate that forbids is the reason, nothing else is, and nothing goes out unless
        /// every gate is open, the party is not held out and it is not night.
        #[test]
        fn nothing_goes_out_past_a_gate(
            consent in consents(), complaint in any::<bool>(), hours in proptest::collection::vec(0..48u32, 0..5),
            held_out in any::<bool>(), night in any::<bool>(),
        ) {
            let now = if night { midnight() } else { noon() };
            let standing = Circumstances {
                consent: consent.clone(),
                open_complaint: complaint.then(|| Uuid::from_u128(1)),
                sent: hours
                    .iter()
                    .map(|hours| Sent { invitation: Uuid::from_u128(2), at: now.saturating_sub(HOUR * *hours) })
                    .collect(),
                held_out,
            };
            let full = hours.iter().filter(|hours| **hours < 24).count() >= 2;
            let mut closed: Vec<Gate> = Vec::new();
            match &consent {
                None => closed.push(Gate::PartyUnknown),
                Some(consent) => closed.extend(consent.forbids),
            }
            if complaint { closed.push(Gate::OpenComplaint) }
            if full { closed.push(Gate::FrequencyCap) }
            let found = verdict(&standing, now);
            match (closed.first(), &found) {
                (Some(first), Verdict::Suppressed(gate, _)) => prop_assert_eq!(first, gate),
                (None, Verdict::HeldOut) => prop_assert!(held_out),
                (None, Verdict::Scheduled(end)) => prop_assert!(!held_out && night && *end > now),
                (None, Verdict::Sent) => prop_assert!(!held_out && !night),
                _ => prop_assert!(false, "{closed:?} gave {found:?}"),
            }
        }
    }
}
