//! The binary as a user runs it: exit codes, messages, what is printed, and what a second run leaves alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod help;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use unicode_width::UnicodeWidthStr;

/// A few customers; `7` bought most and lately.
const PURCHASES: &str = "cust,date,sales\n7,1998-01-03,20.00\n7,1998-02-03,11.50\n7,1998-03-01,9.99\n7,1998-03-01,5\n\
                         8,1998-02-14,31.20\n9,1997-12-24,15.00\n";

fn rapport(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rapport"));
    command.args(arguments).stdin(Stdio::null());
    // Settings of whoever runs the tests are not the tests'.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RAPPORT") {
            command.env_remove(name);
        }
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    rapport(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn purchases(folder: &Path, content: &str) -> String {
    let path = folder.join("purchases.csv");
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

/// One line on standard error, nothing of Rust in it.
fn assert_told(output: &Output, code: i32, part: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    let said: Vec<&str> = stderr.lines().filter(|line| line.starts_with("rapport: ")).collect();
    assert_eq!(said.len(), 1, "{stderr}");
    assert!(said[0].contains(part), "{stderr}");
    assert!(!stderr.contains("panicked") && !stderr.contains(".rs:"), "{stderr}");
}

#[test]
fn the_story_is_told_once_and_a_second_run_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = purchases(folder.path(), PURCHASES);
    let data = folder.path().join("data").display().to_string();
    let demo = ["demo", "--once", "--data", &data, "--transactions", &file];

    let first = run(&demo);
    let story = text(&first.stdout);
    assert!(first.status.success(), "{}", text(&first.stderr));
    for line in story.lines() {
        assert!(line.width() <= 80, "{line}");
        assert!(!line.contains('\u{1b}') && !line.contains('│'), "plain when not a terminal: {line}");
    }
    for part in [
        "What the history says",
        "A call comes in",
        "The agent sees: ",
        "Who is near",
        "Timeline",
        "The complaint",
        "What the call did",
        "What came of it",
        "The agent sees now: ",
    ] {
        assert!(story.contains(part), "{part} is missing in\n{story}");
    }
    assert!(story.contains("6 of 3 customers"), "{story}");

    let second = run(&demo);
    let again = text(&second.stdout);
    assert!(second.status.success(), "{}", text(&second.stderr));
    assert!(again.contains("nothing was recorded twice"), "{again}");
    // What the agent sees now is of another moment.
    let part = |story: &str| {
        let (_, rest) = story.split_once("What the call did").unwrap();
        rest.split_once("The agent sees now").unwrap().0.to_owned()
    };
    assert_eq!(part(&story), part(&again), "the same call, told again as of its own time");

    // What the desk learned is made anew from the feeds, however often.
    for _ in 0..2 {
        let anew = run(&["rebuild", "desk", "--data", &data]);
        let told = text(&anew.stdout);
        assert!(anew.status.success(), "{}", text(&anew.stderr));
        assert!(told.ends_with("the desk's projection is rebuilt\n"), "{told}");
    }

    let other = purchases(folder.path(), &PURCHASES.replace("20.00", "20.01"));
    assert_told(
        &run(&["demo", "--once", "--data", &data, "--transactions", &other]),
        1,
        "holds the demo of other purchases",
    );
}

#[test]
fn a_bad_file_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = purchases(folder.path(), "cust,date,sales\n1,1997-01-01,29.33\n1,yesterday,3\n");
    assert_told(&run(&["demo", "--once", "--transactions", &file]), 2, "purchases.csv:3: column `date`");
    assert_told(&run(&["demo", "--once", "--transactions", "/nowhere.csv"]), 2, "/nowhere.csv");
}

#[test]
fn a_port_in_use_is_a_clear_message() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let output = run(&["serve", "--data", &data, "--listen", &address, "--admin", "127.0.0.1:0"]);
    assert_told(&output, 1, &address);
}

#[test]
fn beyond_loopback_without_tokens_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let output = run(&["serve", "--data", &data, "--listen", "0.0.0.0:0", "--admin", "127.0.0.1:0"]);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
    assert!(text(&output.stderr).contains("insecure-bind"), "{}", text(&output.stderr));
}

/// A server under test, ended with it.
struct Server {
    child: Child,
    lines: Vec<String>,
}

impl Server {
    fn start(data: &str) -> Self {
        let mut child = rapport(&["serve", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut lines = Vec::new();
        for _ in 0..2 {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            lines.push(line.trim_end().to_owned());
        }
        Self { child, lines }
    }

    fn signal(&self, name: &str) {
        send(name, self.child.id());
    }
}

/// Sends a signal by the shell's own kill: the program of that name is not installed everywhere.
fn send(signal: &str, process: u32) {
    let done = Command::new("sh").args(["-c", &format!("kill -s {signal} {process}")]).status().unwrap();
    assert!(done.success());
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn serve_says_where_and_stops_when_asked() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().display().to_string();
        let mut server = Server::start(&data);
        assert!(server.lines[0].starts_with("rapport listening on 127.0.0.1:"), "{:?}", server.lines);
        assert!(server.lines[1].starts_with("admin listening on 127.0.0.1:"), "{:?}", server.lines);

        let locked = run(&["serve", "--data", &data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        assert_told(&locked, 1, &data);

        server.signal(signal);
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn the_configuration_is_shown_with_origins_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rapport.toml");
    std::fs::write(
        &file,
        "data = \"/srv/r\"\n[[auth.tokens]]\ntoken = \"hush-hush-hush-hush\"\ntenant = \"acme\"\nprincipal = \"users/ana\"\nroles = [\"admin\"]\n",
    )
    .unwrap();
    let file = file.display().to_string();
    let output = rapport(&["config", "show", "--config", &file, "--listen", "127.0.0.1:7"])
        .env("RAPPORT__STORE__URL", "postgres://u:secret@localhost/db")
        .output()
        .unwrap();
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!shown.contains("hush") && !shown.contains("secret@"), "{shown}");
    let origin = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key} in {shown}"));
        line.rsplit_once("# ").unwrap().1.to_owned()
    };
    assert_eq!(origin("listen ="), "flag --listen");
    assert_eq!(origin("data ="), format!("file {file}"));
    assert_eq!(origin("store.url ="), "environment RAPPORT__STORE__URL");
    assert_eq!(origin("limits.calls ="), "default");

    let checked = run(&["config", "check", "--config", &file]);
    assert!(checked.status.success());
    std::fs::write(&file, "dta = \"x\"\n").unwrap();
    assert_told(&run(&["config", "check", "--config", &file]), 2, "dta");
}

#[test]
fn migrate_makes_the_databases_and_may_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    for _ in 0..2 {
        let output = run(&["migrate", "--data", &data]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        for service in rapport::SERVICES {
            assert!(text(&output.stdout).contains(&format!("{service}: up to date")));
        }
    }
}

#[test]
fn a_demo_that_stays_says_what_to_try_and_removes_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = purchases(folder.path(), PURCHASES);
    let temp = folder.path().join("tmp");
    std::fs::create_dir(&temp).unwrap();
    let mut child = rapport(&["demo", "--listen", "127.0.0.1:0", "--transactions", &file])
        .env("TMPDIR", &temp)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut story = String::new();
    while !story.contains("Ctrl-C stops") {
        let read = reader.read_line(&mut story).unwrap();
        assert!(read > 0, "it ended early:\n{story}");
    }
    let next = story.split_once("What to try next").expect("says what to try").1;
    let commands: Vec<_> = next.lines().skip(1).take_while(|line| !line.starts_with("Serving on")).collect();
    let script = format!("set -e\nrapport() {{ \"$RAPPORT\" \"$@\"; }}\n{}\n", commands.join("\n"));
    let tried =
        Command::new("sh").args(["-c", &script]).env("RAPPORT", env!("CARGO_BIN_EXE_rapport")).output().unwrap();
    assert!(tried.status.success(), "{script}\n{}", text(&tried.stderr));
    let told = text(&tried.stdout);
    for answer in ["outcome", "nextBestAction", "effectMicros", "nodes", "horizon", "interactions", "LedgerService"] {
        assert!(told.contains(answer), "no {answer} in {told}");
    }
    assert_eq!(std::fs::read_dir(&temp).unwrap().count(), 1);
    send("INT", child.id());
    reader.read_to_string(&mut story).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read_dir(&temp).unwrap().count(), 0, "the fresh folder is gone");
}
