//! Asking an operation to stop.

use async_trait::async_trait;
use rapport_types::Uuid;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::tenant::TenantId;

use super::table::find_many;
use super::{Operation, OperationState};
use crate::command::{Command, Committed, Item, LockKey, Scope};
use crate::error::StoreError;
use crate::outbox::Outbox;
use crate::rows::{Rows, Sql};
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
        let mut asked = Rows::new("operation", &["tenant", "id", "cancel_asked"]);
        let mut ended: Vec<Operation> = Vec::new();
        for operation in state.changed {
            asked.push([operation.tenant.as_str().into(), operation.id.into(), true.into()]);
            ended.extend(operation.state.has_ended().then_some(operation));
        }
        asked.update_by(tx.db(), &["tenant", "id"]).await?;
        for operation in ended {
            // A claim does not take our lock: it compares the row.
            let done = Sql::new(tx.db(), "UPDATE operation SET state = ")
                .bind(OperationState::Cancelled.code())
                .text(", ended_at = ")
                .bind(tx.now().as_micros())
                .text(" WHERE tenant = ")
                .bind(operation.tenant.as_str())
                .text(" AND id = ")
                .bind(operation.id)
                .text(" AND state = ")
                .bind(OperationState::Pending.code())
                .execute(tx.db())
                .await?;
            if done.rows_affected() != 1 {
                return Err(Error::contention(std::time::Duration::from_millis(50)).into());
            }
        }
        Ok(())
    }
}
