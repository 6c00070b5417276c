//! Connections that break and come back: no call stays held, none is lost, none is recorded twice.

use rapport_proto::interactions::v1::{CallDisposition, CallState};
use rapport_testkit::place::StorePlace;

use crate::fake::agi::Dialplan;
use crate::fake::asterisk::Asterisk;
use crate::fake::rapport::Hanging;
use crate::fake::web;
use crate::house::{House, SECRET, quiet, started, with};

rapport_testkit::each_store! {
    async fn what_rapport_did_not_hear_it_is_told_when_it_is_back(place: StorePlace) {
        let mut house = House::open(place).await;
        let ana = house.party("Ana Silva", "+12025550201").await;
        let connector = started(house.options()).await;
        let (agi, http) = (connector.agi_addr().unwrap(), connector.http_addr().unwrap());
        Dialplan::call("4.1", "+12025550201").agi(agi, "ring").await;
        house.sandbox.terminate("interactions").await;

        // One that had begun ends, one begins and ends, one begins and goes on.
        Dialplan::over("4.1", "+12025550201", &[("DIALSTATUS", "ANSWER")]).agi(agi, "hangup").await;
        let unheard = Dialplan::call("4.2", "+12025550201").agi(agi, "ring").await;
        assert_eq!(unheard.variables["RAPPORT_MATCH"], "unavailable");
        assert_eq!(unheard.variables["RAPPORT_NUMBER"], "+12025550201");
        let ended = r#"{"event":"ended","call_id":"4.2","disposition":"unresolved"}"#;
        assert_eq!(web::post(http, SECRET, ended).await.status, 202);
        Dialplan::call("4.3", "+12025550201").agi(agi, "ring").await;
        assert_eq!(web::get(http, "/caller-id?number=%2B12025550201").await.body, "+12025550201\n");
        assert_eq!(connector.waiting(), 3);

        house.sandbox.restart("interactions").await;
        house.recorded(2).await;
        assert_eq!(connector.stop().await, 0);
        assert_eq!(house.call("4.1").await.disposition(), CallDisposition::Handled);
        let second = house.call("4.2").await;
        assert_eq!((second.disposition(), second.resolution.unwrap().party), (CallDisposition::Unresolved, ana.clone()));
        let third = house.call("4.3").await;
        assert_eq!((third.state(), third.resolution.unwrap().party), (CallState::Open, ana));
        assert_eq!(house.interactions().await.len(), 2);
        house.sandbox.stop().await;
    }

    async fn asterisk_holds_nobody_after_a_lost_connection(place: StorePlace) {
        let house = House::open(place).await;
        let asterisk = Asterisk::start().await;
        let connector = started(with(house.options(), &asterisk)).await;
        asterisk.registered().await;
        asterisk.enter("5.1", "+12025550201", "");
        asterisk.passed("5.1").await;
        asterisk.subscribed("5.1").await;
        asterisk.dial("5.1", "PJSIP/alice-00000001", "ANSWER");
        asterisk.enter("5.2", "+12025550202", "");
        asterisk.passed("5.2").await;
        asterisk.subscribed("5.2").await;
        // Cut off: one call is in the application and stays there, one ends without our hearing of it.
        asterisk.cut();
        asterisk.enter("5.3", "+12025550203", "");
        asterisk.hang_up("5.1");
        asterisk.passed("5.3").await;
        // REST breaks while a call is held.
        asterisk.registered().await;
        asterisk.break_rest(true);
        asterisk.enter("5.4", "+12025550204", "");
        asterisk.cut();
        asterisk.break_rest(false);
        asterisk.passed("5.4").await;
        for id in ["5.2", "5.3", "5.4"] {
            asterisk.subscribed(id).await;
            asterisk.hang_up(id);
        }
        house.recorded(4).await;
        assert_eq!(connector.stop().await, 0);
        assert_eq!(house.call("5.1").await.disposition(), CallDisposition::Handled);
        assert_eq!(house.call("5.2").await.disposition(), CallDisposition::Missed);
        assert_eq!(house.interactions().await.len(), 4);
        house.sandbox.stop().await;
    }

    async fn calls_of_an_earlier_process_end_too(place: StorePlace) {
        let house = House::open(place).await;
        let asterisk = Asterisk::start().await;
        let first = started(with(house.options(), &asterisk)).await;
        asterisk.registered().await;
        asterisk.enter("6.1", "+12025550201", "");
        asterisk.passed("6.1").await;
        asterisk.subscribed("6.1").await;
        assert_eq!(first.stop().await, 0);
        // Nobody listens: the call that is in the application waits for the next one.
        asterisk.enter("6.2", "+12025550202", "");
        let second = started(with(house.options(), &asterisk)).await;
        asterisk.passed("6.2").await;
        asterisk.subscribed("6.2").await;
        // The lists were read before that call was let go, so the other one is known again.
        asterisk.hang_up("6.1");
        asterisk.hang_up("6.2");
        house.recorded(2).await;
        assert_eq!(second.stop().await, 0);
        assert_eq!(house.interactions().await.len(), 2);
        house.sandbox.stop().await;
    }
}

#[tokio::test]
async fn what_cannot_be_told_before_the_stop_is_counted() {
    let rapport = Hanging::in_the_call().await;
    let mut options = quiet();
    options.rapport = rapport.url();
    let connector = started(options).await;
    Dialplan::over("7.1", "+12025550201", &[]).agi(connector.agi_addr().unwrap(), "hangup").await;
    assert_eq!(connector.stop().await, 1);
}

#[tokio::test]
async fn a_stop_lets_go_what_is_held() {
    let rapport = Hanging::in_the_call().await;
    let asterisk = Asterisk::start().await;
    let mut options = with(quiet(), &asterisk);
    options.rapport = rapport.url();
    options.budget = rapport_server::Span::millis(1_000);
    let connector = started(options).await;
    asterisk.registered().await;
    asterisk.enter("8.1", "+12025550201", "");
    // Taken on: its events are asked for first of all.
    asterisk.subscribed("8.1").await;
    let (left, call) = tokio::join!(connector.stop(), asterisk.passed("8.1"));
    assert_eq!((left, call.variables["RAPPORT_MATCH"].as_str()), (1, "unavailable"));
}
