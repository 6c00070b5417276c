//! `rapport completion`: what a shell completes.

use std::io::Write;

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;

/// `rapport completion`.
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell to complete in.
    #[arg(value_enum)]
    shell: Kind,
}

/// The shells there is a script for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script.
pub(crate) fn completion(arguments: &Completion) -> Result<(), Failure> {
    let shell = match arguments.shell {
        Kind::Bash => Shell::Bash,
        Kind::Zsh => Shell::Zsh,
        Kind::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rapport", &mut script);
    std::io::stdout().lock().write_all(&script).map_err(|error| Failure::output(&error))
}
