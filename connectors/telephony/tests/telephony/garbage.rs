//! Input that makes no sense is answered with what is wrong, and nothing else breaks.

use rapport_server::Secret;
use rapport_telephony::StartError;
use rapport_types::World;
use serde_json::json;

use crate::fake::agi::{self, Dialplan};
use crate::fake::asterisk::Asterisk;
use crate::fake::rapport::down;
use crate::fake::web;
use crate::house::{SECRET, quiet, started, with};

#[tokio::test]
async fn agi_garbage_is_named() {
    let mut options = quiet();
    options.rapport = format!("http://{}", down().await);
    let connector = started(options).await;
    let address = connector.agi_addr().unwrap();
    for (bytes, part) in [
        (
            b"GET / HTTP/1.1\r\n\r\n".as_slice(),
            "line 1 is no header of AGI such as agi_uniqueid: 1700000000.1 it is GET / HTTP/1.1",
        ),
        (b"agi_network: yes\nwhat?\n", "line 2 is no header of AGI"),
        (b"agi_network: yes\n\n", "there is no agi_uniqueid among the headers"),
        (b"agi_uniqueid: 1\nagi_network_script: rign\n\n", "there is no script rign : there are ring and hangup"),
        (b"\xff\xfe\x00\x01\n", "line 1 is no header of AGI"),
        (&[b'x'; 10_000], "a line is longer than 8192 bytes"),
        (&b"agi_x: y\n".repeat(300), "there are more than 256 headers"),
        (b"agi_uniqueid: 1\n\nyes\n", "yes is no answer of AGI such as 200 result 1"),
    ] {
        let said = agi::garbage(address, bytes).await;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
        assert!(said.contains(&format!("VERBOSE \"rapport: {part}")), "{shown}: {said}");
    }
    // Cut off in the middle, or saying nothing: closed, no more.
    for bytes in [b"agi_network: yes\n".as_slice(), b""] {
        assert_eq!(agi::garbage(address, bytes).await, "");
    }
    let call = Dialplan::call("1", "+12025550201").agi(address, "ring").await;
    assert_eq!(call.variables["RAPPORT_MATCH"], "unavailable", "and it goes on");
    connector.stop().await;
}

#[tokio::test]
async fn http_garbage_is_named() {
    let mut options = quiet();
    options.rapport = format!("http://{}", down().await);
    options.http.key = Secret::new("key-of-the-caller-id");
    let connector = started(options).await;
    let address = connector.http_addr().unwrap();
    for (answer, status, part) in [
        (
            web::post(address, SECRET, "{\"event\":\n\"rings\"}").await,
            400,
            "unknown variant `rings`, expected one of `ringing`, `answered`, `ended` at line 2 column 7",
        ),
        (web::post(address, SECRET, "").await, 400, "line 1 column 0"),
        (
            web::post(address, SECRET, "{\"event\":\"ended\",\"call_id\":\"\"}").await,
            400,
            "call_id: must have 1 to 200 characters",
        ),
        (web::post(address, SECRET, "\u{0}").await, 400, "line 1 column 1"),
        (web::post(address, "another secret", "{}").await, 401, "is not that of this body"),
        (web::post(address, SECRET, &" ".repeat(70_000)).await, 413, "longer than 65536 bytes"),
        (
            web::raw(address, b"POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .await,
            401,
            "x-rapport-signature is missing",
        ),
        (web::raw(address, b"PUT /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await, 405, "only POST"),
        (
            web::raw(address, b"POST /caller-id HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .await,
            405,
            "only GET",
        ),
        (web::get(address, "/caller-id?number=1").await, 403, "telephony.http.key"),
        (web::get(address, "/caller-id?number=1&key=key-of-the-caller-ix").await, 403, "telephony.http.key"),
        (web::get(address, "/caller-id?number=101&key=key-of-the-caller-id").await, 200, "101"),
        (web::get(address, "/").await, 404, "GET /caller-id"),
        (web::get(address, "/livez").await, 200, "ok"),
        (web::raw(address, b"what?\r\n\r\n").await, 400, ""),
    ] {
        assert_eq!(answer.status, status, "{part}: {answer:?}");
        assert!(answer.body.contains(part), "{answer:?}");
    }
    connector.stop().await;

    let mut options = quiet();
    options.http.webhook_secret = Secret::default();
    let connector = started(options).await;
    let off = web::post(connector.http_addr().unwrap(), SECRET, "{}").await;
    assert_eq!(off.status, 404);
    assert!(off.body.contains("telephony.http.webhook_secret turns it on"), "{off:?}");
    connector.stop().await;
}

#[tokio::test]
async fn asterisks_garbage_is_passed_over() {
    let asterisk = Asterisk::start().await;
    let mut options = with(quiet(), &asterisk);
    options.rapport = format!("http://{}", down().await);
    let connector = started(options).await;
    asterisk.registered().await;
    for event in [
        json!({"type": "StasisStart"}),
        json!({"type": "ChannelDestroyed", "channel": 7}),
        json!({"type": "SomethingNew", "channel": {}}),
        json!({"kind": "no type"}),
        json!({"type": "Dial", "dialstatus": "ANSWER"}),
    ] {
        asterisk.say(event);
    }
    asterisk.enter("9.1", "+12025550201", "no such word,contry=US");
    assert_eq!(asterisk.passed("9.1").await.variables["RAPPORT_MATCH"], "unavailable");
    // A channel that is gone before its variables are set.
    asterisk.enter("9.2", "+12025550201", "");
    asterisk.hang_up("9.2");
    asterisk.enter("9.3", "+12025550201", "");
    asterisk.passed("9.3").await;
    asterisk.until("a 404", |fake| fake.calls().iter().any(|(_, status)| *status == 404).then_some(())).await;
    connector.stop().await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = quiet();
    options.agi.listen = taken.local_addr().unwrap().to_string();
    let error = rapport_telephony::start(options, World::system()).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { option: "telephony.agi.listen", .. }), "{error}");
    let mut options = quiet();
    options.rapport = "ftp://rapport:1".into();
    options.agi.listen = "0.0.0.0:0".into();
    let error = rapport_telephony::start(options, World::system()).await.unwrap_err().to_string();
    assert!(error.contains("telephony.rapport: must be an address such as http://"), "{error}");
    assert!(error.contains("telephony.agi.allow"), "all of it at once: {error}");
}
