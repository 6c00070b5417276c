//! Words that programs agree upon.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::FieldError;
use crate::reason;

/// A word that a tenant's systems agree upon: a role type, a kind of interaction, a channel, a purpose, for example
/// `order`, `after-sales`, `tax.br.cnpj`. A lower-case letter, then lower-case letters, digits, `.`, `_` or `-`; at most
/// [`Slug::MAX`] characters. One form for the whole contract: what one service names, every other can.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(Arc<str>);

impl Slug {
    /// The most characters.
    pub const MAX: usize = 63;

    /// A checked slug.
    ///
    /// # Errors
    /// `REQUIRED`, `TOO_LONG` or `MALFORMED`.
    pub fn parse(text: &str) -> Result<Slug, FieldError> {
        if text.is_empty() {
            return Err(FieldError::required());
        }
        if text.len() > Slug::MAX {
            return Err(FieldError::new(reason::TOO_LONG, format!("must be at most {} characters", Slug::MAX)));
        }
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
        if first && rest {
            return Ok(Slug(Arc::from(text)));
        }
        Err(FieldError::new(
            reason::MALFORMED,
            "must be a slug: a lower-case letter, then lower-case letters, digits, '.', '_' or '-'",
        ))
    }

    /// A checked slug, or none for an empty text.
    ///
    /// # Errors
    /// `TOO_LONG` or `MALFORMED`.
    pub fn parse_optional(text: &str) -> Result<Option<Slug>, FieldError> {
        if text.is_empty() { Ok(None) } else { Slug::parse(text).map(Some) }
    }

    /// A word of the product's own, which is known to be one.
    #[must_use]
    pub fn own(word: &'static str) -> Slug {
        debug_assert!(Slug::parse(word).is_ok(), "{word} is a slug");
        Slug(Arc::from(word))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Slug {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Slug, FieldError> {
        Slug::parse(&text)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> String {
        slug.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn words_pass_and_everything_else_is_told_why() {
        for good in ["order", "after-sales", "late_delivery", "tax.br.cnpj", "b2b", "a", &"a".repeat(63)] {
            assert_eq!(Slug::parse(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", reason::REQUIRED),
            ("Order", reason::MALFORMED),
            ("2b", reason::MALFORMED),
            ("-a", reason::MALFORMED),
            ("a b", reason::MALFORMED),
            ("a\0", reason::MALFORMED),
            ("süß", reason::MALFORMED),
            (&*"a".repeat(64), reason::TOO_LONG),
        ] {
            assert_eq!(Slug::parse(bad).unwrap_err().reason, why, "{bad:?}");
        }
        assert_eq!(Slug::parse_optional("").unwrap(), None);
    }

    #[test]
    fn a_stored_slug_is_read_as_it_was_written() {
        let written = serde_json::to_string(&Slug::own("order")).unwrap();
        assert_eq!(written, "\"order\"");
        assert_eq!(serde_json::from_str::<Slug>(&written).unwrap(), Slug::own("order"));
        assert!(serde_json::from_str::<Slug>("\"Order\"").is_err());
    }
}
