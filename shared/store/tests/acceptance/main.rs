//! The acceptance suite of the store: the same tests on SQLite and on PostgreSQL.
//!
//! PostgreSQL is found by RAPPORT_TEST_POSTGRES_URL (a URL that may create databases; `tests/run` sets it). Each test
//! makes a database of its own and drops it. RAPPORT_TEST_SIZE multiplies the number of rounds (default 1).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod aborts;
mod bed;
mod cancelled;
mod faults;
mod feed;
mod log;
mod opening;
mod operations;
mod plans;
mod requests;
mod sealing;
mod statements;
mod toy;
mod writes;

/// Makes each function two tests, one per store.
macro_rules! on_both_stores {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { $crate::bed::run_sqlite(super::$name); })+
        }
        mod postgres {
            $(#[test] fn $name() { $crate::bed::run_postgres(super::$name); })+
        }
    };
}
pub(crate) use on_both_stores;

/// Makes each function a test on PostgreSQL only.
macro_rules! on_postgres {
    ($($name:ident),+ $(,)?) => {
        mod postgres_only {
            $(#[test] fn $name() { $crate::bed::run_postgres(super::$name); })+
        }
    };
}
pub(crate) use on_postgres;
