//! What a service hands to the committer.

use async_trait::async_trait;
use rapport_types::Uuid;
use rapport_types::error::Error;
use rapport_types::tenant::TenantId;
use rapport_types::time::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::error::StoreError;
use crate::outbox::Outbox;
use crate::tx::Tx;

/// Who asks for a write, and under which request id.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Who asks, such as `users/ana`; part of the idempotency key.
    pub principal: String,
    /// The full gRPC method; part of the idempotency key.
    pub method: &'static str,
    /// The caller's request id: sent again, it gets the first answer and changes nothing.
    pub request_id: Option<Uuid>,
    /// Digest of the request, so that a request id used for something else is refused.
    pub fingerprint: [u8; 32],
    /// W3C trace context, kept with the events this write makes.
    pub traceparent: Option<String>,
}

impl Scope {
    /// Who asks for what, as the record of the request has it.
    pub(crate) fn asker(&self) -> i64 {
        LockKey::digest("asker", &[self.principal.as_bytes(), self.method.as_bytes()]).0
    }

    /// The key under which twins of one request exclude one another.
    pub(crate) fn request_key(&self) -> Option<LockKey> {
        self.request_id.map(|id| {
            LockKey::digest(
                "request",
                &[self.tenant.as_str().as_bytes(), self.principal.as_bytes(), self.method.as_bytes(), id.as_bytes()],
            )
        })
    }
}

/// A write that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the command decided.
    pub reply: T,
    /// A position of this service's feed that includes this write: whoever has applied the feed up to it has seen the
    /// write. It is the position of its last event when it made any.
    pub position: i64,
    /// Whether the write had been done before under the same request id, and this is that answer.
    pub replayed: bool,
}

/// One write in a batch.
#[derive(Debug)]
pub struct Item<C> {
    /// Who asks.
    pub scope: Scope,
    /// What for.
    pub command: C,
    /// When it is recorded: one instant per batch.
    pub now: Timestamp,
}

/// Something that writes of different batches must not do at once: an aggregate that changes, a unique value that is
/// claimed. Held from before `load` to the commit. 64 bits of a digest: two different things may share a key, which
/// costs a wait and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockKey(pub(crate) i64);

impl LockKey {
    /// The key of one thing of a tenant: `kind` is a word such as `party`, `id` its bytes.
    pub fn of(tenant: &TenantId, kind: &str, id: &[u8]) -> Self {
        Self::digest(kind, &[tenant.as_str().as_bytes(), id])
    }

    /// The key of a service's migrations.
    pub(crate) fn of_migration(service: &str) -> Self {
        Self::digest("migration", &[service.as_bytes()])
    }

    fn digest(kind: &str, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        for part in parts {
            hash.update([0]);
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(i64::from_le_bytes(first))
    }
}

/// A write use case. The committer runs `load` and `apply` once for all items of this type in a batch, and `decide`
/// for each in queue order. A batch may run more than once (a database error, a race), so all three start from
/// nothing each time.
#[async_trait]
pub trait Command: Send + Sync + Sized + 'static {
    /// What `load` read and `decide` changed.
    type State: Send;
    /// What the caller gets, stored for a retry of the same request: a domain value.
    type Reply: Clone + Send + Sync + Serialize + DeserializeOwned + 'static;

    /// What a batch of these costs whatever its size, in batches of writes of the plainest kind, which make a handful of
    /// statements. The more it costs, the fewer and larger ones run at once.
    const WEIGHT: usize = 1;

    /// What this write must have for itself: the aggregates it changes and the unique values it claims. Writes that
    /// share a key are decided one after the other, each seeing the earlier one's effects.
    fn locks(&self, _tenant: &TenantId) -> Vec<LockKey> {
        Vec::new()
    }

    /// Reads what all `items` need, in a fixed number of statements.
    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<Self::State, StoreError>;

    /// Decides one item: pure, in queue order, seeing the effects of earlier items through `state`. Check first, then
    /// change: an `Err` must leave `state` as it was (what it put into `out` is taken back).
    fn decide(item: &Item<Self>, state: &mut Self::State, out: &mut Outbox) -> Result<Self::Reply, Error>;

    /// Writes what the decisions put into the state, in a fixed number of statements. Not called when every item of
    /// the group failed.
    async fn apply(tx: &Tx, state: Self::State) -> Result<(), StoreError>;
}

/// One transaction of its own through the same writer: consumers, sweeps, jobs. May run more than once until it
/// commits.
#[async_trait]
pub trait Work: Send + Sync + 'static {
    /// What it gives back.
    type Output: Send + 'static;

    /// What it must have for itself; see [`Command::locks`].
    fn locks(&self) -> Vec<LockKey> {
        Vec::new()
    }

    /// Does the work. An `Err` rolls everything back; [`StoreError::Domain`] reaches the caller as it is.
    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<Self::Output, StoreError>;
}
