use rapport_types::error::FieldError;
use rapport_types::{Timestamp, Uuid, reason};

use rapport_types::Slug;

/// A party in a programme.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) id: Uuid,
    pub(crate) program: Uuid,
    /// The party that was enrolled; the fact keeps it for ever.
    pub(crate) party: Uuid,
    pub(crate) role_type: Option<Slug>,
    pub(crate) number: String,
    pub(crate) joined_at: Timestamp,
    pub(crate) recorded_at: Timestamp,
}

impl Member {
    /// A checked number; none for an empty text.
    pub(crate) fn number(text: &str) -> Result<Option<String>, FieldError> {
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() > 40 {
            return Err(FieldError::new(reason::TOO_LONG, "must have at most 40 characters"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(FieldError::new(reason::MALFORMED, "must be letters, digits and - only"));
        }
        Ok(Some(text.to_owned()))
    }

    /// A number from the random part of an id: ten digits and letters without those that look like others.
    pub(crate) fn number_of(id: Uuid) -> String {
        const SIGNS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut bits = id.as_u128();
        let mut number = String::with_capacity(10);
        for _ in 0..10 {
            number.push(char::from(SIGNS[usize::from((bits & 31) as u8)]));
            bits >>= 5;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(Member::number("").unwrap(), None);
        assert_eq!(Member::number("A-17").unwrap().unwrap(), "A-17");
        assert_eq!(Member::number("a b").unwrap_err().reason, reason::MALFORMED);
        assert_eq!(Member::number(&"9".repeat(41)).unwrap_err().reason, reason::TOO_LONG);
        let made = Member::number_of(Uuid::from_u128(u128::MAX - 1));
        assert_eq!(made, "YZZZZZZZZZ");
        assert!(Member::number(&made).is_ok());
    }
}
