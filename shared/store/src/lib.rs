//! The one way into a database.
//!
//! A service reads through [`Store::reader`] and writes through [`Store::submit`]: it hands over a [`Command`] and
//! gets its reply once the write is durable. Between the two stands the *committer*: it gathers what queued while the
//! last commit ran, loads what the whole batch needs, decides item by item in queue order, and applies rows, outbox
//! events and idempotency records in one transaction. A bad item fails alone; a database error runs the batch again in
//! halves until it, too, fails alone.
//!
//! | file | what |
//! |---|---|
//! | `options`, `failpoint` | what a store can be told |
//! | `open`, `sqlite`, `postgres`, `migrate`, `schema`, `statistics`, `gather` | from options to pools with the right session settings and tables |
//! | `store` | the handle |
//! | `command`, `tx`, `rows` | what a service implements, and what it may do inside a transaction |
//! | `committer/` | queue (fair, keyed), worker, batch, group (typed behind an erased face) |
//! | `outbox`, `sequencer`, `feed`, `cursor` | events written with the rows; dense positions; reading them; consumers' cursors |
//! | `gauges`, `inspect` | what somebody should watch: of a running store, and of a database that nobody has open |
//! | `idempotency` | one request id, one effect |
//! | `operation` | long jobs as rows: begun in a write, claimed, ended once |
//! | `keys`, `key_cache`, `seal`, `blind`, `page` | sealed columns, blind indexes, page tokens |
//! | `error` | driver errors to the kinds a caller may see; driver text goes to the log only |
//!
//! **Durability and order.** SQLite: one writer per file, `synchronous=FULL`, positions numbered in the same
//! transaction. PostgreSQL: batches commit on their own connections with `synchronous_commit=off`; then the sequencer
//! runs one pass on its own connection with `synchronous_commit=on`: it numbers every committed batch in order, and its
//! commit is the one flush that, by the order of the log, makes all of them durable. A reply is sent only after a pass
//! that began after the batch's commit and that saw the batch: so an acknowledged write survives a crash, the feed
//! shows durable rows only, and one flush serves every batch of a cycle. (A batch that is all there is runs the pass by
//! the statement that writes its events, and flushes itself: no more round trips for a lone caller than without a feed.)

mod backup;
mod blind;
mod checkpoint;
mod command;
mod committer;
mod cursor;
mod error;
mod failpoint;
mod feed;
mod gather;
mod gauges;
mod idempotency;
mod inspect;
mod key_cache;
mod keys;
mod migrate;
mod open;
mod operation;
mod options;
mod outbox;
mod page;
mod postgres;
mod rows;
mod schema;
mod script;
mod seal;
mod sequencer;
mod sqlite;
mod statistics;
mod store;
mod sweep;
mod tx;

pub use backup::{BackupError, copy_database};
pub use command::{Command, Committed, Item, LockKey, Scope, Work};
pub use cursor::{ConsumerCursor, ParkedEvent, ParkedFilter, ParkedKey};
pub use error::{StoreError, read_error};
pub use failpoint::{Boundary, FailAction, FailpointError, Failpoints};
pub use feed::{FeedPage, StoredEvent};
pub use gauges::{Backlog, Pool};
pub use inspect::{Inspector, Pooling, Schema, Setting, lock_is_held};
pub use keys::{KeyFileError, Subject, SubjectKeys};
pub use migrate::Migrations;
pub use open::OpenError;
pub use operation::{
    Claim, Effect, Ending, Failure, LEASE, NewOperation, Operation, OperationList, OperationState, Progress,
};
pub use options::StoreOptions;
pub use outbox::Outbox;
pub use page::{Binding, Pages};
pub use rows::{Rows, Sql, give_way};
pub use script::run_script;
pub use store::{Stats, Store};
pub use tx::Tx;

/// The database library, for the services' `store/` and `migration/` folders.
pub use sea_orm;
/// The migration library, for the services' `migration/` folders.
pub use sea_orm_migration;
