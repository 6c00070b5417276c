//! The party: who it is, how it is reached and how well it is known.

use rapport_types::error::Error;
use rapport_types::reason;
use rapport_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::attributes::Attributes;
use super::identifier::{self, Identifier};
use super::medium::Medium;
use super::name::{self, Name};
use super::names::PartyName;
use super::provenance::Provenance;
use super::role::{self, Role, RoleDraft};
use super::sparse::is_default;

/// What a party is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartyKind {
    /// A natural person.
    Individual,
    /// A company, an authority, an association.
    Organization,
    /// People who live and decide together.
    Household,
    /// Any other set of parties that acts as one.
    Group,
}

impl PartyKind {
    /// All kinds.
    pub const ALL: [PartyKind; 4] =
        [PartyKind::Individual, PartyKind::Organization, PartyKind::Household, PartyKind::Group];

    /// The words of all kinds.
    pub const WORDS: [&str; 4] = {
        let [one, two, three, four] = Self::ALL;
        [one.word(), two.word(), three.word(), four.word()]
    };

    /// The word that stands in the store and in filters.
    pub const fn word(self) -> &'static str {
        match self {
            PartyKind::Individual => "individual",
            PartyKind::Organization => "organization",
            PartyKind::Household => "household",
            PartyKind::Group => "group",
        }
    }

    /// The kind for a word.
    pub fn from_word(word: &str) -> Option<PartyKind> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// How well a party is known, and whether it is set apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// By an identifier alone.
    Provisional,
    /// By name.
    Identified,
    /// Checked by somebody.
    Curated,
    /// Set apart: served, and asked for nothing.
    Restricted,
}

impl Lifecycle {
    /// All steps.
    pub const ALL: [Lifecycle; 4] =
        [Lifecycle::Provisional, Lifecycle::Identified, Lifecycle::Curated, Lifecycle::Restricted];

    /// The words of all steps.
    pub const WORDS: [&str; 4] = {
        let [one, two, three, four] = Self::ALL;
        [one.word(), two.word(), three.word(), four.word()]
    };

    /// The word that stands in the store and in filters.
    pub const fn word(self) -> &'static str {
        match self {
            Lifecycle::Provisional => "provisional",
            Lifecycle::Identified => "identified",
            Lifecycle::Curated => "curated",
            Lifecycle::Restricted => "restricted",
        }
    }

    /// The step for a word.
    pub fn from_word(word: &str) -> Option<Lifecycle> {
        Self::ALL.into_iter().find(|step| step.word() == word)
    }
}

/// How a party ceased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CessationKind {
    /// A person died.
    Deceased,
    /// An organisation, household or group is no more.
    Closed,
}

/// The end of a party in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cessation {
    /// What happened.
    pub kind: CessationKind,
    /// When, if known.
    pub occurred_at: Option<Timestamp>,
}

/// How it came that a party is set apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restriction {
    /// What the caller said of it.
    pub provenance: Provenance,
    /// Who did it.
    pub principal: String,
    /// Since when.
    pub restricted_at: Timestamp,
}

/// What callers write about a party, as one document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// The name to show.
    pub display_name: String,
    /// All names.
    #[serde(skip_serializing_if = "is_default")]
    pub names: Vec<Name>,
    /// Ways to reach it.
    #[serde(skip_serializing_if = "is_default")]
    pub media: Vec<Medium>,
    /// The tenant's own attributes.
    #[serde(skip_serializing_if = "is_default")]
    pub attributes: Attributes,
    /// RFC 5646.
    #[serde(skip_serializing_if = "is_default")]
    pub language_code: String,
    /// ISO 3166-1 alpha-2.
    #[serde(skip_serializing_if = "is_default")]
    pub country_code: String,
    /// IANA.
    #[serde(skip_serializing_if = "is_default")]
    pub time_zone: String,
    /// Set when it is no more.
    #[serde(skip_serializing_if = "is_default")]
    pub cessation: Option<Cessation>,
    /// Where the record came from.
    #[serde(skip_serializing_if = "is_default")]
    pub provenance: Provenance,
    /// Set when it is set apart, and by nothing else.
    #[serde(skip_serializing_if = "is_default")]
    pub restriction: Option<Restriction>,
}

/// A party as it is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Party {
    /// Its id.
    pub id: Uuid,
    /// What it is.
    pub kind: PartyKind,
    /// How well it is known.
    pub lifecycle: Lifecycle,
    /// What callers wrote.
    pub profile: Profile,
    /// Keys by which it is known, oldest first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub identifiers: Vec<Identifier>,
    /// Its roles, newest first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub roles: Vec<Role>,
    /// Grows by one with each event.
    pub version: i64,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A party to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct PartyDraft {
    /// The id it will have.
    pub id: Uuid,
    /// What it is.
    pub kind: PartyKind,
    /// What is known of it.
    pub profile: Profile,
    /// What its caller says it is from the start: curated, or set apart. Else that is found.
    pub stated: Option<Lifecycle>,
    /// Keys by which it is known.
    pub identifiers: Vec<Identifier>,
    /// Its first roles.
    pub roles: Vec<RoleDraft>,
}

impl PartyDraft {
    /// The party, recorded now as version 1.
    ///
    /// # Errors
    /// Precondition `ROLE_NOT_ALLOWED` or `ROLE_ALREADY_HELD`.
    pub fn record(&self, now: Timestamp) -> Result<Party, Error> {
        let mut profile = self.profile.clone();
        if profile.display_name.is_empty() {
            profile.display_name = name::shown(&profile.names).unwrap_or_default().to_owned();
        }
        let found = if profile.display_name.is_empty() { Lifecycle::Provisional } else { Lifecycle::Identified };
        let lifecycle = self.stated.unwrap_or(found);
        let mut identifiers = self.identifiers.clone();
        for identifier in &mut identifiers {
            identifier.created_at = now;
        }
        let mut party = Party {
            id: self.id,
            kind: self.kind,
            lifecycle,
            profile,
            identifiers,
            roles: Vec::new(),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        for draft in &self.roles {
            let role = draft.clone().record(party.id, now);
            party.may_take(&role)?;
            party.roles.insert(0, role);
        }
        Ok(party)
    }
}

impl Party {
    /// Its resource name.
    pub fn name(&self) -> PartyName {
        PartyName::new(self.id)
    }

    /// Whether it is deceased or closed.
    pub fn ceased(&self) -> bool {
        self.profile.cessation.is_some()
    }

    /// Takes note of how it came to be set apart, or that it no longer is, where that changed: what the last writer said of
    /// the record is by then what was said of this.
    pub fn note_restriction(&mut self, before: Lifecycle, principal: &str, now: Timestamp) {
        self.profile.restriction = match (before, self.lifecycle) {
            (Lifecycle::Restricted, Lifecycle::Restricted) => return,
            (_, Lifecycle::Restricted) => Some(Restriction {
                provenance: self.profile.provenance.clone(),
                principal: principal.to_owned(),
                restricted_at: now,
            }),
            _ => None,
        };
    }

    /// The role types it holds at the moment, each once, in order.
    pub fn role_types_at(&self, moment: Timestamp) -> Vec<String> {
        let mut types: Vec<_> = self
            .roles
            .iter()
            .filter(|role| role.holds_at(moment))
            .map(|role| role.role_type.as_str().to_owned())
            .collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    /// Whether it may be given the role.
    ///
    /// # Errors
    /// Precondition `ROLE_NOT_ALLOWED`, `ROLE_ALREADY_HELD` or `TOO_MANY_CHILDREN`.
    pub fn may_take(&self, role: &Role) -> Result<(), Error> {
        if !role.role_type.fits(self.kind) {
            return Err(Error::precondition(
                reason::ROLE_NOT_ALLOWED,
                format!("the role {} is not for parties of kind {}", role.role_type.as_str(), self.kind.word()),
            )
            .with("role_type", role.role_type.as_str())
            .with("kind", self.kind.word()));
        }
        if let Some(held) = self.roles.iter().find(|held| held.clashes(role)) {
            return Err(Error::precondition(
                reason::ROLE_ALREADY_HELD,
                format!("the party holds the role {} in this scope already", role.role_type.as_str()),
            )
            .with("role", held.name())
            .with("role_type", role.role_type.as_str()));
        }
        if self.roles.len() >= role::LIMIT {
            return Err(self.full("roles", role::LIMIT));
        }
        Ok(())
    }

    /// Whether it may hold one more identifier.
    ///
    /// # Errors
    /// Precondition `TOO_MANY_CHILDREN`.
    pub fn may_claim(&self) -> Result<(), Error> {
        if self.identifiers.len() >= identifier::LIMIT {
            return Err(self.full("identifiers", identifier::LIMIT));
        }
        Ok(())
    }

    fn full(&self, what: &str, limit: usize) -> Error {
        Error::precondition(
            reason::TOO_MANY_CHILDREN,
            format!("{} has {limit} {what}, which is the most there may be", self.name()),
        )
        .with("name", self.name())
        .with("limit", limit)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::domain::role::{RoleStatus, RoleType};

    pub(crate) fn draft(display_name: &str) -> PartyDraft {
        PartyDraft {
            id: Uuid::from_u128(1),
            kind: PartyKind::Individual,
            profile: Profile { display_name: display_name.into(), ..Profile::default() },
            stated: None,
            identifiers: Vec::new(),
            roles: Vec::new(),
        }
    }

    pub(crate) fn role(kind: &str) -> RoleDraft {
        RoleDraft {
            id: Uuid::from_u128(9),
            role_type: RoleType::parse(kind).unwrap(),
            scope: String::new(),
            status: RoleStatus::Active,
            from: None,
            until: None,
            provenance: Provenance::default(),
        }
    }

    const NOW: Timestamp = Timestamp::from_micros(1_000);

    #[test]
    fn a_role_is_held_once_at_a_time() {
        let mut start = draft("Ana");
        start.roles = vec![role("customer"), role("supplier")];
        let party = start.record(NOW).unwrap();
        assert_eq!(party.role_types_at(NOW), ["customer", "supplier"]);
        let again = role("customer").record(party.id, NOW);
        assert_eq!(party.may_take(&again).unwrap_err().reason, reason::ROLE_ALREADY_HELD);
        start.roles.push(role("customer"));
        assert!(start.record(NOW).is_err());
        let mut company = draft("Acme");
        company.kind = PartyKind::Organization;
        company.roles = vec![role("employee")];
        assert_eq!(company.record(NOW).unwrap_err().reason, reason::ROLE_NOT_ALLOWED);
    }
}
