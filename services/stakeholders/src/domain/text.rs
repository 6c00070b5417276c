//! Checked texts: each limit of the contract stands once, where the field is parsed.

use rapport_types::error::FieldError;
use rapport_types::{Slug, reason};

/// A refusal with its reason.
pub fn refuse<T>(reason: &'static str, description: impl Into<String>) -> Result<T, FieldError> {
    Err(FieldError { reason, description: description.into() })
}

/// The text of a checked slug.
///
/// # Errors
/// `REQUIRED`, `TOO_LONG` or `MALFORMED`.
pub fn slug(value: &str) -> Result<String, FieldError> {
    Slug::parse(value).map(String::from)
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
