//! Events between services: how they are read, and how they are applied exactly once.
//!
//! A service's committed events stand in its store's outbox under dense positions. [`Feed`] reads that outbox as an
//! ordered stream that can be resumed from a [`Cursor`]; the RPC layer serves it to other services, and offers the same
//! [`Source`] trait over the network. A [`Consumer`] is one service's interest in another's feed. [`run`] drives it:
//!
//! 1. *gather*: whatever the batch needs from other services is fetched while no transaction is open;
//! 2. *apply*: effect and cursor are written in **one** transaction, the cursor by compare-and-set.
//!
//! A crash before the commit leaves neither, a crash after it leaves both, and of two replicas that apply the same batch
//! one fails the compare and re-reads: so each event has its effect exactly once, with nothing else installed.
//!
//! An event that fails again and again is *parked*, together with all later events of its aggregate (they could not be
//! applied in order); everything else flows. When the cause is mended, [`Cursors::reapply`] applies them after all, in
//! order, each once. [`Cursors`] knows how far this service has applied each source, which is
//! what lets a caller read its own write across services.
#![forbid(unsafe_code)]

mod backoff;
mod batch;
mod consumer;
mod cursor;
mod cursors;
mod event;
mod feed;
mod reapply;
mod runner;
mod source;
mod tail;

pub use consumer::Consumer;
pub use cursor::Cursor;
pub use cursors::{Cursors, Freshness, Progress};
pub use event::Event;
pub use feed::{Feed, FeedBatch, FeedStream};
pub use runner::{RunOptions, run, run_with};
pub use source::{EventStream, Source};
