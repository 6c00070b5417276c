//! Who is asking, and whose data it is. Both come from the verified credential, never from a request.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::FieldError;
use crate::reason;

/// A tenant: a slug of 1 to 63 lower-case letters, digits and inner hyphens that starts with a letter or digit.
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Reads a slug.
    ///
    /// # Errors
    /// [`reason::REQUIRED`], [`reason::TOO_LONG`] or [`reason::MALFORMED`].
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        match text.as_bytes() {
            [] => Err(FieldError::required()),
            bytes if bytes.len() > 63 => Err(FieldError::new(reason::TOO_LONG, "must have at most 63 characters")),
            [first, rest @ ..] if letter(*first) && rest.iter().all(|byte| letter(*byte) || *byte == b'-') => {
                Ok(Self(text.into()))
            }
            _ => Err(FieldError::new(
                reason::MALFORMED,
                "must be lower-case letters, digits and hyphens, starting with a letter or digit",
            )),
        }
    }

    /// The tenant of an installation without credentials: `local`.
    pub fn local() -> Self {
        Self("local".into())
    }

    /// The slug.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TenantId {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        Self::parse(&text)
    }
}

impl From<TenantId> for String {
    fn from(tenant: TenantId) -> Self {
        tenant.0.as_ref().to_owned()
    }
}

impl AsRef<str> for TenantId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A caller whose credential was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Whose data it may see.
    pub tenant: TenantId,
    /// Who it is, for example `users/ana` or `services/scoring`.
    pub name: String,
    /// The names of its roles, for example `agent`.
    pub roles: Vec<String>,
    /// Whether it is a service of the suite, which may read the feed of every tenant.
    pub service: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn slugs() {
        for text in ["a", "acme", "acme-2", "7", "a-", &"x".repeat(63)] {
            assert_eq!(TenantId::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "-a", "Acme", "a_b", "a b", "ä", "a\0", "a/b", &"x".repeat(64)] {
            assert!(TenantId::parse(text).is_err(), "{text}");
        }
        assert_eq!(TenantId::parse("local").unwrap(), TenantId::local());
    }
}
