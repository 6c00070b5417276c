//! `rapport describe`: the contract in words, from the descriptors in this binary.

mod skeleton;

use std::fmt::Write as _;
use std::io::Write;

use clap::Args;
use prost_reflect::{
    EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, MethodDescriptor, ServiceDescriptor,
};
use rapport_proto::contract;

use crate::failure::Failure;
use crate::naming;

/// What begins the names of the contract.
const OURS: &str = "rapport.";

/// `rapport describe`.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// A service, a method, a message or an enum, by its name or an end of it that only one has. All services when left out.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Something that has a name.
#[derive(Clone)]
enum Named {
    Service(ServiceDescriptor),
    Method(MethodDescriptor),
    Message(MessageDescriptor),
    Enum(EnumDescriptor),
}

/// Prints what the contract says.
pub(crate) fn describe(arguments: &Describe) -> Result<(), Failure> {
    let mut text = String::new();
    match &arguments.name {
        None => services(&mut text),
        Some(query) => {
            let all = all();
            let names: Vec<String> = all.iter().map(|(name, _)| name.clone()).collect();
            let name = naming::find("service, method, message or enum", query, &names)?;
            match all.iter().find(|(known, _)| known == name).map(|(_, named)| named) {
                Some(Named::Service(service)) => one_service(&mut text, service),
                Some(Named::Method(method)) => one_method(&mut text, method),
                Some(Named::Message(message)) => {
                    one_message(&mut text, message);
                    example(&mut text, message);
                }
                Some(Named::Enum(values)) => one_enum(&mut text, values),
                None => {}
            }
        }
    }
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Failure::output(&error))
}

fn ours() -> impl Iterator<Item = ServiceDescriptor> {
    contract::pool().services().filter(|service| service.full_name().starts_with(OURS))
}

fn all() -> Vec<(String, Named)> {
    let mut all = Vec::new();
    for service in ours() {
        for method in service.methods() {
            all.push((format!("{}/{}", service.full_name(), method.name()), Named::Method(method)));
        }
        all.push((service.full_name().to_owned(), Named::Service(service)));
    }
    all.extend(contract::messages().map(|message| (message.full_name().to_owned(), Named::Message(message))));
    let enums = contract::pool().all_enums().filter(|values| values.full_name().starts_with(OURS));
    all.extend(enums.map(|values| (values.full_name().to_owned(), Named::Enum(values))));
    all
}

fn services(text: &mut String) {
    for service in ours() {
        let said = first_sentence(&contract::comment(&service.parent_file(), service.path()));
        let _ = writeln!(text, "{}\n    {said}", service.full_name());
        for method in service.methods() {
            let _ = writeln!(text, "    {}", method.name());
        }
    }
}

fn one_service(text: &mut String, service: &ServiceDescriptor) {
    comment(text, "", &service.parent_file(), service.path());
    let _ = writeln!(text, "service {}", service.full_name());
    for method in service.methods() {
        let said = first_sentence(&contract::comment(&service.parent_file(), method.path()));
        let _ = writeln!(text, "\n    // {said}\n    {}", signature(&method));
    }
}

fn one_method(text: &mut String, method: &MethodDescriptor) {
    let service = method.parent_service();
    let path = format!("{}/{}", service.full_name(), method.name());
    comment(text, "", &method.parent_file(), method.path());
    let _ = writeln!(text, "{}", signature(method));
    let _ = writeln!(text, "    path: /{path}");
    if let Some(permission) = contract::permission(&format!("/{path}")) {
        let _ = writeln!(text, "    permission: {permission}");
    }
    text.push('\n');
    one_message(text, &method.input());
    if method.output().full_name() != method.input().full_name() {
        text.push('\n');
        one_message(text, &method.output());
    }
    example(text, &method.input());
    let json = serde_json::to_string(&skeleton::skeleton(&method.input())).unwrap_or_default();
    let short = format!("{}/{}", service.name(), method.name());
    let _ = match method.is_client_streaming() {
        true => writeln!(text, "\nCall, one message a line:\n    rapport call {short} @messages.jsonl"),
        false => writeln!(text, "\nCall:\n    rapport call {short} '{}'", json.replace('\'', "'\\''")),
    };
}

fn signature(method: &MethodDescriptor) -> String {
    let stream = |streams: bool| if streams { "stream " } else { "" };
    format!(
        "rpc {}({}{}) returns ({}{})",
        method.name(),
        stream(method.is_client_streaming()),
        method.input().name(),
        stream(method.is_server_streaming()),
        method.output().name(),
    )
}

fn one_message(text: &mut String, message: &MessageDescriptor) {
    comment(text, "", &message.parent_file(), message.path());
    let _ = writeln!(text, "message {}", message.full_name());
    let mut oneof = None;
    for field in message.fields() {
        let group = field.containing_oneof().filter(|group| !group.is_synthetic());
        if group != oneof {
            if let Some(group) = &group {
                let _ = writeln!(text, "\n    one of `{}`:", group.name());
            }
            oneof = group;
        }
        text.push('\n');
        comment(text, "    ", &message.parent_file(), field.path());
        let _ = writeln!(text, "    {} {}", type_name(&field), field.json_name());
        if let Kind::Enum(values) = field.kind() {
            let names: Vec<String> =
                values.values().filter(|value| value.number() != 0).map(|value| value.name().to_owned()).collect();
            wrapped(text, "        ", &names.join(" | "));
        }
    }
}

fn type_name(field: &FieldDescriptor) -> String {
    let one = |field: &FieldDescriptor| match field.kind() {
        Kind::Message(message) => message.full_name().trim_start_matches("google.protobuf.").to_owned(),
        Kind::Enum(values) => values.full_name().to_owned(),
        kind => format!("{kind:?}"),
    };
    let short = |name: String| name.rsplit('.').next().unwrap_or(&name).to_owned();
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        return format!("map<{}, {}>", short(one(&key)), short(one(&value)));
    }
    let name = short(one(field));
    if field.is_list() {
        return format!("repeated {name}");
    }
    if field.containing_oneof().is_some_and(|group| group.is_synthetic()) {
        return format!("optional {name}");
    }
    name
}

fn one_enum(text: &mut String, values: &EnumDescriptor) {
    comment(text, "", &values.parent_file(), values.path());
    let _ = writeln!(text, "enum {}", values.full_name());
    for value in values.values() {
        text.push('\n');
        comment(text, "    ", &values.parent_file(), value.path());
        let _ = writeln!(text, "    {} = {}", value.name(), value.number());
    }
}

fn example(text: &mut String, message: &MessageDescriptor) {
    let json = serde_json::to_string_pretty(&skeleton::skeleton(message)).unwrap_or_default();
    let _ = writeln!(text, "\nExample of a {}:", message.name());
    for line in json.lines() {
        let _ = writeln!(text, "    {line}");
    }
}

/// The comment of something, as the contract has it.
fn comment(text: &mut String, indent: &str, file: &FileDescriptor, path: &[i32]) {
    for line in contract::comment(file, path).lines() {
        let _ = writeln!(text, "{indent}// {}", line.trim());
    }
}

/// Words broken at 100 columns.
fn wrapped(text: &mut String, indent: &str, words: &str) {
    let mut line = String::new();
    for word in words.split(' ') {
        if !line.is_empty() && indent.len() + line.len() + 1 + word.len() > 100 {
            let _ = writeln!(text, "{indent}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{indent}{line}");
}

fn first_sentence(comment: &str) -> String {
    let text = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.find(". ") {
        Some(end) => text[..=end].to_owned(),
        None => text,
    }
}
