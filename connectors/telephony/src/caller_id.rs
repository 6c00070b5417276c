//! `GET /caller-id?number=…&country=…`: one line of text, for PBXs that know nothing else. The name, or the number
//! itself; always 200 and always within the budget, so that no phone waits for an error page.

use std::borrow::Cow;

use http::StatusCode;
use http::request::Parts;
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use crate::web::{Page, Pages, text};

/// Answers who has a number. Only a wrong key is refused.
pub(crate) async fn answer(pages: &Pages, head: &Parts, started: Instant) -> Page {
    let query = head.uri.query().unwrap_or_default();
    let of = |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value);
    let key = of("key").unwrap_or_default();
    let wanted = pages.options.key.expose();
    if !bool::from(wanted.as_bytes().ct_eq(key.as_bytes())) && !wanted.is_empty() {
        return text(StatusCode::FORBIDDEN, "key= is missing or wrong: it is telephony.http.key of the configuration");
    }
    let country = of("country").filter(|country| !country.is_empty());
    let given = of("number").unwrap_or_default();
    let number = pages.connector.number(&raw_number(&given), country.as_deref());
    let answer = pages.connector.who(&number, pages.connector.budget(started).ask).await;
    text(StatusCode::OK, if answer.name.is_empty() { &answer.number } else { &answer.name })
}

/// A `+` that was not escaped arrives as a space: PBXs put numbers into the URL as they are.
fn raw_number(value: &str) -> Cow<'_, str> {
    match value.strip_prefix(' ') {
        Some(rest) if rest.starts_with(|letter: char| letter.is_ascii_digit()) => Cow::Owned(format!("+{rest}")),
        _ => Cow::Borrowed(value),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_plus_that_was_not_escaped_is_one() {
        assert_eq!(raw_number(" 12025550201"), "+12025550201");
        assert_eq!(raw_number("+12025550201"), "+12025550201");
        assert_eq!(raw_number(" anonymous"), " anonymous");
    }
}
