//! The tenant's own attributes of a party: JSON within bounds.

use rapport_types::error::FieldError;
use rapport_types::reason;
use serde_json::{Map, Value};

use super::text::refuse;

/// Attributes by name.
pub type Attributes = Map<String, Value>;

/// The most keys at the top.
pub const MAX_KEYS: usize = 64;
/// The most characters of a key.
pub const MAX_KEY: usize = 64;
/// How deep values may nest, the top level counted.
pub const MAX_DEPTH: usize = 4;
/// The most bytes as JSON text.
pub const MAX_BYTES: usize = 16 * 1024;

/// Attributes within the bounds. (Numbers that are not finite cannot stand in JSON: who makes the map refuses them.)
///
/// # Errors
/// `TOO_MANY`, `TOO_LONG`, `MALFORMED` or `CONTROL_CHARACTER`.
pub fn check(attributes: Attributes) -> Result<Attributes, FieldError> {
    if attributes.len() > MAX_KEYS {
        return refuse(reason::TOO_MANY, format!("must have at most {MAX_KEYS} keys"));
    }
    walk_map(&attributes, 1)?;
    let bytes = serde_json::to_vec(&attributes).map_or(usize::MAX, |text| text.len());
    if bytes > MAX_BYTES {
        return refuse(reason::TOO_LONG, format!("must be at most {MAX_BYTES} bytes in all"));
    }
    Ok(attributes)
}

fn walk_map(map: &Attributes, depth: usize) -> Result<(), FieldError> {
    if depth > MAX_DEPTH {
        return refuse(reason::MALFORMED, format!("must nest at most {MAX_DEPTH} deep"));
    }
    for (name, value) in map {
        if name.is_empty() || name.chars().count() > MAX_KEY {
            return refuse(reason::TOO_LONG, format!("must have keys of 1 to {MAX_KEY} characters"));
        }
        if name.chars().any(char::is_control) {
            return refuse(reason::CONTROL_CHARACTER, "must not have control characters in keys");
        }
        walk(value, depth)?;
    }
    Ok(())
}

fn walk(value: &Value, depth: usize) -> Result<(), FieldError> {
    match value {
        // PostgreSQL cannot store NUL in JSON, so neither store does.
        Value::String(text) if text.contains('\0') => refuse(reason::CONTROL_CHARACTER, "must not hold NUL characters"),
        Value::Array(_) if depth >= MAX_DEPTH => {
            refuse(reason::MALFORMED, format!("must nest at most {MAX_DEPTH} deep"))
        }
        Value::Array(items) => items.iter().try_for_each(|item| walk(item, depth + 1)),
        Value::Object(map) => walk_map(map, depth + 1),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;

    fn ok(value: Value) -> bool {
        check(value.as_object().unwrap().clone()).is_ok()
    }

    #[test]
    fn bounds_hold() {
        assert!(ok(json!({"tier": "gold", "a": {"b": {"c": {"d": 1}}}})));
        assert!(!ok(json!({"a": {"b": {"c": {"d": {}}}}})));
        assert!(!ok(json!({"a": [[[[1]]]]})));
        assert!(!ok(json!({"": 1})));
        assert!(!ok(json!({"a": "\u{0}"})));
        assert!(!ok(json!({"a": "x".repeat(MAX_BYTES)})));
        let many: Attributes = (0..=MAX_KEYS).map(|i| (i.to_string(), Value::Null)).collect();
        assert!(check(many).is_err());
    }
}
