//! Words that may stand only in certain rooms.

use std::path::Path;

use super::{files, read};

/// The code of a file without its comments and without its unit tests.
fn code(path: &Path) -> String {
    let text = read(path);
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Library sources: every service, connector and shared crate but the binary and the test kit.
fn libraries() -> Vec<std::path::PathBuf> {
    let all = ["shared", "services", "connectors"].into_iter().flat_map(|folder| files(folder, ".rs"));
    let chosen: Vec<_> = all
        .filter(|path| {
            let path = path.to_string_lossy();
            path.contains("/src/") && !path.starts_with("shared/testkit") && !path.starts_with("services/rapport/")
        })
        .collect();
    assert!(chosen.len() > 60, "the sources are found");
    chosen
}

fn nobody_names(word: &str, may: impl Fn(&str) -> bool) {
    for path in libraries() {
        if may(&path.to_string_lossy()) {
            continue;
        }
        assert!(!code(&path).contains(word), "{} names {word}", path.display());
    }
}

#[test]
fn only_the_store_rooms_name_the_database() {
    for word in ["sea_orm", "sqlx"] {
        nobody_names(word, |path| {
            path.starts_with("shared/store/") || path.contains("/src/store") || path.contains("/src/migration")
        });
    }
}

#[test]
fn only_rpc_makes_a_status() {
    for word in ["Status::new", "Status::invalid", "Status::internal", "Status::not_found", "Status::with_"] {
        nobody_names(word, |path| path.starts_with("shared/rpc/") || path == "shared/proto/src/codec.rs");
    }
}

#[test]
fn only_the_server_reads_the_environment() {
    for word in ["std::env", "env::var", "env::args"] {
        nobody_names(word, |path| path.starts_with("shared/server/"));
    }
}

#[test]
fn rules_are_pure() {
    for path in libraries() {
        let name = path.to_string_lossy().into_owned();
        let pure = name.contains("/src/domain")
            || name.starts_with("services/scoring/models/")
            || name.starts_with("services/scoring/graph/")
            || name.starts_with("shared/types/");
        if !pure {
            continue;
        }
        for word in ["tonic", "prost", "sea_orm", "tokio", "async fn"] {
            assert!(!code(&path).contains(word), "{name} is a room for rules and names {word}");
        }
    }
}

#[test]
fn the_clock_and_ids_are_injected() {
    for word in ["SystemTime::now", "Uuid::now_v7", "Uuid::new_v4"] {
        nobody_names(word, |path| {
            path.starts_with("shared/types/src/time")
                || path.starts_with("shared/types/src/id")
                // A random key, and the marks by which log lines are found, are no ids of anything kept.
                || path.starts_with("shared/rpc/")
                || ["shared/store/src/keys.rs", "shared/store/src/open.rs"].contains(&path)
        });
    }
}

/// SQLite prepares a statement anew for each value of a bare `LIMIT ?`; see `Sql::limit`.
#[test]
fn no_limit_is_bound_bare() {
    for word in ["LIMIT \"", "LIMIT ?", "LIMIT $"] {
        nobody_names(word, |path| path == "shared/store/src/rows.rs");
    }
}

#[test]
fn nothing_unfinished_is_kept() {
    for path in libraries() {
        for word in ["todo!(", "unimplemented!(", "TODO", "FIXME"] {
            assert!(!read(&path).contains(word), "{} holds {word}", path.display());
        }
    }
}
