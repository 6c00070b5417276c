//! From the columns of a table to the fields of a message.

use prost_reflect::{FieldDescriptor, Kind as Type, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::kind::Kind;

/// Where the cells of a column go.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A field, through the messages that hold it.
    Field(Vec<FieldDescriptor>),
    /// An identifier of this scheme, unique.
    Identifier(String),
    /// A contact medium of this kind.
    Medium(&'static str),
    /// A role type, or several with `;` between.
    Role,
    /// The tenant's own attribute of this key.
    Attribute(String),
    /// A part of the one name of a person.
    Name(&'static str),
    /// A part of the one participant.
    Participant(&'static str),
    /// Money that moved, of this kind.
    Amount(&'static str),
    /// Its currency.
    Currency,
    /// Nowhere.
    Skip,
}

/// Where the column of this name goes. `None` where nothing of the message is called so.
pub(crate) fn target(kind: Kind, message: &MessageDescriptor, column: &str) -> Option<Target> {
    let name = column.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    if name == "skip" || name.starts_with("rejected") {
        return Some(Target::Skip);
    }
    let after = |head: &str| column.trim().get(head.len()..).filter(|rest| name.starts_with(head) && !rest.is_empty());
    match kind {
        Kind::Parties => {
            if let Some(scheme) = after("identifier.") {
                return Some(Target::Identifier(scheme.to_ascii_lowercase()));
            }
            if let Some(key) = after("attributes.") {
                return Some(Target::Attribute(key.to_owned()));
            }
            match name.as_str() {
                "phone" => return Some(Target::Medium("MEDIUM_KIND_PHONE")),
                "email" => return Some(Target::Medium("MEDIUM_KIND_EMAIL")),
                "web" => return Some(Target::Medium("MEDIUM_KIND_WEB")),
                "role" => return Some(Target::Role),
                "given_name" => return Some(Target::Name("givenName")),
                "family_name" => return Some(Target::Name("familyName")),
                _ => {}
            }
        }
        Kind::Relationships => {
            let field = match name.as_str() {
                "type" => "relationship_type",
                "from" => "from_party",
                "to" => "to_party",
                _ => "",
            };
            if let Some(field) = message.get_field_by_name(field) {
                return Some(Target::Field(vec![field]));
            }
        }
        Kind::Interactions => match name.as_str() {
            "medium" => return path(message, "channel.medium").map(Target::Field),
            "record_id" => return path(message, "provenance.source_record_id").map(Target::Field),
            "source" => return path(message, "provenance.source_system").map(Target::Field),
            "party" => return Some(Target::Participant("party")),
            "role" => return Some(Target::Participant("roleType")),
            "function" => return Some(Target::Participant("function")),
            "order" => return Some(Target::Amount("AMOUNT_KIND_ORDER")),
            "return" => return Some(Target::Amount("AMOUNT_KIND_RETURN")),
            "currency" => return Some(Target::Currency),
            _ => {}
        },
    }
    let found = path(message, &name).or_else(|| path(message, column.trim()))?;
    let first = found.first()?;
    kind.fields().contains(&first.name()).then_some(Target::Field(found))
}

/// The fields of a dotted path.
fn path(message: &MessageDescriptor, dotted: &str) -> Option<Vec<FieldDescriptor>> {
    let mut at = message.clone();
    let mut fields = Vec::new();
    for (place, part) in dotted.split('.').enumerate() {
        if place > 0 {
            let Some(Type::Message(inner)) = fields.last().map(FieldDescriptor::kind) else { return None };
            at = inner;
        }
        fields.push(at.get_field_by_name(part).or_else(|| at.get_field_by_json_name(part))?);
    }
    // Of which element of a list would it be?
    let (_, above) = fields.split_last()?;
    (!above.iter().any(|field| field.is_list() || field.is_map())).then_some(fields)
}

/// Puts a cell where it goes.
///
/// # Errors
/// What would be valid.
pub(crate) fn put(object: &mut Map<String, Value>, target: &Target, cell: &str) -> Result<(), String> {
    match target {
        Target::Skip => {}
        Target::Field(fields) => {
            let Some((last, above)) = fields.split_last() else { return Ok(()) };
            let mut at = object;
            for field in above {
                at = child(at, field.json_name())?;
            }
            at.insert(last.json_name().to_owned(), value(last, cell)?);
        }
        Target::Identifier(scheme) => {
            let one = json!({"scheme": scheme, "value": cell, "strength": "IDENTIFIER_STRENGTH_UNIQUE"});
            push(object, "identifiers", one)?;
        }
        Target::Medium(kind) => push(object, "contactMedia", json!({"kind": kind, "value": cell}))?,
        Target::Role => {
            for role in cell.split(';').map(str::trim).filter(|role| !role.is_empty()) {
                push(object, "roles", json!({"roleType": role}))?;
            }
        }
        Target::Attribute(key) => {
            child(object, "attributes")?.insert(key.clone(), json!(cell));
        }
        Target::Name(part) => {
            first(object, "names")?.insert((*part).to_owned(), json!(cell));
        }
        Target::Participant(part) => {
            let one = first(object, "participants")?;
            one.entry("function").or_insert(json!("FUNCTION_INITIATOR"));
            match *part {
                "function" => {
                    one.insert("function".to_owned(), json!(format!("FUNCTION_{}", cell.trim().to_ascii_uppercase())));
                }
                "party" => match cell.split_once(':').filter(|_| !cell.starts_with("parties/")) {
                    Some((scheme, value)) => {
                        one.insert(
                            "identifierUsed".to_owned(),
                            json!({"scheme": scheme.trim(), "value": value.trim()}),
                        );
                    }
                    None if cell.starts_with("parties/") => {
                        one.insert("party".to_owned(), json!(cell));
                    }
                    None => return Err("SCHEME:VALUE such as crm:7, or parties/{id}".to_owned()),
                },
                part => {
                    one.insert(part.to_owned(), json!(cell));
                }
            }
        }
        Target::Amount(kind) => {
            let money = money(cell).ok_or("a decimal number such as 12.50 with at most 9 decimals")?;
            let amount = child(object, "amount")?;
            amount.insert("kind".to_owned(), json!(kind));
            child(amount, "money")?.extend(money);
        }
        Target::Currency => {
            let amount = child(object, "amount")?;
            child(amount, "money")?.insert("currencyCode".to_owned(), json!(cell));
        }
    }
    Ok(())
}

fn child<'a>(object: &'a mut Map<String, Value>, key: &str) -> Result<&'a mut Map<String, Value>, String> {
    let entry = object.entry(key).or_insert_with(|| Value::Object(Map::new()));
    entry.as_object_mut().ok_or_else(|| format!("another column gives {key} already"))
}

fn list<'a>(object: &'a mut Map<String, Value>, key: &str) -> Result<&'a mut Vec<Value>, String> {
    let entry = object.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    entry.as_array_mut().ok_or_else(|| format!("another column gives {key} already"))
}

fn push(object: &mut Map<String, Value>, key: &str, value: Value) -> Result<(), String> {
    list(object, key)?.push(value);
    Ok(())
}

fn first<'a>(object: &'a mut Map<String, Value>, key: &str) -> Result<&'a mut Map<String, Value>, String> {
    let list = list(object, key)?;
    if list.is_empty() {
        list.push(Value::Object(Map::new()));
    }
    let first = list.first_mut().and_then(Value::as_object_mut);
    first.ok_or_else(|| format!("another column gives {key} already"))
}

/// A decimal number as money: no binary fraction on the way.
fn money(cell: &str) -> Option<Map<String, Value>> {
    let (whole, fraction) = cell.trim().split_once('.').unwrap_or((cell.trim(), ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let units: u64 = whole.parse().ok()?;
    let nanos: u32 = format!("{fraction:0<9}").parse().ok()?;
    Some(Map::from_iter([("units".to_owned(), json!(units.to_string())), ("nanos".to_owned(), json!(nanos))]))
}

/// A cell as the JSON of its field.
fn value(field: &FieldDescriptor, cell: &str) -> Result<Value, String> {
    let json =
        || serde_json::from_str::<Value>(cell).map_err(|error| format!("the JSON of {}: {error}", field.json_name()));
    if field.is_list() && !cell.starts_with('[') && matches!(field.kind(), Type::String) {
        return Ok(cell.split(';').map(str::trim).filter(|part| !part.is_empty()).map(Value::from).collect());
    }
    if field.is_list() || field.is_map() {
        return json();
    }
    match field.kind() {
        Type::Message(message) if message.full_name() == "google.protobuf.Timestamp" => Ok(match cell.len() {
            // A day alone begins at midnight.
            10 => json!(format!("{cell}T00:00:00Z")),
            _ => json!(cell.replacen(' ', "T", 1)),
        }),
        Type::Message(_) => json(),
        Type::Enum(values) => {
            let unspecified = values.values().find(|value| value.number() == 0).map(|value| value.name().to_owned());
            let prefix =
                unspecified.as_deref().and_then(|name| name.strip_suffix("UNSPECIFIED")).unwrap_or_default().to_owned();
            let wanted = cell.trim().to_ascii_uppercase().replace([' ', '-'], "_");
            let found = values.values().find(|value| {
                value.number() != 0 && (value.name() == wanted || value.name().strip_prefix(&prefix) == Some(&wanted))
            });
            found.map(|value| json!(value.name())).ok_or_else(|| {
                let names = values.values().filter(|value| value.number() != 0);
                let names: Vec<String> = names
                    .map(|value| value.name().strip_prefix(&prefix).unwrap_or_default().to_ascii_lowercase())
                    .collect();
                names.join(", ")
            })
        }
        Type::Bool => match cell.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Ok(json!(true)),
            "false" | "no" | "0" => Ok(json!(false)),
            _ => Err("true or false".to_owned()),
        },
        Type::Double | Type::Float => {
            let number = cell.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            number.map(|number| json!(number)).ok_or_else(|| "a number such as 0.5".to_owned())
        }
        Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 => {
            cell.trim().parse::<i64>().map(|number| json!(number)).map_err(|_| "a whole number".to_owned())
        }
        _ => Ok(json!(cell)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn row(kind: Kind, cells: &[(&str, &str)]) -> Result<Value, String> {
        let message = kind.message().unwrap();
        let mut object = Map::new();
        for (column, cell) in cells {
            let target = target(kind, &message, column).ok_or_else(|| format!("no {column}"))?;
            put(&mut object, &target, cell)?;
        }
        Ok(Value::Object(object))
    }

    #[test]
    fn a_party_of_plain_columns() {
        let party = row(
            Kind::Parties,
            &[
                ("Kind", "individual"),
                ("Display Name", "Ana"),
                ("identifier.crm", "7"),
                ("phone", "+55"),
                ("role", "customer; dealer"),
                ("attributes.Tier", "gold"),
                ("cessation", "{\"kind\": \"CESSATION_KIND_DECEASED\"}"),
            ],
        )
        .unwrap();
        assert_eq!(party["kind"], "PARTY_KIND_INDIVIDUAL");
        assert_eq!(
            party["identifiers"][0],
            json!({"scheme": "crm", "value": "7", "strength": "IDENTIFIER_STRENGTH_UNIQUE"})
        );
        assert_eq!((&party["roles"][1]["roleType"], &party["attributes"]["Tier"]), (&json!("dealer"), &json!("gold")));
        assert!(row(Kind::Parties, &[("kind", "robot")]).unwrap_err().contains("individual, organization"));
        // The server's own fields are no columns.
        for column in ["create_time", "etag", "name", "colour", "identifiers.scheme"] {
            assert!(row(Kind::Parties, &[(column, "x")]).unwrap_err().contains("no "), "{column}");
        }
    }

    #[test]
    fn an_interaction_of_plain_columns() {
        let one = row(
            Kind::Interactions,
            &[
                ("kind", "order"),
                ("medium", "web"),
                ("direction", "inbound"),
                ("party", "crm:7"),
                ("order", "12.5"),
                ("currency", "EUR"),
                ("occurred_time", "2026-01-31"),
                ("topics", "price;delivery"),
                ("effort", "3"),
            ],
        )
        .unwrap();
        assert_eq!(one["amount"]["money"], json!({"units": "12", "nanos": 500_000_000, "currencyCode": "EUR"}));
        assert_eq!(one["participants"][0]["identifierUsed"], json!({"scheme": "crm", "value": "7"}));
        assert_eq!(
            (&one["occurredTime"], &one["topics"]),
            (&json!("2026-01-31T00:00:00Z"), &json!(["price", "delivery"]))
        );
        for (column, cell) in
            [("order", "-1"), ("order", "1.0000000001"), ("effort", "much"), ("party", "Ana"), ("medium", "pigeon")]
        {
            assert!(row(Kind::Interactions, &[(column, cell)]).is_err(), "{column} {cell}");
        }
    }
}
