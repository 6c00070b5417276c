//! The roles that a party plays towards the tenant.

use rapport_types::error::{Error, FieldError};
use rapport_types::reason;
use rapport_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::names::{PartyName, RoleName};
use super::party::PartyKind;
use super::period::Period;
use super::provenance::Provenance;
use super::sparse::is_default;
use super::text::{refuse, slug};

/// The most roles that one party may have, ended ones counted.
pub const LIMIT: usize = 100;

/// The role types that every tenant has.
pub const BUILT_IN: &[&str] = &[
    "after-sales",
    "community",
    "competitor",
    "customer",
    "dealer",
    "employee",
    "government",
    "investor",
    "media",
    "partner",
    "supplier",
];

/// One of the built-in role types.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleType(String);

impl RoleType {
    /// A role type from its slug.
    ///
    /// # Errors
    /// `REQUIRED`, `TOO_LONG`, `MALFORMED` or `UNKNOWN_TYPE`.
    pub fn parse(value: &str) -> Result<RoleType, FieldError> {
        let value = slug(value)?;
        if BUILT_IN.contains(&value.as_str()) {
            return Ok(RoleType(value));
        }
        refuse(reason::UNKNOWN_TYPE, format!("must be one of {}", BUILT_IN.join(", ")))
    }

    /// A role type as the store gave it back.
    pub fn stored(slug: String) -> RoleType {
        RoleType(slug)
    }

    /// The slug.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether parties of a kind can play the role: only a person is employed.
    pub fn fits(&self, kind: PartyKind) -> bool {
        self.0 != "employee" || kind == PartyKind::Individual
    }
}

/// Where a role stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleStatus {
    /// Hoped for.
    Prospective,
    /// In force.
    #[default]
    Active,
    /// Paused.
    Suspended,
    /// Over.
    Ended,
}

impl RoleStatus {
    /// The word that stands in the store.
    pub fn word(self) -> &'static str {
        match self {
            RoleStatus::Prospective => "prospective",
            RoleStatus::Active => "active",
            RoleStatus::Suspended => "suspended",
            RoleStatus::Ended => "ended",
        }
    }

    /// The status for a word of the store.
    pub fn from_word(word: &str) -> Option<RoleStatus> {
        [RoleStatus::Prospective, RoleStatus::Active, RoleStatus::Suspended, RoleStatus::Ended]
            .into_iter()
            .find(|one| one.word() == word)
    }
}

/// A role of a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its id.
    pub id: Uuid,
    /// The party that plays it.
    pub party: Uuid,
    /// Its type.
    pub role_type: RoleType,
    /// Where it holds; empty means everywhere.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: String,
    /// Where it stands.
    pub status: RoleStatus,
    /// When it holds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub validity: Period,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub end_reason: String,
    /// Where the fact came from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub provenance: Provenance,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A role to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDraft {
    /// The id it will have.
    pub id: Uuid,
    /// Its type.
    pub role_type: RoleType,
    /// Where it holds.
    pub scope: String,
    /// Where it stands; never ended.
    pub status: RoleStatus,
    /// When it begins; with the write when absent.
    pub from: Option<Timestamp>,
    /// When it ends.
    pub until: Option<Timestamp>,
    /// Where the fact came from.
    pub provenance: Provenance,
}

impl RoleDraft {
    /// The role, recorded now.
    pub fn record(self, party: Uuid, now: Timestamp) -> Role {
        // A period that is over already keeps its end: the start may not pass it.
        let until = self.until.unwrap_or(Timestamp::MAX);
        let from = self.from.unwrap_or(if now < until { now } else { Timestamp::MIN });
        Role {
            id: self.id,
            party,
            role_type: self.role_type,
            scope: self.scope,
            status: self.status,
            validity: Period { from, until },
            end_reason: String::new(),
            provenance: self.provenance,
            created_at: now,
            updated_at: now,
        }
    }
}

impl Role {
    /// Whether the role is in force at the moment.
    pub fn holds_at(&self, moment: Timestamp) -> bool {
        self.validity.holds_at(moment) && matches!(self.status, RoleStatus::Active | RoleStatus::Ended)
    }

    /// Whether the two say the same thing about one time.
    pub fn clashes(&self, other: &Role) -> bool {
        self.role_type == other.role_type && self.scope == other.scope && self.validity.overlaps(&other.validity)
    }

    /// Its resource name.
    pub fn name(&self) -> RoleName {
        RoleName::new(PartyName::new(self.party), self.id)
    }

    /// The role with its end.
    ///
    /// # Errors
    /// Precondition `ROLE_ALREADY_ENDED`; Invalid when the end is not after the start.
    pub fn ended(
        &self,
        at: Option<Timestamp>,
        reason: &str,
        provenance: &Provenance,
        now: Timestamp,
    ) -> Result<Role, Error> {
        if self.status == RoleStatus::Ended {
            return Err(Error::precondition(reason::ROLE_ALREADY_ENDED, "the role has an end already")
                .with("role", self.name()));
        }
        let until = at.unwrap_or(now);
        if until < self.validity.from {
            return Err(Error::field("end_time", reason::END_BEFORE_START, "must not be before the role's start"));
        }
        let mut ended = self.clone();
        ended.status = RoleStatus::Ended;
        ended.validity.until = until;
        ended.end_reason = reason.to_owned();
        if !provenance.is_empty() {
            ended.provenance = provenance.clone();
        }
        ended.updated_at = now;
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn role(from: i64, until: i64) -> Role {
        Role {
            id: Uuid::from_u128(2),
            party: Uuid::from_u128(1),
            role_type: RoleType::parse("customer").unwrap(),
            scope: String::new(),
            status: RoleStatus::Active,
            validity: Period { from: Timestamp::from_micros(from), until: Timestamp::from_micros(until) },
            end_reason: String::new(),
            provenance: Provenance::default(),
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn a_role_ends_once_and_not_before_it_began() {
        let now = Timestamp::from_micros(50);
        let open = role(10, 100);
        let ended = open.ended(None, "moved", &Provenance::default(), now).unwrap();
        assert_eq!((ended.status, ended.validity.until), (RoleStatus::Ended, now));
        assert!(ended.holds_at(Timestamp::from_micros(20)) && !ended.holds_at(now));
        assert_eq!(ended.ended(None, "", &Provenance::default(), now).unwrap_err().reason, reason::ROLE_ALREADY_ENDED);
        assert!(open.ended(Some(Timestamp::from_micros(9)), "", &Provenance::default(), now).is_err());
    }

    #[test]
    fn roles_clash_only_within_one_scope_and_time() {
        assert!(role(0, 10).clashes(&role(9, 20)));
        assert!(!role(0, 10).clashes(&role(10, 20)));
        let mut north = role(0, 10);
        north.scope = "north".into();
        assert!(!north.clashes(&role(0, 10)));
    }

    #[test]
    fn role_types_are_known_and_fit_kinds() {
        assert!(!RoleType::parse("employee").unwrap().fits(PartyKind::Organization));
        assert!(RoleType::parse("supplier").unwrap().fits(PartyKind::Individual));
        assert!(RoleType::parse("wizard").is_err());
        assert!(BUILT_IN.is_sorted());
    }
}
