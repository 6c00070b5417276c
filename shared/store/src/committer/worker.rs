//! The tasks that run batches: one on SQLite, several on PostgreSQL. They belong to the store, not to a call, so a
//! caller that leaves changes nothing.

use std::sync::Arc;

use super::{Engine, batch};
use crate::command::LockKey;

/// Runs batches until the queue is closed and empty.
pub(crate) async fn run(engine: Arc<Engine>) {
    while let Some(taken) = engine.queue.next().await {
        let (jobs, keys) = taken.split();
        let held = Held { engine: &engine, keys };
        batch::run(&engine, jobs).await;
        drop(held);
    }
}

/// The keys and the slot of a running batch, given back however it ends.
struct Held<'a> {
    engine: &'a Engine,
    keys: Vec<LockKey>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.engine.queue.release(std::mem::take(&mut self.keys));
    }
}
