//! The architecture as tests: who may know whom, which words stand where, and that every service has the same rooms.

mod contract;
mod crates;
mod documents;
mod sources;
mod tree;
mod watching;

use std::path::{Path, PathBuf};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository's root").to_path_buf()
}

/// Every file below `folder` (relative to the root) whose name ends with `ending`, as paths relative to the root.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder).expect("a folder of the repository is readable");
        for entry in entries {
            let path = entry.expect("an entry is readable").path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    open.push(path);
                }
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path.strip_prefix(root()).expect("below the root").to_path_buf());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(root().join(path)).expect("a source file is readable")
}
