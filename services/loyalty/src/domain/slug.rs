use std::fmt;

use rapport_types::{FieldError, reason};
use serde::{Deserialize, Serialize};

/// A word that programs agree upon: a channel, a purpose, what is asked for. As everywhere in the contract it is a
/// lower-case letter, then lower-case letters, digits, `.`, `_` or `-`; at most 63 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Slug(String);

impl Slug {
    /// The longest.
    const LONGEST: usize = 63;

    /// Reads a slug.
    ///
    /// # Errors
    /// `REQUIRED`, `TOO_LONG` or `MALFORMED`.
    pub(crate) fn parse(text: &str) -> Result<Slug, FieldError> {
        if text.is_empty() {
            return Err(FieldError::required());
        }
        if text.len() > Slug::LONGEST {
            return Err(FieldError::new(reason::TOO_LONG, "must be at most 63 characters"));
        }
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
        if first && rest {
            return Ok(Slug(text.to_owned()));
        }
        Err(FieldError::new(
            reason::MALFORMED,
            "must be a slug: a lower-case letter, then lower-case letters, digits, '.', '_' or '-'",
        ))
    }

    /// A word of our own.
    pub(crate) fn own(text: &'static str) -> Slug {
        debug_assert!(Slug::parse(text).is_ok(), "{text} is a slug");
        Slug(text.to_owned())
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn slugs_are_plain() {
        for good in ["email", "a", "tax.br", "sms_2-x", &"x".repeat(63)] {
            assert_eq!(Slug::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(Slug::parse("").unwrap_err().reason, reason::REQUIRED);
        assert_eq!(Slug::parse(&"x".repeat(64)).unwrap_err().reason, reason::TOO_LONG);
        for bad in ["E", "2a", "a b", "é", "-a", "a\0"] {
            assert_eq!(Slug::parse(bad).unwrap_err().reason, reason::MALFORMED, "{bad}");
        }
    }
}
