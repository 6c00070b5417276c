//! A copy of an embedded store while it is served.

use std::io;
use std::path::{Path, PathBuf};

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sea_orm::sqlx::{self, ConnectOptions, Connection};

/// Why a copy could not be made; for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is a file already where the copy would go.
    #[error("{path} exists already; a backup never overwrites one")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The copy is not sound.
    #[error("the copy {path} is not sound: {found}")]
    Unsound {
        /// The copy.
        path: PathBuf,
        /// What the check found.
        found: String,
    },
    /// The database does not answer.
    #[error("database {path}: {source}")]
    Database {
        /// The database.
        path: PathBuf,
        /// What it says.
        source: sqlx::Error,
    },
}

/// Copies the database `from` to the new file `to`: one consistent moment of it, whether or not a server has it open, and
/// checked once it is written. Writers are not held up. Returns the bytes of the copy.
///
/// # Errors
/// `from` is no database, `to` exists or cannot be written, or the copy does not pass SQLite's own check.
pub async fn copy_database(from: &Path, to: &Path) -> Result<u64, BackupError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::File { path, source }
    };
    if to.exists() {
        return Err(BackupError::Exists { path: to.to_owned() });
    }
    std::fs::metadata(from).map_err(file(from))?;
    // Under another name until it is whole: a copy that was cut is never taken for one.
    let part = to.with_extension("part");
    if part.exists() {
        std::fs::remove_file(&part).map_err(file(&part))?;
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::Database { path, source }
    };
    let mut source = connect(from).await.map_err(failed(from))?;
    let text = part.to_string_lossy().into_owned();
    sqlx::query("VACUUM INTO ?").bind(text).execute(&mut source).await.map_err(failed(from))?;
    source.close().await.map_err(failed(from))?;
    let mut copy = connect(&part).await.map_err(failed(&part))?;
    let found: String =
        sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut copy).await.map_err(failed(&part))?;
    copy.close().await.map_err(failed(&part))?;
    if found != "ok" {
        return Err(BackupError::Unsound { path: part, found });
    }
    let written = std::fs::File::open(&part).map_err(file(&part))?;
    written.sync_all().map_err(file(&part))?;
    let bytes = written.metadata().map_err(file(&part))?.len();
    std::fs::rename(&part, to).map_err(file(to))?;
    Ok(bytes)
}

async fn connect(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(std::time::Duration::from_secs(30))
        .disable_statement_logging()
        .connect()
        .await
}
