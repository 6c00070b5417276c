//! What the tests of commands share: items as the committer would hand them over.

use rapport_store::{Command, Item, Outbox, Scope};
use rapport_types::{Error, TenantId, Timestamp};

/// When everything in these tests happens.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

pub(crate) fn tenant() -> TenantId {
    TenantId::local()
}

/// A command as an item of a batch.
pub(crate) fn item<C>(command: C) -> Item<C> {
    let scope = Scope {
        tenant: tenant(),
        principal: "users/ana".into(),
        method: "test",
        request_id: None,
        fingerprint: [0; 32],
        traceparent: None,
    };
    Item { scope, command, now: NOW }
}

/// Decides one command over a state; gives its reply and how many events it made.
pub(crate) fn decide<C: Command>(command: C, state: &mut C::State) -> Result<(C::Reply, usize), Error> {
    let mut out = Outbox::default();
    let reply = C::decide(&item(command), state, &mut out)?;
    Ok((reply, out.len()))
}
