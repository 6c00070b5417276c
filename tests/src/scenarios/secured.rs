//! The services as four processes that know each other by certificates, and everybody who calls them.

use std::path::Path;
use std::process::{Command, Output};

use rapport::doctor::{self, Verdict};
use rapport_proto::interactions::v1::ListCasesRequest;
use rapport_proto::interactions::v1::case_service_client::CaseServiceClient;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_server::{ClientTlsOptions, Options, Secret, Span};
use rapport_telephony::{AgiOptions, HttpOptions, TelephonyOptions};
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::authority::{Authority, Issued, write};
use rapport_testkit::sandbox::{Sandbox, Topology, rapport_binary};
use rapport_testkit::{Code, assert_reason};
use rapport_types::World;

use super::doctor::{examined, off, options, verdict};
use super::messages::{person, phone};
use crate::wire::http;
use crate::wire::tls::{client, metric, over};
use crate::wire::tls_files::eventually;

const TOKEN: &str = "token-of-the-acme-admin";
/// The name by which the services know each other.
const SERVICES: &str = "services.rapport.example";

#[test]
fn services_know_each_other_by_certificates() {
    rapport_testkit::block_on(async {
        let ours = Authority::new("ours");
        let folder = tempfile::tempdir().expect("a folder");
        let ca = write(folder.path(), "ca.pem", &ours.certificate()).display().to_string();
        let path = |issued: &Issued, name: &str| {
            let (certificate, key) = issued.write(folder.path(), name);
            (certificate.display().to_string(), key.display().to_string())
        };
        let (certificate, key) = path(&ours.issue(&["localhost", "127.0.0.1"]), "server");
        let service = ours.issue(&[SERVICES]);
        let (shown, its_key) = path(&service, "service");
        let desk = ours.issue(&["desk.rapport.example"]);
        let sandbox = Sandbox::builder(rapport::modules)
            .topology(Topology::Processes)
            .https()
            .token(TOKEN, "acme", "users/ana", &["admin"])
            .setting("tls.certificate", certificate)
            .setting("tls.key", key)
            .setting("tls.client_ca", ca.as_str())
            .setting("tls.client_names", vec![SERVICES, "desk.rapport.example"])
            .setting("peers.tls.ca", ca.as_str())
            .setting("peers.tls.certificate", shown)
            .setting("peers.tls.key", its_key)
            .setting("reload.every", "100ms")
            .start()
            .await;

        // A consumer of interactions has read the feed of stakeholders once this answers: over mutual TLS.
        let tls = client(&ours.certificate(), Some(&desk));
        let mut parties = PartyServiceClient::new(over(sandbox.address("stakeholders"), &tls, TOKEN));
        let card = stakeholders::Party { contact_media: vec![phone("+12025550177")], ..person("Ana Example") };
        let request = stakeholders::CreatePartyRequest { party: Some(card), ..Default::default() };
        let made = parties.create_party(request).await.expect("created");
        let seen = positions(made.metadata());
        let mut cases = CaseServiceClient::new(over(sandbox.address("interactions"), &tls, TOKEN));
        let read = at_least(ListCasesRequest::default(), &seen);
        let answer = cases.list_cases(read).await.expect("applied by another process");
        assert!(answer.metadata().get("rapport-stale").is_none(), "{answer:?}");

        strangers_are_refused(&sandbox, &ours).await;
        // What is shown to peers is renewed while they run: the second half of the two files makes them whole.
        ours.issue_until(&[SERVICES], 2500).write(folder.path(), "service");
        let renewed = "rapport_tls_not_after_timestamp_seconds{rapport_certificate=\"peers\"}";
        let until = rapport_types::Timestamp::parse("2500-01-01T00:00:00Z").expect("a time").as_micros() / 1_000_000;
        for service in rapport::SERVICES {
            let admin = sandbox.admin_address(service);
            eventually("the certificate", Some(until as f64), async || metric(admin, renewed).await).await;
        }
        the_doctor_looks(&sandbox, &ours, folder.path()).await;
        let (desk_certificate, desk_key) = path(&desk, "desk");
        let desk = ClientTlsOptions { ca: ca.into(), certificate: desk_certificate.into(), key: desk_key.into() };
        tokio::task::block_in_place(|| the_command_line(&sandbox, &desk));
        telephony(&sandbox, desk, &made.into_inner().name).await;
        sandbox.stop().await;
    });
}

async fn strangers_are_refused(sandbox: &Sandbox, ours: &Authority) {
    let foreign = Authority::new("foreign").issue(&[SERVICES]);
    let other = ours.issue(&["intruder.example"]);
    for (shown, told) in [
        (None, "asks for a client certificate, and none was shown"),
        (Some(&foreign), "does not trust the authority that signed the client certificate"),
        (Some(&other), "admits no client of the name in the client certificate"),
    ] {
        let tls = client(&ours.certificate(), shown);
        let mut parties = PartyServiceClient::new(over(sandbox.address("stakeholders"), &tls, TOKEN));
        let get = stakeholders::GetPartyRequest { name: "parties/x".into() };
        let status = assert_reason!(parties.get_party(get).await, Code::Unavailable, "PEER_UNAVAILABLE");
        assert!(status.message().contains(told), "{told}: {status}");
    }
}

/// Healthy as it is, and each thing that is broken is found.
async fn the_doctor_looks(sandbox: &Sandbox, ours: &Authority, folder: &Path) {
    let mut healthy = options(sandbox.config("scoring"));
    healthy.services = vec!["scoring".to_owned()];
    let findings = examined(&healthy).await;
    for (check, subject) in [
        ("tls.certificate", "server.pem"),
        ("tls.client_ca", "ca.pem"),
        ("peers.tls", "service.pem"),
        ("peers.tls.ca", "ca.pem"),
        ("peers.certificate", "loyalty"),
        ("peers.reachable", "loyalty"),
        ("peers.reachable", "interactions"),
        ("access.credentials", ""),
    ] {
        assert_eq!(verdict(&findings, check, subject), Verdict::Ok, "{check} {subject}");
    }
    // A certificate that ends soon, as of a day before and a day after it does.
    let mut ending = healthy.clone();
    let (certificate, key) = ours.issue_until(&["127.0.0.1"], 2090).write(folder, "ending");
    (ending.tls.certificate, ending.tls.key) = (certificate.clone(), key.clone());
    (ending.peers.tls.certificate, ending.peers.tls.key) = (certificate, key);
    let new_year = rapport_types::Timestamp::parse("2090-01-01T00:00:00Z").expect("a time");
    let seconds = new_year.micros_since(World::system().now()) / 1_000_000;
    for (later, expected) in
        [(seconds - 40 * 86_400, Verdict::Ok), (seconds - 86_400, Verdict::Warn), (seconds + 86_400, Verdict::Fail)]
    {
        let findings = doctor::examine(&ending, None, &off(later)).await;
        for check in ["tls.certificate", "peers.tls"] {
            assert_eq!(verdict(&findings, check, ""), expected, "{check} {later} s later");
        }
    }
    // The key of another certificate; a file that is not there.
    let mut wrong = healthy.clone();
    wrong.tls.key = folder.join("ending.key");
    assert_eq!(verdict(&examined(&wrong).await, "tls.certificate", "server.pem"), Verdict::Fail);
    wrong.tls.key = folder.join("nowhere.key");
    assert_eq!(verdict(&examined(&wrong).await, "tls.certificate", "server.pem"), Verdict::Fail);
    // Peers that somebody else's authority would have to have signed, and peers that do not know us.
    let mut wrong = healthy.clone();
    wrong.peers.tls.ca = write(folder, "foreign.pem", &Authority::new("foreign").certificate());
    let findings = examined(&wrong).await;
    assert_eq!(verdict(&findings, "peers.certificate", "loyalty"), Verdict::Fail);
    assert_eq!(verdict(&findings, "peers.reachable", "loyalty"), Verdict::Fail);
    let mut unknown = healthy.clone();
    (unknown.peers.tls.certificate, unknown.peers.tls.key) = Default::default();
    let findings = examined(&unknown).await;
    assert_eq!(verdict(&findings, "peers.certificate", "loyalty"), Verdict::Ok, "what it shows is good");
    assert_eq!(verdict(&findings, "peers.reachable", "loyalty"), Verdict::Fail, "and it refuses us");
    let mut plain = healthy.clone();
    let address = format!("http://{}", sandbox.address("loyalty"));
    plain.peers.addresses.insert("loyalty".to_owned(), address);
    assert_eq!(verdict(&examined(&plain).await, "peers.reachable", "loyalty"), Verdict::Fail);
    // Where others can reach it, TLS is asked for.
    let mut open = healthy.clone();
    open.listen = "0.0.0.0:50051".to_owned();
    assert_eq!(verdict(&examined(&open).await, "access.credentials", ""), Verdict::Ok);
    open.tls = Options::defaults().expect("defaults").tls;
    assert_eq!(verdict(&examined(&open).await, "access.credentials", ""), Verdict::Fail);
    open.insecure_bind = true;
    assert_eq!(verdict(&examined(&open).await, "access.credentials", ""), Verdict::Warn);
    (open.insecure_bind, open.tls.offloaded) = (false, true);
    assert_eq!(verdict(&examined(&open).await, "access.credentials", ""), Verdict::Ok);
}

fn rapport(arguments: &[&str]) -> Output {
    let mut command = Command::new(rapport_binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RAPPORT_")) {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("it runs")
}

fn the_command_line(sandbox: &Sandbox, desk: &ClientTlsOptions) {
    let address = sandbox.address("stakeholders").to_string();
    let paths = [&desk.ca, &desk.certificate, &desk.key].map(|path| path.display().to_string());
    let tls = ["--ca", &paths[0], "--certificate", &paths[1], "--key", &paths[2]];
    let list = |address: &str, tls: &[&str]| {
        rapport(&[&["call", "ListParties", "--compact", "--token", TOKEN, "--address", address], tls].concat())
    };
    // With an authority, an address without a scheme is one over TLS.
    for address in [address.clone(), format!("https://{address}")] {
        let output = list(&address, &tls);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && told.contains("Ana Example"), "{output:?}");
    }
    let secured = format!("https://{address}");
    for (address, tls, told) in [
        (&secured, &tls[..2], "asks for a client certificate"),
        (&secured, &tls[2..], "signed by no authority that is trusted here"),
        (&address, &[][..], "speaks TLS"),
    ] {
        let output = list(address, tls);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && output.stdout.is_empty() && said.contains(told), "{told}: {said}");
    }
    let out =
        rapport(&[&["export", "parties", "--token", TOKEN, "--address", secured.as_str()][..], &tls[..]].concat());
    assert!(out.status.success() && String::from_utf8_lossy(&out.stdout).contains("Ana Example"), "{out:?}");
    let events = ["events", "parked", "--service", "stakeholders", "--token", TOKEN, "--address", secured.as_str()];
    let out = rapport(&[&events[..], &tls[..]].concat());
    assert!(out.status.success(), "{out:?}");
}

async fn telephony(sandbox: &Sandbox, tls: ClientTlsOptions, party: &str) {
    let told = TelephonyOptions {
        rapport: format!("https://{}", sandbox.address("interactions")),
        tls,
        token: Secret::new(TOKEN),
        budget: Span::millis(5_000),
        http: HttpOptions { listen: "127.0.0.1:0".into(), ..HttpOptions::default() },
        agi: AgiOptions { listen: String::new(), ..AgiOptions::default() },
        ..TelephonyOptions::default()
    };
    let connector = rapport_telephony::start(told.clone(), World::system()).await.expect("it starts");
    let address = connector.http_addr().expect("HTTP");
    let answer = http::http1(address, "GET", "/caller-id?number=%2B12025550177", &[], b"").await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains("Ana Example"), "{party}: {text}");
    connector.stop().await;
    let missing = ClientTlsOptions { ca: "/nowhere/ca.pem".into(), ..told.tls.clone() };
    let error = rapport_telephony::start(TelephonyOptions { tls: missing, ..told }, World::system()).await;
    let error = error.expect_err("refused").to_string();
    assert!(error.starts_with("telephony.tls.ca /nowhere/ca.pem: cannot be read"), "{error}");
}
