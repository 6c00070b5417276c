//! Between `google.protobuf.Struct` and JSON.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use rapport_types::error::FieldError;
use rapport_types::reason;
use serde_json::{Map, Number};

use crate::domain::attributes::{self, Attributes};

/// Whole numbers up to here are exact in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Attributes within their bounds.
pub(super) fn read(value: &Struct) -> Result<Attributes, FieldError> {
    attributes::check(map(value)?)
}

/// One attribute.
pub(super) fn read_value(value: &Value) -> Result<serde_json::Value, FieldError> {
    Ok(match &value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::NumberValue(number)) => serde_json::Value::Number(read_number(*number)?),
        Some(Kind::StringValue(text)) => serde_json::Value::String(rapport_types::text::nfc(text)),
        Some(Kind::BoolValue(flag)) => serde_json::Value::Bool(*flag),
        Some(Kind::StructValue(value)) => serde_json::Value::Object(map(value)?),
        Some(Kind::ListValue(list)) => {
            serde_json::Value::Array(list.values.iter().map(read_value).collect::<Result<_, _>>()?)
        }
    })
}

fn map(value: &Struct) -> Result<Map<String, serde_json::Value>, FieldError> {
    value.fields.iter().map(|(name, value)| Ok((name.clone(), read_value(value)?))).collect()
}

/// Whole numbers stand as such, so that both stores give back what they took.
fn read_number(number: f64) -> Result<Number, FieldError> {
    if number.fract() == 0.0 && number.abs() < EXACT {
        // Within the exact range, so nothing is cut off.
        #[allow(clippy::cast_possible_truncation)]
        let whole = number as i64;
        return Ok(whole.into());
    }
    Number::from_f64(number).ok_or_else(|| FieldError::new(reason::NOT_FINITE, "must hold finite numbers alone"))
}

/// Attributes as a message; none as no message.
pub(super) fn write(attributes: &Attributes) -> Option<Struct> {
    (!attributes.is_empty()).then(|| write_map(attributes))
}

fn write_map(map: &Map<String, serde_json::Value>) -> Struct {
    Struct { fields: map.iter().map(|(name, value)| (name.clone(), write_value(value))).collect() }
}

fn write_value(value: &serde_json::Value) -> Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(flag) => Kind::BoolValue(*flag),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Kind::StringValue(text.clone()),
        serde_json::Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.iter().map(write_value).collect() })
        }
        serde_json::Value::Object(map) => Kind::StructValue(write_map(map)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn number(number: f64) -> Value {
        Value { kind: Some(Kind::NumberValue(number)) }
    }

    #[test]
    fn attributes_go_there_and_back() {
        let list = ListValue { values: vec![number(1.5), number(-3.0), Value { kind: Some(Kind::NullValue(0)) }] };
        let value = Struct {
            fields: [
                ("a".to_owned(), Value { kind: Some(Kind::ListValue(list)) }),
                ("b".to_owned(), Value { kind: Some(Kind::StringValue("é".into())) }),
                ("c".to_owned(), Value { kind: Some(Kind::BoolValue(true)) }),
            ]
            .into(),
        };
        assert_eq!(write(&read(&value).unwrap()), Some(value));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let value = Struct { fields: [("a".to_owned(), number(bad))].into() };
            assert_eq!(read(&value).unwrap_err().reason, reason::NOT_FINITE);
        }
    }
}
