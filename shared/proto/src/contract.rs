//! What the descriptors say: methods with their permissions, fields with their sensitivity, reasons with their
//! comments. Generic layers (access control, redaction, tests, documentation) read this instead of hand-kept lists.

use std::collections::HashMap;
use std::sync::OnceLock;

use prost_reflect::{
    DescriptorPool, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor,
    MethodDescriptor, Value,
};

pub use crate::options::v1::Sensitivity;

const PREFIX: &str = "rapport.";

/// One RPC of the contract.
#[derive(Clone, Debug)]
pub struct Method {
    /// The HTTP path, `/rapport.stakeholders.v1.PartyService/GetParty`.
    pub path: String,
    /// The service's full name, `rapport.stakeholders.v1.PartyService`.
    pub service: String,
    /// The method's name, `GetParty`.
    pub name: String,
    /// The permission a caller needs; `None` must stop the process from starting.
    pub permission: Option<String>,
    /// The request message.
    pub input: MessageDescriptor,
    /// The response message.
    pub output: MessageDescriptor,
    /// Whether the caller sends a stream.
    pub client_streaming: bool,
    /// Whether the server answers with a stream.
    pub server_streaming: bool,
    /// The comment in the .proto file.
    pub comment: String,
}

/// One field of a message of the contract.
#[derive(Clone, Debug)]
pub struct Field {
    /// The message's full name, `rapport.stakeholders.v1.Party`.
    pub message: String,
    /// The field's name, `given_name`.
    pub name: String,
    /// How much care its value needs.
    pub sensitivity: Sensitivity,
    /// The field itself.
    pub descriptor: FieldDescriptor,
    /// The comment in the .proto file.
    pub comment: String,
}

/// One reason of `rapport.error.v1.Reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The constant, `ETAG_MISMATCH`.
    pub name: String,
    /// What it means, one sentence.
    pub meaning: String,
    /// The canonical code it comes with, or that it stands in a field violation.
    pub code: String,
    /// A case in which it is sent.
    pub example: String,
    /// What the caller does about it.
    pub caller: String,
}

struct Contract {
    pool: DescriptorPool,
    methods: Vec<Method>,
    by_path: HashMap<String, usize>,
    sensitivity: Option<ExtensionDescriptor>,
}

fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        // The image is this build's own and a test decodes it. Were it broken, the pool would be empty, no method
        // would have a permission, and nothing would be served: it fails closed.
        let pool = DescriptorPool::decode(crate::DESCRIPTORS).unwrap_or_default();
        let permission = pool.get_extension_by_name("rapport.options.v1.permission");
        let methods: Vec<Method> = pool
            .services()
            .filter(|service| service.full_name().starts_with(PREFIX))
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .map(|method| describe(&method, permission.as_ref()))
            .collect();
        let by_path = methods.iter().enumerate().map(|(index, method)| (method.path.clone(), index)).collect();
        let sensitivity = pool.get_extension_by_name("rapport.options.v1.sensitivity");
        Contract { pool, methods, by_path, sensitivity }
    })
}

fn describe(method: &MethodDescriptor, permission: Option<&ExtensionDescriptor>) -> Method {
    let service = method.parent_service();
    let options = method.options();
    let permission = permission
        .filter(|extension| options.has_extension(extension))
        .and_then(|extension| options.get_extension(extension).as_str().map(str::to_owned))
        .filter(|permission| !permission.is_empty());
    Method {
        path: format!("/{}/{}", service.full_name(), method.name()),
        service: service.full_name().to_owned(),
        name: method.name().to_owned(),
        permission,
        input: method.input(),
        output: method.output(),
        client_streaming: method.is_client_streaming(),
        server_streaming: method.is_server_streaming(),
        comment: comment(&method.parent_file(), method.path()),
    }
}

/// All descriptors, those of imported well-known types included.
pub fn pool() -> &'static DescriptorPool {
    &contract().pool
}

/// Every RPC of the suite, in the order of the files.
pub fn methods() -> &'static [Method] {
    &contract().methods
}

/// The RPC at an HTTP path such as `/rapport.stakeholders.v1.PartyService/GetParty`.
pub fn method(path: &str) -> Option<&'static Method> {
    let contract = contract();
    contract.by_path.get(path).and_then(|index| contract.methods.get(*index))
}

/// The permission that the RPC at this path needs. `None` for an unknown path or a method without the option: both
/// must be denied.
pub fn permission(path: &str) -> Option<&'static str> {
    method(path).and_then(|method| method.permission.as_deref())
}

/// Every message of the suite, nested ones included, without the entries of maps.
pub fn messages() -> impl Iterator<Item = MessageDescriptor> {
    pool().all_messages().filter(|message| message.full_name().starts_with(PREFIX) && !message.is_map_entry())
}

/// Every field of every message of the suite.
pub fn fields() -> Vec<Field> {
    messages()
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .map(|field| Field {
            message: field.parent_message().full_name().to_owned(),
            name: field.name().to_owned(),
            sensitivity: sensitivity(&field),
            comment: comment(&field.parent_message().parent_file(), field.path()),
            descriptor: field,
        })
        .collect()
}

/// How much care the value of a field needs.
pub fn sensitivity(field: &FieldDescriptor) -> Sensitivity {
    let Some(extension) = &contract().sensitivity else {
        return Sensitivity::Unspecified;
    };
    let options = field.options();
    match options.get_extension(extension).as_ref() {
        Value::EnumNumber(number) => Sensitivity::try_from(*number).unwrap_or(Sensitivity::Unspecified),
        _ => Sensitivity::Unspecified,
    }
}

/// Every documented reason, without the zero value, in the order of the contract.
pub fn reasons() -> Vec<Reason> {
    let Some(reasons) = pool().get_enum_by_name("rapport.error.v1.Reason") else {
        return Vec::new();
    };
    reasons
        .values()
        .filter(|value| value.number() != 0)
        .map(|value| reason(value.name(), &enum_value_comment(&reasons, value.path())))
        .collect()
}

fn enum_value_comment(parent: &EnumDescriptor, path: &[i32]) -> String {
    comment(&parent.parent_file(), path)
}

/// Takes the parts out of a comment of the form "Meaning. Code: X. Example: Y. Caller: Z.".
fn reason(name: &str, comment: &str) -> Reason {
    let text = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    let part = |text: &str| text.trim().trim_end_matches('.').to_owned();
    let (text, caller) = text.split_once(" Caller: ").unwrap_or((&text, ""));
    let (text, example) = text.split_once(" Example: ").unwrap_or((text, ""));
    let (meaning, code) = text.split_once(" Code: ").unwrap_or((text, ""));
    Reason {
        name: name.to_owned(),
        meaning: part(meaning),
        code: part(code),
        example: part(example),
        caller: part(caller),
    }
}

/// The page docs/errors.md: every reason with its code, an example and what the caller does.
pub fn errors_page() -> String {
    let mut page = String::from(
        "# Errors\n\n\
         Generated from `proto/rapport/error/v1/reason.proto` by\n\
         `cargo run -p rapport-proto --example errors > docs/errors.md`; do not edit.\n\n\
         A failed call carries a canonical gRPC code and, in its details, `google.rpc.ErrorInfo` with domain\n\
         `rapport`, one of these reasons, and in `metadata` every value of the message's sentence. Reasons are stable;\n\
         messages are for people and may change. Wrong fields come as `google.rpc.BadRequest`, each violation with a\n\
         reason of its own. `google.rpc.RetryInfo` says when a retry makes sense.\n",
    );
    let (fields, calls): (Vec<_>, Vec<_>) =
        reasons().into_iter().partition(|reason| reason.code.starts_with("in a field violation"));
    for (title, reasons) in [("Reasons of calls", calls), ("Reasons of field violations", fields)] {
        page.push_str(&format!("\n## {title}\n"));
        for Reason { name, meaning, code, example, caller } in reasons {
            page.push_str(&format!(
                "\n### {name}\n\n{meaning}.\n\n- Code: {code}\n- Example: {example}\n- What to do: {caller}\n"
            ));
        }
    }
    page
}

/// The comment that stands before a descriptor, given its path within the file.
pub fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    file.file_descriptor_proto()
        .source_code_info
        .as_ref()
        .and_then(|info| info.location.iter().find(|location| location.path == path))
        .and_then(|location| location.leading_comments.as_deref())
        .map(|comment| comment.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_image_decodes_with_its_options() {
        DescriptorPool::decode(crate::DESCRIPTORS).unwrap();
        assert_eq!(permission("/rapport.events.v1.EventService/Subscribe"), Some("events.feed.read"));
        assert_eq!(permission("/rapport.events.v1.EventService/Nothing"), None);
        let subscribe = method("/rapport.events.v1.EventService/Subscribe").unwrap();
        assert!(subscribe.server_streaming && !subscribe.client_streaming);
        assert!(subscribe.comment.starts_with("Streams the events"));
    }

    #[test]
    fn sensitivity_is_read_from_the_field() {
        let fields = fields();
        let of = |message: &str, name: &str| {
            fields.iter().find(|field| field.message == message && field.name == name).unwrap().sensitivity
        };
        assert_eq!(of("rapport.type.v1.Provenance", "actor"), Sensitivity::Personal);
        assert_eq!(of("rapport.type.v1.Money", "units"), Sensitivity::Unspecified);
    }

    #[test]
    fn every_reason_is_a_constant_and_every_constant_documented() {
        let documented: BTreeSet<String> = reasons().into_iter().map(|reason| reason.name).collect();
        let constants: BTreeSet<String> = rapport_types::reason::ALL.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(documented, constants);
        assert_eq!(documented.len(), rapport_types::reason::ALL.len());
    }

    #[test]
    fn every_reason_says_what_it_means_when_and_what_to_do() {
        let codes: BTreeSet<&str> = [
            "INVALID_ARGUMENT",
            "OUT_OF_RANGE",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "FAILED_PRECONDITION",
            "ABORTED",
            "UNAUTHENTICATED",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "UNAVAILABLE",
            "DEADLINE_EXCEEDED",
            "CANCELLED",
            "UNIMPLEMENTED",
            "INTERNAL",
            "in a field violation of INVALID_FIELDS",
        ]
        .into();
        for reason in reasons() {
            assert!(codes.contains(reason.code.as_str()), "{reason:?}");
            for part in [&reason.meaning, &reason.example, &reason.caller] {
                assert!(!part.is_empty(), "{reason:?}");
            }
        }
    }
}
