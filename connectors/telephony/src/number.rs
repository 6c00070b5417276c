//! Numbers as telephony writes them, read as Rapport reads them: a caller must not be a stranger for a dash.

use rapport_identity::{Lookup, lookup, scheme};
use rapport_proto::interactions::v1::Identifier;

/// The most characters of a number that are kept.
const MOST: usize = 100;

/// The number of the other side of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// A number of a numbering plan, in E.164.
    Known(String),
    /// Something else that telephony calls by, such as an extension; compared as it stands.
    AsGiven(String),
    /// The other side held it back, or telephony does not know it.
    Withheld,
}

impl Number {
    /// Reads what telephony sent, in national form by the plan of `country` (ISO 3166-1 alpha-2, or empty).
    pub(crate) fn read(raw: &str, country: &str) -> Number {
        let line: String = raw.trim().chars().filter(|letter| !letter.is_control()).take(MOST).collect();
        match lookup(scheme::TEL, &line, &country.to_ascii_uppercase()) {
            Lookup::Value(number) => Number::Known(number),
            Lookup::Withheld => Number::Withheld,
            Lookup::Unreadable if !line.chars().any(char::is_alphanumeric) => Number::Withheld,
            Lookup::Unreadable => Number::AsGiven(line),
        }
    }

    /// As Rapport takes it; none when it was withheld.
    pub(crate) fn identifier(&self) -> Option<Identifier> {
        match self {
            Number::Known(value) | Number::AsGiven(value) => {
                Some(Identifier { scheme: scheme::TEL.to_owned(), value: value.clone() })
            }
            Number::Withheld => None,
        }
    }

    /// What a person is shown; empty when it was withheld.
    pub(crate) fn shown(&self) -> &str {
        match self {
            Number::Known(value) | Number::AsGiven(value) => value,
            Number::Withheld => "",
        }
    }
}

/// Whether Asterisk's presentation of a number says that it must not be used, by `agi_callingpres` (a number whose bits
/// 0x60 say so) or by `CALLERID(num-pres)` (a word). The number itself may be there all the same.
pub(crate) fn restricted(presentation: &str) -> bool {
    let word = presentation.trim();
    match word.parse::<u32>() {
        Ok(bits) => bits & 0x60 != 0,
        Err(_) => word.starts_with("prohib") || word == "unavailable",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn numbers_are_read_as_rapport_reads_them() {
        for (raw, country, read) in [
            ("+1 (202) 555-0201", "", Number::Known("+12025550201".into())),
            ("(202) 555-0201", "us", Number::Known("+12025550201".into())),
            ("sip:+12025550201@pbx", "", Number::Known("+12025550201".into())),
            ("101", "", Number::AsGiven("101".into())),
            ("al\nice", "", Number::AsGiven("alice".into())),
            ("anonymous", "", Number::Withheld),
            ("unknown", "", Number::Withheld),
            ("", "", Number::Withheld),
            ("--", "", Number::Withheld),
        ] {
            let number = Number::read(raw, country);
            // The identity crate may know how to read more than is written here; then it is a known number.
            assert!(number == read || (raw.starts_with("sip:") && number != Number::Withheld), "{raw}: {number:?}");
        }
        let long = Number::read(&"9x".repeat(500), "");
        assert!(long.shown().chars().count() <= MOST);
    }

    #[test]
    fn presentations() {
        for word in ["32", "35", "67", "prohib_passed_screen", "prohib", "unavailable"] {
            assert!(restricted(word), "{word}");
        }
        for word in ["0", "1", "3", "allowed_not_screened", "allowed", "", "junk"] {
            assert!(!restricted(word), "{word}");
        }
    }
}
