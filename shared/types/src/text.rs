//! Text from outside: normalised (NFC), bounded, and free of characters that do harm.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::error::FieldError;
use crate::reason;

/// The composed form (NFC), in which all text is stored.
pub fn nfc(text: &str) -> String {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.to_owned(),
        _ => text.nfc().collect(),
    }
}

/// The compatibility-composed form (NFKC): a full-width letter becomes its plain one. Case stays as it is.
pub fn nfkc(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfkc().collect() }
}

/// The key under which text is compared: compatibility-normalised (NFKC) and case-folded, so that `STRASSE` equals
/// `straße` and a full-width letter its plain one. Keys of keys are the same keys.
pub fn key(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Folding undoes normalisation and the other way round; the canonical definition (Unicode D146) does each twice.
    let folded = caseless::default_case_fold_str(&text.nfd().collect::<String>());
    let folded = caseless::default_case_fold_str(&folded.nfkd().collect::<String>());
    folded.nfkc().collect()
}

/// An RFC 5646 language tag such as `pt-BR`, or empty; at most 35 characters. Its form is checked, not whether there is
/// such a language.
///
/// # Errors
/// `TOO_LONG` or `MALFORMED`.
pub fn language(value: &str) -> Result<String, FieldError> {
    if value.is_empty() {
        return Ok(String::new());
    }
    if value.len() > 35 {
        return Err(FieldError::new(reason::TOO_LONG, "must be at most 35 characters"));
    }
    let mut parts = value.split('-');
    let primary = parts
        .next()
        .is_some_and(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let rest = parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if !(primary && rest) {
        return Err(FieldError::new(reason::MALFORMED, "must be a language tag such as pt-BR"));
    }
    Ok(value.to_owned())
}

/// How many characters a text may have. Characters are Unicode scalar values, counted after normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The least. Above zero, a text of nothing but white space is refused too.
    pub min: usize,
    /// The most.
    pub max: usize,
}

/// A text within its limits, normalised, without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// One line of text.
    ///
    /// # Errors
    /// [`reason::REQUIRED`], [`reason::TOO_SHORT`], [`reason::TOO_LONG`] or [`reason::CONTROL_CHARACTER`] (line
    /// breaks and tabs among them).
    pub fn parse(value: &str, limits: Limits) -> Result<Self, FieldError> {
        Self::checked(value, limits, |_| false)
    }

    /// Text of several lines: line breaks and tabs are welcome.
    ///
    /// # Errors
    /// As [`Text::parse`], but for line breaks and tabs.
    pub fn parse_lines(value: &str, limits: Limits) -> Result<Self, FieldError> {
        Self::checked(value, limits, |character| matches!(character, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}'))
    }

    /// A name: one line, without white space at its ends (it is cut off), and without characters that turn the
    /// direction of writing, with which one name can pass for another.
    ///
    /// # Errors
    /// As [`Text::parse`], and [`reason::BIDI_CONTROL`].
    pub fn parse_name(value: &str, limits: Limits) -> Result<Self, FieldError> {
        if value.contains(is_bidi_control) {
            return Err(FieldError::new(
                reason::BIDI_CONTROL,
                "must not hold characters that turn the direction of writing",
            ));
        }
        Self::parse(value.trim(), limits)
    }

    fn checked(value: &str, limits: Limits, allowed: impl Fn(char) -> bool) -> Result<Self, FieldError> {
        // A character takes up to four bytes and composes from few: far longer input is not worth normalising.
        if value.len() / 32 > limits.max {
            return Err(too_long(limits.max));
        }
        let text = nfc(value);
        if text.contains(|character| is_control(character) && !allowed(character)) {
            return Err(FieldError::new(reason::CONTROL_CHARACTER, "must not hold control characters"));
        }
        if limits.min > 0 && text.trim().is_empty() {
            return Err(FieldError::required());
        }
        let length = text.chars().count();
        if length < limits.min {
            let description = format!("must have at least {} characters", limits.min);
            return Err(FieldError::new(reason::TOO_SHORT, description));
        }
        if length > limits.max {
            return Err(too_long(limits.max));
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself.
    pub fn into_string(self) -> String {
        self.0
    }

    /// The key under which it is compared.
    pub fn key(&self) -> String {
        key(&self.0)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn too_long(max: usize) -> FieldError {
    FieldError::new(reason::TOO_LONG, format!("must have at most {max} characters"))
}

/// Control characters, and the two separators that break a line without being one.
fn is_control(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// Characters with the Unicode property `Bidi_Control`.
pub fn is_bidi_control(character: char) -> bool {
    matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    const TEN: Limits = Limits { min: 1, max: 10 };

    fn reason_of(value: Result<Text, FieldError>) -> &'static str {
        value.unwrap_err().reason
    }

    #[test]
    fn language_tags_have_the_form_of_the_standard() {
        for good in ["", "pt", "pt-BR", "zh-Hant-TW", "de-CH-1996"] {
            assert_eq!(language(good).unwrap(), good);
        }
        for bad in ["p", "pt_BR", "12", "pt-", "portuguese-", "ä"] {
            assert_eq!(language(bad).unwrap_err().reason, reason::MALFORMED, "{bad}");
        }
        assert_eq!(language(&"pt-".repeat(12)).unwrap_err().reason, reason::TOO_LONG);
    }

    #[test]
    fn limits_count_characters_after_normalisation() {
        assert_eq!(Text::parse("e\u{301}", Limits { min: 1, max: 1 }).unwrap().as_str(), "é");
        assert_eq!(Text::parse("ü".repeat(10).as_str(), TEN).unwrap().as_str().len(), 20);
        assert_eq!(reason_of(Text::parse(&"x".repeat(11), TEN)), reason::TOO_LONG);
        assert_eq!(reason_of(Text::parse(&"x".repeat(1 << 20), TEN)), reason::TOO_LONG);
        assert_eq!(reason_of(Text::parse("", TEN)), reason::REQUIRED);
        assert_eq!(reason_of(Text::parse(" \u{a0}", TEN)), reason::REQUIRED);
        assert_eq!(reason_of(Text::parse("ab", Limits { min: 3, max: 9 })), reason::TOO_SHORT);
        assert!(Text::parse("", Limits { min: 0, max: 0 }).unwrap().is_empty());
    }

    #[test]
    fn control_characters() {
        for bad in ["a\0", "a\u{7}", "a\u{7f}", "a\u{85}"] {
            assert_eq!(reason_of(Text::parse(bad, TEN)), reason::CONTROL_CHARACTER);
            assert_eq!(reason_of(Text::parse_lines(bad, TEN)), reason::CONTROL_CHARACTER);
        }
        for line in ["a\nb", "a\r\nb", "a\tb", "a\u{2028}b"] {
            assert_eq!(reason_of(Text::parse(line, TEN)), reason::CONTROL_CHARACTER);
            assert!(Text::parse_lines(line, TEN).is_ok());
        }
    }

    #[test]
    fn names_do_not_turn() {
        assert_eq!(Text::parse_name("  Ana ", TEN).unwrap().as_str(), "Ana");
        assert_eq!(reason_of(Text::parse_name("a\u{202e}b", TEN)), reason::BIDI_CONTROL);
        assert!(Text::parse_name("عائشة", TEN).is_ok());
        // Joiners are part of the spelling in Persian and in Indic scripts.
        assert!(Text::parse_name("می\u{200c}خ", TEN).is_ok());
    }

    #[test]
    fn keys() {
        for (a, b) in [("STRASSE", "straße"), ("ＡＢＣ", "abc"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("É", "e\u{301}"), ("ﬁ", "FI")]
        {
            assert_eq!(key(a), key(b), "{a} {b}");
        }
        assert_ne!(key("Muller"), key("Müller"));
    }

    proptest! {
        #[test]
        fn keys_are_stable(text in "\\PC{0,24}") {
            let once = key(&text);
            prop_assert_eq!(&key(&once), &once);
            prop_assert_eq!(&key(&nfc(&text)), &once);
            prop_assert_eq!(&nfc(&once), &once);
        }

        #[test]
        fn parsed_text_keeps_its_promise(text in any::<String>(), min in 0_usize..4, max in 4_usize..40) {
            if let Ok(parsed) = Text::parse(&text, Limits { min, max }) {
                let length = parsed.as_str().chars().count();
                prop_assert!((min..=max).contains(&length));
                prop_assert!(!parsed.as_str().contains(char::is_control));
                prop_assert_eq!(&Text::parse(parsed.as_str(), Limits { min, max }).unwrap(), &parsed);
            }
            let _ = Text::parse_name(&text, Limits { min, max });
            let _ = Text::parse_lines(&text, Limits { min, max });
        }
    }
}
