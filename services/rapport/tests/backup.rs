//! Copies of both stores while they are served, restored and compared through the API, as docs/backup.md says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::{BatchCreatePartiesRequest, CreatePartyRequest, Party, PartyKind};
use rapport_testkit::block_on;
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::Sandbox;

fn run(program: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RAPPORT") {
            command.env_remove(name);
        }
    }
    tokio::task::block_in_place(|| command.args(arguments).stdin(Stdio::null()).output().unwrap())
}

fn rapport(arguments: &[&str]) -> Output {
    run(Path::new(env!("CARGO_BIN_EXE_rapport")), arguments)
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A party with a note on it, recorded together with others.
async fn record(sandbox: &Sandbox, from: usize, to: usize) {
    let requests = (from..to).map(|n| CreatePartyRequest {
        party: Some(Party {
            kind: PartyKind::Individual.into(),
            display_name: format!("Somebody {n}"),
            ..Default::default()
        }),
        ..Default::default()
    });
    let request = BatchCreatePartiesRequest { requests: requests.collect(), ..Default::default() };
    let mut client = PartyServiceClient::new(sandbox.channel("stakeholders"));
    let results = client.batch_create_parties(request).await.unwrap().into_inner().results;
    assert_eq!(results.len(), to - from);
}

/// An interaction whose text is sealed.
fn contact(sandbox: &Sandbox) {
    let interaction = r#"{"interaction": {"kind": "inquiry", "channel": {"medium": "MEDIUM_EMAIL"}, "direction": "DIRECTION_INBOUND",
        "participants": [{"identifierUsed": {"scheme": "email", "value": "ana@example.org"}, "function": "FUNCTION_INITIATOR"}],
        "occurredTime": "2026-01-05T10:00:00Z", "body": "what was said"}}"#;
    let address = sandbox.address("interactions").to_string();
    said(&rapport(&["call", "RecordInteraction", interaction, "--address", &address]));
}

/// Everything that a server tells of its parties, and of the contacts with their texts.
fn told(sandbox: &Sandbox) -> Vec<String> {
    let list = |service: &str, method: &str, request: &str| {
        let address = sandbox.address(service).to_string();
        said(&rapport(&["call", method, request, "--address", &address]))
    };
    vec![
        list("stakeholders", "ListParties", "{\"pageSize\": 500}"),
        list("interactions", "ListInteractions", "{\"pageSize\": 500}"),
    ]
}

/// Where a sandbox on this place has its databases and its key.
fn folder(of: &Sandbox, place: &StorePlace) -> PathBuf {
    let data = of.data("stakeholders");
    let below = data.strip_prefix(of.place().data()).unwrap();
    let folder = place.data().join(below);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn an_embedded_store_is_copied_while_it_is_served() {
    block_on(async {
        let sandbox = Sandbox::builder(rapport::modules).start().await;
        record(&sandbox, 0, 300).await;
        contact(&sandbox);
        let before = told(&sandbox);
        assert!(before[1].contains("what was said"));

        let copies = tempfile::tempdir().unwrap();
        let path = |name: &str| copies.path().join(name).display().to_string();
        let data = sandbox.data("stakeholders").display().to_string();
        let backup = ["backup", "--data", &data, "--to", &path("copy"), "--keys", &path("vault")];
        assert_eq!(said(&rapport(&backup)).lines().count(), 5, "four databases and the key");
        // The server goes on meanwhile and after.
        record(&sandbox, 300, 310).await;
        let again = rapport(&backup);
        assert_eq!(again.status.code(), Some(2), "nothing is overwritten");
        let nothing = rapport(&["backup", "--data", &path("nowhere"), "--to", &path("other")]);
        assert_eq!(nothing.status.code(), Some(2));
        let mixed = rapport(&["backup", "--data", &data, "--to", &path("mixed"), "--keys", &path("mixed")]);
        assert_eq!(mixed.status.code(), Some(2), "databases and key are kept apart");

        let place = StorePlace::sqlite();
        let restored = folder(&sandbox, &place);
        for entry in std::fs::read_dir(path("copy")).unwrap().chain(std::fs::read_dir(path("vault")).unwrap()) {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), restored.join(entry.file_name())).unwrap();
        }
        sandbox.stop().await;
        let restored = Sandbox::builder(rapport::modules).place(place).start().await;
        assert_eq!(told(&restored), before);
        restored.stop().await;
    });
}

#[test]
fn a_dump_of_postgres_with_its_key_is_the_whole_store() {
    block_on(async {
        let sandbox = Sandbox::builder(rapport::modules).place(StorePlace::postgres().await).start().await;
        record(&sandbox, 0, 300).await;
        contact(&sandbox);
        let before = told(&sandbox);

        let tools = std::env::var_os("RAPPORT_TEST_POSTGRES_BIN").map(PathBuf::from).unwrap_or_default();
        let copies = tempfile::tempdir().unwrap();
        let dump = copies.path().join("rapport.dump").display().to_string();
        let schemas: Vec<String> = rapport::SERVICES.iter().map(|service| format!("--schema={service}")).collect();
        let mut arguments = vec!["--format=custom", "--file", &dump, sandbox.place().url()];
        arguments.extend(schemas.iter().map(String::as_str));
        said(&run(&tools.join("pg_dump"), &arguments));
        record(&sandbox, 300, 310).await;

        let place = StorePlace::postgres().await;
        said(&run(&tools.join("pg_restore"), &["--no-owner", "--exit-on-error", "--dbname", place.url(), &dump]));
        let restored = folder(&sandbox, &place);
        std::fs::copy(sandbox.data("stakeholders").join("rapport.key"), restored.join("rapport.key")).unwrap();
        sandbox.stop().await;
        let restored = Sandbox::builder(rapport::modules).place(place).start().await;
        assert_eq!(told(&restored), before);
        restored.stop().await;
    });
}
