//! One side of a pair, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rapport_server::{Module, Options, Sources};
use rapport_testkit::place::StorePlace;
use rapport_types::id::World;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::naive::Naive;
use crate::naive_desk::NaiveDesk;
use crate::naive_ledger::NaiveLedger;

/// How long each look at what a side does takes.
const LOOK: Duration = Duration::from_secs(1);
/// A side that uses no more of a processor is at rest.
const IDLE: f64 = 0.1;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    /// The service that is measured, alone.
    Ours,
    /// The product: all services in one process.
    Suite,
    /// The same contract, stack and tables with one transaction per request.
    Naive,
    /// The service of parties, alone.
    Parties,
    /// The desk's baselines.
    NaiveDesk,
    /// The ledger, alone.
    Ledger,
    /// The ledger by the transaction of the textbook.
    NaiveLedger,
}

/// Serves until the process is ended.
pub(crate) async fn serve(side: Side, data: PathBuf, url: String) {
    std::fs::create_dir_all(&data).unwrap();
    let file = data.join("bench.toml");
    let settings =
        format!("data = {data:?}\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"\"\n[store]\nurl = {url:?}\n");
    std::fs::write(&file, settings).unwrap();
    let options = Options::load(&Sources { file: Some(file), ..Sources::default() }).unwrap();
    let modules: Vec<Box<dyn Module>> = match side {
        Side::Ours => rapport::modules().into_iter().filter(|module| module.name() == "interactions").collect(),
        Side::Suite => rapport::modules(),
        Side::Parties => rapport::modules().into_iter().filter(|module| module.name() == "stakeholders").collect(),
        Side::Naive => vec![Box::new(Naive::new(&data, &url).await)],
        Side::NaiveDesk => vec![Box::new(NaiveDesk::new(&data, &url).await)],
        Side::Ledger => rapport::modules().into_iter().filter(|module| module.name() == "loyalty").collect(),
        Side::NaiveLedger => vec![Box::new(NaiveLedger::new(&data, &url).await)],
    };
    let running = rapport_server::start(options, modules, World::system()).await.unwrap();
    if side == Side::NaiveLedger {
        // The tables are there now.
        let ledger = NaiveLedger::new(&data, &url).await;
        NaiveLedger::seed(ledger.connection()).await;
    }
    println!("{}", running.addr());
    std::future::pending::<()>().await;
}

/// A side that runs; ended with this value.
pub(crate) struct Host {
    child: Child,
    /// Where it listens.
    pub(crate) address: String,
    // After the child: it uses the place.
    place: Option<StorePlace>,
}

impl Host {
    /// Starts a side on an empty place, which goes with it.
    pub(crate) async fn start(side: Side, place: StorePlace) -> Host {
        let host = Host::start_at(side, &place.data().join("all"), place.url()).await;
        Host { place: Some(place), ..host }
    }

    /// The place that goes with it.
    pub(crate) fn place(&self) -> &StorePlace {
        self.place.as_ref().expect("a place of its own")
    }

    /// Starts a side on data that stay.
    pub(crate) async fn start_at(side: Side, data: &Path, url: &str) -> Host {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("host")
            .arg(side.to_possible_value().unwrap().get_name())
            .arg("--data")
            .arg(data)
            .arg("--url")
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.next_line().await.unwrap().expect("the side listens");
        Host { child, address, place: None }
    }

    /// How much memory the side holds, in MiB.
    pub(crate) fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        resident.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// Waits until the side does nothing any more, and gives how long that took: what it does behind its callers' backs,
    /// as consumers do and refreshing, would be measured with what comes next.
    pub(crate) async fn rest(&self) -> Duration {
        let (since, mut calm) = (Instant::now(), 0);
        while calm < 3 {
            let before = self.cpu();
            tokio::time::sleep(LOOK).await;
            calm = if self.cpu() - before < IDLE * LOOK.as_secs_f64() { calm + 1 } else { 0 };
        }
        since.elapsed()
    }

    /// CPU seconds that the side has used.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id().unwrap())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // utime and stime, in ticks of 1/100 s.
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }
}
