//! Commands that documents name, within a sentence or in a block that nothing runs: there are such commands, with such flags.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{guides, part};
use crate::{run, text};

/// Every page below a folder, or the file itself.
fn pages(path: &Path) -> Vec<PathBuf> {
    let Ok(folder) = std::fs::read_dir(path) else { return vec![path.to_owned()] };
    let mut all: Vec<PathBuf> = folder.flat_map(|entry| pages(&entry.unwrap().path())).collect();
    all.retain(|page| page.extension().is_some_and(|end| end == "md"));
    all
}

/// What a page says of this program: between two backticks, or as a line of a block.
fn named(page: &str) -> Vec<String> {
    let blocks = guides::blocks(page);
    let typed = blocks.iter().filter(|(language, _)| language == "sh");
    let lines = typed.flat_map(|(_, block)| block.lines().map(|line| line.trim().to_owned()));
    let prose = page.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned);
    lines.chain(prose).filter(|said| said.starts_with("rapport ")).collect()
}

/// The help of commands, each asked for once.
#[derive(Default)]
struct Help(HashMap<Vec<String>, String>);

impl Help {
    fn of(&mut self, command: &[String]) -> &str {
        self.0.entry(command.to_vec()).or_insert_with(|| {
            let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
            text(&run(&words).stdout)
        })
    }

    /// What is wrong with a command line: a word where there are only commands, or a flag that its command does not have.
    fn wrong(&mut self, said: &str) -> Option<String> {
        let said = said.split(" #").next().unwrap_or_default();
        let mut words = said.split_whitespace().skip(1).peekable();
        let mut command = Vec::new();
        loop {
            let below = part(self.of(&command), "Commands:");
            let word = match words.peek() {
                Some(word) if !below.is_empty() => *word,
                _ => break,
            };
            if !below.iter().any(|line| line.split_whitespace().next() == Some(word)) {
                return Some(format!("there is no command {word}"));
            }
            command.push(word.to_owned());
            words.next();
        }
        let page = self.of(&command);
        let flags =
            words.filter_map(|word| word.strip_prefix("--")).map(|flag| flag.split('=').next().unwrap_or_default());
        let has = |flag: &str| page.split_whitespace().any(|word| word.strip_prefix("--") == Some(flag));
        flags.filter(|flag| !has(flag)).map(|flag| format!("there is no flag --{flag}")).next()
    }
}

#[test]
fn commands_that_documents_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let places = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs",
        "connectors/telephony/README.md",
        "clients/README.md",
    ];
    let mut help = Help::default();
    let mut known = 0;
    for page in places.iter().flat_map(|place| pages(&root.join(place))) {
        for said in named(&std::fs::read_to_string(&page).unwrap()) {
            assert_eq!(help.wrong(&said), None, "{}: {said}", page.display());
            known += 1;
        }
    }
    assert!(known > 50, "{known}");
    for (typo, wrong) in [
        ("rapport imports parties x.csv", "command imports"),
        ("rapport config shown", "command shown"),
        ("rapport backup --data ./data --too ./copy", "flag --too"),
    ] {
        assert!(help.wrong(typo).is_some_and(|told| told.contains(wrong)), "{typo}");
    }
}
