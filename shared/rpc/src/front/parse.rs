use prost_reflect::{DynamicMessage, Kind as FieldKind, MessageDescriptor};
use rapport_types::error::{Error, Kind, Violation};
use rapport_types::reason;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment, Track};

/// Reads a message written in proto3 JSON.
///
/// # Errors
/// Text that is no JSON, with its line and column. A field that does not exist or holds what it cannot, with its path.
pub(super) fn message(text: &[u8], input: &MessageDescriptor) -> Result<DynamicMessage, Error> {
    if text.is_empty() {
        return Err(Error::new(
            Kind::Invalid,
            reason::UNDECODABLE_MESSAGE,
            "the body is empty: an empty message is written {}",
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let mut track = Track::new();
    let read =
        DynamicMessage::deserialize(input.clone(), serde_path_to_error::Deserializer::new(&mut reader, &mut track));
    let message = read.map_err(|error| wrong(&error, &track.path(), input))?;
    reader.end().map_err(|error| syntax(&error))?;
    Ok(message)
}

fn wrong(error: &serde_json::Error, path: &Path, input: &MessageDescriptor) -> Error {
    if error.classify() != Category::Data {
        return syntax(error);
    }
    let place = format!("line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" at {place}")).unwrap_or(&text);
    let mut field = String::new();
    let mut at = Some(input.clone());
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => field.push_str(&format!("[{index}]")),
            Segment::Map { key } => {
                push(&mut field, key);
                at = at.and_then(|message| below(&message, key));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    if let Some(name) = text.strip_prefix("unrecognized field name '").and_then(|rest| rest.strip_suffix('\'')) {
        push(&mut field, name);
        let known: Vec<String> =
            at.iter().flat_map(MessageDescriptor::fields).map(|f| f.json_name().to_owned()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return invalid(field, reason::UNKNOWN_FIELD, format!("there is no such field ({place}): there are {known}"));
    }
    if field.is_empty() {
        return Error::new(
            Kind::Invalid,
            reason::UNDECODABLE_MESSAGE,
            format!("the body must be a JSON object with the fields of {}: {text} at {place}", input.full_name()),
        );
    }
    let why = if text.contains("enum value") { reason::UNKNOWN_ENUM_VALUE } else { reason::MALFORMED };
    invalid(field, why, format!("{text} ({place})"))
}

fn push(field: &mut String, name: &str) {
    if !field.is_empty() {
        field.push('.');
    }
    field.push_str(name);
}

/// The message in a field.
fn below(message: &MessageDescriptor, key: &str) -> Option<MessageDescriptor> {
    let field = message.get_field_by_json_name(key).or_else(|| message.get_field_by_name(key))?;
    match field.kind() {
        FieldKind::Message(message) => Some(message),
        _ => None,
    }
}

fn invalid(field: String, reason: &'static str, description: String) -> Error {
    Error::invalid(vec![Violation { field, reason, description }])
}

fn syntax(error: &serde_json::Error) -> Error {
    Error::new(Kind::Invalid, reason::UNDECODABLE_MESSAGE, format!("the body is not JSON: {error}"))
        .with("line", error.line())
        .with("column", error.column())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_proto::contract;

    use super::*;

    fn create(text: &str) -> Result<DynamicMessage, Error> {
        let method = contract::method("/rapport.stakeholders.v1.PartyService/CreateParty").unwrap();
        message(text.as_bytes(), &method.input)
    }

    #[test]
    fn a_message_is_read_in_either_spelling() {
        create(r#"{"party": {"displayName": "Noa", "names": []}}"#).unwrap();
        create(r#"{"party": {"display_name": "Noa", "kind": 1}, "requestId": null}"#).unwrap();
        create("{}").unwrap();
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, field, why) in [
            (r#"{"party": {"displayNam": "Noa"}}"#, "party.displayNam", reason::UNKNOWN_FIELD),
            (r#"{"partie": {}}"#, "partie", reason::UNKNOWN_FIELD),
            (r#"{"party": {"names": [{}, {"x": 1}]}}"#, "party.names[1].x", reason::UNKNOWN_FIELD),
            (r#"{"party": {"displayName": 5}}"#, "party.displayName", reason::MALFORMED),
            (r#"{"party": {"kind": "PARTY_KIND_ROBOT"}}"#, "party.kind", reason::UNKNOWN_ENUM_VALUE),
            (r#"{"party": []}"#, "party", reason::MALFORMED),
        ] {
            let error = create(text).unwrap_err();
            let found = &error.violations[0];
            assert_eq!((found.field.as_str(), found.reason), (field, why), "{text}: {error:?}");
            assert!(found.description.contains("line 1 column"), "{error:?}");
        }
        let error = create(r#"{"party": {"displayNam": "Noa"}}"#).unwrap_err();
        assert!(error.violations[0].description.contains("displayName"), "{error:?}");
    }

    #[test]
    fn what_is_no_json_is_said_with_line_and_column() {
        for (text, line, column) in [("{\n  \"party\": ", "2", "11"), ("{]", "1", "2"), ("{} {}", "1", "4")] {
            let error = create(text).unwrap_err();
            assert_eq!(error.reason, reason::UNDECODABLE_MESSAGE, "{text}: {error:?}");
            assert_eq!(
                (error.metadata["line"].as_str(), error.metadata["column"].as_str()),
                (line, column),
                "{error:?}"
            );
        }
        for text in ["", "[]", "5", "null", "\"x\""] {
            assert_eq!(create(text).unwrap_err().reason, reason::UNDECODABLE_MESSAGE, "{text}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(create(&deep).is_err());
        assert!(message(b"{\"party\": {\"displayName\": \"\xff\"}}", &contract::methods()[0].input).is_err());
    }
}
