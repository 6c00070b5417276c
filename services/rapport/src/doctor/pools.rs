//! Connections: whether sessions last, and whether there are enough of them.

use rapport_server::{Options, system};
use rapport_store::{Inspector, Pooling, StoreOptions};

use super::Finding;

/// What a process needs beside its connections: databases, logs, libraries.
const SPARE: u64 = 128;
/// Connections of a service beside its readers and batches: one on its way back to the pool, and the sequencer's.
const MORE: u64 = 2;

/// Whether a pooler stands between that gives connections away between transactions.
pub(super) async fn sessions(options: &StoreOptions) -> Option<Finding> {
    const CHECK: &str = "store.pooler";
    if !options.is_postgres() {
        return None;
    }
    match Pooling::of(options).await {
        Ok(Pooling::Session) => Some(Finding::ok(CHECK, "store.url", "a connection is one session all its life")),
        Ok(Pooling::Transaction) => Some(Finding::fail(
            CHECK,
            "store.url",
            "a pooler in transaction mode: settings, prepared statements and migration locks of a session get lost",
            "set pool_mode = session for this database in PgBouncer, or let store.url name PostgreSQL itself: rapport \
             keeps pools of its own",
        )),
        // The store says itself that it cannot be reached.
        Err(_) => None,
    }
}

/// Whether the server lets in as many as the pools may open.
pub(super) async fn connections(inspector: &Inspector, options: &Options, services: usize) -> Option<Finding> {
    const CHECK: &str = "store.connections";
    let settings = inspector.settings().await.ok()?;
    let most = settings.iter().find(|setting| setting.name == "max_connections")?.value.parse::<u64>().ok()?;
    let store = &options.store;
    let each = u64::from(store.max_readers) + store.batches_in_flight as u64 + MORE;
    let needed = each * services as u64;
    let found = format!("a process opens up to {needed} connections ({each} a service), the server lets in {most}");
    Some(if needed > most {
        let cure = "raise max_connections, or lower store.max_readers and store.batches_in_flight";
        Finding::fail(CHECK, "store.url", found, cure)
    } else if needed * 2 > most {
        let cure = "raise max_connections before a second replica starts, or lower store.max_readers";
        Finding::warn(CHECK, "store.url", found, cure)
    } else {
        Finding::ok(CHECK, "store.url", found)
    })
}

/// Whether the process may have as many connections open as the configuration promises.
pub(super) fn files(options: &Options) -> Option<Finding> {
    const CHECK: &str = "system.files";
    // What a server makes of its limit when it starts.
    let limit = system::raise_file_limit()?;
    let needed = options.limits.connections as u64 + SPARE;
    let found = format!("{limit} files and connections may be open, limits.connections needs {needed}");
    Some(if limit < needed {
        let cure = "raise the limit (LimitNOFILE of the unit, ulimit -Hn), or lower limits.connections";
        Finding::warn(CHECK, "nofile", found, cure)
    } else {
        Finding::ok(CHECK, "nofile", found)
    })
}
