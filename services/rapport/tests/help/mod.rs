//! Every example that `--help` shows, run as it stands: by a shell, in a folder that holds the files it names, against a server
//! that listens where the reader's own would.

mod copies;
mod guides;
mod named;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rapport_testkit::authority::{Authority, write};
use rapport_testkit::block_on;
use rapport_testkit::sandbox::Sandbox;

use super::{purchases, rapport, run, send, text};

const TOKEN: &str = "token-of-the-shop-0001";

const CDNOW: &str = include_str!("../../data/cdnow_sample_transactions.csv");

/// Who buys in the demo, and bought often enough for a model.
const CUSTOMERS: usize = 700;

/// An example that another test runs, with flags that keep it from the ports and the time of a real one:
/// `a_demo_that_stays_says_what_to_try_and_removes_its_folder`.
const ELSEWHERE: &str = "rapport demo";

/// Stands in where there is no jq, for as much of it as is asked for: a name, or everything.
const JQ: &str = "#!/bin/sh\nif [ \"$2\" = .name ]; then sed -n 's/^  \"name\": \"\\(.*\\)\",*$/\\1/p'; else cat; fi\n";

/// Those that go on until they are stopped, and what they say when they are ready.
const STAYING: [(&str, &str); 2] =
    [("rapport serve ", "rapport listening on "), ("rapport telephony ", "telephony ready")];

/// A folder as the reader may have one.
struct Desk {
    folder: tempfile::TempDir,
    /// What the reader's programs show.
    token: Option<&'static str>,
    /// What the reader puts in of his own, and what stands there here. In this order.
    places: Vec<(&'static str, String)>,
}

impl Desk {
    fn new(token: Option<&'static str>, places: Vec<(&'static str, String)>) -> Desk {
        let desk = Desk { folder: tempfile::tempdir().unwrap(), token, places };
        for folder in ["bin", ".zfunc", ".config/fish/completions"] {
            std::fs::create_dir_all(desk.path().join(folder)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_rapport"), desk.path().join("bin/rapport")).unwrap();
        if !Command::new("jq").arg("--version").output().is_ok_and(|output| output.status.success()) {
            let jq = desk.path().join("bin/jq");
            std::fs::write(&jq, JQ).unwrap();
            std::fs::set_permissions(&jq, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let stream = |n: usize| {
            format!(
                r#"{{"items": [{{"sequence": "{n}", "interaction": {{"kind": "inquiry", "channel": {{"medium": "MEDIUM_PHONE"}}, "direction": "DIRECTION_INBOUND", "occurredTime": "2026-01-31T12:00:00Z", "participants": [{{"identifierUsed": {{"scheme": "tel", "value": "+35191234567{n}"}}, "function": "FUNCTION_INITIATOR"}}]}}}}]}}"#
            ) + "\n"
        };
        for (name, content) in [
            ("rapport.toml", "data = \"./data\"\n".to_owned()),
            (
                "telephony.toml",
                "[telephony.http]\nlisten = \"127.0.0.1:0\"\n[telephony.agi]\nlisten = \"127.0.0.1:0\"\n".to_owned(),
            ),
            (
                "ties.jsonl",
                "{\"relationshipType\": \"employs\", \"fromParty\": \"crm:8\", \"toParty\": \"crm:7\"}\n".to_owned(),
            ),
            (
                "calls.csv",
                "kind,medium,direction,occurred_time,party\ninquiry,phone,inbound,2026-01-31,crm:7\n".to_owned(),
            ),
            ("interactions.jsonl", stream(1) + &stream(2)),
            ("calls.jsonl", stream(3)),
        ] {
            std::fs::write(desk.path().join(name), content).unwrap();
        }
        desk
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The example with the reader's own in it, and the files that depend on it.
    fn prepared(&self, example: &str) -> String {
        let header = if example.contains("--map") {
            "kind,display_name,Customer,Remarks"
        } else {
            "kind,display_name,identifier.crm,attributes.remarks"
        };
        let contacts = format!("{header}\nindividual,Ana Souza,7,-\norganization,Acme,8,-\n");
        std::fs::write(self.path().join("contacts.csv"), contacts).unwrap();
        let bought = match example.starts_with("rapport clv ") {
            true => CDNOW.lines().take(CUSTOMERS).collect::<Vec<_>>().join("\n"),
            false => super::PURCHASES.to_owned(),
        };
        purchases(self.path(), &bought);
        let mut script = example.to_owned();
        for (place, own) in &self.places {
            script = script.replace(place, own);
        }
        script
    }

    fn shell(&self, script: &str, address: &str) -> Command {
        let mut shell = Command::new("bash");
        for (name, _) in rapport(&[]).get_envs() {
            shell.env_remove(name);
        }
        let path = format!("{}:{}", self.path().join("bin").display(), std::env::var("PATH").unwrap());
        shell
            .args(["-c", script])
            .current_dir(self.path())
            .envs([("PATH", path.as_str()), ("RAPPORT_ADDRESS", address)])
            .envs(self.token.map(|token| ("RAPPORT_TOKEN", token)))
            // Ports that other tests have no use for.
            .envs([("RAPPORT__LISTEN", "127.0.0.1:0"), ("RAPPORT__ADMIN__LISTEN", "127.0.0.1:0")])
            .env("HOME", self.path())
            .stdin(Stdio::null());
        shell
    }

    /// Runs it to its end.
    fn ends(&self, example: &str, address: &str) -> Output {
        let script = format!("set -o pipefail\n{}", self.prepared(example));
        let output = self.shell(&script, address).output().unwrap();
        let told = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{example}\n{script}\n{:?}\n{told}", output.status);
        assert!(!told.contains("panicked"), "{example}\n{told}");
        output
    }

    /// Starts it, waits until it is ready, and asks it to stop.
    fn stays(&self, example: &str, ready: &str, address: &str) {
        let script = format!("exec {}", self.prepared(example));
        let mut child = self.shell(&script, address).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let is_ready = lines.any(|line| line.starts_with(ready));
        if is_ready {
            send("TERM", child.id());
        }
        let output = child.wait_with_output().unwrap();
        assert!(is_ready && output.status.success(), "{example}\n{:?}\n{}", output.status, text(&output.stderr));
    }
}

/// The lines of a part of a help page: what is indented below its headline.
fn part(page: &str, headline: &str) -> Vec<String> {
    let lines = page.lines().skip_while(|line| *line != headline).skip(1);
    lines.take_while(|line| line.starts_with("  ")).map(|line| line.trim().to_owned()).collect()
}

/// Every example of a command and of those below it, in the order of the help.
fn examples(command: &[String]) -> Vec<String> {
    let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
    let page = text(&run(&words).stdout);
    let mut all = part(&page, "Examples:");
    for line in part(&page, "Commands:") {
        let name = line.split_whitespace().next().unwrap().to_owned();
        let below = examples(&[command, std::slice::from_ref(&name)].concat());
        assert!(!command.is_empty() || !below.is_empty(), "{name} shows no example");
        all.extend(below);
    }
    all
}

#[test]
fn every_example_of_the_help_runs() {
    block_on(async {
        let authority = Authority::new("ours");
        let keys = tempfile::tempdir().unwrap();
        let (certificate, key) = authority.issue(&["localhost"]).write(keys.path(), "server");
        let open = || Sandbox::builder(rapport::modules).token(TOKEN, "shop", "users/mara", &["admin"]);
        let sandbox = open().start().await;
        let secured = Sandbox::builder(|| vec![rapport_stakeholders::module()])
            .token(TOKEN, "shop", "users/mara", &["admin"])
            .setting("tls.certificate", certificate.display().to_string())
            .setting("tls.key", key.display().to_string())
            .start()
            .await;
        let address = sandbox.address("stakeholders").to_string();
        tokio::task::block_in_place(|| {
            let party = r#"{"party": {"kind": "PARTY_KIND_INDIVIDUAL", "displayName": "Bo"}}"#;
            let made = run(&["call", "CreateParty", party, "--address", &address, "--token", TOKEN]);
            let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
            let desk = Desk::new(
                Some(TOKEN),
                vec![
                    (
                        "https://rapport.example.com:50051",
                        format!("https://localhost:{}", secured.address("stakeholders").port()),
                    ),
                    ("rapport:50051", address.clone()),
                    ("RAPPORT_TOKEN=...", format!("RAPPORT_TOKEN={TOKEN}")),
                    ("parties/...", made["name"].as_str().unwrap().to_owned()),
                    // Waits for what is never written.
                    ("tail -f", "tail -n +1".to_owned()),
                ],
            );
            write(desk.path(), "ca.pem", &authority.certificate());
            let all = examples(&[]);
            assert!(all.len() > 30, "{all:#?}");
            let mut said = String::new();
            for example in &all {
                match STAYING.iter().find(|(start, _)| example.starts_with(start)) {
                    Some((_, ready)) => desk.stays(example, ready, &address),
                    None if example == ELSEWHERE => {}
                    None => said.push_str(&text(&desk.ends(example, &address).stdout)),
                }
            }
            // They did something: the parties were imported, the calls recorded and told again.
            for part in [
                "created 2, updated 0, unchanged 0, rejected 0",
                "created 1, ",
                "\"committedThrough\":\"2\"",
                "Ana Souza",
            ] {
                assert!(said.contains(part), "{part} is missing in\n{said}");
            }
            for file in ["parties.csv", "interactions.jsonl", "ties.jsonl", "keys/rapport.key", ".zfunc/_rapport"] {
                let there = std::fs::metadata(desk.path().join(file)).is_ok_and(|file| file.len() > 0);
                assert!(there, "{file} is empty or missing");
            }
        });
        secured.stop().await;
        sandbox.stop().await;
    });
}
