//! Who is meant: from identifiers to one party, or to ranked candidates with their reasons.
//!
//! Confidence is counted in thousandths, as whole numbers, so that both stores and every machine rank alike.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rapport_identity::{role_mailbox, scheme};
use rapport_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::identifier::{Scheme, Strength};
use super::medium::Verification;
use super::party::PartyKind;
use super::period::Period;
use super::text::words;

/// From here on a lone candidate is a match.
pub const AUTOMATIC: i64 = 800;
/// Certainty.
pub const FULL: i64 = 1000;
/// The most holders of one identifier that are looked at.
pub const MAX_HOLDERS: usize = 50;

/// What a party holds an identifier as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holding {
    /// A claim of a strength.
    Claim(Strength),
    /// A contact medium.
    Medium,
}

/// One party that holds an identifier which was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The party.
    pub party: Uuid,
    /// As what it holds it.
    pub holding: Holding,
    /// Many people answer there.
    pub shared: bool,
    /// Whether the medium reached the party.
    pub verification: Verification,
    /// When the holding holds.
    pub validity: Period,
}

/// An identifier that was asked for, with those who hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its scheme.
    pub scheme: Scheme,
    /// The form that was looked up; `None` when it was withheld or unreadable.
    pub normalized: Option<String>,
    /// The caller says that many share it.
    pub shared: bool,
    /// Who holds it, at most [`MAX_HOLDERS`].
    pub holders: Vec<Holder>,
}

/// What else is believed of the party.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// A name.
    pub display_name: String,
    /// The kind.
    pub kind: Option<PartyKind>,
    /// A role type.
    pub role_type: Option<String>,
    /// A country.
    pub country_code: String,
}

/// What hints are held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The party.
    pub party: Uuid,
    /// What it is.
    pub kind: PartyKind,
    /// Its name to show and all its others.
    pub names: Vec<String>,
    /// Its country.
    pub country_code: String,
    /// The role types it now holds.
    pub role_types: Vec<String>,
}

/// The sort of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonKind {
    /// Holds a unique identifier.
    UniqueIdentifier,
    /// Holds a strong one.
    StrongIdentifier,
    /// Is reached at it.
    ContactMedium,
    /// Holds a weak one.
    WeakIdentifier,
    /// Is reached at it with many others.
    SharedMedium,
    /// The holding is over, or has not begun.
    OutOfValidity,
    /// The medium did not reach the party.
    FailedVerification,
    /// A hint agrees.
    HintAgrees,
    /// A hint disagrees.
    HintDisagrees,
    /// Somebody else holds a unique identifier of the request.
    UniqueConflict,
}

/// One reason for or against a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Its sort.
    pub kind: ReasonKind,
    /// The identifier that speaks, by its place in the request.
    pub identifier: Option<usize>,
    /// Thousandths: a share of its own, or the factor it multiplies with.
    pub weight: i64,
    /// In words, without any personal value.
    pub description: Cow<'static, str>,
}

/// A party that may be meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The party.
    pub party: Uuid,
    /// Thousandths.
    pub confidence: i64,
    /// Fit to be taken without a person's choice, if it is the only one.
    pub automatic: bool,
    /// Why, the strongest first.
    pub reasons: Vec<Reason>,
}

/// How the search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// One party, safely.
    Matched(Uuid),
    /// Somebody has to choose.
    Candidates,
    /// Nobody.
    None,
}

/// What a share of one identifier is worth.
fn share(holding: Holding, shared: bool) -> (ReasonKind, i64, &'static str) {
    match holding {
        Holding::Claim(Strength::Unique) => {
            (ReasonKind::UniqueIdentifier, 990, "holds this identifier, which only one party may hold")
        }
        _ if shared => (ReasonKind::SharedMedium, 200, "is reached there, like others: a shared medium is no match"),
        Holding::Claim(Strength::Strong) => (ReasonKind::StrongIdentifier, 900, "holds this strong identifier"),
        Holding::Claim(Strength::Weak) => (ReasonKind::WeakIdentifier, 300, "holds this weak identifier"),
        Holding::Medium => (ReasonKind::ContactMedium, 850, "is reached there"),
    }
}

const HALVED: i64 = 500;
const CONFLICT: i64 = 300;
const NAME_DOUBT: i64 = 700;
const HINT_DOUBT: i64 = 850;
const AGREEMENT: i64 = 200;

fn times(confidence: i64, factor: i64) -> i64 {
    confidence * factor / FULL
}

/// Whether a value that is looked up is shared by what it is, by what the caller says or by what a holder says.
fn is_shared(asked: &Asked) -> bool {
    let mailbox = asked.scheme.as_str() == scheme::EMAIL && asked.normalized.as_deref().is_some_and(role_mailbox);
    // What a crowd holds is shared, whether or not anybody says so.
    let crowd = asked.holders.len() > MAX_HOLDERS;
    asked.shared || mailbox || crowd || asked.holders.iter().any(|holder| holder.shared)
}

/// Ranks everybody who holds one of the identifiers: the likeliest first, equal ones by id.
pub fn rank(asked: &[Asked], cards: &BTreeMap<Uuid, Card>, hints: &Hints, now: Timestamp) -> Vec<Candidate> {
    let mut found: BTreeMap<Uuid, Candidate> = BTreeMap::new();
    for (index, one) in asked.iter().enumerate() {
        let shared = is_shared(one);
        // The best holding of each party speaks for this identifier.
        let mut best: BTreeMap<Uuid, (i64, bool, Vec<Reason>)> = BTreeMap::new();
        for holder in &one.holders {
            let (value, automatic, reasons) = weigh(index, holder, shared, now);
            let entry = best.entry(holder.party).or_insert_with(|| (-1, false, Vec::new()));
            if value > entry.0 {
                *entry = (value, automatic, reasons);
            }
        }
        for (party, (value, automatic, reasons)) in best {
            let candidate = found.entry(party).or_insert_with(|| Candidate {
                party,
                confidence: 0,
                automatic: false,
                reasons: Vec::new(),
            });
            // Independent evidence: what stays in doubt is the product of the doubts.
            candidate.confidence = FULL - (FULL - candidate.confidence) * (FULL - value) / FULL;
            candidate.automatic |= automatic;
            candidate.reasons.extend(reasons);
        }
    }
    for candidate in found.values_mut() {
        let others = asked.iter().enumerate().filter(|(_, one)| {
            let unique = Holding::Claim(Strength::Unique);
            one.holders.iter().any(|holder| holder.holding == unique && holder.party != candidate.party)
        });
        for (index, _) in others {
            candidate.confidence = times(candidate.confidence, CONFLICT);
            candidate.reasons.push(Reason {
                kind: ReasonKind::UniqueConflict,
                identifier: Some(index),
                weight: CONFLICT,
                description: "another party holds this identifier, which only one party may hold".into(),
            });
        }
        if let Some(card) = cards.get(&candidate.party) {
            weigh_hints(candidate, card, hints);
        }
        candidate.automatic &= candidate.confidence >= AUTOMATIC;
        candidate.reasons.sort_by_key(|reason| (reason.kind, std::cmp::Reverse(reason.weight), reason.identifier));
    }
    let mut ranked: Vec<_> = found.into_values().collect();
    ranked.sort_by_key(|candidate| (std::cmp::Reverse(candidate.confidence), candidate.party));
    ranked
}

/// What one holding is worth, whether it may match by itself, and why.
fn weigh(index: usize, holder: &Holder, shared: bool, now: Timestamp) -> (i64, bool, Vec<Reason>) {
    let (kind, base, description) = share(holder.holding, shared);
    let mut value = base;
    let mut reasons = vec![Reason { kind, identifier: Some(index), weight: base, description: description.into() }];
    let mut doubt = |kind, description: &'static str| {
        value = times(value, HALVED);
        reasons.push(Reason { kind, identifier: Some(index), weight: HALVED, description: description.into() });
    };
    if !holder.validity.holds_at(now) {
        doubt(ReasonKind::OutOfValidity, "the medium does not hold now");
    }
    if holder.verification == Verification::Failed {
        doubt(ReasonKind::FailedVerification, "the medium was found not to reach the party");
    }
    let automatic = !matches!(kind, ReasonKind::SharedMedium | ReasonKind::WeakIdentifier);
    (value, automatic, reasons)
}

fn weigh_hints(candidate: &mut Candidate, card: &Card, hints: &Hints) {
    let base = candidate.confidence;
    let mut hint = |agrees: bool, factor: i64, description: (&'static str, &'static str)| {
        let reason = if agrees {
            candidate.confidence += times(FULL - candidate.confidence, AGREEMENT);
            (ReasonKind::HintAgrees, AGREEMENT, description.0)
        } else {
            candidate.confidence = times(candidate.confidence, factor);
            (ReasonKind::HintDisagrees, factor, description.1)
        };
        let (kind, weight, description) = reason;
        candidate.reasons.push(Reason { kind, identifier: None, weight, description: description.into() });
    };
    if !hints.display_name.is_empty() && card.names.iter().any(|name| !name.is_empty()) {
        let agrees = card.names.iter().any(|name| names_agree(name, &hints.display_name));
        hint(agrees, NAME_DOUBT, ("the name agrees", "the name disagrees"));
    }
    if let Some(kind) = hints.kind {
        hint(kind == card.kind, HINT_DOUBT, ("the kind agrees", "the kind disagrees"));
    }
    if let Some(role_type) = &hints.role_type {
        hint(card.role_types.contains(role_type), HINT_DOUBT, ("holds the role", "does not hold the role"));
    }
    if !hints.country_code.is_empty() && !card.country_code.is_empty() {
        let agrees = hints.country_code == card.country_code;
        hint(agrees, HINT_DOUBT, ("the country agrees", "the country disagrees"));
    }
    // Hints rank; they never carry a candidate over the line that its identifiers did not reach.
    if base < AUTOMATIC {
        candidate.confidence = candidate.confidence.min(AUTOMATIC - 1);
    }
}

/// Whether two names share a word of more than one letter, or their only word.
fn names_agree(one: &str, other: &str) -> bool {
    let (one, other) = (words(one), words(other));
    let long = |word: &&String| word.chars().count() > 1 || one.len() == 1 || other.len() == 1;
    one.iter().filter(long).any(|word| other.contains(word))
}

/// How the search ended, by the ranking alone.
pub fn decide(ranked: &[Candidate]) -> Outcome {
    let mut automatic = ranked.iter().filter(|candidate| candidate.automatic);
    match (automatic.next(), automatic.next()) {
        (Some(only), None) => Outcome::Matched(only.party),
        _ if ranked.is_empty() => Outcome::None,
        _ => Outcome::Candidates,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000);

    fn holder(party: u128, holding: Holding) -> Holder {
        Holder {
            party: Uuid::from_u128(party),
            holding,
            shared: false,
            verification: Verification::Unverified,
            validity: Period::ALWAYS,
        }
    }

    fn asked(holders: Vec<Holder>) -> Asked {
        Asked { scheme: Scheme::tel(), normalized: Some("+12025550143".into()), shared: false, holders }
    }

    fn cards(names: &[(u128, &str)]) -> BTreeMap<Uuid, Card> {
        names
            .iter()
            .map(|(id, name)| {
                let party = Uuid::from_u128(*id);
                let card = Card {
                    party,
                    kind: PartyKind::Individual,
                    names: vec![(*name).to_owned()],
                    country_code: "BR".into(),
                    role_types: vec!["customer".into()],
                };
                (party, card)
            })
            .collect()
    }

    fn outcome(asked: &[Asked]) -> Outcome {
        decide(&rank(asked, &BTreeMap::new(), &Hints::default(), NOW))
    }

    const UNIQUE: Holding = Holding::Claim(Strength::Unique);

    #[test]
    fn one_holder_is_a_match_and_two_are_not() {
        assert_eq!(outcome(&[asked(vec![])]), Outcome::None);
        assert_eq!(outcome(&[asked(vec![holder(1, Holding::Medium)])]), Outcome::Matched(Uuid::from_u128(1)));
        let two = vec![holder(1, Holding::Medium), holder(2, Holding::Medium)];
        assert_eq!(outcome(&[asked(two)]), Outcome::Candidates);
        assert_eq!(outcome(&[asked(vec![holder(1, Holding::Claim(Strength::Weak))])]), Outcome::Candidates);
    }

    #[test]
    fn shared_media_never_match_whoever_says_so() {
        let mut switchboard = holder(1, Holding::Medium);
        switchboard.shared = true;
        // The desk of an employee who gave the switchboard as her own number.
        assert_eq!(outcome(&[asked(vec![switchboard, holder(2, Holding::Medium)])]), Outcome::Candidates);
        let mut said = asked(vec![holder(1, Holding::Medium)]);
        said.shared = true;
        assert_eq!(outcome(&[said]), Outcome::Candidates);
        let mailbox = Asked {
            scheme: Scheme::email(),
            normalized: Some("info@example.com".into()),
            shared: false,
            holders: vec![holder(1, Holding::Medium)],
        };
        assert_eq!(outcome(&[mailbox]), Outcome::Candidates);
    }

    #[test]
    fn a_unique_identifier_outranks_a_number() {
        let ranked = rank(
            &[asked(vec![holder(2, Holding::Medium)]), asked(vec![holder(1, UNIQUE)])],
            &BTreeMap::new(),
            &Hints::default(),
            NOW,
        );
        assert_eq!(decide(&ranked), Outcome::Matched(Uuid::from_u128(1)));
        assert_eq!(ranked[1].reasons.last().unwrap().kind, ReasonKind::UniqueConflict);
        let torn = [asked(vec![holder(1, UNIQUE)]), asked(vec![holder(2, UNIQUE)])];
        assert_eq!(outcome(&torn), Outcome::Candidates);
    }

    #[test]
    fn an_old_number_is_doubtful() {
        let mut old = holder(1, Holding::Medium);
        old.validity.until = NOW;
        assert_eq!(outcome(&[asked(vec![old.clone()])]), Outcome::Candidates);
        assert_eq!(outcome(&[asked(vec![old, holder(2, Holding::Medium)])]), Outcome::Matched(Uuid::from_u128(2)));
        let mut failed = holder(1, Holding::Medium);
        failed.verification = Verification::Failed;
        assert_eq!(outcome(&[asked(vec![failed])]), Outcome::Candidates);
    }

    #[test]
    fn hints_rank_and_cast_doubt_but_never_match() {
        let cards = cards(&[(1, "Ana Lima"), (2, "Rui Reis")]);
        let two = [asked(vec![holder(2, Holding::Medium), holder(1, Holding::Medium)])];
        let hints = Hints { display_name: "LIMA, A.".into(), ..Hints::default() };
        let ranked = rank(&two, &cards, &hints, NOW);
        assert_eq!(ranked[0].party, Uuid::from_u128(1));
        assert_eq!(decide(&ranked), Outcome::Matched(Uuid::from_u128(1)), "the other one fell below the line");
        let lone = [asked(vec![holder(2, Holding::Medium)])];
        assert_eq!(decide(&rank(&lone, &cards, &hints, NOW)), Outcome::Candidates, "another name casts doubt");
        let weak = [asked(vec![holder(1, Holding::Claim(Strength::Weak))])];
        let all = Hints {
            display_name: "Ana Lima".into(),
            kind: Some(PartyKind::Individual),
            role_type: Some("customer".into()),
            country_code: "BR".into(),
        };
        let ranked = rank(&weak, &cards, &all, NOW);
        assert!(ranked[0].confidence > 300 && ranked[0].confidence < AUTOMATIC);
        assert_eq!(decide(&ranked), Outcome::Candidates);
    }

    fn any_holder() -> impl Strategy<Value = Holder> {
        let holding = prop_oneof![
            Just(Holding::Claim(Strength::Unique)),
            Just(Holding::Claim(Strength::Strong)),
            Just(Holding::Claim(Strength::Weak)),
            Just(Holding::Medium)
        ];
        (1u128..6, holding, any::<bool>(), any::<bool>()).prop_map(|(party, holding, shared, over)| {
            let mut one = holder(party, holding);
            one.shared = shared;
            if over {
                one.validity.until = NOW;
            }
            one
        })
    }

    proptest! {
        #[test]
        fn ranking_is_the_same_in_whatever_order_holders_come(
            holders in proptest::collection::vec(proptest::collection::vec(any_holder(), 0..6), 1..4),
            names in proptest::collection::vec("(Ana|Rui|Lima|Reis)", 5),
            hint in "(Ana|Reis|)",
        ) {
            let cards = cards(&names.iter().enumerate().map(|(i, n)| (i as u128 + 1, n.as_str())).collect::<Vec<_>>());
            let hints = Hints { display_name: hint, ..Hints::default() };
            let straight: Vec<_> = holders.iter().cloned().map(asked).collect();
            let turned: Vec<_> =
                holders.into_iter().map(|mut all| { all.reverse(); asked(all) }).collect();
            let ranked = rank(&straight, &cards, &hints, NOW);
            prop_assert_eq!(&ranked, &rank(&turned, &cards, &hints, NOW));
            prop_assert!(ranked.iter().all(|one| (0..=FULL).contains(&one.confidence)));
            prop_assert!(ranked.is_sorted_by_key(|one| (std::cmp::Reverse(one.confidence), one.party)));
        }

        #[test]
        fn what_is_shared_by_all_never_matches(
            holders in proptest::collection::vec(any_holder(), 0..6),
        ) {
            let mut one = asked(holders.into_iter().filter(|h| h.holding != UNIQUE).collect());
            one.shared = true;
            prop_assert!(!matches!(outcome(&[one]), Outcome::Matched(_)));
        }
    }
}
