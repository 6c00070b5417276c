//! `rapport backup`: the embedded databases, copied while they are served; the key apart.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use rapport_store::{BackupError, copy_database};

use crate::failure::Failure;

/// `rapport backup`.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The folder of the databases.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// A folder for the copies; made when it is missing. Nothing in it is overwritten.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Copy the key file to this folder too. Keep it apart from the databases: who has both can read what is sealed.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

/// Copies what there is.
pub(crate) async fn backup(arguments: &Backup) -> Result<(), Failure> {
    let data = &arguments.data;
    // Who consumes goes before whom it consumes: a restored cursor then never lies beyond the end of a restored feed.
    let services: Vec<&str> =
        rapport::SERVICES.into_iter().rev().filter(|service| data.join(format!("{service}.db")).exists()).collect();
    if services.is_empty() {
        return Err(Failure::invalid(format!(
            "{} holds no database; valid is the folder that `rapport serve --data` has with the embedded store",
            data.display()
        )));
    }
    if arguments.keys.as_ref().is_some_and(|keys| *keys == arguments.to) {
        return Err(Failure::invalid("--keys names the folder of the databases; valid is another one, kept apart"));
    }
    folder(&arguments.to)?;
    let mut out = std::io::stdout().lock();
    for service in services {
        let name = format!("{service}.db");
        let to = arguments.to.join(&name);
        let bytes = copy_database(&data.join(&name), &to).await.map_err(|error| match error {
            BackupError::Exists { .. } => Failure::invalid(error),
            _ => Failure::failed(error),
        })?;
        writeln!(out, "{} {bytes} bytes", to.display()).map_err(|error| Failure::output(&error))?;
    }
    let Some(keys) = &arguments.keys else {
        // Nothing is left to do if standard error is closed.
        let _ = writeln!(
            std::io::stderr(),
            "the key file is not among them: back it up apart (--keys), without it what is sealed stays sealed"
        );
        return Ok(());
    };
    folder(keys)?;
    let (from, to) = (data.join("rapport.key"), keys.join("rapport.key"));
    let failed = |error| Failure::failed(format!("cannot copy {} to {}: {error}", from.display(), to.display()));
    if to.exists() {
        let same = std::fs::read(&from).map_err(failed)? == std::fs::read(&to).map_err(failed)?;
        if !same {
            return Err(Failure::invalid(format!(
                "{} exists and is another key; valid is another folder",
                to.display()
            )));
        }
    } else {
        // The copy keeps the mode of the file: readable by its owner alone.
        std::fs::copy(&from, &to).map_err(failed)?;
    }
    writeln!(out, "{}", to.display()).map_err(|error| Failure::output(&error))
}

fn folder(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|error| Failure::failed(format!("cannot make {}: {error}", path.display())))
}
