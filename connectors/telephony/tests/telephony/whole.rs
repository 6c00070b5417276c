//! Calls with a Rapport that answers: who calls is known at the ring, and each call becomes one interaction.

use rapport_proto::interactions::v1::{CallDisposition, CallMatch, CallState, Direction};
use rapport_testkit::place::StorePlace;

use crate::fake::agi::Dialplan;
use crate::fake::asterisk::Asterisk;
use crate::fake::web;
use crate::house::{House, SECRET, started, with};

rapport_testkit::each_store! {
    async fn ari_tells_who_calls_and_what_became_of_it(place: StorePlace) {
        let house = House::open(place).await;
        let ana = house.party("Ana \"A\" Silva, Ltd", "+12025550201").await;
        let asterisk = Asterisk::start().await;
        let connector = started(with(house.options(), &asterisk)).await;
        asterisk.registered().await;

        // Known: all that a dial plan may want.
        asterisk.enter("1.1", "12025550201", "number=+1 (202) 555-0201");
        let call = asterisk.passed("1.1").await;
        assert_eq!(call.variables["RAPPORT_MATCH"], "resolved", "{:?}", call.variables);
        assert_eq!(call.variables["RAPPORT_PARTY"], ana);
        assert_eq!(call.variables["RAPPORT_NAME"], "Ana A Silva Ltd");
        assert_eq!(call.variables["RAPPORT_NUMBER"], "+12025550201");
        assert!(call.variables["RAPPORT_CALL"].starts_with("calls/"));
        assert!(!call.variables["RAPPORT_ACTION"].is_empty());
        assert_eq!(call.variables.len(), 9);
        // Two agents are rung, the second one answers.
        asterisk.subscribed("1.1").await;
        for (peer, status) in [
            ("PJSIP/bob-00000002", ""), ("PJSIP/alice-00000003", ""), ("PJSIP/bob-00000002", "NOANSWER"),
            ("PJSIP/alice-00000003", "ANSWER"),
        ] {
            asterisk.dial("1.1", peer, status);
        }
        asterisk.hang_up("1.1");

        // Unknown: the number. Withheld: nothing, though Asterisk sees the number.
        asterisk.enter("1.2", "+12025550299", "");
        let call = asterisk.passed("1.2").await;
        assert_eq!(call.variables["RAPPORT_MATCH"], "unknown");
        assert_eq!((call.variables["RAPPORT_NUMBER"].as_str(), call.variables["RAPPORT_NAME"].as_str()), ("+12025550299", ""));
        asterisk.enter("1.3", "+12025550201", "pres=prohib_passed_screen");
        let call = asterisk.passed("1.3").await;
        assert_eq!(call.variables["RAPPORT_MATCH"], "withheld");
        assert_eq!((call.variables["RAPPORT_NUMBER"].as_str(), call.variables["RAPPORT_PARTY"].as_str()), ("", ""));
        // One of ours by its extension; an empty number.
        asterisk.enter("1.4", "101", "");
        assert_eq!(asterisk.passed("1.4").await.variables["RAPPORT_NUMBER"], "101");
        asterisk.enter("1.5", "", "");
        assert_eq!(asterisk.passed("1.5").await.variables["RAPPORT_MATCH"], "withheld");
        // Outbound: the extension is whom we called.
        asterisk.enter("1.6", "101", "outbound,number=+12025550201");
        assert_eq!(asterisk.passed("1.6").await.variables["RAPPORT_PARTY"], ana);
        // The dial plan comes by twice: the same call.
        asterisk.say(serde_json::json!({"type": "StasisStart", "args": [], "channel": {"id": "1.2"}}));
        for id in ["1.2", "1.3", "1.4", "1.5", "1.6"] {
            asterisk.subscribed(id).await;
        }
        asterisk.answer("1.2");
        asterisk.dial("1.4", "PJSIP/alice-00000004", "");
        for id in ["1.2", "1.3", "1.4", "1.5", "1.6"] {
            asterisk.hang_up(id);
        }
        house.recorded(6).await;
        assert_eq!(connector.stop().await, 0);

        let known = house.call("1.1").await;
        assert_eq!((known.state(), known.disposition()), (CallState::Ended, CallDisposition::Handled));
        assert_eq!(known.resolution.unwrap().party, ana);
        assert_eq!((known.agent.as_str(), known.dialled_number.as_str()), ("PJSIP/alice", "100"));
        assert_eq!(known.provenance.unwrap().source_system, "asterisk");
        assert!(known.ended_time.unwrap().seconds >= known.started_time.unwrap().seconds);
        for (id, disposition) in [
            // A menu spoke, nobody was rung; nobody answered; somebody was rung and did not answer; never rung.
            ("1.2", CallDisposition::Handled), ("1.3", CallDisposition::Missed), ("1.4", CallDisposition::Missed),
            ("1.5", CallDisposition::Missed),
        ] {
            assert_eq!(house.call(id).await.disposition(), disposition, "{id}");
        }
        assert_eq!(house.call("1.3").await.resolution.unwrap().r#match(), CallMatch::Withheld);
        assert_eq!(house.call("1.6").await.direction(), Direction::Outbound);
        assert_eq!(house.interactions().await.len(), 6);
        house.sandbox.stop().await;
    }

    async fn agi_tells_who_calls_and_what_became_of_it(place: StorePlace) {
        let house = House::open(place).await;
        let ana = house.party("Ana Silva", "+12025550201").await;
        let connector = started(house.options()).await;
        let address = connector.agi_addr().unwrap();

        let mut ring = Dialplan::call("2.1", "(202) 555-0201");
        ring.arguments = vec!["country=US".into(), "no such word".into()];
        let known = ring.agi(address, "ring").await;
        assert_eq!(known.variables["RAPPORT_MATCH"], "resolved", "{known:?}");
        assert_eq!((known.variables["RAPPORT_PARTY"].as_str(), known.variables["RAPPORT_NAME"].as_str()), (ana.as_str(), "Ana Silva"));
        assert!(known.commands.iter().all(|command| command.starts_with("SET VARIABLE RAPPORT_")), "{known:?}");
        assert_eq!(&known.commands[0], "SET VARIABLE RAPPORT_NUMBER \"+12025550201\"");
        assert_eq!(&known.commands[1], "SET VARIABLE RAPPORT_MATCH \"unavailable\"");
        assert_eq!(known.commands.last().unwrap(), "SET VARIABLE RAPPORT_MATCH \"resolved\"");
        let unknown = Dialplan::call("2.2", "+12025550299").agi(address, "").await;
        assert_eq!((unknown.variables["RAPPORT_MATCH"].as_str(), unknown.variables["RAPPORT_NUMBER"].as_str()), ("unknown", "+12025550299"));
        let withheld = Dialplan { presentation: 35, ..Dialplan::call("2.3", "+12025550201") }.agi(address, "ring").await;
        assert_eq!((withheld.variables["RAPPORT_MATCH"].as_str(), withheld.variables["RAPPORT_NUMBER"].as_str()), ("withheld", ""));
        let nothing = Dialplan::call("2.4", "").agi(address, "ring").await;
        assert_eq!(nothing.variables["RAPPORT_MATCH"], "withheld");

        // How they ended: dialled and answered, dialled in vain, a queue answered, the dial plan says so. Each told twice.
        for _ in 0..2 {
            let peer = ("DIALEDPEERNAME", "PJSIP/alice-00000007");
            Dialplan::over("2.1", "+12025550201", &[("DIALSTATUS", "ANSWER"), peer]).agi(address, "hangup").await;
            Dialplan::over("2.2", "+12025550299", &[("DIALSTATUS", "NOANSWER")]).agi(address, "hangup").await;
            Dialplan::over("2.3", "", &[("CHANNEL(state)", "Up")]).agi(address, "hangup").await;
            let mut said = Dialplan::over("2.4", "", &[]);
            said.arguments = vec!["answered=yes".into()];
            said.agi(address, "hangup").await;
        }
        // The caller gives up while Rapport is asked; a dial plan without `h` extension says no more.
        Dialplan { hangs_up: true, ..Dialplan::call("2.5", "+12025550298") }.agi(address, "ring").await;
        house.recorded(5).await;
        assert_eq!(connector.stop().await, 0);
        let known = house.call("2.1").await;
        assert_eq!((known.disposition(), known.agent.as_str()), (CallDisposition::Handled, "PJSIP/alice"));
        for (id, disposition) in [
            ("2.2", CallDisposition::Missed), ("2.3", CallDisposition::Handled), ("2.4", CallDisposition::Handled),
            ("2.5", CallDisposition::Missed),
        ] {
            assert_eq!(house.call(id).await.disposition(), disposition, "{id}");
        }
        assert_eq!(house.interactions().await.len(), 5);
        house.sandbox.stop().await;
    }

    async fn a_url_and_a_webhook_are_enough(place: StorePlace) {
        let house = House::open(place).await;
        let ana = house.party("Ana O'Neil", "+12025550201").await;
        let mut options = house.options();
        // What comes out of order may come as late as it likes here.
        options.http.settle = rapport_server::Span::millis(600_000);
        let connector = started(options).await;
        let address = connector.http_addr().unwrap();

        for path in [
            "/caller-id?number=%2B12025550201", "/caller-id?number=+12025550201", "/caller-id?number=(202)%20555-0201&country=us",
        ] {
            let answer = web::get(address, path).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "Ana O’Neil\n"), "{path}");
        }
        for (path, line) in [
            ("/caller-id?number=%2B12025550299", "+12025550299\n"), ("/caller-id?number=101", "101\n"),
            ("/caller-id?number=anonymous", "\n"), ("/caller-id", "\n"), ("/caller-id?number=%00%ff&country=XXL", "\n"),
        ] {
            let answer = web::get(address, path).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, line), "{path}");
        }
        assert_eq!(house.interactions().await.len(), 0, "asking is no call");

        let told = async |body: &str| web::post(address, SECRET, body).await;
        let rung = told(r#"{"event":"ringing","call_id":"3.1","number":"+12025550201","agent":"bo","time":"2026-01-05T10:00:00Z"}"#).await;
        assert_eq!(rung.status, 200, "{rung:?}");
        let answer: serde_json::Value = serde_json::from_str(&rung.body).unwrap();
        assert_eq!((answer["match"].as_str(), answer["party"].as_str()), (Some("resolved"), Some(ana.as_str())));
        // Everything twice.
        for _ in 0..2 {
            assert_eq!(told(r#"{"event":"answered","call_id":"3.1"}"#).await.status, 202);
            let ended = r#"{"event":"ended","call_id":"3.1","time":"2026-01-05T10:05:00Z","subject":"late","wrap_up":"a\nb"}"#;
            assert_eq!(told(ended).await.status, 202);
        }
        // Backwards: the end, that it was answered, that it rang.
        for event in ["ended", "answered", "ringing"] {
            let told = told(&format!(r#"{{"event":"{event}","call_id":"3.2","number":"+12025550201"}}"#)).await;
            assert!(told.status < 300, "{told:?}");
        }
        // The cloud's clock is wrong: the call ends before it began. The rest of it is kept.
        told(r#"{"event":"ringing","call_id":"3.3","time":"2026-01-05T10:00:00Z"}"#).await;
        told(r#"{"event":"ended","call_id":"3.3","time":"2026-01-05T09:00:00Z","disposition":"complaint"}"#).await;
        // Nobody ever answered: known at the stop.
        told(r#"{"event":"ended","call_id":"3.4","number":"+12025550298","direction":"outbound"}"#).await;
        house.recorded(3).await;
        assert_eq!(connector.stop().await, 0);
        let known = house.call("3.1").await;
        assert_eq!((known.disposition(), known.agent.as_str()), (CallDisposition::Handled, "bo"));
        assert_eq!(known.ended_time.unwrap().seconds - known.started_time.unwrap().seconds, 300);
        let backwards = house.call("3.2").await;
        assert_eq!((backwards.disposition(), backwards.resolution.unwrap().party), (CallDisposition::Handled, ana));
        assert_eq!(house.call("3.3").await.disposition(), CallDisposition::Complaint);
        // Read before its beginning is told, which would say how it began.
        let outbound = Direction::Outbound as i32;
        assert_eq!(house.interactions().await.iter().filter(|one| one.direction == outbound).count(), 1);
        let never = house.call("3.4").await;
        assert_eq!(never.disposition(), CallDisposition::Missed);
        assert_eq!(house.interactions().await.len(), 4);
        house.sandbox.stop().await;
    }
}
