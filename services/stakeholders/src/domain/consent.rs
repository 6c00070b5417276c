//! Whether a party may be addressed: a fold over records that are never changed.

use rapport_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::names::{ConsentName, PartyName};
use super::period::Period;
use super::provenance::Provenance;

/// Given or withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// The party agreed.
    Granted,
    /// The party refused, or took its consent back.
    Withdrawn,
}

impl ConsentState {
    /// The word that stands in the store.
    pub fn word(self) -> &'static str {
        match self {
            ConsentState::Granted => "granted",
            ConsentState::Withdrawn => "withdrawn",
        }
    }

    /// The state for a word of the store.
    pub fn from_word(word: &str) -> Option<ConsentState> {
        [ConsentState::Granted, ConsentState::Withdrawn].into_iter().find(|one| one.word() == word)
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Its id.
    pub id: Uuid,
    /// The party that spoke.
    pub party: Uuid,
    /// What for; empty stands for every purpose.
    pub purpose: String,
    /// On what channel; empty stands for every channel.
    pub channel: String,
    /// Given or withdrawn.
    pub state: ConsentState,
    /// What proves it; at most 2,000 characters.
    pub evidence: String,
    /// When the party said so.
    pub occurred_at: Timestamp,
    /// When the record holds.
    pub validity: Period,
    /// Where the fact came from.
    pub provenance: Provenance,
    /// When the server recorded it.
    pub recorded_at: Timestamp,
}

impl Consent {
    /// Its resource name.
    pub fn name(&self) -> ConsentName {
        ConsentName::new(PartyName::new(self.party), self.id)
    }

    /// Whether it speaks of the purpose and channel.
    pub fn applies(&self, purpose: &str, channel: &str) -> bool {
        (self.purpose.is_empty() || self.purpose == purpose) && (self.channel.is_empty() || self.channel == channel)
    }

    /// Whether everything that this record speaks of is spoken of by the other one.
    fn within(&self, wider: &Consent) -> bool {
        wider.applies(&self.purpose, &self.channel)
    }

    /// Which of two records comes later; at the same moment the withdrawal does.
    fn order(&self) -> (Timestamp, ConsentState, Timestamp, Uuid) {
        (self.occurred_at, self.state, self.recorded_at, self.id)
    }
}

/// Why a party may or may not be addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConsentReason {
    /// A consent holds.
    Granted,
    /// None was ever recorded.
    NoConsent,
    /// It was refused or withdrawn.
    Withdrawn,
    /// It has run out.
    Expired,
    /// It has not begun.
    NotYetValid,
    /// The party is deceased or closed.
    PartyCeased,
    /// The party is restricted now.
    PartyRestricted,
}

/// The answer to a check, with the place of the record that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why, or why not.
    pub reason: ConsentReason,
    /// The index of the deciding record among those given.
    pub deciding: Option<usize>,
}

impl Verdict {
    /// Whether the party may be addressed.
    pub fn allowed(&self) -> bool {
        self.reason == ConsentReason::Granted
    }
}

/// Folds the records of one party over a purpose and channel at a moment. The order in which they are given does not
/// matter, and records that were not yet said, or do not apply, are passed over.
///
/// A withdrawal is overruled only by a later grant that is at least as specific: who wants no calls at all and later
/// agrees to "everything" for a newsletter form still gets no calls.
pub fn check(records: &[Consent], purpose: &str, channel: &str, as_of: Timestamp) -> Verdict {
    let said: Vec<(usize, &Consent)> = records
        .iter()
        .enumerate()
        .filter(|(_, record)| record.applies(purpose, channel) && record.occurred_at <= as_of)
        .collect();
    let verdict =
        |reason, deciding: Option<&(usize, &Consent)>| Verdict { reason, deciding: deciding.map(|one| one.0) };

    let in_force =
        |state| said.iter().filter(move |(_, record)| record.state == state && record.validity.holds_at(as_of));
    let standing = in_force(ConsentState::Withdrawn)
        .filter(|(_, withdrawal)| {
            !in_force(ConsentState::Granted)
                .any(|(_, grant)| grant.within(withdrawal) && grant.order() > withdrawal.order())
        })
        .max_by_key(|(_, record)| record.order());
    if standing.is_some() {
        return verdict(ConsentReason::Withdrawn, standing);
    }
    let granted = in_force(ConsentState::Granted).max_by_key(|(_, record)| record.order());
    if granted.is_some() {
        return verdict(ConsentReason::Granted, granted);
    }
    // Nothing is in force. The latest record says what came closest.
    let latest = said.iter().filter(|(_, record)| record.state == ConsentState::Granted).max_by_key(|(_, r)| r.order());
    match latest {
        Some((_, record)) if record.validity.from > as_of => verdict(ConsentReason::NotYetValid, latest),
        Some(_) => verdict(ConsentReason::Expired, latest),
        None => {
            let refused = said.iter().max_by_key(|(_, record)| record.order());
            let reason = if refused.is_some() { ConsentReason::Withdrawn } else { ConsentReason::NoConsent };
            verdict(reason, refused)
        }
    }
}

/// The next moment after `as_of` at which a record that speaks of the purpose and channel is said, begins or ends; none when
/// nothing does, so that the verdict stands until somebody says something new.
pub fn next_change(records: &[Consent], purpose: &str, channel: &str, as_of: Timestamp) -> Option<Timestamp> {
    let applying = records.iter().filter(|record| record.applies(purpose, channel));
    let moments = applying.flat_map(|record| [record.occurred_at, record.validity.from, record.validity.until]);
    moments.filter(|moment| *moment > as_of && *moment < Timestamp::MAX).min()
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn record(id: u128, purpose: &str, channel: &str, granted: bool, at: i64) -> Consent {
        Consent {
            id: Uuid::from_u128(id),
            party: Uuid::from_u128(1),
            purpose: purpose.into(),
            channel: channel.into(),
            state: if granted { ConsentState::Granted } else { ConsentState::Withdrawn },
            evidence: String::new(),
            occurred_at: Timestamp::from_micros(at),
            validity: Period { from: Timestamp::from_micros(at), until: Timestamp::MAX },
            provenance: Provenance::default(),
            recorded_at: Timestamp::from_micros(at),
        }
    }

    fn reason(records: &[Consent], at: i64) -> ConsentReason {
        check(records, "marketing", "email", Timestamp::from_micros(at)).reason
    }

    #[test]
    fn nothing_said_is_no() {
        assert_eq!(reason(&[], 5), ConsentReason::NoConsent);
        assert_eq!(reason(&[record(1, "survey", "email", true, 1)], 5), ConsentReason::NoConsent);
        assert_eq!(reason(&[record(1, "marketing", "phone", true, 1)], 5), ConsentReason::NoConsent);
    }

    #[test]
    fn the_next_change_is_the_next_bound_of_what_applies() {
        let at = |micros| Timestamp::from_micros(micros);
        let next = |records: &[Consent], now| next_change(records, "marketing", "email", at(now));
        let ends = |id, from: i64, until: i64| Consent {
            validity: Period { from: at(from), until: at(until) },
            ..record(id, "marketing", "email", true, 1)
        };
        assert_eq!(next(&[record(1, "marketing", "email", true, 1)], 5), None);
        assert_eq!(next(&[ends(1, 1, 20), ends(2, 10, 15)], 5), Some(at(10)));
        assert_eq!(next(&[ends(1, 1, 20), ends(2, 10, 15)], 10), Some(at(15)), "a bound that is reached has passed");
        assert_eq!(next(&[ends(1, 1, 20)], 20), None);
        assert_eq!(next(&[record(1, "marketing", "phone", true, 9)], 5), None, "it does not apply");
    }

    proptest! {
        #[test]
        fn nothing_changes_before_the_next_change(
            bounds in proptest::collection::vec((0_i64..40, 1_i64..20, any::<bool>()), 0..6), now in 0_i64..40,
        ) {
            let records: Vec<Consent> = bounds.iter().enumerate().map(|(id, (from, long, granted))| Consent {
                validity: Period { from: Timestamp::from_micros(*from), until: Timestamp::from_micros(from + long) },
                ..record(id as u128, "marketing", "", *granted, from / 2)
            }).collect();
            let at = Timestamp::from_micros(now);
            let until = next_change(&records, "marketing", "email", at).map_or(80, Timestamp::as_micros);
            for later in now..until {
                let later = Timestamp::from_micros(later);
                prop_assert_eq!(check(&records, "marketing", "email", later), check(&records, "marketing", "email", at));
            }
        }
    }

    #[test]
    fn a_withdrawal_yields_only_to_a_later_grant_as_specific() {
        let grant = record(1, "marketing", "email", true, 1);
        assert_eq!(reason(std::slice::from_ref(&grant), 1), ConsentReason::Granted);
        assert_eq!(reason(std::slice::from_ref(&grant), 0), ConsentReason::NoConsent);
        // Everything withdrawn, then this channel granted anew.
        let all = record(2, "", "", false, 2);
        assert_eq!(reason(&[grant.clone(), all.clone()], 3), ConsentReason::Withdrawn);
        let again = record(3, "marketing", "email", true, 4);
        assert_eq!(reason(&[grant.clone(), all.clone(), again], 5), ConsentReason::Granted);
        // This channel withdrawn, then every channel granted: the specific word stands.
        let specific = record(4, "marketing", "email", false, 6);
        let wide = record(5, "marketing", "", true, 7);
        assert_eq!(reason(&[grant.clone(), specific, wide.clone()], 8), ConsentReason::Withdrawn);
        assert_eq!(reason(&[wide], 8), ConsentReason::Granted);
        // At one moment the withdrawal wins.
        let same = record(6, "marketing", "email", false, 1);
        assert_eq!(reason(&[grant, same], 1), ConsentReason::Withdrawn);
    }

    #[test]
    fn validity_bounds_a_consent() {
        let mut grant = record(1, "marketing", "email", true, 1);
        grant.validity = Period { from: Timestamp::from_micros(10), until: Timestamp::from_micros(20) };
        let grants = [grant];
        assert_eq!(reason(&grants, 5), ConsentReason::NotYetValid);
        assert_eq!(reason(&grants, 10), ConsentReason::Granted);
        assert_eq!(reason(&grants, 20), ConsentReason::Expired);
    }

    fn records() -> impl Strategy<Value = Vec<Consent>> {
        let one = ("(marketing|survey|)", "(email|phone|)", any::<bool>(), 0i64..6, 0i64..8);
        proptest::collection::vec(one, 0..7).prop_map(|all| {
            all.into_iter()
                .enumerate()
                .map(|(i, (purpose, channel, granted, at, span))| {
                    let mut one = record(i as u128, &purpose, &channel, granted, at);
                    one.validity.until = Timestamp::from_micros(at + 1 + span);
                    one
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(all in records(), at in 0i64..10, seed in any::<u64>()) {
            let moment = Timestamp::from_micros(at);
            let mut turned = all.clone();
            turned.sort_by_key(|one| one.id.as_u128().wrapping_mul(u128::from(seed) | 1) % 101);
            let (a, b) = (check(&all, "marketing", "email", moment), check(&turned, "marketing", "email", moment));
            prop_assert_eq!(a.reason, b.reason);
            prop_assert_eq!(a.deciding.map(|i| all[i].id), b.deciding.map(|i| turned[i].id));
        }

        #[test]
        fn one_more_withdrawal_never_allows(all in records(), at in 0i64..10, when in 0i64..10) {
            let moment = Timestamp::from_micros(at);
            let before = check(&all, "marketing", "email", moment);
            let mut more = all;
            more.push(record(99, "marketing", "email", false, when));
            let after = check(&more, "marketing", "email", moment);
            prop_assert!(before.allowed() || !after.allowed());
        }
    }
}
