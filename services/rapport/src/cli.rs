//! The command line. What a flag does not say comes from the environment (`RAPPORT__…`), then from `--config`, then
//! from the defaults that `rapport config show` prints.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::clv::Clv;

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
    Serve(Serve),
    /// Loads real purchases, plays a customer's call, then keeps serving.
    Demo(Demo),
    /// Looks at the configuration.
    #[command(subcommand)]
    Config(Config),
    /// Brings the databases to this version's schema and exits.
    Migrate(Serve),
    /// Customer lifetime value from a file of purchases; needs no server.
    #[command(subcommand)]
    Clv(Clv),
    /// Connects telephony to a Rapport that is served: Asterisk, PBXs that ask a URL, contact-centre clouds.
    Telephony(Telephony),
}

#[derive(Debug, Args, Default)]
pub(crate) struct Telephony {
    /// A configuration file (TOML) with the table [telephony], and [telemetry] if logs shall look otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args, Default)]
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
    /// Bind beyond loopback though no tokens are configured: anybody who reaches the port may do anything.
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
pub(crate) enum Config {
    /// Prints every setting, where it comes from, and no secret.
    Show(Serve),
    /// Says whether the configuration is valid.
    Check(Serve),
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
