//! The command line. What a flag does not say comes from the environment (`RAPPORT__…`), then from `--config`, then
//! from the defaults that `rapport config show` prints.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::backup::Backup;
use crate::call::Call;
use crate::call::refusal::EXIT_CODES;
use crate::clv::Clv;
use crate::completion::Completion;
use crate::connection::Connection;
use crate::describe::Describe;
use crate::export::Export;
use crate::import::Import;

/// Rapport: every stakeholder and every relationship, served over gRPC.
#[derive(Debug, Parser)]
#[command(name = "rapport", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves all services in one process, or those named.
    #[command(after_help = examples::SERVE)]
    Serve(Serve),
    /// Loads real purchases, plays a customer's call, then keeps serving.
    #[command(after_help = examples::DEMO)]
    Demo(Demo),
    /// Calls any RPC of a server, by the server's own descriptors.
    #[command(after_help = examples::CALL, after_long_help = format!("{}\n\n{EXIT_CODES}", examples::CALL))]
    Call(Call),
    /// Says what the contract says of a service, a method, a message or an enum; needs no server.
    #[command(after_help = examples::DESCRIBE)]
    Describe(Describe),
    /// Imports parties, relationships or interactions from a file; the same file twice changes nothing.
    #[command(after_help = examples::IMPORT)]
    Import(Import),
    /// Exports parties, relationships or interactions as a file that import takes.
    #[command(after_help = examples::EXPORT)]
    Export(Export),
    /// Looks at the configuration.
    #[command(subcommand, after_help = examples::CONFIG)]
    Config(Config),
    /// Brings the databases to this version's schema and exits.
    #[command(after_help = examples::MIGRATE)]
    Migrate(Serve),
    /// Looks for what is wrong: store, keys, peers, clocks, lag, limits. Changes nothing; 1 if something fails.
    #[command(after_help = examples::DOCTOR)]
    Doctor(Doctor),
    /// Looks after events that a consumer could not apply.
    #[command(subcommand, after_help = examples::EVENTS)]
    Events(Events),
    /// Copies the embedded databases while they are served; PostgreSQL has tools of its own.
    #[command(after_help = examples::BACKUP)]
    Backup(Backup),
    /// Makes what is derived anew from what it is derived of.
    #[command(subcommand, after_help = examples::REBUILD)]
    Rebuild(Rebuild),
    /// Customer lifetime value from a file of purchases; needs no server.
    #[command(subcommand, after_help = examples::CLV)]
    Clv(Clv),
    /// Connects telephony to a Rapport that is served: Asterisk, PBXs that ask a URL, contact-centre clouds.
    #[command(after_help = examples::TELEPHONY)]
    Telephony(Telephony),
    /// Prints a script by which a shell completes this command line.
    #[command(after_help = examples::COMPLETION)]
    Completion(Completion),
}

/// What `--help` shows below the flags.
mod examples {
    pub(super) const SERVE: &str = "\
Examples:
  rapport serve --data ./data
  rapport serve --service stakeholders --service interactions --config rapport.toml";
    pub(super) const DEMO: &str = "\
Examples:
  rapport demo
  rapport demo --once --transactions purchases.csv";
    pub(super) const CALL: &str = "\
Examples:
  rapport call PartyService/CreateParty '{\"party\": {\"kind\": \"PARTY_KIND_INDIVIDUAL\", \"displayName\": \"Ana Souza\"}}'
  rapport call GetAgentContext '{\"identifier\": {\"scheme\": \"tel\", \"value\": \"+5511987654321\"}}'
  rapport call ListParties --compact | jq -r '.parties[].displayName'
  rapport call StreamInteractions @interactions.jsonl
  tail -f calls.jsonl | rapport call StreamInteractions -
  RAPPORT_TOKEN=... rapport call GetParty '{\"name\": \"parties/...\"}' --address rapport:50051 --verbose
  rapport call ListParties --address https://rapport.example.com:50051 --ca ca.pem";
    pub(super) const DESCRIBE: &str = "\
Examples:
  rapport describe
  rapport describe DeskService
  rapport describe GetAgentContext
  rapport describe PartyKind";
    pub(super) const IMPORT: &str = "\
Examples:
  rapport import parties contacts.csv --dry-run
  rapport import parties contacts.csv --map Customer=identifier.crm --map Remarks=skip
  rapport import relationships ties.jsonl --rejects wrong.jsonl
  rapport import interactions calls.csv --address rapport:50051

Columns of parties: kind, display_name, given_name, family_name, identifier.SCHEME, phone, email, web, role
(several with ; between), attributes.KEY, language_code, country_code, time_zone, and lists as JSON: names,
contact_media, identifiers, roles.
Columns of relationships: type, from, to (each SCHEME:VALUE such as crm:7), weight, scope, valid_from_time,
valid_to_time.
Columns of interactions: kind, medium, direction, occurred_time, party (SCHEME:VALUE), role, function, topics,
subject_line, body, effort, order or return with currency, source, record_id, and participants as JSON.

Exit codes: 0 all rows are in; 3 some were rejected and are in the rejects file; 2 the file or the command line is
not valid; 5 no permission; 7 the server is away: the same command goes on from there.";
    pub(super) const EXPORT: &str = "\
Examples:
  rapport export parties --out parties.csv
  rapport export interactions --format jsonl > interactions.jsonl
  rapport export relationships --address rapport:50051 --out ties.jsonl";
    pub(super) const CONFIG: &str = "\
Examples:
  rapport config show --config rapport.toml
  rapport config check --config rapport.toml";
    pub(super) const DOCTOR: &str = "\
Examples:
  rapport doctor --config rapport.toml
  rapport doctor --data ./data --json";
    pub(super) const EVENTS: &str = "\
Examples:
  rapport events parked --service scoring
  rapport events retry --service scoring --address rapport:50051";
    pub(super) const BACKUP: &str = "\
Examples:
  rapport backup --data ./data --to ./backup/2026-01-31 --keys ./keys";
    pub(super) const MIGRATE: &str = "\
Examples:
  rapport migrate --config rapport.toml";
    pub(super) const REBUILD: &str = "\
Examples:
  rapport rebuild desk --config rapport.toml
  rapport rebuild desk --data ./data";
    pub(super) const CLV: &str = "\
Examples:
  rapport clv fit --transactions purchases.csv --until 1997-09-30
  rapport clv fit --transactions purchases.csv --until 1997-09-30 --model bg-nbd --json";
    pub(super) const TELEPHONY: &str = "\
Examples:
  rapport telephony --config telephony.toml";
    pub(super) const COMPLETION: &str = "\
Examples:
  source <(rapport completion bash)
  rapport completion zsh > ~/.zfunc/_rapport
  rapport completion fish > ~/.config/fish/completions/rapport.fish";
}

#[derive(Debug, Args, Default)]
pub(crate) struct Doctor {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

/// Which consumers are meant, and where they run.
#[derive(Debug, Args)]
pub(crate) struct Consumers {
    /// The service whose consumers are meant.
    #[arg(long, value_name = "NAME", value_parser = rapport::SERVICES.to_vec())]
    pub(crate) service: String,
    /// One of its consumers; all of them when left out.
    #[arg(long, value_name = "NAME", default_value = "-", hide_default_value = true)]
    pub(crate) consumer: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    /// Lists the events that were put aside, and why.
    Parked(Consumers),
    /// Applies them after all, in order, each once.
    Retry {
        #[command(flatten)]
        consumers: Consumers,
        /// Only the events of this resource.
        #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
        aggregate: String,
    },
    /// Gives one up: it is never applied.
    Discard {
        /// Its name, as `events parked` prints it.
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args, Default)]
pub(crate) struct Telephony {
    /// A configuration file (TOML) with the table [telephony], and [telemetry] if logs shall look otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args, Default, Clone)]
pub(crate) struct Serve {
    /// A service to host; may be repeated. All of them when left out.
    #[arg(long = "service", value_name = "NAME", value_parser = rapport::SERVICES.to_vec())]
    pub(crate) services: Vec<String>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// Settings that the command line may override.
#[derive(Debug, Args, Default, Clone)]
pub(crate) struct Settings {
    /// The folder for databases and keys.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where to answer gRPC.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Where to answer health and metrics.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) admin: Option<String>,
    /// A configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Bind beyond loopback though no tokens or no TLS are configured: whoever reaches the port, or listens on the way to it, may
    /// do or read anything.
    #[arg(long)]
    pub(crate) insecure_bind: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Exit when the story is told.
    #[arg(long)]
    pub(crate) once: bool,
    /// Keep the data in this folder; otherwise a fresh one is used and removed.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where to answer gRPC [default: 127.0.0.1:50051, any free port with --once].
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Other purchases: a CSV with the columns cust,date,sales.
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) transactions: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Rebuild {
    /// The agent's desk's projection, from the feeds of the other services. On SQLite the server must be stopped; on
    /// PostgreSQL it may go on serving. Interrupted, it goes on wherever the services are served next.
    Desk(Serve),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Prints every setting, where it comes from, and no secret.
    Show(Serve),
    /// Says whether the configuration is valid.
    Check(Serve),
    /// Prints the JSON schema of the configuration, for editors and for checks of charts.
    Schema,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples_that_it_takes() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let shown: Vec<&str> =
                help.lines().filter_map(|line| line.split_once("rapport ").map(|(_, rest)| rest)).collect();
            assert!(!shown.is_empty(), "{} shows no example", command.get_name());
            for line in shown {
                let line = line.split([')', '|', '>']).next().unwrap();
                let words = line.split(" '").next().unwrap().split_whitespace();
                let parsed = Cli::try_parse_from(std::iter::once("rapport").chain(words));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn services_are_named_and_checked() {
        let cli =
            Cli::try_parse_from(["rapport", "serve", "--service", "scoring", "--service", "interactions"]).unwrap();
        let Command::Serve(serve) = cli.command else { panic!("not serve") };
        assert_eq!(serve.services, ["scoring", "interactions"]);
        let error = Cli::try_parse_from(["rapport", "serve", "--service", "loyalti"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("stakeholders"), "{error}");
    }
}
