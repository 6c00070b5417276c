//! The contract's style, read off the descriptors that the build writes.

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MethodDescriptor};

fn pool() -> DescriptorPool {
    DescriptorPool::decode(rapport_proto::DESCRIPTORS).expect("the descriptor set decodes")
}

fn methods() -> Vec<MethodDescriptor> {
    let found: Vec<_> = pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    assert!(found.len() > 25, "the contract declares its methods");
    found
}

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

fn permission(method: &MethodDescriptor) -> String {
    rapport_proto::contract::permission(&path(method)).unwrap_or_default().to_owned()
}

#[test]
fn every_method_names_its_permission() {
    for method in methods() {
        let permission = permission(&method);
        let parts: Vec<_> = permission.split('.').collect();
        assert!(
            parts.len() == 3 && ["read", "write"].contains(&parts[2]),
            "{}: permission {permission:?} is not <service>.<resource>.<read|write>",
            path(&method)
        );
    }
}

#[test]
fn every_write_takes_a_request_id() {
    for method in methods() {
        if !permission(&method).ends_with(".write") {
            continue;
        }
        let input = method.input();
        // Batches and streams carry one id per item.
        let per_item = input.fields().any(|field| match field.kind() {
            Kind::Message(message) => message.get_field_by_name("request_id").is_some(),
            _ => false,
        });
        assert!(input.get_field_by_name("request_id").is_some() || per_item, "{} takes no request_id", path(&method));
    }
}

#[test]
fn every_list_is_paged_and_filtered_alike() {
    for method in methods().iter().filter(|method| method.name().starts_with("List")) {
        for field in ["page_size", "page_token"] {
            assert!(method.input().get_field_by_name(field).is_some(), "{} lacks {field}", path(method));
        }
        assert!(method.output().get_field_by_name("next_page_token").is_some(), "{}", path(method));
    }
}

fn every_field(visit: impl Fn(&FieldDescriptor)) {
    for message in pool().all_messages().filter(|message| message.full_name().starts_with("rapport.")) {
        for field in message.fields() {
            visit(&field);
        }
    }
}

#[test]
fn times_and_flags_are_named_alike() {
    every_field(|field| {
        if let Kind::Message(message) = field.kind()
            && message.full_name() == "google.protobuf.Timestamp"
        {
            assert!(
                field.name().ends_with("_time") || field.name().starts_with("as_"),
                "{} is a time and does not end in _time",
                field.full_name()
            );
        }
        assert!(!field.name().starts_with("is_"), "{}", field.full_name());
    });
}

#[test]
fn the_zero_of_every_enum_is_unspecified() {
    for one in pool().all_enums().filter(|one| one.full_name().starts_with("rapport.")) {
        let zero = one.get_value(0).expect("an enum has a zero");
        assert!(zero.name().ends_with("_UNSPECIFIED"), "{}", one.full_name());
    }
}

#[test]
fn everything_has_a_comment() {
    for file in pool().files().filter(|file| file.name().starts_with("rapport/")) {
        let descriptor = file.file_descriptor_proto();
        let located = descriptor.source_code_info.as_ref().expect("the image keeps comments");
        let commented: std::collections::BTreeSet<Vec<i32>> = located
            .location
            .iter()
            .filter(|location| {
                !location.leading_comments().trim().is_empty() || !location.trailing_comments().trim().is_empty()
            })
            .map(|location| location.path.clone())
            .collect();
        let needs = |path: &[i32], what: &str| {
            assert!(commented.contains(path), "{}: {what} has no comment", file.name());
        };
        for message in file.messages() {
            needs(message.path(), message.full_name());
            for field in message.fields() {
                needs(field.path(), field.full_name());
            }
            for child in message.child_messages().filter(|child| !child.is_map_entry()) {
                needs(child.path(), child.full_name());
                for field in child.fields() {
                    needs(field.path(), field.full_name());
                }
            }
        }
        for one in file.enums() {
            needs(one.path(), one.full_name());
            for value in one.values() {
                needs(value.path(), value.full_name());
            }
        }
        for service in file.services() {
            needs(service.path(), service.full_name());
            for method in service.methods() {
                needs(method.path(), method.full_name());
            }
        }
    }
}
