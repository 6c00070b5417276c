//! The README and the guides: what they let the reader type, typed.

use rapport_testkit::block_on;
use rapport_testkit::sandbox::Sandbox;

use super::{Desk, STAYING};
use crate::text;

const PAGES: [&str; 4] = [
    include_str!("../../../../README.md"),
    include_str!("../../../../docs/guide/integrator.md"),
    include_str!("../../../../docs/guide/call-centre.md"),
    include_str!("../../../../docs/json.md"),
];

/// The blocks that are not typed here, by what they begin with, and why.
const ELSEWHERE: [(&str, &str); 3] = [
    (
        "cargo run --release -- demo\n",
        "a build of its own; a_demo_that_stays_says_what_to_try_and_removes_its_folder runs it",
    ),
    ("tests/run\n", "it is what runs this test"),
    ("cargo run --release -- demo --data ./demo ", "as the first; the guide's calls are typed without its story"),
];

/// What a block ends with, of those that end with something else than success.
const REFUSED: [(&str, i32); 2] = [("\"countryCode\": \"Brazil\"", 3), ("rapport call Subscribe ", 7)];

/// The fenced blocks of a page: language and text, in order.
pub(super) fn blocks(page: &str) -> Vec<(String, String)> {
    let (mut blocks, mut open) = (Vec::new(), None::<(String, String)>);
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, block)), None) => *block += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

/// What says that a command is ready, of one that goes on until it is stopped.
fn stays(command: &str) -> Option<&'static str> {
    STAYING.iter().find(|(start, _)| command.starts_with(start)).map(|(_, ready)| *ready)
}

/// A block as it is typed: at once, or line by line where something in it goes on until it is stopped.
fn commands(block: &str) -> Vec<&str> {
    match block.lines().any(|line| stays(line).is_some()) {
        true => block.lines().collect(),
        false => vec![block],
    }
}

#[test]
fn what_the_readme_and_the_guides_let_one_type_works() {
    block_on(async {
        // Without tokens, as they begin.
        let sandbox = Sandbox::builder(rapport::modules).start().await;
        let address = sandbox.address("stakeholders").to_string();
        tokio::task::block_in_place(|| {
            let places = vec![
                ("127.0.0.1:50051", address.clone()),
                ("--admin 127.0.0.1:9464", "--admin 127.0.0.1:0".to_owned()),
                ("127.0.0.1:9464", sandbox.admin_address("stakeholders").to_string()),
                ("--timeout 2s", "--timeout 400ms".to_owned()),
            ];
            let desk = Desk::new(None, places);
            let (mut typed, mut left) = (0, Vec::new());
            for page in PAGES {
                let blocks = blocks(page);
                for (at, (language, block)) in blocks.iter().enumerate() {
                    if language != "sh" {
                        continue;
                    }
                    if let Some((begin, _)) = ELSEWHERE.iter().find(|(begin, _)| block.starts_with(begin)) {
                        left.push(*begin);
                        continue;
                    }
                    let shown = blocks.get(at + 1).filter(|(language, _)| language.is_empty()).map(|(_, shown)| shown);
                    for command in commands(block) {
                        match stays(command) {
                            Some(ready) => desk.stays(command, ready, &address),
                            None => ends(&desk, command, shown, &address),
                        }
                        typed += 1;
                    }
                }
            }
            assert_eq!(left, ELSEWHERE.map(|(begin, _)| begin), "named as not typed here, and not there");
            assert!(typed >= 20, "{typed}");
        });
        sandbox.stop().await;
    });
}

/// Types it, and holds what it answers to what the page shows, where it shows that.
fn ends(desk: &Desk, command: &str, shown: Option<&String>, address: &str) {
    let script = format!("set -eo pipefail\n{}", desk.prepared(command));
    let output = desk.shell(&script, address).output().unwrap();
    let (out, told) = (text(&output.stdout), text(&output.stderr));
    let expected = REFUSED.iter().find(|(words, _)| command.contains(words)).map_or(0, |(_, code)| *code);
    assert_eq!(output.status.code(), Some(expected), "{script}\n{out}\n{told}");
    if let Some(shown) = shown {
        assert_eq!(&told, shown, "{script}");
    }
}
