//! Documents that are written from the source, and reasons that are really given.

use super::{files, read, root};

#[test]
fn errors_are_documented() {
    let page = rapport_proto::contract::errors_page();
    let path = root().join("docs/errors.md");
    if std::env::var_os("RAPPORT_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("docs/errors.md is writable");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/errors.md is not what the contract says; write it anew with RAPPORT_WRITE_DOCS=1 cargo test -p rapport-tests errors_are_documented"
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
