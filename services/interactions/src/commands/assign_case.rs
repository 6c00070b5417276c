use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use super::case_change::{Cases, Why};
use crate::domain::{Assignee, CaseName, Provenance};
use crate::events;
use crate::store::{CaseRow, Step, case_assign};

/// Gives a case to somebody, or takes it from whoever has it.
pub(crate) struct AssignCase {
    /// The case.
    pub(crate) id: Uuid,
    /// Who is to see to it; nobody when none.
    pub(crate) assignee: Option<Assignee>,
    /// Why; empty when nothing was said.
    pub(crate) note: String,
    /// The etag of the case as the caller knows it; empty when it does not matter.
    pub(crate) etag: String,
    /// Where the change comes from.
    pub(crate) provenance: Provenance,
}

#[async_trait]
impl Command for AssignCase {
    type State = Cases;
    type Reply = CaseRow;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![LockKey::of(tenant, "case", self.id.as_bytes())]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<Cases, StoreError> {
        Cases::load(tx, items, |command| command.id).await
    }

    fn decide(item: &Item<Self>, state: &mut Cases, out: &mut Outbox) -> Result<CaseRow, Error> {
        let AssignCase { id, assignee, note, etag, provenance } = &item.command;
        let tenant = &item.scope.tenant;
        let row = state.get(tenant, *id, etag)?;
        let assigned = row.case.assigned()?;
        if row.assignment.as_ref().map(|(assignee, _)| assignee) == assignee.as_ref() {
            return Ok(row);
        }
        let assignment = assignee.clone().map(|assignee| (assignee, item.now));
        let row = CaseRow { case: assigned, assignment, ..row };
        let row = state.put(item, row, (Step::Assigned(assignee.clone()), item.now), &Why { note, provenance })?;
        out.event(tenant, CaseName::new(*id), assigned.version, item.now, &events::case_assigned(&row, item.now));
        Ok(row)
    }

    async fn apply(tx: &Tx, state: Cases) -> Result<(), StoreError> {
        case_assign(tx, &state.rows, &state.steps).await
    }
}
