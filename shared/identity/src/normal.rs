use rapport_types::error::FieldError;
use rapport_types::reason;
use rapport_types::text::{Limits, Text, key, nfkc};

use crate::phone::{self, Reading};
use crate::{refuse, scheme};

/// The most characters of an identifier.
pub const MAX_VALUE: usize = 300;
/// The most characters of its normalised form.
pub const MAX_NORMALIZED: usize = 400;

/// Mailboxes that belong to a role rather than to a person.
const ROLE_MAILBOXES: &[&str] = &[
    "abuse",
    "accounts",
    "admin",
    "atendimento",
    "billing",
    "booking",
    "bookings",
    "careers",
    "comercial",
    "contact",
    "contacto",
    "contato",
    "customerservice",
    "enquiries",
    "hello",
    "help",
    "helpdesk",
    "hr",
    "info",
    "inquiries",
    "jobs",
    "kontakt",
    "mail",
    "marketing",
    "news",
    "newsroom",
    "no-reply",
    "noreply",
    "office",
    "orders",
    "postmaster",
    "press",
    "procurement",
    "purchasing",
    "reception",
    "sales",
    "service",
    "shop",
    "support",
    "team",
    "vendas",
    "webmaster",
];

/// An identifier to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The form to compare with.
    Value(String),
    /// The number was held back.
    Withheld,
    /// It cannot be read in its scheme.
    Unreadable,
}

/// Reads an identifier for a search, where what cannot be read is an answer and not an error.
pub fn lookup(scheme: &str, value: &str, country: &str) -> Lookup {
    if scheme == scheme::TEL {
        return match phone::read(value, country) {
            Ok(Reading::Number(number)) => Lookup::Value(number),
            Ok(Reading::Withheld) => Lookup::Withheld,
            Err(_) => Lookup::Unreadable,
        };
    }
    if scheme == scheme::EMAIL && phone::withheld(value) {
        return Lookup::Withheld;
    }
    normalize(scheme, value, country).map_or(Lookup::Unreadable, Lookup::Value)
}

/// The form in which a value is compared.
///
/// # Errors
/// `REQUIRED`, `TOO_LONG`, `CONTROL_CHARACTER`, `MALFORMED` or `IDENTIFIER_SHARED` (a withheld number).
pub fn normalize(scheme: &str, value: &str, country: &str) -> Result<String, FieldError> {
    let text = Text::parse(value.trim(), Limits { min: 1, max: MAX_VALUE })?;
    let value = text.as_str();
    let normalized = match scheme {
        scheme::TEL => phone::parse(value, country)?,
        scheme::EMAIL => email(value)?,
        scheme::WEB => web(value)?,
        other if other.starts_with(scheme::SOCIAL) => handle(value)?,
        other if other.starts_with(scheme::TAX) => register(value)?,
        _ => nfkc(value).trim().to_owned(),
    };
    if normalized.is_empty() {
        return refuse(reason::MALFORMED, "must hold more than marks and spaces");
    }
    // Some letters grow when they are normalised, and an index takes only so much.
    if normalized.chars().count() > MAX_NORMALIZED {
        return refuse(reason::TOO_LONG, format!("must have at most {MAX_NORMALIZED} characters once normalised"));
    }
    Ok(normalized)
}

/// An e-mail address, case-folded. Providers read the part before the @ without regard to case, whatever the standard
/// allows.
///
/// # Errors
/// `MALFORMED` when it is no address.
fn email(value: &str) -> Result<String, FieldError> {
    let folded = key(value.trim());
    let bare = folded.strip_prefix("mailto:").unwrap_or(&folded).trim();
    let parts = bare.rsplit_once('@').filter(|(local, domain)| {
        (1..=64).contains(&local.len())
            && bare.len() <= 254
            && !bare.chars().any(|letter| letter.is_whitespace() || "<>(),;:\"[]\\".contains(letter))
            && !local.contains('@')
            && !local.starts_with('.')
            && !local.ends_with('.')
            && domain.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
    });
    match parts {
        Some(_) => Ok(bare.to_owned()),
        None => refuse(reason::MALFORMED, "must be an e-mail address such as ana@example.com"),
    }
}

/// Whether a normalised address belongs to a role: `info@`, `sales@`.
pub fn role_mailbox(email: &str) -> bool {
    email.split_once('@').is_some_and(|(local, _)| {
        let bare = local.split('+').next().unwrap_or(local);
        ROLE_MAILBOXES.contains(&bare)
    })
}

fn web(value: &str) -> Result<String, FieldError> {
    let folded = nfkc(value.trim());
    let bare = ["https://", "http://"]
        .iter()
        .find_map(|scheme| {
            folded.get(..scheme.len()).filter(|head| head.eq_ignore_ascii_case(scheme)).map(|_| &folded[scheme.len()..])
        })
        .unwrap_or(&folded);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let host = key(host);
    let well_formed = host.contains('.')
        && !host.starts_with('.')
        && host.chars().all(|letter| letter.is_alphanumeric() || ".-:".contains(letter))
        && !path.chars().any(char::is_whitespace);
    if !well_formed {
        return refuse(reason::MALFORMED, "must be a web address such as https://example.com/page");
    }
    let path = path.trim_end_matches('/');
    Ok(if path.is_empty() { host } else { format!("{host}/{path}") })
}

fn handle(value: &str) -> Result<String, FieldError> {
    let folded = key(value.trim());
    let bare = folded.trim_start_matches('@');
    if bare.is_empty() || bare.chars().any(char::is_whitespace) {
        return refuse(reason::MALFORMED, "must be a handle without spaces");
    }
    Ok(bare.to_owned())
}

fn register(value: &str) -> Result<String, FieldError> {
    let bare: String = nfkc(value)
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .map(|letter| phone::fold_digit(letter).to_ascii_uppercase())
        .collect();
    if bare.is_empty() || !bare.is_ascii() {
        return refuse(reason::MALFORMED, "must hold Latin letters or digits");
    }
    Ok(bare)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn read(scheme: &str, value: &str) -> Option<String> {
        normalize(scheme, value, "BR").ok()
    }

    #[test]
    fn each_scheme_compares_in_its_own_way() {
        assert_eq!(read("tel", "(11) 98765-4321"), Some("+5511987654321".into()));
        assert_eq!(read("email", " mailto:Ana.Lima@Example.COM "), Some("ana.lima@example.com".into()));
        assert_eq!(read("web", "HTTPS://Example.com/Page/"), Some("example.com/Page".into()));
        assert_eq!(read("social.mastodon", "@Ana@Example.social"), Some("ana@example.social".into()));
        assert_eq!(read("tax.br.cnpj", "12.345.678/0001-95"), Some("12345678000195".into()));
        assert_eq!(read("crm", " aB-1 "), Some("aB-1".into()));
        for (scheme, value) in [
            ("email", "ana"),
            ("email", "a@@b.c"),
            ("web", "nowhere"),
            ("tax.br", "--"),
            ("crm", " "),
            ("crm", "a\0b"),
            ("tel", "anonymous"),
            ("social.x", "@"),
        ] {
            assert_eq!(read(scheme, value), None, "{scheme} {value}");
        }
        assert!(
            role_mailbox("info@example.com")
                && role_mailbox("sales+de@example.com")
                && !role_mailbox("ana@example.com")
        );
    }

    #[test]
    fn a_search_reads_what_it_can() {
        assert_eq!(lookup(scheme::TEL, "anonymous", ""), Lookup::Withheld);
        assert_eq!(lookup(scheme::TEL, "12", ""), Lookup::Unreadable);
        assert_eq!(lookup(scheme::TEL, "+12025550143", ""), Lookup::Value("+12025550143".into()));
        assert_eq!(lookup(scheme::EMAIL, "anonymous@anonymous.invalid", ""), Lookup::Withheld);
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(
            scheme in "(email|web|social\\.x|tax\\.de|crm)",
            value in "\\PC{0,30}|[a-zA-Z.]{1,8}@[a-zA-Z]{1,5}\\.[a-z]{2}",
        ) {
            if let Ok(once) = normalize(&scheme, &value, "")
                && let Ok(twice) = normalize(&scheme, &once, "")
            {
                prop_assert_eq!(twice, once);
            }
        }
    }
}
