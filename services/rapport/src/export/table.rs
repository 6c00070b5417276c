//! Rows of a table: plain values as they are, what is nested as JSON in its cell.

use prost_reflect::{Kind as Type, MessageDescriptor};
use serde_json::Value;

use crate::import::kind::Kind;
use crate::import::quoted;

/// The first line.
pub(crate) fn header(kind: Kind) -> String {
    kind.fields().join(",")
}

/// One row.
pub(crate) fn row(kind: Kind, message: &MessageDescriptor, json: &Value) -> String {
    let cells = kind.fields().iter().map(|name| {
        let Some(field) = message.get_field_by_name(name) else { return String::new() };
        match json.get(field.json_name()) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => match field.kind() {
                Type::Enum(values) => {
                    let zero = values.values().find(|value| value.number() == 0).map(|value| value.name().to_owned());
                    let prefix = zero.as_deref().and_then(|name| name.strip_suffix("UNSPECIFIED")).unwrap_or_default();
                    text.strip_prefix(prefix).unwrap_or(text).to_ascii_lowercase()
                }
                _ => quoted(text),
            },
            Some(value) => quoted(&value.to_string()),
        }
    });
    cells.collect::<Vec<_>>().join(",")
}
