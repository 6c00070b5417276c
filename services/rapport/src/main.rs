//! `rapport`: the command line over the library and `rapport-server`.
#![forbid(unsafe_code)]

mod backup;
mod call;
mod cli;
mod clv;
mod completion;
mod configure;
mod connection;
mod demonstrate;
mod describe;
mod diagnose;
mod events;
mod export;
mod failure;
mod import;
mod naming;
mod rebuild;
mod serve;
mod signals;
mod telephony;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, Config, Rebuild};
use failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return told(&Failure::failed(format!("cannot start the runtime: {error}"))),
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve(arguments) => serve::serve(&arguments).await,
            Command::Demo(arguments) => demonstrate::demo(&arguments).await,
            Command::Config(Config::Show(arguments)) => configure::show(&arguments),
            Command::Config(Config::Check(arguments)) => configure::check(&arguments),
            Command::Config(Config::Schema) => configure::schema(),
            Command::Doctor(arguments) => diagnose::doctor(&arguments).await,
            Command::Events(command) => events::run(&command).await,
            Command::Migrate(arguments) => serve::migrate(&arguments).await,
            Command::Rebuild(Rebuild::Desk(arguments)) => rebuild::desk(&arguments).await,
            Command::Clv(command) => clv::run(&command),
            Command::Call(arguments) => call::call(&arguments).await,
            Command::Backup(arguments) => backup::backup(&arguments).await,
            Command::Import(arguments) => import::import(&arguments).await,
            Command::Export(arguments) => export::export(&arguments).await,
            Command::Describe(arguments) => describe::describe(&arguments),
            Command::Completion(arguments) => completion::completion(&arguments),
            Command::Telephony(arguments) => telephony::telephony(&arguments).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => told(&failure),
    }
}

/// Says on standard error what went wrong.
fn told(failure: &Failure) -> ExitCode {
    if !failure.message.is_empty() {
        // Nothing is left to do if standard error is closed.
        let _ = writeln!(std::io::stderr(), "rapport: {}", failure.message);
    }
    ExitCode::from(failure.code)
}
