//! The connector against a real Asterisk 22, with calls that SIPp places: run by `connectors/telephony/asterisk/run`, which
//! installs both, starts Asterisk and says where its folder is.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rapport_proto::interactions::v1::{CallDisposition, CallState};
use rapport_server::Secret;
use rapport_telephony::{AsteriskOptions, TelephonyOptions};
use rapport_testkit::place::StorePlace;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::fake::asterisk::{PASSWORD, USER};
use crate::house::{House, started};

const KNOWN: &str = "+12025550201";
const PATIENCE: Duration = Duration::from_secs(60);

/// A real Asterisk in its folder.
struct Real {
    root: PathBuf,
    /// Follows the file in which Asterisk writes a line for each call that is over.
    _tail: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// What Asterisk wrote of a call.
#[derive(Debug)]
struct Record {
    id: String,
    extension: String,
    disposition: String,
    /// Match, party, name, number, call: as the dial plan saw them.
    seen: Vec<String>,
}

impl Real {
    fn new() -> Real {
        let root =
            std::env::var_os("RAPPORT_TEST_ASTERISK_ROOT").expect("connectors/telephony/asterisk/run says where");
        let root = PathBuf::from(root);
        let file = root.join("var/log/asterisk/cdr-custom/calls.csv");
        let mut tail = Command::new("tail")
            .args(["-n", "0", "-F"])
            .arg(file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("tail runs");
        let lines = BufReader::new(tail.stdout.take().expect("piped")).lines();
        Real { root, _tail: tail, lines }
    }

    fn sipp(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.root).args(["/usr/bin/sipp", "-i", "127.0.0.1", "-nostdin"]).args(arguments);
        command.env("TERM", "dumb").stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Somebody of ours who answers every call.
    fn agent(&self) -> Child {
        self.sipp(&["-sn", "uas", "-p", "15070", "-mp", "17000"]).spawn().expect("SIPp runs")
    }

    /// Places so many calls to an extension, so many a second, and waits until all are over; SIPp checks each step of each.
    async fn call(&self, scenario: &str, from: &str, extension: &str, count: usize, rate: usize) {
        let scenario = format!("/rapport/{scenario}.xml");
        let (count, rate) = (count.to_string(), rate.to_string());
        let placed = self
            .sipp(&[
                "-sf",
                &scenario,
                "-s",
                extension,
                "-key",
                "from",
                from,
                "-m",
                &count,
                "-r",
                &rate,
                "-p",
                "15071",
                "-mp",
                "17500",
                "-timeout",
                "50",
                "127.0.0.1:15060",
            ])
            .status();
        let status = tokio::time::timeout(PATIENCE, placed).await.expect("SIPp ends").expect("SIPp runs");
        assert!(status.success(), "{from} -> {extension}: SIPp says {status}");
    }

    /// What Asterisk wrote of the next call that is over.
    async fn record(&mut self) -> Record {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a record").expect("readable");
        let line = line.expect("tail goes on");
        let mut parts = line.splitn(4, ',').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        let (id, extension, disposition) = (next(), next(), next());
        let seen = next().split('/').map(str::to_owned).collect();
        Record { id, extension, disposition, seen }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Asterisk: run connectors/telephony/asterisk/run"]
async fn real_calls_are_known_pass_and_are_recorded_once() {
    let mut real = Real::new();
    let mut house = House::open(StorePlace::sqlite()).await;
    let ana = house.party("Ana O'Neil, Ltd", KNOWN).await;
    let mut options = TelephonyOptions {
        budget: rapport_server::Span::millis(2_000),
        asterisk: AsteriskOptions {
            url: "http://127.0.0.1:18088".into(),
            user: USER.into(),
            password: Secret::new(PASSWORD),
            ..AsteriskOptions::default()
        },
        ..house.options()
    };
    options.agi.listen = "127.0.0.1:14573".into();
    let connector = started(options).await;
    let _agent = real.agent();

    // Both ways, answered and not; known, unknown and anonymous.
    let mut expected = 0;
    for (scenario, from, extension, matched) in [
        ("caller", KNOWN, "100", "resolved"),
        ("caller", "12025550299", "100", "unknown"),
        ("caller", "anonymous", "100", "withheld"),
        ("engaged", KNOWN, "101", "resolved"),
        ("caller", "2025550201", "200", "resolved"),
        ("caller", "anonymous", "200", "withheld"),
        ("engaged", "+12025550299", "201", "unknown"),
    ] {
        real.call(scenario, from, extension, 1, 1).await;
        expected += 1;
        let record = real.record().await;
        println!("{record:?}");
        assert_eq!(record.seen[0], matched, "{record:?}");
        if matched == "resolved" {
            // parties/{id} has a slash in it.
            assert_eq!(record.seen[1..5].join("/"), format!("{ana}/Ana O’Neil Ltd/{KNOWN}"), "{record:?}");
        }
        house.recorded(expected).await;
        let call = house.call(&record.id).await;
        assert_eq!(call.state(), CallState::Ended, "{record:?}");
        let spoke = scenario == "caller";
        let disposition = if spoke { CallDisposition::Handled } else { CallDisposition::Missed };
        assert_eq!((call.disposition(), record.disposition == "ANSWERED"), (disposition, spoke), "{record:?} {call:?}");
        assert_eq!(call.dialled_number, record.extension);
        assert_eq!(call.agent, if spoke { "PJSIP/agent" } else { "" }, "{record:?}");
        assert!(call.ended_time.unwrap().seconds >= call.started_time.unwrap().seconds);
    }
    assert_eq!(house.interactions().await.len(), expected);

    // Rapport is away: calls pass, and are told when it is back.
    house.sandbox.terminate("interactions").await;
    for extension in ["100", "200"] {
        real.call("caller", KNOWN, extension, 1, 1).await;
        let record = real.record().await;
        println!("{record:?}");
        assert_eq!(record.seen[0], "unavailable", "{record:?}");
    }
    house.sandbox.restart("interactions").await;
    expected += 2;
    house.recorded(expected).await;

    // Many at once, both ways.
    for extension in ["100", "200"] {
        real.call("caller", KNOWN, extension, 50, 10).await;
        expected += 50;
        let mut resolved = 0;
        for _ in 0..50 {
            resolved += usize::from(real.record().await.seen[0] == "resolved");
        }
        println!("{resolved} of 50 calls to {extension} were resolved within the budget");
        house.recorded(expected).await;
    }
    assert_eq!(connector.waiting(), 0);
    assert_eq!(connector.stop().await, 0);
    house.sandbox.stop().await;
}
