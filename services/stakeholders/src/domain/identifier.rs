//! Keys by which a party is known.

use rapport_identity::{normalize, scheme};
use rapport_types::error::FieldError;
use rapport_types::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::text::slug;

/// The most identifiers that one party may hold.
pub const LIMIT: usize = 50;

/// Whose key an identifier is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scheme(String);

impl Scheme {
    /// A scheme from its slug. `phone` is another word for `tel`.
    ///
    /// # Errors
    /// `REQUIRED`, `TOO_LONG` or `MALFORMED`.
    pub fn parse(value: &str) -> Result<Scheme, FieldError> {
        let slug = slug(value)?;
        Ok(Scheme(if slug == "phone" { scheme::TEL.to_owned() } else { slug }))
    }

    /// The scheme of telephone numbers.
    pub fn tel() -> Scheme {
        Scheme(scheme::TEL.to_owned())
    }

    /// The scheme of e-mail addresses.
    pub fn email() -> Scheme {
        Scheme(scheme::EMAIL.to_owned())
    }

    /// The scheme of web pages.
    pub fn web() -> Scheme {
        Scheme(scheme::WEB.to_owned())
    }

    /// The scheme of a social network.
    pub fn social(network: &str) -> Scheme {
        Scheme(format!("{}{network}", scheme::SOCIAL))
    }

    /// A scheme as the store gave it back.
    pub fn stored(slug: String) -> Scheme {
        Scheme(slug)
    }

    /// The slug.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far an identifier tells parties apart. The stronger one is the smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// At most one party of the tenant holds the value.
    Unique,
    /// Seldom held by two.
    Strong,
    /// A hint.
    Weak,
}

impl Strength {
    /// The word that stands in the store.
    pub fn word(self) -> &'static str {
        match self {
            Strength::Unique => "unique",
            Strength::Strong => "strong",
            Strength::Weak => "weak",
        }
    }

    /// The strength for a word of the store.
    pub fn from_word(word: &str) -> Option<Strength> {
        [Strength::Unique, Strength::Strong, Strength::Weak].into_iter().find(|one| one.word() == word)
    }
}

/// An identifier of a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    /// Whose key it is.
    pub scheme: Scheme,
    /// As it was given.
    pub value: String,
    /// As it is compared.
    pub normalized: String,
    /// How far it tells parties apart.
    pub strength: Strength,
    /// When it was claimed; set by the write.
    pub created_at: Timestamp,
}

impl Identifier {
    /// A claim that is not yet recorded.
    ///
    /// # Errors
    /// Why the value cannot be read in its scheme.
    pub fn parse(scheme: Scheme, value: &str, strength: Strength, country: &str) -> Result<Identifier, FieldError> {
        let normalized = normalize(scheme.as_str(), value, country)?;
        Ok(Identifier { scheme, value: value.trim().to_owned(), normalized, strength, created_at: Timestamp::MIN })
    }

    /// What two equal identifiers share.
    pub fn key(&self) -> (&str, &str) {
        (self.scheme.as_str(), &self.normalized)
    }
}
