//! What is done without being asked.

mod expiries;
mod invitations;

#[cfg(test)]
pub(crate) use expiries::settle;
pub(crate) use invitations::due_invitations;

use std::sync::Arc;
use std::time::Duration;

use rapport_server::{Context, Workers};

use crate::options::LoyaltyOptions;
use crate::store::Catalogs;

/// Adds the workers of this service.
pub(crate) fn add(cx: &Context, options: &LoyaltyOptions, catalogs: &Arc<Catalogs>, workers: &mut Workers) {
    let (store, catalogs) = (cx.store.clone(), Arc::clone(catalogs));
    let pause = Duration::from_secs(u64::from(options.sweep_seconds));
    workers.add("loyalty: expiries", move |stop| expiries::sweep(store.clone(), Arc::clone(&catalogs), pause, stop));
}
