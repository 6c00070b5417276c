use async_trait::async_trait;
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::error::Error;

use crate::Event;

/// One service's interest in another service's feed.
///
/// Both methods may see a batch more than once (after a failure, or when another replica was first), but what `apply`
/// writes is committed exactly once. Events of types that do not concern the consumer are passed too and are skipped by
/// it. The tenant comes with each event; a batch holds several tenants.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// What `gather` hands to `apply`.
    type Gathered: Send + Sync + 'static;

    /// The name under which the cursor is kept, unique within the service: never change it.
    fn name(&self) -> &'static str;

    /// The service whose feed is consumed.
    fn source(&self) -> &'static str;

    /// How many events are gathered and applied at once at most. Where a flood of events comes to little, because most
    /// move the same few things, more at once are applied sooner.
    fn batch(&self) -> usize {
        500
    }

    /// Fetches what the batch needs from elsewhere: calls to other services belong here, as no transaction is open.
    ///
    /// # Errors
    /// Unavailable, Deadline, Cancelled, Exhausted, Unauthenticated, Denied and Unimplemented are tried again without
    /// end (the world is not ready); any other kind speaks against the events themselves and leads to parking, Conflict
    /// only after four times as many tries.
    async fn gather(&self, events: &[Event]) -> Result<Self::Gathered, Error>;

    /// Writes the effect of the batch inside the transaction that also moves the cursor. No calls to other services.
    ///
    /// # Errors
    /// As for [`gather`](Consumer::gather); nothing of a failed batch is kept.
    async fn apply(
        &self,
        tx: &Tx,
        events: &[Event],
        gathered: &Self::Gathered,
        out: &mut Outbox,
    ) -> Result<(), StoreError>;
}
