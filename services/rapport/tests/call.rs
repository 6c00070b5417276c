//! `rapport call`, `describe` and `completion` as a user runs them, against a server that runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use rapport_testkit::block_on;
use rapport_testkit::sandbox::Sandbox;
use serde_json::Value;

const TOKEN: &str = "token-of-the-shop-0001";

fn rapport(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rapport"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RAPPORT") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read ends before everything is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

/// The exit code, nothing on standard output, and these words on standard error.
fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    assert!(told.starts_with("rapport: ") && !told.contains("panicked"), "{told}");
    for word in words {
        assert!(told.contains(word), "{word} is missing in\n{told}");
    }
}

/// A guarded server with two callers: one who may all, one who may read.
async fn shop() -> Sandbox {
    Sandbox::builder(rapport::modules)
        .token(TOKEN, "shop", "users/mara", &["admin"])
        .token("token-of-a-reader-0001", "shop", "users/rui", &["reader"])
        .start()
        .await
}

#[test]
fn a_party_is_recorded_read_and_refused_with_codes_for_scripts() {
    block_on(async {
        let sandbox = shop().await;
        let address = sandbox.address("stakeholders").to_string();
        let call = |arguments: &[&str], input: &str| {
            let all: Vec<&str> = [&["call", "--address", &address], arguments].concat();
            tokio::task::block_in_place(|| rapport(&all, input))
        };
        let as_mara = |arguments: &[&str], input: &str| call(&[&["--token", TOKEN], arguments].concat(), input);

        // A short name, JSON from the argument, the position for whoever wants it.
        let ana = r#"{"party": {"kind": "PARTY_KIND_INDIVIDUAL", "display_name": "Ana Souza", "identifiers": [{"scheme": "crm", "value": "7", "strength": "IDENTIFIER_STRENGTH_UNIQUE"}]}}"#;
        let made = as_mara(&["PartyService/CreateParty", ana, "--verbose"], "");
        assert!(text(&made.stderr).contains("rapport-position: stakeholders@"), "{}", text(&made.stderr));
        let party = json(&made);
        assert_eq!(party["displayName"], "Ana Souza");
        assert!(text(&made.stdout).lines().count() > 5, "pretty");
        let name = party["name"].as_str().unwrap().to_owned();
        let position = text(&made.stderr);
        let position = position.lines().find_map(|line| line.strip_prefix("rapport-position: ")).unwrap().to_owned();

        // The whole name, JSON from a file and from standard input, one line.
        let question = format!("{{\n  \"name\": \"{name}\"\n}}\n");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("question.json");
        std::fs::write(&file, &question).unwrap();
        let path = "rapport.stakeholders.v1.PartyService/GetParty";
        let of_file = as_mara(&[path, &format!("@{}", file.display()), "--compact", "--at-least", &position], "");
        let of_input = as_mara(&["getparty", "-", "--compact", "--timeout", "20s"], &question);
        assert_eq!(json(&of_file), party);
        assert_eq!((of_file.stdout.clone(), text(&of_file.stdout).lines().count()), (of_input.stdout, 1));

        // Every class of refusal has its code, and says what it is about.
        let wrong = r#"{"party": {"kind": "PARTY_KIND_INDIVIDUAL", "displayName": "x", "countryCode": "Brazil", "identifiers": [{"scheme": "CRM!", "value": ""}]}}"#;
        assert_refused(
            &as_mara(&["CreateParty", wrong], ""),
            3,
            &[
                "INVALID_ARGUMENT: ",
                "reason: INVALID_FIELDS (domain rapport)",
                "field: party.country_code: ",
                "field: party.identifiers[0].scheme: ",
                "(REQUIRED)",
            ],
        );
        let nobody = r#"{"name": "parties/0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1"}"#;
        assert_refused(&as_mara(&["GetParty", nobody], ""), 4, &["NOT_FOUND: ", "metadata: name = parties/0198"]);
        assert_refused(&call(&["GetParty", nobody], ""), 5, &["UNAUTHENTICATED: "]);
        assert_refused(
            &call(&["CreateParty", ana, "--header", "authorization=Bearer token-of-a-reader-0001"], ""),
            5,
            &["PERMISSION_DENIED: "],
        );
        assert_refused(
            &as_mara(&["CreateParty", ana], ""),
            6,
            &["ALREADY_EXISTS: ", "reason: IDENTIFIER_TAKEN", &format!("metadata: holder = {name}")],
        );

        // What is wrong before anything is sent.
        assert_refused(&as_mara(&["GetPart"], ""), 2, &["there is no method \"GetPart\"", "PartyService/GetParty"]);
        assert_refused(
            &as_mara(&["GetParty", "-"], "{\n  \"nmae\": \"x\"}"),
            2,
            &["stdin:2:8: ", "nmae", "a GetPartyRequest has name", "rapport describe"],
        );
        assert_refused(&as_mara(&["GetParty", "{\"name\": "], ""), 2, &["JSON:1:8: "]);
        assert_refused(&as_mara(&["GetParty", "@nowhere.json"], ""), 2, &["nowhere.json"]);
        assert_refused(&as_mara(&["GetParty", "--header", "x-bin=1"], ""), 2, &["binary headers"]);
        for (wrong, why) in [
            ("nonsense", "names no host and port"),
            ("rapport:port", "names no host and port"),
            ("ftp://rapport:50051", "names no host and port"),
            ("http://rapport:50051/v1", "names no host and port"),
        ] {
            let called = tokio::task::block_in_place(|| rapport(&["call", "--address", wrong, "GetParty"], ""));
            let told =
                format!("rapport: --address \"{wrong}\" {why}; valid is HOST:PORT, for instance 127.0.0.1:50051");
            assert_refused(&called, 2, &[&told]);
        }
        sandbox.stop().await;

        let away = tokio::task::block_in_place(|| rapport(&["call", "--address", &address, "GetParty"], ""));
        assert_refused(&away, 7, &["UNAVAILABLE: ", "refused", &format!("address: {address}")]);
    });
}

#[test]
fn streams_are_json_lines_both_ways() {
    block_on(async {
        let sandbox = shop().await;
        let address = sandbox.address("interactions").to_string();
        let call = |arguments: &[&str], input: &str| {
            let all: Vec<&str> = [&["call", "--address", &address, "--token", TOKEN], arguments].concat();
            tokio::task::block_in_place(|| rapport(&all, input))
        };
        let item = |sequence: usize| {
            format!(
                r#"{{"items": [{{"sequence": "{sequence}", "interaction": {{"kind": "inquiry", "channel": {{"medium": "MEDIUM_PHONE"}}, "direction": "DIRECTION_INBOUND", "occurredTime": "2026-01-31T12:00:00Z", "participants": [{{"identifierUsed": {{"scheme": "tel", "value": "+35191234567{sequence}"}}, "function": "FUNCTION_INITIATOR"}}]}}}}], "receipts": true}}"#
            )
        };
        let lines = format!("{}\n\n{}\n", item(1), item(2));
        let sent = call(&["StreamInteractions", "-"], &lines);
        assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
        let answers: Vec<Value> = text(&sent.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.last().unwrap()["committedThrough"], "2");
        let receipts: usize = answers.iter().filter_map(|answer| Some(answer["receipts"].as_array()?.len())).sum();
        assert_eq!(receipts, 2);

        // What stands before a line that cannot be read is sent and answered.
        let broken = call(&["StreamInteractions", "-"], &format!("{}\n{{\"itms\": []}}\n", item(3)));
        assert_eq!(broken.status.code(), Some(2), "{}", text(&broken.stderr));
        assert!(text(&broken.stderr).contains("stdin:2:7: "), "{}", text(&broken.stderr));
        assert!(text(&broken.stdout).contains("committedThrough"), "{}", text(&broken.stdout));

        // A stream of the server ends by the caller's deadline; what it brought before is printed.
        let watched = call(&["WatchInteractions", "--timeout", "700ms"], "");
        assert_eq!(watched.status.code(), Some(7), "{}", text(&watched.stderr));
        assert!(text(&watched.stdout).starts_with("{\"cursor\":"), "{}", text(&watched.stdout));
        sandbox.stop().await;
    });
}

#[test]
fn the_contract_is_told_without_a_server() {
    let said = |name: &str| {
        let output = rapport(&["describe", name], "");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(output.stderr.is_empty());
        text(&output.stdout)
    };
    let list = text(&rapport(&["describe"], "").stdout);
    for service in
        ["rapport.stakeholders.v1.PartyService\n    Parties and the roles they hold.", "    GetAgentContext\n"]
    {
        assert!(list.contains(service), "{list}");
    }
    let service = said("DeskService");
    assert!(
        service.contains("rpc WatchAgentContext(WatchAgentContextRequest) returns (stream WatchAgentContextResponse)")
    );
    let method = said("PartyService/CreateParty");
    for part in [
        "// Records a party, with its identifiers and roles at once.",
        "permission: stakeholders.parties.write",
        "    // A UUID that makes a retry safe",
        "    string requestId\n",
        "Example of a CreatePartyRequest:",
        "rapport call PartyService/CreateParty '{\"party\":",
    ] {
        assert!(method.contains(part), "{part} is missing in\n{method}");
    }
    assert!(said("Party").contains("repeated ContactMedium contactMedia"));
    assert!(
        said("rapport.stakeholders.v1.PartyKind").contains("    // A natural person.\n    PARTY_KIND_INDIVIDUAL = 1\n")
    );
    assert_refused(&rapport(&["describe", "PartyKnd"], ""), 2, &["PartyKind"]);
    assert_refused(
        &rapport(&["describe", "ItemError"], ""),
        2,
        &["say which", "rapport.interactions.v1.ItemError", "rapport.stakeholders.v1.ItemError"],
    );
    assert_refused(&rapport(&["describe", "GetAgentContex"], ""), 2, &["DeskService/GetAgentContext"]);
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = rapport(&["completion", shell], "");
        assert_eq!(output.status.code(), Some(0));
        let script = text(&output.stdout);
        for word in ["describe", "telephony", "at-least", "insecure-bind"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(rapport(&["completion", "tcsh"], "").status.code(), Some(2));
}
