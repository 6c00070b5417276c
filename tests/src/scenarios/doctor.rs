//! `rapport doctor`: a healthy system is told so, and each thing that is broken is found.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rapport::doctor::{self, Finding, Verdict};
use rapport_proto::interactions::v1::ListCasesRequest;
use rapport_server::{Options, Sources};
use rapport_store::{Store, StoreOptions};
use rapport_testkit::asserts::at_least;
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology, rapport_binary};
use rapport_types::World;
use rapport_types::time::ManualClock;
use sea_orm::{ConnectionTrait, Database};

use super::messages::person;
use super::stage::{ACME, Stage};

/// What a configuration file says.
pub(super) fn options(config: &Path) -> Options {
    let sources = Sources { file: Some(config.to_owned()), ..Sources::default() };
    Options::load(&sources).unwrap_or_else(|error| panic!("{error}"))
}

/// A clock that is off by so many seconds.
pub(super) fn off(seconds: i64) -> World {
    let now = World::system().now();
    let span = Duration::from_secs(seconds.unsigned_abs());
    let shifted = if seconds < 0 { now.saturating_sub(span) } else { now.saturating_add(span) };
    World::with_clock(Arc::new(ManualClock::new(shifted)))
}

pub(super) async fn examined(options: &Options) -> Vec<Finding> {
    doctor::examine(options, None, &World::system()).await
}

/// How a check ended for a subject; `subject` is a part of its name.
#[track_caller]
pub(super) fn verdict(findings: &[Finding], check: &str, subject: &str) -> Verdict {
    let found = findings.iter().find(|finding| finding.check == check && finding.subject.contains(subject));
    let found = found.unwrap_or_else(|| panic!("nothing on {check} of {subject}:\n{}", doctor::lines(findings)));
    assert_eq!(found.verdict == Verdict::Ok, found.cure.is_empty(), "what is wrong has a cure: {found:?}");
    found.verdict
}

#[track_caller]
pub(super) fn assert_healthy(findings: &[Finding]) {
    let ill: Vec<&Finding> = findings.iter().filter(|finding| finding.verdict != Verdict::Ok).collect();
    // A small disk and low limits are this machine's affair.
    let ill: Vec<_> = ill.into_iter().filter(|it| !["disk.space", "system.files"].contains(&it.check)).collect();
    assert!(ill.is_empty(), "{ill:?}");
}

#[test]
fn what_is_broken_is_found() {
    rapport_testkit::block_on(async {
        let place = StorePlace::sqlite();
        let copy = tempfile::tempdir().expect("a folder");
        let sandbox = Sandbox::builder(rapport::modules).topology(Topology::OneProcess).place(place);
        let mut stage = Stage::open(sandbox).await;
        let (_, seen) = stage.party_at(person("Healthy")).await;
        let read = at_least(ListCasesRequest::default(), &seen);
        stage.cases(ACME).list_cases(read).await.expect("applied");
        let config = stage.sandbox.config("scoring").to_owned();
        fs::set_permissions(&config, Permissions::from_mode(0o600)).expect("its mode");
        let healthy = options(&config);

        let running = doctor::examine(&healthy, Some(&config), &World::system()).await;
        assert_healthy(&running);
        let in_use = |findings: &[Finding]| {
            let found = findings.iter().filter(|finding| finding.check == "store.lock");
            found.map(|finding| finding.found.clone()).collect::<Vec<_>>()
        };
        assert_eq!(in_use(&running), ["in use by a running process"; 4]);
        for check in ["store.durable", "store.schema", "store.folder", "keys.match", "feed.outbox", "feed.parked"] {
            assert_eq!(verdict(&running, check, ""), Verdict::Ok, "{check}");
        }
        assert_eq!(verdict(&running, "feed.lag", "interactions identity of stakeholders"), Verdict::Ok);

        stage.sandbox.terminate("scoring").await;
        let stopped = examined(&healthy).await;
        assert_healthy(&stopped);
        assert_eq!(in_use(&stopped), ["free"; 4]);

        who_may_call_and_read(&healthy, &config).await;
        limits(&healthy).await;
        // Each of these breaks a copy of the data in its own way.
        let mut broken = healthy.clone();
        broken.data = copy.path().join("data");
        databases(&healthy.data, &mut broken).await;
        keys(&healthy.data, &broken).await;
        events(&healthy.data, &broken).await;
        the_command(&config, &broken);
        stage.close().await;
    });
}

/// The data as it was.
fn restore(from: &Path, to: &Path) {
    drop(fs::remove_dir_all(to));
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the data") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

async fn sql(data: &Path, service: &str, statements: &[&str]) {
    let url = format!("sqlite://{}", data.join(format!("{service}.db")).display());
    let db = Database::connect(url).await.expect("the file opens");
    for statement in statements {
        db.execute_unprepared(statement).await.expect(statement);
    }
    db.close().await.expect("closed");
}

async fn who_may_call_and_read(healthy: &Options, config: &Path) {
    let mut open = healthy.clone();
    open.auth.tokens.clear();
    for (listen, insecure, expected) in [
        ("127.0.0.1:0", false, Verdict::Ok),
        ("0.0.0.0:50051", false, Verdict::Fail),
        ("0.0.0.0:50051", true, Verdict::Warn),
    ] {
        (open.listen, open.insecure_bind) = (listen.to_owned(), insecure);
        assert_eq!(verdict(&examined(&open).await, "access.credentials", ""), expected, "{listen} {insecure}");
    }
    let readable = |mode| fs::set_permissions(config, Permissions::from_mode(mode)).expect("its mode");
    for (mode, expected) in [(0o644, Verdict::Warn), (0o600, Verdict::Ok)] {
        readable(mode);
        let findings = doctor::examine(healthy, Some(config), &World::system()).await;
        assert_eq!(verdict(&findings, "access.config_file", ""), expected, "{mode:o}");
    }
}

async fn limits(healthy: &Options) {
    let mut greedy = healthy.clone();
    greedy.limits.connections = 1_000_000_000;
    // A file system without any room.
    greedy.data = "/proc".into();
    let findings = examined(&greedy).await;
    assert_eq!(verdict(&findings, "system.files", ""), Verdict::Warn);
    assert_eq!(verdict(&findings, "disk.space", ""), Verdict::Fail);
    assert_eq!(verdict(&findings, "store.folder", ""), Verdict::Fail);
}

async fn databases(data: &Path, broken: &mut Options) {
    let copy = broken.data.clone();
    restore(data, &copy);
    sql(&copy, "scoring", &["PRAGMA journal_mode = DELETE"]).await;
    sql(&copy, "loyalty", &["INSERT INTO service_migration VALUES ('m29990101_000001_future', 0)"]).await;
    let forget = "DELETE FROM service_migration WHERE name = (SELECT max(name) FROM service_migration)";
    sql(&copy, "interactions", &[forget]).await;
    fs::remove_file(copy.join("loyalty.lock")).expect("removed");
    fs::create_dir(copy.join("loyalty.lock")).expect("a folder where a file should be");
    fs::write(copy.join("stakeholders.db"), "this is no database at all, but it is long enough to be looked at")
        .expect("written");
    let findings = examined(broken).await;
    for (check, service, expected) in [
        ("store.durable", "scoring", Verdict::Warn),
        ("store.durable", "loyalty", Verdict::Ok),
        ("store.schema", "loyalty", Verdict::Warn),
        ("store.schema", "interactions", Verdict::Warn),
        ("store.schema", "scoring", Verdict::Ok),
        ("store.lock", "loyalty", Verdict::Fail),
        ("store.reachable", "stakeholders", Verdict::Fail),
        ("store.reachable", "scoring", Verdict::Ok),
    ] {
        assert_eq!(verdict(&findings, check, service), expected, "{check} of {service}");
    }
    broken.data = copy.join("scoring.db");
    assert_eq!(verdict(&examined(broken).await, "store.folder", ""), Verdict::Fail, "a file is no folder");
    broken.data = copy;
}

async fn keys(data: &Path, broken: &Options) {
    restore(data, &broken.data);
    let file = broken.data.join("rapport.key");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("its mode");
    let findings = examined(broken).await;
    assert_eq!(verdict(&findings, "keys.file", ""), Verdict::Warn);
    assert_eq!(verdict(&findings, "keys.match", "scoring"), Verdict::Ok);
    // The key of another installation.
    let other = tempfile::tempdir().expect("a folder");
    let elsewhere = StoreOptions::sqlite(other.path());
    Store::open(&elsewhere, "scoring", Vec::new(), World::system()).await.expect("opens").close().await;
    fs::remove_file(&file).expect("removed");
    fs::copy(other.path().join("rapport.key"), &file).expect("copied");
    for service in rapport::SERVICES {
        assert_eq!(verdict(&examined(broken).await, "keys.match", service), Verdict::Fail, "{service}");
    }
    fs::remove_file(&file).expect("removed");
    assert_eq!(verdict(&examined(broken).await, "keys.file", ""), Verdict::Fail);
}

async fn events(data: &Path, broken: &Options) {
    restore(data, &broken.data);
    let back = "UPDATE consumer_cursor SET position = 0 WHERE consumer = 'identity'";
    let parked = "INSERT INTO parked_event VALUES \
        ('acme', 'orders', 'interactions', 'e', 1, 'x.Y', 'a/b', 1, 0, 0, NULL, x'00', 'it does not fit', 0)";
    sql(&broken.data, "interactions", &[back]).await;
    sql(&broken.data, "scoring", &[parked]).await;
    let now = World::system().now().as_micros();
    let waits = format!("INSERT INTO feed_batch (events, recorded_at) VALUES (1, {now})");
    sql(&broken.data, "loyalty", &[&waits]).await;
    for (later, expected) in [(0, Verdict::Ok), (300, Verdict::Warn), (7_200, Verdict::Fail)] {
        let findings = doctor::examine(broken, None, &off(later)).await;
        assert_eq!(verdict(&findings, "feed.lag", "identity of stakeholders"), expected, "{later} s later");
        assert_eq!(verdict(&findings, "feed.outbox", "loyalty"), expected, "{later} s later");
        assert_eq!(verdict(&findings, "feed.parked", "scoring"), Verdict::Fail);
        assert_eq!(verdict(&findings, "feed.parked", "loyalty"), Verdict::Ok);
    }
    // What the consumer has not applied is not kept any more.
    sql(&broken.data, "stakeholders", &["UPDATE feed_state SET trimmed = 1000"]).await;
    assert_eq!(verdict(&examined(broken).await, "feed.lag", "identity of stakeholders"), Verdict::Fail);
}

/// The exit code and the JSON, as scripts see them.
fn the_command(config: &Path, broken: &Options) {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(rapport_binary());
        command.arg("doctor").args(arguments).env_remove("RAPPORT_TOKEN");
        let output = command.output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let config = config.display().to_string();
    let (code, told) = run(&["--config", &config]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("ok    store.durable") && told.contains(" 0 fail"), "{told}");
    let data = broken.data.display().to_string();
    let (code, told) = run(&["--config", &config, "--data", &data, "--json"]);
    assert_eq!(code, Some(1), "{told}");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["healthy"], false);
    let parked = told["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|it| it["check"] == "feed.parked" && it["subject"] == "scoring");
    let parked = parked.expect("told");
    assert_eq!(parked["verdict"], "fail");
    assert!(parked["cure"].as_str().is_some_and(|cure| cure.contains("rapport events retry --service scoring")));
}

#[test]
fn peers_are_asked_who_they_are() {
    rapport_testkit::block_on(async {
        let sandbox = Sandbox::builder(rapport::modules).topology(Topology::Processes);
        let stage = Stage::open(sandbox).await;
        let mut healthy = options(stage.sandbox.config("scoring"));
        healthy.services = vec!["scoring".to_owned()];
        let findings = examined(&healthy).await;
        assert_healthy(&findings);
        for peer in ["stakeholders", "interactions", "loyalty"] {
            assert_eq!(verdict(&findings, "peers.reachable", peer), Verdict::Ok);
            assert_eq!(verdict(&findings, "peers.contract", peer), Verdict::Ok);
            assert_eq!(verdict(&findings, "clock.skew", peer), Verdict::Ok);
        }
        let skewed = doctor::examine(&healthy, None, &off(3_600)).await;
        assert_eq!(verdict(&skewed, "clock.skew", "peer loyalty"), Verdict::Fail);
        let mut wrong = healthy.clone();
        let addresses = &mut wrong.peers.addresses;
        addresses.insert("stakeholders".to_owned(), format!("http://{}", stage.sandbox.address("loyalty")));
        addresses.insert("interactions".to_owned(), format!("http://127.0.0.1:{}", rapport_testkit::port::free_port()));
        let findings = examined(&wrong).await;
        assert_eq!(
            verdict(&findings, "peers.contract", "stakeholders"),
            Verdict::Fail,
            "another service answers there"
        );
        assert_eq!(verdict(&findings, "peers.reachable", "interactions"), Verdict::Fail, "nobody answers there");
        assert_eq!(verdict(&findings, "peers.reachable", "loyalty"), Verdict::Ok);
        let mut stranger = healthy.clone();
        stranger.peers.token = rapport_server::Secret::new("not-a-token-of-anybody");
        assert_eq!(verdict(&examined(&stranger).await, "peers.reachable", "loyalty"), Verdict::Fail);
        stranger.peers.token = rapport_server::Secret::default();
        assert_eq!(verdict(&examined(&stranger).await, "access.credentials", ""), Verdict::Warn);
        stage.close().await;
    });
}
