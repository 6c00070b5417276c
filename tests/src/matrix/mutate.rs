//! Bad input, generated: a valid example with one field at one boundary value.

use prost_reflect::{Cardinality, DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};

/// One wrong request.
pub(crate) struct Mutant {
    /// Which field has which value, for the failure's text.
    pub(crate) what: String,
    /// The request.
    pub(crate) message: DynamicMessage,
    /// The request can only be refused with INVALID_ARGUMENT.
    pub(crate) surely_invalid: bool,
}

/// Every field of `example`, also those it leaves out, at every boundary value of its type.
pub(crate) fn mutants(example: &DynamicMessage) -> Vec<Mutant> {
    let mut found = Vec::new();
    visit(example, "", &mut |path, changed, sure| {
        found.push(Mutant { what: path.to_owned(), message: changed, surely_invalid: sure });
    });
    found
}

/// Calls `give` with copies of `message` that differ in one place each; nested messages are walked where they are set.
fn visit(message: &DynamicMessage, at: &str, give: &mut dyn FnMut(&str, DynamicMessage, bool)) {
    for field in message.descriptor().fields() {
        let path = format!("{at}{}", field.name());
        if message.has_field(&field) {
            let mut without = message.clone();
            without.clear_field(&field);
            give(&format!("{path} = absent"), without, false);
        }
        for (what, value, sure) in boundaries(&field) {
            let mut changed = message.clone();
            changed.set_field(&field, value);
            // An output-only field is ignored in a request, so it may hold anything that decodes.
            give(&format!("{path} = {what}"), changed, sure && message.has_field(&field));
        }
        if let (true, Kind::Message(_)) = (message.has_field(&field), field.kind()) {
            descend(message, &field, &path, give);
        }
    }
}

fn descend(
    message: &DynamicMessage,
    field: &FieldDescriptor,
    path: &str,
    give: &mut dyn FnMut(&str, DynamicMessage, bool),
) {
    match message.get_field(field).as_ref() {
        Value::Message(inner) => visit(inner, &format!("{path}."), &mut |path, changed, sure| {
            let mut outer = message.clone();
            outer.set_field(field, Value::Message(changed));
            give(path, outer, sure);
        }),
        Value::List(items) => {
            if let Some(Value::Message(first)) = items.first() {
                visit(first, &format!("{path}[0]."), &mut |path, changed, sure| {
                    let mut items = items.clone();
                    items[0] = Value::Message(changed);
                    let mut outer = message.clone();
                    outer.set_field(field, Value::List(items));
                    give(path, outer, sure);
                });
            }
        }
        _ => {}
    }
}

/// Values on and over the edge of what the field's type can hold: what it is, the value, and whether it is surely refused.
fn boundaries(field: &FieldDescriptor) -> Vec<(String, Value, bool)> {
    if field.is_map() {
        let many = (0..2000).map(|n| (MapKey::String(format!("k{n}")), Value::String("v".into()))).collect();
        return match field.kind() {
            Kind::Message(entry) if matches!(entry.map_entry_value_field().kind(), Kind::String) => {
                vec![("2000 entries".into(), Value::Map(many), false)]
            }
            _ => Vec::new(),
        };
    }
    let single = scalars(&field.kind());
    if field.cardinality() != Cardinality::Repeated {
        return single;
    }
    let mut values: Vec<_> =
        single.into_iter().map(|(what, value, sure)| (format!("[{what}]"), Value::List(vec![value]), sure)).collect();
    values.push(("1500 elements".into(), Value::List((0..1500).map(|_| zero(&field.kind())).collect()), true));
    values
}

fn scalars(kind: &Kind) -> Vec<(String, Value, bool)> {
    match kind {
        Kind::String => vec![
            ("100,000 letters".into(), Value::String("a".repeat(100_000)), true),
            ("NUL inside".into(), Value::String("a\0b".into()), true),
            ("a control character".into(), Value::String("a\u{7}b".into()), true),
            ("a bidi override".into(), Value::String("a\u{202e}b".into()), false),
            ("blanks".into(), Value::String("   ".into()), false),
            ("an SQL quote".into(), Value::String("' OR 1=1; --".into()), false),
            ("emoji".into(), Value::String("\u{1f980}\u{fe0f}".into()), false),
        ],
        Kind::Double | Kind::Float => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
            .into_iter()
            .map(|number| (number.to_string(), number, true))
            .chain([f64::MAX, -0.0, 5e-324].into_iter().map(|number| (format!("{number:e}"), number, false)))
            .map(|(what, number, sure)| {
                let value = if matches!(kind, Kind::Float) { Value::F32(number as f32) } else { Value::F64(number) };
                (what, value, sure)
            })
            .collect(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => [i32::MIN, -1, i32::MAX]
            .into_iter()
            .map(|number| (number.to_string(), Value::I32(number), number < 0))
            .collect(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            [i64::MIN, -1, i64::MAX].into_iter().map(|number| (number.to_string(), Value::I64(number), false)).collect()
        }
        Kind::Enum(_) => vec![
            ("unknown value 9999".into(), Value::EnumNumber(9999), true),
            ("unknown value -1".into(), Value::EnumNumber(-1), true),
        ],
        Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => [
            ("before year 1", -62_135_596_801_i64, 0, true),
            ("after year 9999", 253_402_300_800, 0, true),
            ("nanos 1e9", 0, 1_000_000_000, true),
            ("negative nanos", 0, -1, true),
            ("i64::MAX", i64::MAX, 0, true),
        ]
        .into_iter()
        .map(|(what, seconds, nanos, sure)| {
            let mut time = DynamicMessage::new(message.clone());
            time.set_field_by_name("seconds", Value::I64(seconds));
            time.set_field_by_name("nanos", Value::I32(nanos));
            (what.to_owned(), Value::Message(time), sure)
        })
        .collect(),
        Kind::Message(message) => vec![("empty".into(), Value::Message(DynamicMessage::new(message.clone())), false)],
        _ => Vec::new(),
    }
}

fn zero(kind: &Kind) -> Value {
    match kind {
        Kind::String => Value::String("x".into()),
        Kind::Double => Value::F64(0.0),
        Kind::Float => Value::F32(0.0),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(1),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(1),
        Kind::Bool => Value::Bool(true),
        Kind::Enum(_) => Value::EnumNumber(1),
        Kind::Message(message) => Value::Message(DynamicMessage::new(message.clone())),
        Kind::Bytes => Value::Bytes(bytes::Bytes::from_static(b"x")),
        _ => Value::U64(1),
    }
}
