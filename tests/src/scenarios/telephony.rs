//! Telephony in front of the whole system: a call is known at the ring and becomes one interaction, whichever way it is
//! told, also while the system restarts.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::*;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_server::{Secret, Span};
use rapport_telephony::{AgiOptions, AsteriskOptions, HttpOptions, Running, TelephonyOptions};
use rapport_testkit::sandbox::{SandboxBuilder, rapport_binary};
use rapport_types::World;

use self::agi::Dialplan;
use self::asterisk::{Asterisk, PASSWORD, USER};
use super::desk::{begin, context_of};
use super::messages::{person, phone, role};
use super::stage::{ACME, AGENT, Positions, Stage, next};

#[allow(dead_code)]
#[path = "../../../connectors/telephony/tests/telephony/fake/agi.rs"]
mod agi;
#[allow(dead_code)]
#[path = "../../../connectors/telephony/tests/telephony/fake/asterisk.rs"]
mod asterisk;

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn telephony_knows_who_calls_and_tells_what_became_of_it(sandbox: SandboxBuilder) {
        let mut stage = Stage::open(sandbox).await;
        let card = stakeholders::Party {
            contact_media: vec![phone("+12025550401")],
            roles: vec![role("customer"), role("government"), role("supplier")],
            ..person("Known Caller")
        };
        let (known, seen) = stage.party_at(card).await;
        let asterisk = Asterisk::start().await;
        let connector = connected(&stage, &asterisk).await;
        asterisk.registered().await;

        // Warm: what the desk shows of a party is asked for within the budget.
        context_of(&stage, About::Party(known.name.clone()), &seen).await;
        asterisk.enter("tel-1", "+12025550401", "");
        let passed = asterisk.passed("tel-1").await.variables;
        assert_eq!(passed["RAPPORT_MATCH"], "resolved", "{passed:?}");
        assert_eq!((&passed["RAPPORT_PARTY"], passed["RAPPORT_NAME"].as_str()), (&known.name, "Known Caller"));
        let told = begin(&stage, Call { call_id: "tel-1".into(), direction: Direction::Inbound.into(), ..Default::default() }).await;
        assert_eq!(passed["RAPPORT_CALL"], told.name);
        let context = context_of(&stage, About::Call(told.name), &seen).await;
        let action = context.next_best_action.expect("an action").action().as_str_name().to_lowercase();
        assert_eq!(format!("action_kind_{}", passed["RAPPORT_ACTION"]), action);
        let rung = Dialplan::call("tel-2", "+12025550401").agi(connector.agi_addr().expect("FastAGI"), "ring").await;
        assert_eq!(rung.variables["RAPPORT_PARTY"], known.name, "{rung:?}");

        // The system is away when the calls end.
        asterisk.subscribed("tel-1").await;
        stage.sandbox.terminate("interactions").await;
        asterisk.dial("tel-1", "PJSIP/alice-00000001", "ANSWER");
        asterisk.hang_up("tel-1");
        Dialplan::over("tel-2", "+12025550401", &[("DIALSTATUS", "BUSY")]).agi(connector.agi_addr().expect("FastAGI"), "hangup").await;
        asterisk.enter("tel-3", "+12025550401", "");
        assert_eq!(asterisk.passed("tel-3").await.variables["RAPPORT_MATCH"], "unavailable");
        stage.sandbox.restart("interactions").await;
        recorded(&stage, 2).await;
        assert_eq!(connector.stop().await, 0);

        let history = context_of(&stage, About::Party(known.name), &Positions::new()).await.history.expect("a history");
        assert_eq!(history.interactions.len(), 2, "{history:?}");
        for (id, state, disposition) in [
            ("tel-1", CallState::Ended, CallDisposition::Handled),
            ("tel-2", CallState::Ended, CallDisposition::Missed),
            ("tel-3", CallState::Open, CallDisposition::Unspecified),
        ] {
            let call = begin(&stage, Call { call_id: id.into(), direction: Direction::Inbound.into(), ..Default::default() }).await;
            assert_eq!((call.state(), call.disposition()), (state, disposition), "{id}");
        }
        stage.close().await;
    }
}

#[test]
fn the_command_says_where_it_listens_and_stops_when_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |config: &str| {
        let file = folder.path().join("telephony.toml");
        std::fs::write(&file, config).expect("written");
        let mut command = Command::new(rapport_binary());
        command.arg("telephony").arg("--config").arg(file).env("RAPPORT__TELEPHONY__AGI__LISTEN", "127.0.0.1:0");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
    };
    let mut connector = run("[telephony]\nbudget = \"100ms\"\n[telephony.http]\nlisten = \"127.0.0.1:0\"\n");
    let mut lines = BufReader::new(connector.stdout.take().expect("piped")).lines();
    for start in ["http listening on 127.0.0.1:", "agi listening on 127.0.0.1:", "telephony ready"] {
        let line = lines.next().expect("a line").expect("a text");
        assert!(line.starts_with(start), "{line}");
    }
    // The shell's own kill: the program of that name is not installed everywhere.
    let sent = Command::new("sh").args(["-c", &format!("kill -s TERM {}", connector.id())]).status().expect("a shell");
    assert!(sent.success());
    assert_eq!(connector.wait().expect("it ends").code(), Some(0));
    for (config, part) in [
        ("[telephony]\nbudgett = \"1s\"\n", "there is no option `budgett`"),
        ("[telephony]\nrapport = \"ftp://r:1\"\n", "telephony.rapport: must be an address such as http://"),
        ("[store]\nurl = \"sqlite\"\n", "unknown key \"store\""),
    ] {
        let refused = run(config).wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.starts_with("rapport: ") && said.contains(part), "{said}");
    }
}

async fn connected(stage: &Stage, asterisk: &Asterisk) -> Running {
    let options = TelephonyOptions {
        rapport: format!("http://{}", stage.sandbox.address("interactions")),
        token: Secret::new(AGENT),
        // Patience with a machine that runs other tests besides: budgets are asserted in the connector's own tests.
        budget: Span::millis(5_000),
        http: HttpOptions { listen: String::new(), ..HttpOptions::default() },
        agi: AgiOptions { listen: "127.0.0.1:0".into(), ..AgiOptions::default() },
        asterisk: AsteriskOptions {
            url: asterisk.url(),
            user: USER.into(),
            password: Secret::new(PASSWORD),
            ..AsteriskOptions::default()
        },
        ..TelephonyOptions::default()
    };
    rapport_telephony::start(options, World::system()).await.expect("it starts")
}

/// Waits until so many interactions have been recorded.
async fn recorded(stage: &Stage, count: usize) {
    let request = rapport_proto::events::v1::SubscribeRequest {
        source: "interactions".into(),
        types: vec!["rapport.interactions.v1.InteractionRecorded".into()],
        ..Default::default()
    };
    let mut feed = stage.feed("interactions", ACME).subscribe(request).await.expect("subscribed").into_inner();
    let mut seen = 0;
    while seen < count {
        seen += next(&mut feed).await.events.len();
    }
}
