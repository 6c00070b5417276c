//! No call waits for Rapport: with a Rapport that is down or hangs, every way in is done within the budget.

use std::time::Duration;

use rapport_server::Span;
use rapport_telephony::TelephonyOptions;

use crate::fake::agi::Dialplan;
use crate::fake::asterisk::Asterisk;
use crate::fake::rapport::{Hanging, down};
use crate::fake::web;
use crate::house::{SECRET, quiet, started, with};

/// The default budget, and what telephony's own packets may add.
const BUDGET: Duration = Duration::from_millis(300);
const GRACE: Duration = Duration::from_millis(50);
/// A machine that runs other tests besides may hold anything up once: one of these must be in time.
const TRIES: usize = 10;

fn options(rapport: String) -> TelephonyOptions {
    TelephonyOptions { rapport, budget: Span(BUDGET), ..quiet() }
}

/// Runs `call` until it is in time: it gives how long a call was held.
async fn in_time(what: &str, mut call: impl AsyncFnMut(usize) -> Duration) {
    let mut held = Vec::new();
    for number in 0..TRIES {
        held.push(call(number).await);
        if held[number] <= BUDGET + GRACE {
            return;
        }
    }
    panic!("{what} held every call longer than {:?}: {held:?}", BUDGET + GRACE);
}

async fn every_way_in_is_in_time(rapport: String) {
    let asterisk = Asterisk::start().await;
    let connector = started(with(options(rapport), &asterisk)).await;
    asterisk.registered().await;
    in_time("ARI", async |number| {
        let id = format!("ari.{number}");
        asterisk.enter(&id, "(202) 555-0201", "country=US");
        let call = asterisk.passed(&id).await;
        assert_eq!(call.variables["RAPPORT_MATCH"], "unavailable", "{:?}", call.variables);
        assert_eq!(call.variables["RAPPORT_NUMBER"], "+12025550201");
        call.held.unwrap()
    })
    .await;
    in_time("FastAGI", async |number| {
        let call =
            Dialplan::call(&format!("agi.{number}"), "+12025550201").agi(connector.agi_addr().unwrap(), "ring").await;
        assert_eq!(call.variables["RAPPORT_MATCH"], "unavailable", "{call:?}");
        assert_eq!(call.variables["RAPPORT_NUMBER"], "+12025550201");
        call.held
    })
    .await;
    in_time("FastAGI at the end", async |number| {
        Dialplan::over(&format!("agi.{number}"), "", &[]).agi(connector.agi_addr().unwrap(), "hangup").await.held
    })
    .await;
    let http = connector.http_addr().unwrap();
    in_time("the caller-ID URL", async |_| {
        let answer = web::get(http, "/caller-id?number=%2B12025550201").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "+12025550201\n"));
        answer.took
    })
    .await;
    in_time("the webhook", async |number| {
        let body = format!(r#"{{"event":"ringing","call_id":"web.{number}","number":"+12025550201"}}"#);
        let answer = web::post(http, SECRET, &body).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains(r#""match":"unavailable""#), "{}", answer.body);
        answer.took
    })
    .await;
    // Nothing was lost: what Rapport does not know yet is kept.
    assert!(connector.waiting() >= 3);
    assert!(connector.stop().await >= 3);
}

/// Side by side: each takes its time to give up what it could not tell when it stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rapport_that_is_away_holds_nobody() {
    tokio::join!(
        a_rapport_that_is_down_holds_nobody(),
        a_rapport_that_accepts_and_says_nothing_holds_nobody(),
        a_rapport_that_takes_calls_and_never_answers_holds_nobody(),
        an_asterisk_that_stops_reading_holds_nobody_else()
    );
}

async fn a_rapport_that_is_down_holds_nobody() {
    every_way_in_is_in_time(format!("http://{}", down().await)).await;
}

async fn a_rapport_that_accepts_and_says_nothing_holds_nobody() {
    let rapport = Hanging::at_the_door().await;
    every_way_in_is_in_time(rapport.url()).await;
}

async fn a_rapport_that_takes_calls_and_never_answers_holds_nobody() {
    let rapport = Hanging::in_the_call().await;
    every_way_in_is_in_time(rapport.url()).await;
}

async fn an_asterisk_that_stops_reading_holds_nobody_else() {
    let rapport = Hanging::in_the_call().await;
    let connector = started(options(rapport.url())).await;
    let address = connector.agi_addr().unwrap();
    // It sends half its headers and waits: closed within the budget.
    let mut half = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut half, b"agi_network: yes\nagi_uni").await.unwrap();
    let call = Dialplan::call("1", "+12025550201").agi(address, "ring").await;
    assert_eq!(call.variables["RAPPORT_MATCH"], "unavailable");
    let mut said = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut half, &mut said).await.unwrap();
    assert!(said.starts_with("VERBOSE \"rapport: Asterisk did not say all within the budget"), "{said}");
    connector.stop().await;
}
