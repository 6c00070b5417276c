use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::etag::Etag;
use rapport_types::{TenantId, Uuid};

use crate::domain::{Assignee, CaseName, Provenance};
use crate::events;
use crate::store::{CaseMove, CaseRow, Step, case_assign, case_hold, sealing};

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

/// What a group of assignments needs and leaves.
pub(crate) struct State {
    /// The cases as they stand.
    cases: HashMap<(TenantId, Uuid), CaseRow>,
    /// The keys of their origins.
    keys: SubjectKeys,
    /// What is to be written.
    steps: Vec<CaseMove>,
}

#[async_trait]
impl Command for AssignCase {
    type State = State;
    type Reply = CaseRow;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![LockKey::of(tenant, "case", self.id.as_bytes())]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let names = items.iter().map(|item| (item.scope.tenant.clone(), item.command.id)).collect();
        let cases = case_hold(tx, &names).await?;
        let subjects: Vec<_> = cases.values().map(|row| sealing::subject(&row.tenant, row.origin.id)).collect();
        let keys = tx.keys(&subjects).await?;
        Ok(State { cases, keys, steps: Vec::with_capacity(items.len()) })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<CaseRow, Error> {
        let command = &item.command;
        let tenant = &item.scope.tenant;
        let name = CaseName::new(command.id);
        let Some(row) = state.cases.get_mut(&(tenant.clone(), command.id)) else {
            return Err(Error::not_found(name));
        };
        Etag::check(&command.etag, row.case.version, name)?;
        let assigned = row.case.assigned()?;
        if row.assignment.as_ref().map(|(assignee, _)| assignee) == command.assignee.as_ref() {
            return Ok(row.clone());
        }
        let sealed = sealing::case_note(&state.keys, tenant, row.origin.id, &command.note, &command.provenance)?;
        row.case = assigned;
        row.assignment = command.assignee.clone().map(|assignee| (assignee, item.now));
        row.updated_at = item.now.max(row.updated_at);
        out.event(tenant, name, assigned.version, item.now, &events::case_assigned(row, item.now));
        state.steps.push(CaseMove {
            tenant: tenant.clone(),
            id: command.id,
            from: Some(assigned.status()),
            to: assigned.status(),
            version: assigned.version,
            occurred_at: item.now,
            recorded_at: item.now,
            principal: item.scope.principal.clone(),
            source_system: command.provenance.source_system.clone(),
            sealed,
            step: Step::Assigned(command.assignee.clone()),
        });
        Ok(row.clone())
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        let State { cases, steps, .. } = state;
        let changed: HashSet<(&TenantId, Uuid)> = steps.iter().map(|step| (&step.tenant, step.id)).collect();
        let rows = cases.values().filter(|row| changed.contains(&(&row.tenant, row.id)));
        case_assign(tx, rows, &steps).await
    }
}
