//! The guides: what they let the reader type, typed.

use rapport_testkit::block_on;
use rapport_testkit::sandbox::Sandbox;

use super::Desk;
use crate::text;

/// The fenced blocks of a page: language and text, in order.
fn blocks(page: &str) -> Vec<(String, String)> {
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

/// What a block ends with, of those that end with something else than success.
const REFUSED: [(&str, i32); 2] = [("\"countryCode\": \"Brazil\"", 3), ("rapport call Subscribe ", 7)];

#[test]
fn what_the_guides_let_one_type_works() {
    block_on(async {
        // Without tokens, as the guides begin.
        let sandbox = Sandbox::builder(rapport::modules).start().await;
        let address = sandbox.address("stakeholders").to_string();
        tokio::task::block_in_place(|| {
            let desk =
                Desk::new(vec![("127.0.0.1:50051", address.clone()), ("--timeout 2s", "--timeout 400ms".to_owned())]);
            let mut typed = 0;
            for page in [
                include_str!("../../../../docs/guide/integrator.md"),
                include_str!("../../../../docs/guide/call-centre.md"),
            ] {
                let blocks = blocks(page);
                for (at, (language, block)) in blocks.iter().enumerate() {
                    // What starts the server is what this test has done already.
                    if language != "sh" || block.starts_with("rapport serve ") || block.starts_with("cargo ") {
                        continue;
                    }
                    let script = format!("set -eo pipefail\n{}", desk.prepared(block));
                    let output = desk.shell(&script, &address, None).output().unwrap();
                    let (out, told) = (text(&output.stdout), text(&output.stderr));
                    let expected = REFUSED.iter().find(|(words, _)| block.contains(words)).map_or(0, |(_, code)| *code);
                    assert_eq!(output.status.code(), Some(expected), "{script}\n{out}\n{told}");
                    // What it answers, where the guide shows that.
                    if let Some((_, shown)) = blocks.get(at + 1).filter(|(language, _)| language.is_empty()) {
                        assert_eq!(&told, shown, "{script}");
                    }
                    typed += 1;
                }
            }
            assert!(typed >= 12, "{typed}");
        });
        sandbox.stop().await;
    });
}
