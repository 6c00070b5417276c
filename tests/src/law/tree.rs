//! Every service has the same rooms; names say what they hold; files hold one idea.

use super::{files, read, root};

const SERVICES: &[&str] = &["stakeholders", "interactions", "scoring", "loyalty"];

const ROOMS: &[&str] = &[
    "README.md",
    "src/lib.rs",
    "src/domain",
    "src/commands",
    "src/queries",
    "src/api",
    "src/api/convert.rs",
    "src/store",
    "src/migration",
    "src/events.rs",
    "src/error.rs",
    "src/options.rs",
];

#[test]
fn every_service_has_the_same_rooms() {
    for service in SERVICES {
        for room in ROOMS {
            let room_path = root().join("services").join(service).join(room);
            let as_folder = root().join("services").join(service).join(room.trim_end_matches(".rs"));
            assert!(room_path.exists() || as_folder.is_dir(), "services/{service} lacks {room}");
        }
    }
}

#[test]
fn no_path_has_a_name_that_says_nothing() {
    for folder in ["shared", "services", "connectors", "proto", "tests", "docs"] {
        for path in files(folder, "") {
            for part in path.iter() {
                let part = part.to_string_lossy();
                let stem = part.split('.').next().unwrap_or_default();
                assert!(
                    !["utils", "util", "common", "helpers", "helper", "core", "manager", "misc"].contains(&stem),
                    "{} says nothing",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn files_hold_one_idea() {
    for folder in ["shared", "services", "connectors", "tests"] {
        for path in files(folder, ".rs") {
            let lines = read(&path).lines().count();
            assert!(lines <= 600, "{} has {lines} lines: is it still one idea?", path.display());
        }
    }
}

#[test]
fn nothing_of_one_machine_is_kept() {
    // Put together here so that this file does not name them itself.
    let words: Vec<String> =
        [["/wo", "rk/"], ["/ro", "ot/"], ["/fa", "rm/"], ["/ho", "me/"]].iter().map(|two| two.concat()).collect();
    for folder in ["shared", "services", "connectors", "tests", "proto", "docs", ".ci"] {
        for path in files(folder, "") {
            let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
            for word in &words {
                assert!(!text.contains(word.as_str()), "{} names {word}", path.display());
            }
        }
    }
}
