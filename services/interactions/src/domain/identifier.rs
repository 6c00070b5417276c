use std::sync::OnceLock;

use rapport_identity::{Lookup, scheme};
use rapport_types::error::FieldError;
use rapport_types::pii::Pii;
use rapport_types::{Slug, reason, text};

use super::wording::line;

/// The most characters of a value.
const MAX_VALUE: usize = 300;

/// An identifier as somebody used it: the number that rang, the address that wrote, a customer number.
#[derive(Clone, Debug)]
pub(crate) struct Identifier {
    scheme: String,
    value: Pii<String>,
    /// The form that is compared, once somebody compares: a number is read by the numbering plans of the world.
    key: OnceLock<Pii<String>>,
}

impl PartialEq for Identifier {
    fn eq(&self, other: &Identifier) -> bool {
        (&self.scheme, &self.value) == (&other.scheme, &other.value)
    }
}

impl Eq for Identifier {}

impl Identifier {
    /// A checked scheme, which is a slug.
    pub(crate) fn scheme(scheme: &str) -> Result<String, FieldError> {
        let scheme = Slug::parse(scheme)?;
        // Two words for one scheme, as in the stakeholders service.
        Ok(if scheme.as_str() == "phone" { "tel" } else { scheme.as_str() }.to_owned())
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
        Ok(Identifier { scheme, value: Pii::new(value), key: Pii::new(key).into() })
    }

    /// An identifier that was checked before it was kept.
    pub(crate) fn kept(scheme: String, value: String) -> Identifier {
        Identifier { scheme, value: Pii::new(value), key: OnceLock::new() }
    }

    /// An identifier as it is written in a country (ISO 3166-1 alpha-2, or empty). A number in national form means nothing
    /// without its country, so it is kept in international form.
    pub(crate) fn within(country: &str, scheme: String, value: String) -> Result<Identifier, FieldError> {
        match rapport_identity::lookup(&scheme, &value, country) {
            Lookup::Value(number) if scheme == scheme::TEL => Identifier::new(scheme, number),
            _ => Identifier::new(scheme, value),
        }
    }

    /// An identifier that the service itself gives, such as a call's: compared as it stands.
    pub(crate) fn known(scheme: &str, value: String) -> Identifier {
        Identifier { scheme: scheme.to_owned(), key: Pii::new(value.clone()).into(), value: Pii::new(value) }
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
        matches!(self.scheme.as_str(), scheme::TEL | scheme::EMAIL) && rapport_identity::withheld(self.value.expose())
    }

    /// What its blind index is taken of: the same for all spellings of one identifier.
    pub(crate) fn comparable(&self) -> String {
        let key = self.key.get_or_init(|| Pii::new(key(&self.scheme, self.value.expose())));
        format!("{}|{}", self.scheme, key.expose())
    }
}

/// The form that is compared. A value that its scheme cannot read is compared by its letters and digits, so that it is kept
/// like any other.
fn key(scheme: &str, value: &str) -> String {
    match rapport_identity::lookup(scheme, value, "") {
        Lookup::Value(normalized) => normalized,
        Lookup::Withheld | Lookup::Unreadable => match rapport_identity::lookup(scheme, &bare(value), "") {
            Lookup::Value(normalized) => normalized,
            Lookup::Withheld | Lookup::Unreadable => bare(value),
        },
    }
}

/// The letters, digits and plus signs of a value's key. Letters that a mark kept apart may become one letter without it,
/// as the parts of a Hangul syllable do, so this is done until nothing more is left out.
fn bare(value: &str) -> String {
    let mut bare = text::key(value);
    loop {
        let kept: String = bare.chars().filter(|letter| letter.is_alphanumeric() || *letter == '+').collect();
        if kept == bare {
            return bare;
        }
        bare = text::key(&kept);
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
            ("tel", &["+5511981234567", "\u{260e} +55 11 8123-4567"]),
            ("tel", &["\u{ba70}", "\u{ffb1}[\u{ffca}", "\u{1106}-\u{1167}"]),
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

    #[test]
    fn a_national_number_is_read_by_its_country() {
        let national = Identifier::within("US", "tel".to_owned(), "(201) 555-0100".to_owned()).unwrap();
        assert_eq!(national.comparable(), identifier("tel", "+12015550100").comparable());
        assert_eq!(national.given(), "+12015550100");
        let unread = Identifier::within("", "tel".to_owned(), "201 555 0100".to_owned()).unwrap();
        assert_eq!(unread.given(), "201 555 0100");
        assert_eq!(unread.comparable(), identifier("tel", "2015550100").comparable());
        assert!(Identifier::within("US", "tel".to_owned(), "anonymous".to_owned()).unwrap().withheld());
    }

    proptest! {
        /// What was normalised once stays as it is.
        #[test]
        fn normalising_twice_changes_nothing(
            scheme in "(tel|email|crm|tax\\.pt|social\\.x)", value in "\\PC{1,40}",
        ) {
            let once = key(&scheme, &value);
            // What begins like an address of another kind may lose more the second time.
            if !once.starts_with("mailto:") && once.trim() == once {
                prop_assert_eq!(key(&scheme, &once), once);
            }
        }
    }
}
