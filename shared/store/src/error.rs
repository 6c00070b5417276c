//! From what a driver says to what a caller may see. Driver text goes to the log (as the source of the error), never
//! into a message.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use sea_orm::sqlx;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

/// What can go wrong inside a transaction.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database or its driver.
    #[error("database error")]
    Db(#[from] DbErr),
    /// A decision: the caller gets it as it is.
    #[error("{0}")]
    Domain(#[from] Error),
    /// A batch that did not look holds a request that was done before.
    #[error("a request was repeated")]
    Repeated,
    /// A command panicked; the text is for the log.
    #[error("a write panicked")]
    Panicked(String),
}

/// What a failed attempt means for its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The database is not there (or not writable): nobody's fault, try later.
    Unavailable,
    /// Somebody else's transaction holds what this one needs, or the statement took too long.
    Busy,
    /// Lost a race (serialisation, deadlock, unique value): running again may well succeed.
    Contention,
    /// No space left.
    Full,
    /// A decision.
    Domain,
    /// Our mistake.
    Bug,
}

impl StoreError {
    /// The connection is gone.
    pub(crate) fn lost(what: &str) -> Self {
        Self::Db(DbErr::Conn(RuntimeErr::Internal(what.to_owned())))
    }

    /// No connection can be had.
    pub(crate) fn away() -> Self {
        Self::Db(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
    }

    /// Whether no connection could be had in time.
    pub(crate) fn timed_out(&self) -> bool {
        matches!(self, Self::Db(DbErr::ConnectionAcquire(_)))
    }

    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Db(error) => classify(error),
            Self::Domain(_) => Class::Domain,
            Self::Repeated => Class::Contention,
            Self::Panicked(_) => Class::Bug,
        }
    }

    /// What the caller gets.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Domain(error) => error,
            Self::Db(error) => answer(classify(&error), error),
            Self::Repeated | Self::Panicked(_) => {
                let mut answer = plain(self.class());
                answer.source = Some(Arc::new(self));
                answer
            }
        }
    }
}

/// What a failed read answers: `STORE_UNAVAILABLE` with a retry when the database is away, `INTERNAL` otherwise.
pub fn read_error(error: DbErr) -> Error {
    answer(classify(&error), error)
}

fn answer(class: Class, error: DbErr) -> Error {
    let mut answer = plain(class);
    answer.source = Some(Arc::new(error));
    answer
}

fn plain(class: Class) -> Error {
    let (kind, reason, message, retry) = match class {
        Class::Unavailable => (
            Kind::Unavailable,
            reason::STORE_UNAVAILABLE,
            "the database cannot be reached at the moment",
            Some(Duration::from_millis(500)),
        ),
        Class::Busy => (
            Kind::Unavailable,
            reason::STORE_UNAVAILABLE,
            "the database is too busy at the moment",
            Some(Duration::from_millis(500)),
        ),
        Class::Contention => (
            Kind::Conflict,
            reason::CONTENTION,
            "other writes to the same resource kept coming first",
            Some(Duration::from_millis(50)),
        ),
        Class::Full => (
            Kind::Unavailable,
            reason::STORE_FULL,
            "the database has no space left for writes",
            Some(Duration::from_secs(5)),
        ),
        Class::Domain | Class::Bug => (Kind::Internal, reason::INTERNAL, "internal error", None),
    };
    let mut answer = Error::new(kind, reason, message);
    answer.retry_after = retry;
    answer
}

/// The service is stopping.
pub(crate) fn shutting_down() -> Error {
    let mut error = Error::new(Kind::Unavailable, reason::SHUTTING_DOWN, "the service is shutting down");
    error.retry_after = Some(Duration::from_secs(1));
    error
}

/// More writes wait than the store takes.
pub(crate) fn queue_full() -> Error {
    let mut error = Error::new(Kind::Exhausted, reason::QUEUE_FULL, "too many writes are waiting");
    error.retry_after = Some(Duration::from_millis(200));
    error
}

/// The write may or may not have happened.
pub(crate) fn outcome_unknown() -> Error {
    let mut error = Error::new(
        Kind::Unavailable,
        reason::STORE_UNAVAILABLE,
        "the database went away during the write; retry with the same request_id",
    );
    error.retry_after = Some(Duration::from_millis(500));
    error
}

fn classify(error: &DbErr) -> Class {
    match error {
        DbErr::ConnectionAcquire(_) => Class::Unavailable,
        DbErr::Conn(RuntimeErr::SqlxError(error)) => match driver(error) {
            Class::Bug => Class::Unavailable,
            class => class,
        },
        DbErr::Conn(_) => Class::Unavailable,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => driver(error),
        _ => Class::Bug,
    }
}

pub(crate) fn driver(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => Class::Unavailable,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            if error.deref().try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
                sqlite(code.parse().unwrap_or(0))
            } else {
                postgres(&code)
            }
        }
        _ => Class::Bug,
    }
}

fn sqlite(code: i64) -> Class {
    match (code & 0xff, code) {
        // A failed growth of the shared-memory file of the log, or of the log itself: the disk is full.
        (13, _) | (_, 4874) => Class::Full,
        (5 | 6, _) => Class::Busy,
        (_, 1555 | 2067) => Class::Contention,
        // I/O error, cannot open, read-only, interrupted, not a database
        (8 | 9 | 10 | 14 | 26, _) => Class::Unavailable,
        _ => Class::Bug,
    }
}

fn postgres(code: &str) -> Class {
    match code {
        "40001" | "40P01" | "23505" => Class::Contention,
        "55P03" | "57014" => Class::Busy,
        "53100" => Class::Full,
        // read-only transaction: we talk to a standby
        "25006" | "25P03" => Class::Unavailable,
        code if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => Class::Unavailable,
        // bad or expired credentials, or a database that is not there: an operator repairs it
        "28000" | "28P01" | "3D000" => Class::Unavailable,
        _ => Class::Bug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_class() {
        assert_eq!(sqlite(13), Class::Full);
        assert_eq!(sqlite(5), Class::Busy);
        assert_eq!(sqlite(517), Class::Busy);
        assert_eq!(sqlite(2067), Class::Contention);
        assert_eq!(sqlite(1555), Class::Contention);
        assert_eq!(sqlite(787), Class::Bug);
        assert_eq!(sqlite(1), Class::Bug);
        assert_eq!(sqlite(778), Class::Unavailable);
        assert_eq!(postgres("40P01"), Class::Contention);
        assert_eq!(postgres("23505"), Class::Contention);
        assert_eq!(postgres("23503"), Class::Bug);
        assert_eq!(postgres("57P01"), Class::Unavailable);
        assert_eq!(postgres("53100"), Class::Full);
        assert_eq!(postgres("53300"), Class::Unavailable);
        assert_eq!(postgres("55P03"), Class::Busy);
        assert_eq!(postgres("42601"), Class::Bug);
    }

    #[test]
    fn no_driver_text_in_the_message() {
        let error = read_error(DbErr::Custom("secret table".to_owned()));
        assert_eq!(error.kind, Kind::Internal);
        assert!(!error.message.contains("secret"));
        assert!(error.source.is_some());
        let error = StoreError::lost("host db-7 is down").into_error();
        assert_eq!(error.reason, reason::STORE_UNAVAILABLE);
        assert!(!error.message.contains("db-7"));
        assert!(error.retry_after.is_some());
    }
}
