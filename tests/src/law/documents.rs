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
