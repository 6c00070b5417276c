//! Dependencies between our crates, and one version of what may exist only once.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::root;

/// What each crate of ours may depend on among our crates. Dev-dependencies are free to name the test kit as well.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("rapport-types", &[]),
    ("rapport-identity", &["rapport-types"]),
    ("rapport-expr", &["rapport-types"]),
    ("rapport-proto", &["rapport-types"]),
    ("rapport-store", &["rapport-types", "rapport-expr", "rapport-proto"]),
    ("rapport-events", &["rapport-types", "rapport-expr", "rapport-proto", "rapport-store"]),
    ("rapport-rpc", &["rapport-types", "rapport-expr", "rapport-proto", "rapport-store", "rapport-events"]),
    (
        "rapport-server",
        &["rapport-types", "rapport-expr", "rapport-proto", "rapport-store", "rapport-events", "rapport-rpc"],
    ),
    // A connector meets Rapport where its customers do: at the contract. It knows no service.
    ("rapport-telephony", &["rapport-types", "rapport-identity", "rapport-proto", "rapport-rpc", "rapport-server"]),
    ("rapport-scoring-models", &[]),
    ("rapport-scoring-graph", &[]),
];

const SHARED: &[&str] = &[
    "rapport-types",
    "rapport-identity",
    "rapport-expr",
    "rapport-proto",
    "rapport-store",
    "rapport-events",
    "rapport-rpc",
    "rapport-server",
];

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Name -> our own crates it depends on (normal and build dependencies).
fn ours() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let name = package["name"].as_str().expect("name").to_owned();
            let known = package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter()
                .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
                .filter_map(|dependency| dependency["name"].as_str())
                .filter(|dependency| dependency.starts_with("rapport"))
                .map(str::to_owned)
                .collect();
            (name, known)
        })
        .collect()
}

#[test]
fn crates_know_only_what_lies_below_them() {
    let ours = ours();
    assert!(ours.len() > 10, "the workspace has its crates");
    for (name, known) in &ours {
        let allowed: BTreeSet<String> = match name.as_str() {
            // The binary hosts every service; the test crate and the kit look at everything.
            "rapport" | "rapport-tests" | "rapport-testkit" => continue,
            "rapport-scoring" => SHARED
                .iter()
                .copied()
                .chain(["rapport-scoring-models", "rapport-scoring-graph"])
                .map(str::to_owned)
                .collect(),
            service if !MAY_KNOW.iter().any(|(known, _)| *known == service) => {
                SHARED.iter().map(|shared| (*shared).to_owned()).collect()
            }
            shared => MAY_KNOW
                .iter()
                .find(|(known, _)| *known == shared)
                .map(|(_, allowed)| allowed.iter().map(|one| (*one).to_owned()).collect())
                .expect("found above"),
        };
        let beyond: Vec<_> = known.difference(&allowed).collect();
        assert!(beyond.is_empty(), "{name} depends on {beyond:?}, which the layers do not allow");
    }
}

#[test]
fn connectors_are_known_to_the_binary_alone() {
    for (name, known) in ours() {
        let may = ["rapport", "rapport-tests"].contains(&name.as_str());
        assert!(may || !known.contains("rapport-telephony"), "{name} knows a connector");
    }
}

#[test]
fn the_test_kit_is_a_dev_dependency_only() {
    for (name, known) in ours() {
        assert!(name == "rapport-tests" || !known.contains("rapport-testkit"), "{name} ships the test kit");
    }
}

/// Package name -> versions in the lock file.
fn locked() -> BTreeMap<String, Vec<String>> {
    let lock = super::read(std::path::Path::new("Cargo.lock"));
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in lock.lines() {
        if let Some(value) = line.strip_prefix("name = ") {
            name = value.trim_matches('"').to_owned();
        } else if let Some(value) = line.strip_prefix("version = ") {
            versions.entry(name.clone()).or_default().push(value.trim_matches('"').to_owned());
        }
    }
    versions
}

#[test]
fn transport_and_store_libraries_stand_once() {
    let locked = locked();
    for name in ["tonic", "prost", "hyper", "rustls", "sqlx-core", "sea-orm", "h2", "axum"] {
        assert_eq!(locked.get(name).map(Vec::len), Some(1), "{name}: {:?}", locked.get(name));
    }
    for second_provider in ["aws-lc-rs", "openssl", "native-tls"] {
        assert!(!locked.contains_key(second_provider), "{second_provider} is a second TLS provider");
    }
}

#[test]
fn libraries_with_known_faults_are_new_enough() {
    let locked = locked();
    for (name, least) in [("h2", [0, 4, 18]), ("tonic", [0, 14, 9])] {
        let version: Vec<u64> =
            locked[name][0].split(['.', '-', '+']).take(3).map(|part| part.parse().expect("a number")).collect();
        assert!(version.as_slice() >= least.as_slice(), "{name} {version:?} is older than {least:?}");
    }
}

/// A C compiler and linker are all that a build needs besides cargo: no protoc, cmake, nasm, clang.
#[test]
fn no_library_builds_with_another_tool() {
    let locked = locked();
    for builder in ["cmake", "nasm-rs", "bindgen", "autotools", "protobuf-src", "protoc-bin-vendored", "duct"] {
        assert!(!locked.contains_key(builder), "{builder} starts a tool that is not on every machine");
    }
    let native: Vec<&String> = locked.keys().filter(|name| name.ends_with("-sys") || *name == "ring").collect();
    // Compiled from C by the crate `cc`, or nothing but declarations.
    let known =
        ["core-foundation-sys", "js-sys", "libmimalloc-sys", "libsqlite3-sys", "linux-raw-sys", "ring", "windows-sys"];
    assert_eq!(native, known, "a native library more, or one less: does it build with a C compiler alone?");
}
