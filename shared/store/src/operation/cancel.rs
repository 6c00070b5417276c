//! Asking an operation to stop.

use async_trait::async_trait;
use rapport_types::Uuid;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::tenant::TenantId;

use super::table::{find_many, update};
use super::{Operation, OperationState};
use crate::command::{Command, Committed, Item, LockKey, Scope};
use crate::error::StoreError;
use crate::outbox::Outbox;
use crate::store::Store;
use crate::tx::Tx;

impl Store {
    /// Asks an operation to stop; one that nobody works on is cancelled at once.
    ///
    /// # Errors
    /// NotFound; `INVALID_TRANSITION` if it succeeded or failed before.
    pub async fn operation_cancel(&self, scope: Scope, id: Uuid) -> Result<Committed<Operation>, Error> {
        self.submit(scope, Cancel { service: self.service(), id }).await
    }
}

struct Cancel {
    service: &'static str,
    id: Uuid,
}

/// What is there, and what changes.
#[derive(Default)]
struct State {
    known: Vec<Operation>,
    changed: Vec<Operation>,
}

pub(super) fn lock(tenant: &TenantId, id: Uuid) -> LockKey {
    LockKey::of(tenant, "operation", id.as_bytes())
}

#[async_trait]
impl Command for Cancel {
    type State = State;
    type Reply = Operation;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![lock(tenant, self.id)]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let keys: Vec<_> = items.iter().map(|item| (item.scope.tenant.clone(), item.command.id)).collect();
        Ok(State { known: find_many(tx.db(), &keys).await?, changed: Vec::new() })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Operation, Error> {
        let Cancel { service, id } = item.command;
        let found = state.known.iter_mut().find(|one| one.tenant == item.scope.tenant && one.id == id);
        let Some(operation) = found else {
            return Err(Error::not_found(format!("services/{service}/operations/{id}")));
        };
        match operation.state {
            OperationState::Cancelled => return Ok(operation.clone()),
            OperationState::Succeeded | OperationState::Failed => {
                return Err(Error::new(
                    Kind::Precondition,
                    reason::INVALID_TRANSITION,
                    "the operation has ended and can no longer be cancelled",
                )
                .with("name", operation.name(service)));
            }
            OperationState::Pending => {
                operation.state = OperationState::Cancelled;
                operation.ended_at = Some(item.now);
            }
            OperationState::Running => {}
        }
        operation.cancel_asked = true;
        if operation.state.has_ended() {
            operation.tell_end(service, item.now, out);
        }
        let operation = operation.clone();
        state.changed.retain(|one| (&one.tenant, one.id) != (&operation.tenant, id));
        state.changed.push(operation.clone());
        Ok(operation)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        let asked: Vec<_> = state.changed.iter().map(Operation::key).collect();
        update(tx, &asked, vec![("cancel_asked", true.into())], Vec::new()).await?;
        let ended: Vec<_> =
            state.changed.iter().filter(|operation| operation.state.has_ended()).map(Operation::key).collect();
        let set = vec![("state", OperationState::Cancelled.code().into()), ("ended_at", tx.now().as_micros().into())];
        let pending = vec![("state =", OperationState::Pending.code().into())];
        if update(tx, &ended, set, pending).await? != ended.len() as u64 {
            // Somebody who does not take our lock came first; the row says so.
            return Err(Error::contention(std::time::Duration::from_millis(50)).into());
        }
        Ok(())
    }
}
