//! Documents that are written from the source, and reasons that are really given.

use super::{files, read, root};

#[test]
fn errors_are_documented() {
    let page = rapport_proto::contract::errors_page();
    let kept = std::fs::read_to_string(root().join("docs/errors.md")).unwrap_or_default();
    assert!(
        kept == page,
        "docs/errors.md is not what the contract says: cargo run -p rapport-proto --example errors > docs/errors.md"
    );
}

#[test]
fn the_clients_service_configuration_names_what_exists() {
    let text = read(std::path::Path::new("clients/service-config.json"));
    let configuration: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let methods = rapport_proto::contract::methods();
    let mut named = std::collections::BTreeSet::new();
    for entry in configuration["methodConfig"].as_array().expect("methodConfig") {
        let policy = &entry["retryPolicy"];
        assert_eq!(policy["retryableStatusCodes"], serde_json::json!(["UNAVAILABLE"]), "{entry}");
        assert!(policy["maxAttempts"].as_u64().is_some_and(|attempts| (2..=5).contains(&attempts)), "{entry}");
        for name in entry["name"].as_array().expect("names") {
            let (service, method) = (name["service"].as_str().expect("a service"), name["method"].as_str());
            let of_it: Vec<_> = methods.iter().filter(|one| one.service == service).collect();
            assert!(!of_it.is_empty(), "there is no {service}");
            if let Some(method) = method {
                let found =
                    of_it.iter().find(|one| one.name == method).unwrap_or_else(|| panic!("no {service}/{method}"));
                assert!(
                    found.client_streaming || found.server_streaming,
                    "{service}/{method} needs no entry of its own"
                );
                assert!(entry.get("timeout").is_none(), "a timeout would cut {service}/{method}");
            }
            named.insert(format!("{service}/{}", method.unwrap_or_default()));
        }
    }
    for method in methods {
        let service = &method.service;
        assert!(named.contains(&format!("{service}/")), "{service} is not in clients/service-config.json");
        if method.client_streaming || method.server_streaming {
            let whole = format!("{service}/{}", method.name);
            assert!(named.contains(&whole), "{whole} streams and is not in clients/service-config.json by its name");
        }
    }
}

#[test]
fn every_reason_is_given_somewhere() {
    let sources: String = files("shared", ".rs")
        .into_iter()
        .chain(files("services", ".rs"))
        .filter(|path| {
            let path = path.to_string_lossy();
            path.contains("/src/") && !path.ends_with("types/src/reason.rs")
        })
        .map(|path| read(&path))
        .collect();
    let unused: Vec<_> =
        rapport_types::reason::ALL.iter().filter(|reason| !sources.contains(&format!("reason::{reason}"))).collect();
    assert!(unused.is_empty(), "documented and never given: {unused:?}");
}
