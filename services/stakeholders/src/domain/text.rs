//! Checked texts: each limit of the contract stands once, where the field is parsed.

use rapport_types::error::FieldError;
use rapport_types::reason;

/// A refusal with its reason.
pub fn refuse<T>(reason: &'static str, description: impl Into<String>) -> Result<T, FieldError> {
    Err(FieldError { reason, description: description.into() })
}

/// A slug such as `tax.br.cnpj`: a lower-case letter, then lower-case letters, digits, `.`, `_` or `-`; at most 63
/// characters.
///
/// # Errors
/// `REQUIRED`, `TOO_LONG` or `MALFORMED`.
pub fn slug(value: &str) -> Result<String, FieldError> {
    if value.is_empty() {
        return refuse(reason::REQUIRED, "must be given");
    }
    if value.len() > 63 {
        return refuse(reason::TOO_LONG, "must be at most 63 characters");
    }
    let mut bytes = value.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
    let rest = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
    if !(first && rest) {
        return refuse(
            reason::MALFORMED,
            "must be a slug: a lower-case letter, then lower-case letters, digits, '.', '_' or '-'",
        );
    }
    Ok(value.to_owned())
}

/// An RFC 5646 language tag such as `pt-BR`, or empty; at most 35 characters.
///
/// # Errors
/// `TOO_LONG` or `MALFORMED`.
pub fn language(value: &str) -> Result<String, FieldError> {
    if value.is_empty() {
        return Ok(String::new());
    }
    if value.len() > 35 {
        return refuse(reason::TOO_LONG, "must be at most 35 characters");
    }
    let mut parts = value.split('-');
    let primary = parts
        .next()
        .is_some_and(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let rest = parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if !(primary && rest) {
        return refuse(reason::MALFORMED, "must be a language tag such as pt-BR");
    }
    Ok(value.to_owned())
}

/// An IANA time zone name such as `America/Sao_Paulo`, or empty; at most 64 characters. Its form is checked, not
/// whether today's database lists it: zones come and go.
///
/// # Errors
/// `TOO_LONG` or `MALFORMED`.
pub fn time_zone(value: &str) -> Result<String, FieldError> {
    if value.len() > 64 {
        return refuse(reason::TOO_LONG, "must be at most 64 characters");
    }
    let part = |part: &str| {
        part.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte))
    };
    if !value.is_empty() && !value.split('/').all(part) {
        return refuse(reason::MALFORMED, "must be an IANA time zone such as America/Sao_Paulo");
    }
    Ok(value.to_owned())
}

/// The words of a text in the form that is compared: NFKC, case-folded, split where letters and digits end.
pub fn words(value: &str) -> Vec<String> {
    rapport_types::text::key(value)
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
