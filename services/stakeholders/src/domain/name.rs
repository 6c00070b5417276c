//! The names of a party.

use rapport_types::error::FieldError;
use rapport_types::reason;
use serde::{Deserialize, Serialize};

use super::sparse::is_default;
use super::text::refuse;

/// The most names of one party.
pub const LIMIT: usize = 20;
/// The most characters of a whole name.
pub const MAX_FULL: usize = 300;
/// The most characters of a part of a name.
pub const MAX_PART: usize = 150;

/// What a name is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameUsage {
    /// In contracts and registers.
    #[default]
    Legal,
    /// What the party wants to be called.
    Preferred,
    /// What it trades under.
    Trading,
    /// What it used to be called.
    Former,
}

/// One name of a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The whole name.
    pub full: String,
    /// The given name of an individual.
    #[serde(default, skip_serializing_if = "is_default")]
    pub given: String,
    /// The family name of an individual.
    #[serde(default, skip_serializing_if = "is_default")]
    pub family: String,
    /// What it is used for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub usage: NameUsage,
    /// ISO 15924 code of its script, or empty.
    #[serde(default, skip_serializing_if = "is_default")]
    pub script: String,
}

impl Name {
    /// A name from parts that are checked one by one already; the whole and the script are filled in where they were
    /// left out.
    ///
    /// # Errors
    /// `REQUIRED` when every part is empty.
    pub fn assemble(
        full: String,
        given: String,
        family: String,
        usage: NameUsage,
        script: String,
    ) -> Result<Name, FieldError> {
        let full = if full.is_empty() { format!("{given} {family}").trim().to_owned() } else { full };
        if full.is_empty() {
            return refuse(reason::REQUIRED, "must be given, or given_name or family_name");
        }
        let script = if script.is_empty() { script_of(&full).unwrap_or_default().to_owned() } else { script };
        Ok(Name { full, given, family, usage, script })
    }
}

/// The name to show: the preferred one, else the legal, else the trading, else the first.
pub fn shown(names: &[Name]) -> Option<&str> {
    [NameUsage::Preferred, NameUsage::Legal, NameUsage::Trading]
        .iter()
        .find_map(|usage| names.iter().find(|name| name.usage == *usage))
        .or_else(|| names.first())
        .map(|name| name.full.as_str())
}

/// A script code of ISO 15924, or empty: a capital and three small letters.
///
/// # Errors
/// `MALFORMED` when it has another form.
pub fn script(value: &str) -> Result<String, FieldError> {
    let bytes = value.as_bytes();
    let well_formed =
        bytes.len() == 4 && bytes[0].is_ascii_uppercase() && bytes[1..].iter().all(u8::is_ascii_lowercase);
    if value.is_empty() || well_formed {
        return Ok(value.to_owned());
    }
    refuse(reason::MALFORMED, "must be a script code of ISO 15924 such as Latn")
}

/// The script of all letters of a text, if they share one.
pub fn script_of(text: &str) -> Option<&'static str> {
    let mut found: Option<&'static str> = None;
    for letter in text.chars().filter(|letter| letter.is_alphabetic()) {
        let script = script_of_letter(letter)?;
        found = match found {
            None => Some(script),
            Some(before) if before == script => found,
            // Japanese mixes Han with its own letters.
            Some("Hani" | "Jpan") if matches!(script, "Hani" | "Jpan") => Some("Jpan"),
            Some(_) => return None,
        };
    }
    found
}

fn script_of_letter(letter: char) -> Option<&'static str> {
    Some(match u32::from(letter) {
        0x41..=0x24F | 0x1E00..=0x1EFF | 0xFF21..=0xFF5A => "Latn",
        0x370..=0x3FF | 0x1F00..=0x1FFF => "Grek",
        0x400..=0x52F => "Cyrl",
        0x530..=0x58F => "Armn",
        0x590..=0x5FF => "Hebr",
        0x600..=0x6FF | 0x750..=0x77F | 0xFB50..=0xFDFF | 0xFE70..=0xFEFC => "Arab",
        0x900..=0x97F => "Deva",
        0x980..=0x9FF => "Beng",
        0xB80..=0xBFF => "Taml",
        0xE00..=0xE7F => "Thai",
        0x10A0..=0x10FF => "Geor",
        0x3040..=0x30FF => "Jpan",
        0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0x20000..=0x3134F => "Hani",
        0x1100..=0x11FF | 0x3130..=0x318F | 0xAC00..=0xD7AF => "Kore",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn name(full: &str, usage: NameUsage) -> Name {
        Name::assemble(full.into(), String::new(), String::new(), usage, String::new()).unwrap()
    }

    #[test]
    fn the_preferred_name_is_shown_first() {
        let names = [
            name("Acme GmbH", NameUsage::Legal),
            name("Acme", NameUsage::Trading),
            name("ACME!", NameUsage::Preferred),
        ];
        assert_eq!(shown(&names), Some("ACME!"));
        assert_eq!(shown(&names[..2]), Some("Acme GmbH"));
        assert_eq!(shown(&names[1..2]), Some("Acme"));
        assert_eq!(shown(&[]), None);
    }

    #[test]
    fn the_script_is_read_off_the_letters() {
        for (text, script) in [
            ("Ana Lima", Some("Latn")),
            ("Иван", Some("Cyrl")),
            ("山田 太郎", Some("Hani")),
            ("山田 たろう", Some("Jpan")),
            ("Ana Лима", None),
            ("123", None),
        ] {
            assert_eq!(script_of(text), script, "{text}");
        }
    }

    #[test]
    fn parts_make_a_whole() {
        let name = Name::assemble(String::new(), "Ana".into(), "Lima".into(), NameUsage::Legal, String::new()).unwrap();
        assert_eq!(name.full, "Ana Lima");
        let empty = Name::assemble(String::new(), String::new(), String::new(), NameUsage::Legal, String::new());
        assert!(empty.is_err());
    }
}
