//! What is done without being asked.

mod expiries;
mod invitations;

#[cfg(test)]
pub(crate) use expiries::settle;
pub(crate) use invitations::due_invitations;

use std::time::Duration;

use rapport_server::{Context, Workers};

use crate::options::LoyaltyOptions;

/// Adds the workers of this service.
pub(crate) fn add(cx: &Context, options: &LoyaltyOptions, workers: &mut Workers) {
    let cx = cx.clone();
    let pause = Duration::from_secs(u64::from(options.sweep_seconds));
    workers.add("loyalty: expiries", move |stop| expiries::sweep(cx.clone(), pause, stop));
}
