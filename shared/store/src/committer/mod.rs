//! The committer: what queued while the last commit ran goes into the next transaction together.

pub(crate) mod batch;
pub(crate) mod group;
pub(crate) mod queue;
pub(crate) mod worker;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rapport_types::id::World;
use sea_orm::DatabaseConnection;
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;

use crate::failpoint::Failpoints;
use crate::keys::KeyRing;
use crate::postgres::Doubt;
use crate::sequencer::Sequencer;
use queue::Queue;

/// What a worker needs.
pub(crate) struct Engine {
    pub(crate) world: World,
    pub(crate) writer: DatabaseConnection,
    pub(crate) doubt: Doubt,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) queue: Queue,
    pub(crate) failpoints: Failpoints,
    /// Absent on SQLite, whose writer numbers its events itself.
    pub(crate) sequencer: Option<Sequencer>,
    pub(crate) position: watch::Sender<i64>,
    pub(crate) counters: Counters,
    /// Answers that wait for their pass.
    pub(crate) tasks: TaskTracker,
}

/// What the store counted since it was opened.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) batches: AtomicU64,
    pub(crate) items: AtomicU64,
    pub(crate) retries: AtomicU64,
    /// Told whenever the number of batches has doubled.
    pub(crate) doubled: Arc<Notify>,
    /// Told of each batch that was committed.
    pub(crate) wrote: Arc<Notify>,
}
