//! From what people write to E.164.

use rapport_types::error::FieldError;
use rapport_types::reason;

use crate::refuse;

/// What people and switches send in place of a number that is held back, without spaces and in lower case.
const WITHHELD: &[&str] = &[
    "",
    "anonymous",
    "anonymousanonymousinvalid",
    "anonymousinvalid",
    "anonym",
    "withheld",
    "private",
    "privatenumber",
    "restricted",
    "unavailable",
    "unknown",
    "unknownnumber",
    "unknowncaller",
    "blocked",
    "nocallerid",
    "noid",
    "callerid",
    "hidden",
    "oculto",
    "privado",
    "numeroprivado",
    "desconhecido",
    "desconocido",
    "unterdrückt",
    "unbekannt",
    "masqué",
    "inconnu",
    "nonumber",
    "none",
    "null",
    "asserted",
    "p",
    "o",
    // The word "anonymous" on a telephone's keys.
    "266696687",
    "+266696687",
];

/// Where each script's decimal digits begin; ten follow each.
const ZEROS: &[u32] = &[
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50,
    0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
    0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x11066, 0x110F0, 0x11136, 0x111D0,
    0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x16A60, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2,
    0x1D7EC, 0x1D7F6, 0x1E140, 0x1E950,
];

/// Words between a number and its extension.
const EXTENSIONS: &[&str] = &["extension", "ramal", "ext", "extn", "anexo", "poste", "dw", "x", "#", ";ext="];

/// What a written number turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A number, in E.164: `+` and 7 to 15 digits.
    Number(String),
    /// The caller held it back.
    Withheld,
}

/// The ASCII digit for a decimal digit of any script.
pub(crate) fn fold_digit(letter: char) -> char {
    let code = u32::from(letter);
    ZEROS
        .iter()
        .find(|zero| (**zero..**zero + 10).contains(&code))
        .and_then(|zero| char::from_digit(code - zero, 10))
        .unwrap_or(letter)
}

/// Whether the text stands for a number that is held back.
pub fn withheld(raw: &str) -> bool {
    let bare: String = raw
        .trim_start_matches("sip:")
        .chars()
        .filter(|letter| letter.is_alphanumeric() || *letter == '+')
        .flat_map(|letter| fold_digit(letter).to_lowercase())
        .collect();
    WITHHELD.contains(&bare.as_str()) || (!bare.is_empty() && bare.bytes().all(|byte| byte == b'0'))
}

/// Reads a number as it was written, in national form by the plan of `country` (ISO 3166-1 alpha-2, or empty).
///
/// # Errors
/// `MALFORMED` when it is no number of the plan, or is national and no country was given.
pub(crate) fn read(raw: &str, country: &str) -> Result<Reading, FieldError> {
    if withheld(raw) {
        return Ok(Reading::Withheld);
    }
    let bare = bare(raw)?;
    let number = e164(&bare, country)?;
    Ok(Reading::Number(number))
}

/// Reads a number that must not be held back.
///
/// # Errors
/// As [`read`]; `IDENTIFIER_SHARED` for a withheld number, which can name nobody.
pub(crate) fn parse(raw: &str, country: &str) -> Result<String, FieldError> {
    match read(raw, country)? {
        Reading::Number(number) => Ok(number),
        Reading::Withheld => refuse(reason::IDENTIFIER_SHARED, "is a withheld number, which names nobody"),
    }
}

/// A plus, if there is one, and ASCII digits; nothing else survives.
fn bare(raw: &str) -> Result<String, FieldError> {
    let folded: String = raw.chars().map(fold_digit).flat_map(char::to_lowercase).collect();
    let mut rest = folded.trim();
    for scheme in ["tel:", "sips:", "sip:", "callto:", "whatsapp:"] {
        rest = rest.strip_prefix(scheme).unwrap_or(rest).trim_start();
    }
    // A SIP address carries the number before its host.
    rest = rest.split('@').next().unwrap_or(rest);
    // Parameters of a tel URI; the context says the country when the number itself does not.
    let context = rest
        .split(';')
        .skip(1)
        .find_map(|parameter| parameter.strip_prefix("phone-context=+"))
        .filter(|context| !context.is_empty() && context.bytes().all(|byte| byte.is_ascii_digit()));
    rest = rest.split(';').next().unwrap_or(rest);
    for word in EXTENSIONS {
        if let Some(at) = rest.find(word).filter(|at| *at > 0) {
            rest = &rest[..at];
        }
    }
    let mut bare = String::with_capacity(rest.len());
    for letter in rest.chars() {
        match letter {
            '0'..='9' => bare.push(letter),
            '+' | '\u{ff0b}' if bare.is_empty() => bare.push('+'),
            letter if separates(letter) => {}
            _ => {
                return refuse(reason::MALFORMED, "must be a telephone number: digits, separators, a leading +");
            }
        }
    }
    // People put the trunk zero between: +49 (0) 30 ...
    if bare.starts_with('+') && folded.contains("(0)") {
        let digits: String = rest.replace("(0)", "").chars().filter(char::is_ascii_digit).collect();
        bare = format!("+{digits}");
    }
    if let Some(context) = context.filter(|_| !bare.starts_with('+')) {
        bare = format!("+{context}{}", bare.trim_start_matches('0'));
    }
    Ok(bare)
}

/// What may stand between digits: spaces and dashes of every kind, brackets, dots, slashes, marks of direction.
fn separates(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(
            letter,
            '-' | '.' | '/' | '(' | ')' | '[' | ']' | ',' | '_' | '~' | '*' | '\''
            | '\u{00ad}' | '\u{200b}'..='\u{200f}' | '\u{2010}'..='\u{2015}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{2212}' | '\u{30fc}' | '\u{fe63}' | '\u{ff08}' | '\u{ff09}' | '\u{ff0d}'
            | '\u{ff0e}' | '\u{ff0f}' | '\u{feff}'
        )
}

fn e164(bare: &str, country: &str) -> Result<String, FieldError> {
    let unreadable = || FieldError {
        reason: reason::MALFORMED,
        description: if country.is_empty() && !bare.starts_with('+') {
            "must be in international form with a leading +, or come with its country".to_owned()
        } else {
            "must be a number of the country's numbering plan".to_owned()
        },
    };
    let digits = bare.trim_start_matches('+');
    if !(3..=20).contains(&digits.len()) {
        return Err(unreadable());
    }
    let international = match bare.strip_prefix("00") {
        Some(rest) if country.is_empty() => format!("+{rest}"),
        _ => bare.to_owned(),
    };
    let region = if international.starts_with('+') {
        None
    } else {
        let region: phonenumber::country::Id = country.parse().map_err(|_| unreadable())?;
        Some(region)
    };
    let parsed = phonenumber::parse(region, &international).map_err(|_| unreadable())?;
    let code = parsed.country().code();
    let national = parsed.national().to_string();
    if code == 0 {
        return Err(unreadable());
    }
    let number = format!("+{code}{}", renumbered(code, &national));
    if !(7..=15).contains(&(number.len() - 1)) {
        return Err(unreadable());
    }
    Ok(number)
}

/// The number as the plan writes it today, for plans that changed under numbers that are still written the old way.
fn renumbered(code: u16, national: &str) -> String {
    let bytes = national.as_bytes();
    match code {
        // Brazil, 2012 to 2016: mobile numbers, which begin with 6 to 9 after the two digits of the area, got a ninth
        // digit, a 9 in front.
        55 if bytes.len() == 10 && (b'6'..=b'9').contains(&bytes[2]) => {
            format!("{}9{}", &national[..2], &national[2..])
        }
        // Mexico, 2019: the 1 in front of mobile numbers went away.
        52 if bytes.len() == 11 && bytes[0] == b'1' => national[1..].to_owned(),
        _ => national.to_owned(),
    }
}

/// Reads the numbering plans into memory, so that no caller waits for it.
pub fn warm() {
    let _ = e164("+12025550143", "");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn people_write_numbers_in_many_ways() {
        for (raw, country, e164) in [
            ("+1 202-555-0143", "", "+12025550143"),
            ("(202) 555-0143", "US", "+12025550143"),
            ("1-202-555-0143", "US", "+12025550143"),
            ("011 44 20 7946 0018", "US", "+442079460018"),
            ("020 7946 0018", "GB", "+442079460018"),
            ("+44 (0) 20 7946 0018", "", "+442079460018"),
            ("00442079460018", "", "+442079460018"),
            ("tel:+44-20-7946-0018", "", "+442079460018"),
            ("sip:+442079460018@pbx.example.com", "", "+442079460018"),
            ("tel:020-7946-0018;phone-context=+44", "", "+442079460018"),
            ("(202) 555-0143 ext. 12", "US", "+12025550143"),
            ("(11) 5550-0143 ramal 7", "BR", "+551155500143"),
            ("٢٠٢ ٥٥٥ ٠١٤٣", "US", "+12025550143"),
            ("＋１２０２５５５０１４３", "", "+12025550143"),
            ("\u{202a}+1 202\u{a0}555 0143\u{202c}", "", "+12025550143"),
            ("06 1234 5678", "IT", "+390612345678"),
        ] {
            assert_eq!(read(raw, country).ok(), Some(Reading::Number(e164.to_owned())), "{raw} in {country:?}");
        }
    }

    #[test]
    fn brazil_got_a_ninth_digit_on_mobiles_alone() {
        for raw in ["(11) 98765-4321", "11 8765-4321", "+55 11 8765 4321", "011 8765-4321"] {
            assert_eq!(parse(raw, "BR").unwrap(), "+5511987654321", "{raw}");
        }
        assert_eq!(parse("(11) 3765-4321", "BR").unwrap(), "+551137654321");
        assert_eq!(parse("+52 1 55 5550 0143", "").unwrap(), "+525555500143");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (raw, country) in [
            ("2025550143", ""),
            ("12", "US"),
            ("190", "BR"),
            ("call me", "US"),
            ("+999999999999999999999999", ""),
            ("+", ""),
            ("202 555 0143", "ZZ"),
            ("+0", "US"),
        ] {
            assert!(read(raw, country).is_err(), "{raw}");
        }
    }

    #[test]
    fn withheld_numbers_are_seen() {
        for raw in [
            "",
            " ",
            "anonymous",
            "Anonymous@anonymous.invalid",
            "sip:anonymous@anonymous.invalid",
            "Private Number",
            "No Caller ID",
            "000000",
            "266696687",
            "UNKNOWN",
        ] {
            assert_eq!(read(raw, "US").unwrap(), Reading::Withheld, "{raw:?}");
        }
        assert!(parse("withheld", "US").is_err());
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(raw in "[+0-9 ()./-]{0,20}", country in "(BR|US|DE|IT|GB|MX|IN)?") {
            if let Ok(Reading::Number(once)) = read(&raw, &country) {
                prop_assert_eq!(read(&once, "").unwrap(), Reading::Number(once.clone()));
                prop_assert_eq!(read(&once, &country).unwrap(), Reading::Number(once));
            }
        }

        #[test]
        fn no_text_breaks_the_reader(raw in "\\PC{0,40}", country in "\\PC{0,3}") {
            let _ = read(&raw, &country);
        }

        #[test]
        fn separators_and_scripts_change_nothing(number in 0u32..100, zero in proptest::sample::select(ZEROS)) {
            let plain = format!("20255501{number:02}");
            let folded: String = plain.chars().filter_map(|d| char::from_u32(zero + u32::from(d) - 48)).collect();
            let dashed = format!("({}) {}-{}", &plain[..3], &plain[3..6], &plain[6..]);
            let expected = Reading::Number(format!("+1{plain}"));
            prop_assert_eq!(read(&folded, "US").unwrap(), expected.clone());
            prop_assert_eq!(read(&dashed, "US").unwrap(), expected);
        }
    }
}
