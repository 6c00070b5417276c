use std::collections::{BTreeMap, BTreeSet, HashMap};

use prost_reflect::{EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use rapport_proto::contract::{self, Method};
use serde_json::{Map, Value, json};

use super::DOCUMENT;

/// The OpenAPI 3.1 document of the JSON that this port speaks, written from the contract and its comments: every unary
/// and server-streaming method of the services that `hosted` names.
pub fn openapi(hosted: impl Fn(&str) -> bool) -> Value {
    let methods: Vec<&Method> =
        contract::methods().iter().filter(|method| !method.client_streaming && hosted(&method.service)).collect();
    let mut schemas = Schemas { comments: Comments::read(), ..Schemas::default() };
    let mut paths = Map::new();
    for method in &methods {
        paths.insert(method.path.clone(), json!({ "post": operation(method, &mut schemas) }));
    }
    let services: BTreeSet<&str> = methods.iter().map(|method| method.service.as_str()).collect();
    let tags: Vec<Value> = contract::pool()
        .services()
        .filter(|service| services.contains(service.full_name()))
        .map(|service| {
            let comment = schemas.comments.at(&service.parent_file(), service.path());
            json!({ "name": service.full_name(), "description": comment })
        })
        .collect();
    let mut written = schemas.finish();
    written.insert("google.rpc.Status".to_owned(), status());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Rapport",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!(
                "Every unary and server-streaming RPC in proto3 JSON, on the port that speaks gRPC. Written from the \
                 contract and served at {DOCUMENT}. Errors are google.rpc.Status; streams are JSON lines, and one that \
                 ends with an error has it as its last line: {{\"error\": {{…}}}}."
            ),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "token": [] }, {}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the server's configuration. A server without tokens asks for none.",
                },
            },
            "parameters": parameters(),
            "headers": headers(),
            "responses": {
                "Error": {
                    "description": "The call was refused: the HTTP status is the one of its code.",
                    "content": { "application/json": { "schema": reference("google.rpc.Status") } },
                    "headers": { "x-request-id": { "$ref": "#/components/headers/RequestId" } },
                },
            },
            "schemas": written,
        },
    })
}

fn operation(method: &Method, schemas: &mut Schemas) -> Value {
    let description = flowed(&method.comment);
    let summary = description.split_inclusive(". ").next().unwrap_or_default().trim().trim_end_matches('.');
    let summary = summary.lines().next().unwrap_or_default();
    let (kind, said) = if method.server_streaming {
        ("application/x-ndjson", "A message per line, and maybe an error as the last one.")
    } else {
        ("application/json", "The answer.")
    };
    let service = method.service.rsplit('.').next().unwrap_or_default();
    json!({
        "operationId": format!("{service}_{}", method.name),
        "tags": [method.service],
        "summary": summary,
        "description": description,
        "x-permission": method.permission,
        "parameters": [
            { "$ref": "#/components/parameters/Timeout" },
            { "$ref": "#/components/parameters/AtLeast" },
            { "$ref": "#/components/parameters/RequestId" },
        ],
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": schemas.message(&method.input) } },
        },
        "responses": {
            "200": {
                "description": said,
                "content": { kind: { "schema": schemas.message(&method.output) } },
                "headers": {
                    "x-request-id": { "$ref": "#/components/headers/RequestId" },
                    "rapport-position": { "$ref": "#/components/headers/Position" },
                    "rapport-stale": { "$ref": "#/components/headers/Stale" },
                },
            },
            "default": { "$ref": "#/components/responses/Error" },
        },
    })
}

fn parameters() -> Value {
    json!({
        "Timeout": {
            "name": "grpc-timeout", "in": "header", "required": false,
            "description": "How long the caller waits: at most eight digits and a unit, H, M, S, m (ms), u or n.",
            "schema": { "type": "string", "pattern": "^[0-9]{1,8}[HMSmun]$" }, "example": "2S",
        },
        "AtLeast": {
            "name": "rapport-at-least", "in": "header", "required": false,
            "description": "Positions that the answer must know of, as rapport-position gave them, separated by commas.",
            "schema": { "type": "string" }, "example": "interactions@42",
        },
        "RequestId": {
            "name": "x-request-id", "in": "header", "required": false,
            "description": "A name for the call in logs: letters, digits, - _ and . , at most 64.",
            "schema": { "type": "string", "maxLength": 64 },
        },
    })
}

fn headers() -> Value {
    json!({
        "RequestId": { "description": "The call's name in logs.", "schema": { "type": "string" } },
        "Position": {
            "description": "In the answer to a write: the place of its events in the service's feed.",
            "schema": { "type": "string" },
        },
        "Stale": {
            "description": "How far the answer knows, where rapport-at-least was not reached in time.",
            "schema": { "type": "string" },
        },
    })
}

fn status() -> Value {
    json!({
        "type": "object",
        "description": "Why a call was refused.",
        "required": ["code", "message"],
        "properties": {
            "code": { "type": "integer", "format": "int32", "description": "A value of google.rpc.Code." },
            "message": { "type": "string", "description": "For people; it may change." },
            "details": {
                "type": "array",
                "description": "google.rpc.ErrorInfo with a reason of docs/errors.md, BadRequest with the wrong fields, RetryInfo.",
                "items": {
                    "type": "object",
                    "required": ["@type"],
                    "properties": { "@type": { "type": "string" } },
                    "additionalProperties": true,
                },
            },
        },
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The schemas of the messages and enums that were named so far, each written once.
#[derive(Default)]
struct Schemas {
    named: BTreeMap<String, Named>,
    open: Vec<String>,
    comments: Comments,
}

enum Named {
    Message(MessageDescriptor),
    Enum(EnumDescriptor),
}

impl Schemas {
    fn message(&mut self, message: &MessageDescriptor) -> Value {
        if let Some(schema) = well_known(message.full_name()) {
            return schema;
        }
        self.name(message.full_name(), || Named::Message(message.clone()))
    }

    fn name(&mut self, name: &str, what: impl FnOnce() -> Named) -> Value {
        if !self.named.contains_key(name) {
            self.named.insert(name.to_owned(), what());
            self.open.push(name.to_owned());
        }
        reference(name)
    }

    fn finish(mut self) -> Map<String, Value> {
        let mut written = Map::new();
        while let Some(name) = self.open.pop() {
            let schema = match self.named.get(&name) {
                Some(Named::Message(message)) => {
                    let message = message.clone();
                    self.object(&message)
                }
                Some(Named::Enum(one)) => enumeration(one, &self.comments),
                None => continue,
            };
            written.insert(name, schema);
        }
        written
    }

    fn object(&mut self, message: &MessageDescriptor) -> Value {
        let file = message.parent_file();
        let mut properties = Map::new();
        for field in message.fields() {
            let mut schema = self.field(&field);
            let said = self.comments.at(&file, field.path());
            if let (Value::Object(schema), false) = (&mut schema, said.is_empty()) {
                schema.insert("description".to_owned(), Value::String(said));
            }
            properties.insert(field.json_name().to_owned(), schema);
        }
        json!({ "type": "object", "description": self.comments.at(&file, message.path()), "properties": properties })
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        if field.is_map()
            && let Kind::Message(entry) = field.kind()
        {
            let value = self.single(&entry.map_entry_value_field().kind());
            return json!({ "type": "object", "additionalProperties": value });
        }
        let single = self.single(&field.kind());
        if field.is_list() { json!({ "type": "array", "items": single }) } else { single }
    }

    fn single(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Double => json!({ "type": "number", "format": "double" }),
            Kind::Float => json!({ "type": "number", "format": "float" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            // JSON numbers lose the last digits of these in most languages, so they are texts.
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({ "type": "string", "format": "int64" }),
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "format": "uint64" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Message(message) => self.message(message),
            Kind::Enum(one) => self.name(one.full_name(), || Named::Enum(one.clone())),
        }
    }
}

fn enumeration(one: &EnumDescriptor, comments: &Comments) -> Value {
    let file = one.parent_file();
    let mut description = comments.at(&file, one.path());
    let mut names = Vec::new();
    for value in one.values() {
        names.push(value.name().to_owned());
        description.push_str(&format!("\n- `{}`: {}", value.name(), comments.at(&file, value.path())));
    }
    json!({ "type": "string", "enum": names, "description": description })
}

/// The messages that proto3 JSON writes in a form of their own.
fn well_known(name: &str) -> Option<Value> {
    Some(match name {
        "google.protobuf.Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "google.protobuf.Duration" => {
            json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$", "example": "1.500s" })
        }
        "google.protobuf.FieldMask" => json!({ "type": "string", "example": "displayName,languageCode" }),
        "google.protobuf.Empty" => json!({ "type": "object" }),
        "google.protobuf.Struct" => json!({ "type": "object", "additionalProperties": true }),
        "google.protobuf.Value" => json!({}),
        "google.protobuf.ListValue" => json!({ "type": "array", "items": {} }),
        "google.protobuf.Any" => json!({
            "type": "object",
            "properties": { "@type": { "type": "string" } },
            "additionalProperties": true,
        }),
        "google.protobuf.BoolValue" => json!({ "type": "boolean" }),
        "google.protobuf.StringValue" => json!({ "type": "string" }),
        "google.protobuf.BytesValue" => json!({ "type": "string", "contentEncoding": "base64" }),
        "google.protobuf.DoubleValue" | "google.protobuf.FloatValue" => json!({ "type": "number" }),
        "google.protobuf.Int32Value" | "google.protobuf.UInt32Value" => json!({ "type": "integer" }),
        "google.protobuf.Int64Value" | "google.protobuf.UInt64Value" => json!({ "type": "string" }),
        _ => return None,
    })
}

/// The comments of the contract, by file and path: searching a file for each would take long.
#[derive(Default)]
struct Comments(HashMap<String, HashMap<Vec<i32>, String>>);

impl Comments {
    fn read() -> Comments {
        let of_file = |file: FileDescriptor| {
            let located = file.file_descriptor_proto().source_code_info.as_ref();
            let comments = located.iter().flat_map(|info| &info.location).filter_map(|location| {
                let comment = location.leading_comments.as_deref()?;
                Some((location.path.clone(), flowed(comment)))
            });
            (file.name().to_owned(), comments.collect())
        };
        Comments(contract::pool().files().map(of_file).collect())
    }

    fn at(&self, file: &FileDescriptor, path: &[i32]) -> String {
        self.0.get(file.name()).and_then(|file| file.get(path)).cloned().unwrap_or_default()
    }
}

/// The lines of a comment as they read, without the indentation of the .proto file; an empty line ends a paragraph.
fn flowed(comment: &str) -> String {
    let paragraphs: Vec<String> = comment
        .split("\n\n")
        .flat_map(|part| part.split("\n \n"))
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|part| !part.is_empty())
        .collect();
    paragraphs.join("\n\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(to)) = object.get("$ref") {
                    found.push(to);
                }
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn the_document_holds_every_method_and_every_reference_resolves() {
        let document = openapi(|_| true);
        let mut ids = BTreeSet::new();
        for method in contract::methods() {
            let operation = &document["paths"][&method.path]["post"];
            assert_eq!(operation.is_object(), !method.client_streaming, "{}", method.path);
            if method.client_streaming {
                continue;
            }
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{} twice", method.path);
            assert!(operation["description"].as_str().unwrap().len() > 10, "{} has no description", method.path);
            let kind = if method.server_streaming { "application/x-ndjson" } else { "application/json" };
            assert!(operation["responses"]["200"]["content"][kind]["schema"].is_object(), "{}", method.path);
        }
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 500, "{}", found.len());
        for to in found {
            let pointer = to.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{to} leads nowhere");
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert!(schema["type"].is_string(), "{name}");
            assert!(schema["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no description");
        }
    }

    #[test]
    fn only_what_is_hosted_is_told() {
        let document = openapi(|service| service == "rapport.stakeholders.v1.PartyService");
        let paths = document["paths"].as_object().unwrap();
        assert!(
            !paths.is_empty() && paths.keys().all(|path| path.starts_with("/rapport.stakeholders.v1.PartyService/"))
        );
        assert_eq!(document["tags"].as_array().unwrap().len(), 1);
    }
}
