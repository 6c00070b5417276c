//! Sort orders of lists.

use std::fmt;

use rapport_types::{Error, Kind, reason};

/// The most fields of an order.
const MAX_KEYS: usize = 4;

/// One field of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderKey {
    /// The field, one of those allowed.
    pub field: &'static str,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// By what a list is sorted. Its text is canonical, so that page tokens can be bound to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderBy {
    /// The fields, the most significant first. Empty means that the list's own order was asked for.
    pub keys: Vec<OrderKey>,
}

impl OrderBy {
    /// Reads an order such as `create_time desc, name`: fields out of `allowed`, each with `asc` (which is meant
    /// without it) or `desc`.
    ///
    /// # Errors
    /// `INVALID_ORDER_BY` with the `problem` in the metadata.
    pub fn parse(text: &str, allowed: &[&'static str]) -> Result<Self, Error> {
        let mut keys: Vec<OrderKey> = Vec::new();
        if text.trim().is_empty() {
            return Ok(Self { keys });
        }
        for part in text.split(',') {
            let mut words = part.split_whitespace();
            let field = words.next().and_then(|word| allowed.iter().find(|allowed| **allowed == word));
            let Some(field) = field else {
                return Err(refuse(format!("the list is sorted by {}", allowed.join(", "))));
            };
            let descending = match (words.next(), words.next()) {
                (None | Some("asc"), None) => false,
                (Some("desc"), None) => true,
                _ => {
                    return Err(refuse(format!("{field} is followed by asc, desc or nothing")));
                }
            };
            if keys.iter().any(|key| key.field == *field) {
                return Err(refuse(format!("{field} comes twice")));
            }
            if keys.len() == MAX_KEYS {
                return Err(refuse(format!("at most {MAX_KEYS} fields")));
            }
            keys.push(OrderKey { field, descending });
        }
        Ok(Self { keys })
    }

    /// The most significant field.
    pub fn first(&self) -> Option<OrderKey> {
        self.keys.first().copied()
    }
}

impl fmt::Display for OrderBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, key) in self.keys.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let descending = if key.descending { " desc" } else { "" };
            write!(f, "{comma}{}{descending}", key.field)?;
        }
        Ok(())
    }
}

fn refuse(problem: String) -> Error {
    Error::new(Kind::Invalid, reason::INVALID_ORDER_BY, format!("order_by: {problem}")).with("problem", problem)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    const ALLOWED: &[&str] = &["create_time", "name"];

    #[test]
    fn orders() {
        for (text, canonical) in [
            ("", ""),
            ("  ", ""),
            ("create_time", "create_time"),
            (" create_time  desc ,name asc", "create_time desc, name"),
        ] {
            assert_eq!(OrderBy::parse(text, ALLOWED).unwrap().to_string(), canonical);
        }
        for text in [
            "colour",
            "name down",
            "name desc desc",
            "name,",
            ",",
            "name, name desc",
            "create_time;drop",
            "NAME",
            "name DESC",
            "name desc nulls last",
        ] {
            assert_eq!(OrderBy::parse(text, ALLOWED).unwrap_err().reason, reason::INVALID_ORDER_BY, "{text}");
        }
    }

    proptest! {
        #[test]
        fn canonical_text_goes_round(text in "(create_time|name|asc|desc|,| |\\PC){0,6}") {
            if let Ok(order) = OrderBy::parse(&text, ALLOWED) {
                prop_assert_eq!(OrderBy::parse(&order.to_string(), ALLOWED).unwrap(), order);
            }
        }
    }
}
