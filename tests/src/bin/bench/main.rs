//! The benchmark: figures as ratios beside baselines of the same run. It is no test and passes nothing.
//!
//! `cargo run --release -p rapport-tests --bin bench -- [write|stream|fresh|fit|ledger|desk|start|import|all] [--store sqlite|postgres|both]
//! [--in-flight 1,16,64,256] [--seconds 3] [--rounds 3] [--rows 20000]
//! [--parties 20000 --interactions 200000] [--keep FOLDER] [--postgres URL]`
//!
//! Each side runs in a process of its own (this program again), so that its CPU can be told from the load's. Pairs run
//! in alternated rounds and medians are printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod desk;
mod fill;
mod fit;
mod fresh;
mod host;
mod import;
mod kept;
mod ledger;
mod load;
mod naive;
mod naive_desk;
mod naive_ledger;
mod raw;
mod start;
mod write;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// Figures as ratios beside baselines of the same run.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Which back end.
    #[arg(long, value_enum, default_value = "both", global = true)]
    store: Stores,
    /// Calls in flight, one figure each.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256", global = true)]
    in_flight: Vec<usize>,
    /// Length of one measurement in seconds.
    #[arg(long, default_value_t = 3, global = true)]
    seconds: u64,
    /// Rounds, ours and baseline by turns.
    #[arg(long, default_value_t = 3, global = true)]
    rounds: usize,
    /// Rows of an imported file.
    #[arg(long, default_value_t = 20_000, global = true)]
    rows: usize,
    /// How many parties the desk's figures are taken with.
    #[arg(long, default_value_t = 20_000, global = true)]
    parties: usize,
    /// How many interactions of all of them.
    #[arg(long, default_value_t = 200_000, global = true)]
    interactions: usize,
    /// A folder that keeps the desk's data, so that a later run measures again without loading (and without the
    /// comparison to a tenth of the data); on PostgreSQL, the database stays on the server too.
    #[arg(long, global = true)]
    keep: Option<PathBuf>,
    /// A PostgreSQL server on which databases may be made; a cluster of the benchmark's own unless given.
    #[arg(long, env = "RAPPORT_TEST_POSTGRES_URL", global = true)]
    postgres: Option<String>,
}

#[derive(Subcommand, Clone)]
enum What {
    /// RecordInteraction against one transaction per request.
    Write,
    /// StreamInteractions against raw 1000-row INSERT.
    Stream,
    /// How soon an interaction is seen in scores and contexts.
    Fresh,
    /// Fitting models of lifetime value to a million customers.
    Fit,
    /// Postings against the transaction of the textbook.
    Ledger,
    /// `rapport import` against raw 1000-row INSERT.
    Import,
    /// The agent's desk: contexts and calls against baselines, and what ten times the data changes.
    Desk,
    /// Time to the first RPC, size of the binary, idle memory.
    Start,
    /// Everything.
    All,
    /// One side of a pair (started by the benchmark itself).
    #[command(hide = true)]
    Host {
        /// Which side.
        #[arg(value_enum)]
        side: host::Side,
        /// The data folder.
        #[arg(long)]
        data: PathBuf,
        /// The store.
        #[arg(long)]
        url: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stores {
    Sqlite,
    Postgres,
    Both,
}

fn main() {
    let arguments = Arguments::parse();
    let what = arguments.what.clone().unwrap_or(What::All);
    rapport_testkit::block_on(async {
        if let What::Host { side, data, url } = what {
            host::serve(side, data, url).await;
            return;
        }
        let plan = Plan {
            length: Duration::from_secs(arguments.seconds),
            rounds: arguments.rounds.max(1),
            in_flight: arguments.in_flight.clone(),
        };
        if matches!(what, What::Start | What::All) {
            start::measure().await;
        }
        if matches!(what, What::Fit | What::All) {
            fit::models(plan.rounds);
            fit::command(plan.rounds);
        }
        if matches!(what, What::Fit) {
            return;
        }
        for store in [Stores::Sqlite, Stores::Postgres] {
            if arguments.store != Stores::Both && arguments.store != store {
                continue;
            }
            // Kept alive for as long as its databases are used.
            let cluster = (store == Stores::Postgres && arguments.postgres.is_none())
                .then(rapport_testkit::cluster::Cluster::start);
            let admin = match (&cluster, &arguments.postgres) {
                _ if store == Stores::Sqlite => None,
                (Some(cluster), _) => Some(cluster.admin_url()),
                (None, given) => given.clone(),
            };
            if matches!(what, What::Write | What::All) {
                write::unary(&plan, admin.as_deref()).await;
            }
            if matches!(what, What::Stream | What::All) {
                write::stream(&plan, admin.as_deref()).await;
            }
            if matches!(what, What::Ledger | What::All) {
                ledger::measure(&plan, admin.as_deref()).await;
            }
            if matches!(what, What::Import | What::All) {
                import::measure(&plan, arguments.rows, admin.as_deref()).await;
            }
            if matches!(what, What::Desk | What::All) {
                let size = desk::Size { parties: arguments.parties, interactions: arguments.interactions };
                let kept = arguments.keep.as_deref().map(kept::Kept::new);
                desk::measure(&plan, size, admin.as_deref(), kept.as_ref()).await;
            }
            if matches!(what, What::Fresh | What::All) {
                fresh::measure(&plan, admin.as_deref()).await;
            }
        }
    });
}

/// How long and how often to measure.
struct Plan {
    length: Duration,
    rounds: usize,
    in_flight: Vec<usize>,
}

/// The middle of some figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
