//! An example of a message: JSON in which every field that a caller may set has a value of its type.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use rapport_proto::contract;
use serde_json::{Map, Value, json};

/// How deep messages are put into messages.
const DEPTH: usize = 4;

/// The example, in the order of the contract. Of the fields of a oneof it has the first.
pub(crate) fn skeleton(message: &MessageDescriptor) -> Value {
    of_message(message, DEPTH)
}

fn of_message(message: &MessageDescriptor, depth: usize) -> Value {
    match message.full_name() {
        "google.protobuf.Timestamp" => return json!("2026-01-31T12:00:00Z"),
        "google.protobuf.Duration" => return json!("1.5s"),
        "google.protobuf.FieldMask" => return json!(""),
        "google.protobuf.Struct" => return json!({}),
        "google.protobuf.Value" => return Value::Null,
        "google.protobuf.ListValue" => return json!([]),
        // Any message of the contract may stand in an Any; this one shows how its type is told.
        "google.protobuf.Any" => {
            return json!({"@type": "type.googleapis.com/google.protobuf.Timestamp", "value": "2026-01-31T12:00:00Z"});
        }
        _ => {}
    }
    let mut object = Map::new();
    for field in message.fields() {
        let later = field
            .containing_oneof()
            .is_some_and(|oneof| oneof.fields().next().is_some_and(|first| first.number() != field.number()));
        let comment = contract::comment(&message.parent_file(), field.path());
        if later || written_by_the_server(&field, &comment) {
            continue;
        }
        let nested = matches!(field.kind(), Kind::Message(_)) && !field.is_map();
        if nested && depth == 0 {
            continue;
        }
        object.insert(field.json_name().to_owned(), value(&field, &comment, depth));
    }
    Value::Object(object)
}

/// What nobody sends.
fn written_by_the_server(field: &FieldDescriptor, comment: &str) -> bool {
    let text = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    text.ends_with("Output only.") || (field.name() == "etag" && text.contains("Output only"))
}

fn value(field: &FieldDescriptor, comment: &str, depth: usize) -> Value {
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { return json!({}) };
        let key = match entry.map_entry_key_field().kind() {
            Kind::String => "key",
            Kind::Bool => "true",
            _ => "1",
        };
        let inner = one(&entry.map_entry_value_field(), comment, depth);
        return Value::Object(Map::from_iter([(key.to_owned(), inner)]));
    }
    let one = one(field, comment, depth);
    if field.is_list() { Value::Array(vec![one]) } else { one }
}

fn one(field: &FieldDescriptor, comment: &str, depth: usize) -> Value {
    match field.kind() {
        Kind::Message(message) => of_message(&message, depth.saturating_sub(1)),
        Kind::Enum(values) => {
            let chosen = values.values().find(|value| value.number() != 0).or_else(|| values.values().next());
            chosen.map_or(Value::Null, |value| json!(value.name()))
        }
        Kind::Bool => json!(false),
        Kind::Double | Kind::Float => json!(0.5),
        // proto3 JSON writes 64 bits as text, for languages whose numbers end at 53.
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => json!("0"),
        Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Fixed32 | Kind::Sfixed32 => json!(0),
        Kind::Bytes => json!(""),
        Kind::String if field.name() == "request_id" => json!("7d444840-9dc0-11d1-b245-5ffdce74fad2"),
        Kind::String => json!(pattern(comment)),
    }
}

/// The form of a resource name, where the comment gives one: `parties/{id}`.
fn pattern(comment: &str) -> &str {
    comment.split('`').skip(1).step_by(2).find(|quoted| quoted.contains("/{") && !quoted.contains(' ')).unwrap_or("")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use prost_reflect::DynamicMessage;

    use super::*;

    #[test]
    fn every_example_is_a_message() {
        for message in contract::messages() {
            let example = skeleton(&message);
            DynamicMessage::deserialize(message.clone(), &example)
                .unwrap_or_else(|error| panic!("{}: {error}\n{example:#}", message.full_name()));
        }
    }

    #[test]
    fn what_the_server_writes_is_left_out() {
        let party = contract::pool().get_message_by_name("rapport.stakeholders.v1.CreatePartyRequest").unwrap();
        let example = skeleton(&party);
        assert!(example["party"]["createTime"].is_null() && example["party"]["updateTime"].is_null());
        assert_eq!(example["party"]["kind"], "PARTY_KIND_INDIVIDUAL");
        assert_eq!(example["party"]["identifiers"][0]["strength"], "IDENTIFIER_STRENGTH_UNIQUE");
        let get = contract::pool().get_message_by_name("rapport.stakeholders.v1.GetPartyRequest").unwrap();
        assert_eq!(skeleton(&get)["name"], "parties/{id}");
    }
}
