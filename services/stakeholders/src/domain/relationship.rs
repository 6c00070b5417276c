//! Ties between parties.

use rapport_types::error::{Error, FieldError};
use rapport_types::reason;
use rapport_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::names::{PartyName, RelationshipName};
use super::party::PartyKind;
use super::period::Period;
use super::provenance::Provenance;
use super::relationship_type::RelationshipType;
use super::text::refuse;

/// How strong a tie is, in millionths: from 1 to 1,000,000. Whole numbers, so that both stores sort alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weight(i64);

impl Weight {
    /// The strongest.
    pub const FULL: Weight = Weight(1_000_000);

    /// A weight above 0, at most 1.
    ///
    /// # Errors
    /// `NOT_FINITE` or `OUT_OF_RANGE`.
    pub fn parse(value: f64) -> Result<Weight, FieldError> {
        if !value.is_finite() {
            return refuse(reason::NOT_FINITE, "must be a finite number");
        }
        if value <= 0.0 || value > 1.0 {
            return refuse(reason::OUT_OF_RANGE, "must be above 0 and at most 1");
        }
        // Within (0, 1], so the cast is exact enough and cannot overflow.
        #[allow(clippy::cast_possible_truncation)]
        let micros = (value * 1e6).round() as i64;
        Ok(Weight(micros.max(1)))
    }

    /// A weight as the store gave it back.
    pub fn stored(micros: i64) -> Weight {
        Weight(micros.clamp(1, Self::FULL.0))
    }

    /// In millionths.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// As a number above 0, at most 1.
    pub fn value(self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let micros = self.0 as f64;
        micros / 1e6
    }

    /// One weight after the other along a way; never less than a millionth.
    pub fn then(self, next: Weight) -> Weight {
        Weight((self.0 * next.0 / Self::FULL.0).max(1))
    }
}

/// A tie between two parties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relationship {
    /// Its id.
    pub id: Uuid,
    /// The slug of its type.
    pub kind: String,
    /// The party it starts from.
    pub from: Uuid,
    /// The party it leads to.
    pub to: Uuid,
    /// How strong it is.
    pub weight: Weight,
    /// When it holds.
    pub validity: Period,
    /// What it is about.
    pub scope: String,
    /// It was ended by a call.
    pub ended: bool,
    /// Why it ended.
    pub end_reason: String,
    /// Where the fact came from.
    pub provenance: Provenance,
    /// Grows by one with each event.
    pub version: i64,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What an update does to one field of a tie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// How strong it is.
    Weight(Weight),
    /// What it is about.
    Scope(String),
    /// Where the fact came from.
    Provenance(Provenance),
}

impl Change {
    /// The fields that an update may name.
    pub const PATHS: [&'static str; 3] = ["weight", "scope", "provenance"];

    /// The path of the field, as in an update mask.
    pub fn path(&self) -> &'static str {
        match self {
            Change::Weight(_) => "weight",
            Change::Scope(_) => "scope",
            Change::Provenance(_) => "provenance",
        }
    }
}

/// A tie to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationshipDraft {
    /// The id it will have.
    pub id: Uuid,
    /// Its type.
    pub kind: &'static RelationshipType,
    /// The party it starts from.
    pub from: Uuid,
    /// The party it leads to.
    pub to: Uuid,
    /// How strong it is.
    pub weight: Weight,
    /// When it begins; with the write when absent.
    pub start: Option<Timestamp>,
    /// When it ends.
    pub end: Option<Timestamp>,
    /// What it is about.
    pub scope: String,
    /// Where the fact came from.
    pub provenance: Provenance,
}

impl RelationshipDraft {
    /// Its ends as they are stored: a symmetric tie has the smaller one first.
    pub fn ends(&self) -> (Uuid, Uuid) {
        if self.kind.symmetric && self.to < self.from { (self.to, self.from) } else { (self.from, self.to) }
    }

    /// The tie, recorded now as version 1 between parties of these kinds.
    ///
    /// # Errors
    /// Precondition `SELF_RELATIONSHIP` or `RELATIONSHIP_NOT_ALLOWED`.
    pub fn record(&self, kinds: (PartyKind, PartyKind), now: Timestamp) -> Result<Relationship, Error> {
        if self.from == self.to {
            return Err(Error::precondition(reason::SELF_RELATIONSHIP, "a party cannot be tied to itself")
                .with("party", PartyName::new(self.from)));
        }
        if !self.kind.from.contains(&kinds.0) || !self.kind.to.contains(&kinds.1) {
            let (from, to) = (kinds.0.word(), kinds.1.word());
            return Err(Error::precondition(
                reason::RELATIONSHIP_NOT_ALLOWED,
                format!("{} cannot lead from a party of kind {from} to one of kind {to}", self.kind.slug),
            )
            .with("relationship_type", self.kind.slug)
            .with("from_kind", from)
            .with("to_kind", to));
        }
        let until = self.end.unwrap_or(Timestamp::MAX);
        let start = self.start.unwrap_or(if now < until { now } else { Timestamp::MIN });
        let (from, to) = self.ends();
        Ok(Relationship {
            id: self.id,
            kind: self.kind.slug.to_owned(),
            from,
            to,
            weight: self.weight,
            validity: Period { from: start, until },
            scope: self.scope.clone(),
            ended: false,
            end_reason: String::new(),
            provenance: self.provenance.clone(),
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }
}

impl Relationship {
    /// Its resource name.
    pub fn name(&self) -> RelationshipName {
        RelationshipName::new(self.id)
    }

    /// Whether the two say the same about one time.
    pub fn clashes(&self, other: &Relationship) -> bool {
        (&self.kind, self.from, self.to) == (&other.kind, other.from, other.to)
            && self.validity.overlaps(&other.validity)
    }

    /// Makes the changes and tells the paths of those that changed something; then the tie is a version older.
    pub fn change(&mut self, changes: &[Change], now: Timestamp) -> Vec<&'static str> {
        let mut paths = Vec::new();
        for change in changes {
            let before = self.clone();
            match change {
                Change::Weight(weight) => self.weight = *weight,
                Change::Scope(scope) => self.scope.clone_from(scope),
                Change::Provenance(provenance) => self.provenance.clone_from(provenance),
            }
            if *self != before {
                paths.push(change.path());
            }
        }
        if !paths.is_empty() {
            self.version += 1;
            self.updated_at = now;
        }
        paths
    }

    /// The tie with its end.
    ///
    /// # Errors
    /// Precondition `RELATIONSHIP_ALREADY_ENDED`; Invalid when the end is before the start.
    pub fn ended(&self, at: Option<Timestamp>, why: &str, now: Timestamp) -> Result<Relationship, Error> {
        if self.ended {
            return Err(Error::precondition(reason::RELATIONSHIP_ALREADY_ENDED, "the relationship has an end already")
                .with("name", self.name()));
        }
        let until = at.unwrap_or(now);
        if until < self.validity.from {
            return Err(Error::field("end_time", reason::END_BEFORE_START, "must not be before the start"));
        }
        let mut ended = self.clone();
        ended.ended = true;
        ended.validity.until = until;
        ended.end_reason = why.to_owned();
        ended.version += 1;
        ended.updated_at = now;
        Ok(ended)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn draft(kind: &str, from: u128, to: u128) -> RelationshipDraft {
        RelationshipDraft {
            id: Uuid::from_u128(100),
            kind: RelationshipType::find(kind).unwrap(),
            from: Uuid::from_u128(from),
            to: Uuid::from_u128(to),
            weight: Weight::FULL,
            start: None,
            end: None,
            scope: String::new(),
            provenance: Provenance::default(),
        }
    }

    const NOW: Timestamp = Timestamp::from_micros(1_000);

    #[test]
    fn ties_fit_the_kinds_of_their_ends() {
        use PartyKind::{Individual, Organization};
        let employs = draft("employs", 2, 1);
        assert_eq!(employs.record((Organization, Individual), NOW).unwrap().from, Uuid::from_u128(2));
        let error = employs.record((Individual, Organization), NOW).unwrap_err();
        assert_eq!(error.reason, reason::RELATIONSHIP_NOT_ALLOWED);
        assert_eq!(
            draft("knows", 1, 1).record((Individual, Individual), NOW).unwrap_err().reason,
            reason::SELF_RELATIONSHIP
        );
        let knows = draft("knows", 2, 1).record((Individual, Individual), NOW).unwrap();
        assert_eq!(knows.from, Uuid::from_u128(1), "a tie without direction has one form");
        assert!(knows.clashes(&draft("knows", 1, 2).record((Individual, Individual), NOW).unwrap()));
    }

    #[test]
    fn only_what_changes_makes_a_version() {
        let mut tie = draft("knows", 1, 2).record((PartyKind::Individual, PartyKind::Individual), NOW).unwrap();
        let later = Timestamp::from_micros(2_000);
        let half = Weight::parse(0.5).unwrap();
        assert!(tie.change(&[Change::Weight(Weight::FULL), Change::Scope(String::new())], later).is_empty());
        assert_eq!((tie.version, tie.updated_at), (1, NOW));
        assert_eq!(tie.change(&[Change::Weight(half), Change::Scope("golf".into())], later), ["weight", "scope"]);
        assert_eq!((tie.version, tie.updated_at, tie.weight), (2, later, half));
    }

    #[test]
    fn a_tie_ends_once() {
        let tie = draft("knows", 1, 2).record((PartyKind::Individual, PartyKind::Individual), NOW).unwrap();
        let ended = tie.ended(None, "", NOW).unwrap();
        assert_eq!(ended.version, 2);
        assert!(!ended.validity.holds_at(NOW));
        assert_eq!(ended.ended(None, "", NOW).unwrap_err().reason, reason::RELATIONSHIP_ALREADY_ENDED);
        assert!(tie.ended(Some(Timestamp::from_micros(1)), "", NOW).is_err());
    }

    proptest! {
        #[test]
        fn weights_keep_six_decimals(micros in 1i64..=1_000_000) {
            let weight = Weight::stored(micros);
            prop_assert_eq!(Weight::parse(weight.value()).unwrap(), weight);
            prop_assert!(weight.then(weight) <= weight);
        }

        #[test]
        fn only_weights_within_bounds_are_taken(value in any::<f64>()) {
            prop_assert_eq!(Weight::parse(value).is_ok(), value > 0.0 && value <= 1.0);
        }
    }
}
