use rapport_types::error::FieldError;
use rapport_types::pii::Pii;
use rapport_types::{reason, text};

use super::wording::line;

/// The most characters of a value.
const MAX_VALUE: usize = 300;
/// The most characters of a scheme.
const MAX_SCHEME: usize = 63;
/// What telephone systems and mail gateways send in place of a number or an address that they withhold, without marks.
const WITHHELD: &[&str] = &[
    "anonymous",
    "anonymousinvalid",
    "anonymousanonymousinvalid",
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
    "266696687",
];

/// An identifier as somebody used it: the number that rang, the address that wrote, a customer number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identifier {
    scheme: String,
    value: Pii<String>,
    key: Pii<String>,
}

impl Identifier {
    /// A checked scheme: lower-case ASCII letters, digits, `.`, `_` and `-`, a letter first, at most 63.
    pub(crate) fn scheme(scheme: &str) -> Result<String, FieldError> {
        if scheme.is_empty() {
            return Err(FieldError { reason: reason::REQUIRED, description: "must be given".to_owned() });
        }
        if scheme.len() > MAX_SCHEME {
            return Err(FieldError {
                reason: reason::TOO_LONG,
                description: format!("must have at most {MAX_SCHEME} characters"),
            });
        }
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_lowercase()) || !scheme.bytes().all(plain) {
            return Err(FieldError {
                reason: reason::MALFORMED,
                description: "must be lower-case letters, digits, ., _ and -, with a letter first".to_owned(),
            });
        }
        // Two words for one scheme, as in the stakeholders service.
        Ok(if scheme == "phone" { "tel" } else { scheme }.to_owned())
    }

    /// A checked value: 1 to 300 characters on one line, something in it that can be compared.
    pub(crate) fn value(value: &str) -> Result<String, FieldError> {
        line(value, 1, MAX_VALUE)
    }

    /// An identifier of a checked scheme and value.
    pub(crate) fn new(scheme: String, value: String) -> Result<Identifier, FieldError> {
        let key = key(&scheme, &value);
        if key.is_empty() {
            return Err(FieldError {
                reason: reason::MALFORMED,
                description: "holds nothing that could be compared".to_owned(),
            });
        }
        Ok(Identifier { scheme, value: Pii::new(value), key: Pii::new(key) })
    }

    /// The scheme.
    pub(crate) fn scheme_name(&self) -> &str {
        &self.scheme
    }

    /// The value as it was given.
    pub(crate) fn given(&self) -> &str {
        self.value.expose()
    }

    /// Whether it stands for nobody, as a withheld number does.
    pub(crate) fn withheld(&self) -> bool {
        let bare: String = text::key(self.value.expose()).chars().filter(|letter| letter.is_alphanumeric()).collect();
        match self.scheme.as_str() {
            "tel" => WITHHELD.contains(&bare.as_str()) || bare.bytes().all(|byte| byte == b'0'),
            "email" => WITHHELD.contains(&bare.as_str()),
            _ => false,
        }
    }

    /// What its blind index is taken of: the same for all spellings of one identifier.
    pub(crate) fn comparable(&self) -> String {
        format!("{}|{}", self.scheme, self.key.expose())
    }
}

/// The form that is compared, by the rules of the stakeholders service: what that one normalised comes out as it went
/// in. A value that its scheme cannot read is compared as it stands, so that it is kept like any other.
fn key(scheme: &str, value: &str) -> String {
    let value = value.trim();
    match scheme {
        "tel" => telephone(value),
        "email" => {
            let folded = text::key(value);
            folded.strip_prefix("mailto:").unwrap_or(&folded).trim().to_owned()
        }
        "web" => web(value),
        social if social.starts_with("social.") => {
            let folded = text::key(value);
            folded.trim_start_matches('@').to_owned()
        }
        tax if tax.starts_with("tax.") => {
            let plain = text::nfkc(value);
            let bare: String = plain.chars().filter(|letter| letter.is_alphanumeric()).collect();
            if bare.is_ascii() { bare.to_ascii_uppercase() } else { plain.trim().to_owned() }
        }
        _ => text::nfkc(value).trim().to_owned(),
    }
}

/// A web address without what does not tell pages apart; the host has no case, the path has.
fn web(value: &str) -> String {
    let plain = text::nfkc(value);
    let bare = ["https://", "http://"]
        .iter()
        .find_map(|scheme| {
            let head = plain.get(..scheme.len())?;
            head.eq_ignore_ascii_case(scheme).then(|| plain.get(scheme.len()..))?
        })
        .unwrap_or(&plain);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let (host, path) = (text::key(host.trim()), path.trim().trim_end_matches('/'));
    if path.is_empty() { host } else { format!("{host}/{path}") }
}

/// A telephone number without the marks that people write for the eye.
fn telephone(value: &str) -> String {
    let wide = text::nfkc(value);
    let dialled: String = wide
        .chars()
        .filter(|c| {
            !c.is_whitespace() && !matches!(c, '.' | '-' | '/' | '(' | ')' | '[' | ']' | '\u{2010}'..='\u{2015}')
        })
        .collect();
    let dialled = dialled.strip_prefix("tel:").map_or(dialled.clone(), str::to_owned);
    let international = dialled.strip_prefix("00").map(|rest| format!("+{rest}")).unwrap_or(dialled);
    ninth_digit(international)
}

/// Brazil put a 9 before its mobile numbers; a number that is written the old way is the same number.
fn ninth_digit(number: String) -> String {
    let old = number.strip_prefix("+55").filter(|rest| rest.len() == 10 && rest.bytes().all(|b| b.is_ascii_digit()));
    match old.map(|rest| rest.split_at(2)) {
        Some((area, local)) if local.starts_with(['6', '7', '8', '9']) => format!("+55{area}9{local}"),
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn identifier(scheme: &str, value: &str) -> Identifier {
        Identifier::new(Identifier::scheme(scheme).unwrap(), Identifier::value(value).unwrap()).unwrap()
    }

    #[test]
    fn spellings_of_one_identifier_compare_equal() {
        for (scheme, spellings) in [
            ("tel", &["+351912345678", "+351 912 345 678", "+351 (912) 345-678", "00351 912.345.678"][..]),
            ("tel", &["+5511912345678", "+55 11 91234-5678", "+55 11 91234 5678"]),
            ("tel", &["+5511981234567", "+551181234567"]),
            ("email", &["Ana@Example.com", "ana@example.com", " ana@example.com "]),
            ("web", &["https://example.com/", "EXAMPLE.com", "http://example.com"]),
            ("web", &["HTTPS://Example.com/Page/", "example.com/Page"]),
            ("email", &["mailto:ana@example.com", "Ana@example.com"]),
            ("tax.br.cnpj", &["12.345.678/0001-95", "12345678000195"]),
            ("social.mastodon", &["@Ana", "ana"]),
        ] {
            for spelling in spellings {
                assert_eq!(identifier(scheme, spelling).comparable(), identifier(scheme, spellings[0]).comparable());
            }
        }
        assert_ne!(identifier("crm", "a1").comparable(), identifier("crm", "A1").comparable());
        assert_ne!(identifier("crm", "a1").comparable(), identifier("erp", "a1").comparable());
    }

    #[test]
    fn withheld_numbers_stand_for_nobody() {
        for value in ["anonymous", "Anonymous", "WITHHELD", "+266696687", " private ", "No Caller ID", "000"] {
            assert!(identifier("tel", value).withheld(), "{value}");
        }
        assert!(!identifier("tel", "+351912345678").withheld());
        assert!(!identifier("crm", "anonymous").withheld());
    }

    #[test]
    fn nothing_to_compare_is_refused() {
        let marks = Identifier::new("tel".to_owned(), "(--)".to_owned()).unwrap_err();
        assert_eq!(marks.reason, reason::MALFORMED);
        assert_eq!(Identifier::value("").unwrap_err().reason, reason::REQUIRED);
        assert_eq!(Identifier::value(&"x".repeat(301)).unwrap_err().reason, reason::TOO_LONG);
        assert_eq!(Identifier::value("a\0").unwrap_err().reason, reason::CONTROL_CHARACTER);
    }

    #[test]
    fn a_value_never_shows_in_debug_output() {
        let shown = format!("{:?}", identifier("tel", "+351912345678"));
        assert!(!shown.contains("351"), "{shown}");
    }

    proptest! {
        /// What was normalised once (by us or by the stakeholders service) stays as it is.
        #[test]
        fn normalising_twice_changes_nothing(
            scheme in "(tel|email|web|crm|tax\\.pt|social\\.x)", value in "\\PC{1,40}",
        ) {
            let once = key(&scheme, &value);
            // A text that only looks like an address, with a second scheme or more marks within, may lose them one by one.
            let plain = !["://", "tel:", "mailto:", "@", "//"].iter().any(|mark| once.contains(mark));
            if plain && !once.starts_with("00") && once.trim() == once {
                prop_assert_eq!(key(&scheme, &once), once);
            }
        }
    }
}
