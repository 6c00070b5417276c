use std::fmt;
use std::sync::Arc;

use rapport_types::error::FieldError;
use rapport_types::reason;

/// A short word that a tenant's systems agree on: `order`, `after-sales`, `late_delivery`. Lower-case ASCII letters,
/// digits, `-` and `_`, a letter first, at most [`Slug::MAX`] characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slug(Arc<str>);

impl Slug {
    /// The most characters.
    pub(crate) const MAX: usize = 64;

    /// A checked slug.
    pub(crate) fn parse(text: &str) -> Result<Slug, FieldError> {
        if text.is_empty() {
            return Err(FieldError { reason: reason::REQUIRED, description: "must be given".to_owned() });
        }
        if text.len() > Slug::MAX {
            return Err(FieldError {
                reason: reason::TOO_LONG,
                description: format!("must have at most {} characters", Slug::MAX),
            });
        }
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if !text.starts_with(|first: char| first.is_ascii_lowercase()) || !text.bytes().all(word) {
            return Err(FieldError {
                reason: reason::MALFORMED,
                description: "must be lower-case letters, digits, - and _, with a letter first".to_owned(),
            });
        }
        Ok(Slug(Arc::from(text)))
    }

    /// A checked slug, or none for an empty text.
    pub(crate) fn parse_optional(text: &str) -> Result<Option<Slug>, FieldError> {
        if text.is_empty() { Ok(None) } else { Slug::parse(text).map(Some) }
    }

    /// A word of this service's own.
    pub(super) fn fixed(word: &'static str) -> Slug {
        debug_assert!(Slug::parse(word).is_ok(), "{word} is no slug");
        Slug(Arc::from(word))
    }

    /// Its text.
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
    fn words_pass_and_everything_else_is_told_why() {
        for good in ["order", "after-sales", "late_delivery", "b2b", &"a".repeat(64)] {
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
            (&*"a".repeat(65), reason::TOO_LONG),
        ] {
            assert_eq!(Slug::parse(bad).unwrap_err().reason, why, "{bad:?}");
        }
    }
}
