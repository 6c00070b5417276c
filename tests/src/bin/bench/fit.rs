//! Fitting models of customer lifetime value to a million customers.
//!
//! The population is the CDNOW sample, replicated: once as it is, so that equal histories collapse, and once with each
//! history moved by a random part of a day, so that none are equal. CPU time is that of the one thread that works.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rapport_scoring_models::clv::{Histories, History, Kind, fit};

use rapport_testkit::sandbox::rapport_binary;

use crate::median;

/// The sample's purchases: customer, date, value.
const PURCHASES: &str = include_str!("../../../../services/rapport/data/cdnow_sample_transactions.csv");

/// How often the sample stands in the file that the command reads.
const TIMES: usize = 9;

/// The sample by customer: repeats, and days from the first purchase to the last and to the end of September 1997.
const SAMPLE: &str = include_str!("../../../../services/scoring/models/fixtures/clv/cdnow_sample_cbs.csv");

/// How many customers.
const CUSTOMERS: usize = 1_000_000;

/// What the Python package lifetimes 0.11 takes to fit a BG/NBD to a million customers: the published figure.
const LIFETIMES: &str = "9 to 11 s";

/// The pure models in this process, without input and output.
pub(crate) fn models(rounds: usize) {
    println!(
        "\nS4  fit of {CUSTOMERS} customers (CDNOW sample replicated) and 39 weeks predicted for each, {rounds} rounds"
    );
    println!(
        "    published: lifetimes fits a BG/NBD to as many in {LIFETIMES} of CPU; aims: 30 times faster, 0.6 s for both"
    );
    for (name, moved) in [("as it is", false), ("all histories different", true)] {
        let histories = population(moved);
        println!("  {name}");
        println!(
            "    {:<12}{:>12}{:>12}{:>16}{:>16}{:>20}",
            "model", "fit wall s", "fit CPU s", "both wall s", "both CPU s", "log likelihood"
        );
        for kind in Kind::ALL {
            let runs: Vec<Run> = (0..rounds).map(|_| run(kind, &histories)).collect();
            let of = |value: fn(&Run) -> Duration| median(runs.iter().map(|run| value(run).as_secs_f64()).collect());
            println!(
                "    {:<12}{:>12.3}{:>12.3}{:>16.3}{:>16.3}{:>20.3}",
                kind.name(),
                of(|run| run.fit.0),
                of(|run| run.fit.1),
                of(|run| run.both.0),
                of(|run| run.both.1),
                runs[0].log_likelihood
            );
            assert!(runs.iter().all(|run| run.expected > 0.0), "something is expected");
        }
    }
}

/// `rapport clv fit` on a file, from its start to its end: about as many customers as the whole of CDNOW has.
pub(crate) fn command(rounds: usize) {
    let rows: Vec<(usize, &str)> = PURCHASES
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').expect("a customer"))
        .map(|(customer, rest)| (customer.parse().expect("a number"), rest))
        .collect();
    let most = rows.iter().map(|(customer, _)| *customer).max().expect("customers");
    let mut file = "cust,date,sales\n".to_owned();
    for time in 0..TIMES {
        for (customer, rest) in &rows {
            writeln!(file, "{},{rest}", time * (most + 1) + customer).expect("memory");
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("purchases.csv");
    std::fs::write(&path, file).expect("written");
    let customers = TIMES * rows.iter().map(|(customer, _)| customer).collect::<std::collections::BTreeSet<_>>().len();
    println!(
        "    rapport clv fit --transactions FILE: {customers} customers, {} purchases (goal: under 1 s)",
        TIMES * rows.len()
    );
    for model in ["nbd", "bg-nbd", "mbg-nbd", "pareto-nbd", "auto"] {
        let took = (0..rounds).map(|_| {
            let started = Instant::now();
            let status = Command::new(rapport_binary())
                .args(["clv", "fit", "--until", "1998-06-30", "--json", "--model", model, "--transactions"])
                .arg(&path)
                .stdout(Stdio::null())
                .status();
            assert!(status.expect("it runs").success());
            started.elapsed().as_secs_f64()
        });
        println!("    {model:<12}{:>12.3} s", median(took.collect()));
    }
}

/// Wall and CPU time, and results that keep the work from being left out.
struct Run {
    fit: (Duration, Duration),
    both: (Duration, Duration),
    log_likelihood: f64,
    expected: f64,
}

/// From a list of histories to parameters, then to a forecast for each.
fn run(kind: Kind, histories: &[History]) -> Run {
    let (wall, cpu) = (Instant::now(), cpu_time());
    let collapsed: Histories = histories.iter().copied().collect();
    let fitted = fit(kind, &collapsed).expect("the sample has repeats");
    let fit = (wall.elapsed(), cpu_time() - cpu);
    let mut expected = 0.0;
    fitted.model.forecast(&collapsed, 39.0, |forecast| expected += forecast.customers * forecast.expected);
    Run { fit, both: (wall.elapsed(), cpu_time() - cpu), log_likelihood: fitted.log_likelihood, expected }
}

fn population(moved: bool) -> Vec<History> {
    let sample: Vec<(u32, f64, f64)> = SAMPLE
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let days = |n: usize| cells[n].parse::<f64>().expect("days");
            (cells[2].parse().expect("repeats"), days(3), days(4))
        })
        .collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut part = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..CUSTOMERS)
        .map(|n| {
            let (repeats, last, age) = sample[n % sample.len()];
            let by = if moved { part() } else { 0.0 };
            let last = if repeats == 0 { 0.0 } else { last + by * if moved { part() } else { 0.0 } };
            History::new(repeats, last / 7.0, (age + by) / 7.0).expect("a history")
        })
        .collect()
}

/// The CPU time of this thread, which does all the work.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanoseconds)
}
