use std::collections::HashMap;

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::etag::Etag;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use crate::domain::{CaseName, CaseStatus, Provenance};
use crate::events;
use crate::store::{CaseMove, CaseRow, Step, case_hold, case_update, sealing};

/// Moves a case to another status.
pub(crate) struct TransitionCase {
    /// The case.
    pub(crate) id: Uuid,
    /// The status to move to.
    pub(crate) to: CaseStatus,
    /// Why; empty when nothing was said.
    pub(crate) note: String,
    /// When it happened; the time of the record when it was not said.
    pub(crate) occurred_at: Option<Timestamp>,
    /// The etag of the case as the caller knows it; empty when it does not matter.
    pub(crate) etag: String,
    /// Where the change comes from.
    pub(crate) provenance: Provenance,
}

/// What a group of moves needs and leaves.
pub(crate) struct State {
    /// The cases as they stand.
    cases: HashMap<(TenantId, Uuid), CaseRow>,
    /// The keys of their origins.
    keys: SubjectKeys,
    /// What is to be written.
    moves: Vec<CaseMove>,
}

#[async_trait]
impl Command for TransitionCase {
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
        Ok(State { cases, keys, moves: Vec::with_capacity(items.len()) })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<CaseRow, Error> {
        let command = &item.command;
        let tenant = &item.scope.tenant;
        let name = CaseName::new(command.id);
        let Some(row) = state.cases.get_mut(&(tenant.clone(), command.id)) else {
            return Err(Error::not_found(name));
        };
        Etag::check(&command.etag, row.case.version, name)?;
        let from = row.case.status();
        // Without a time of the caller's, the move is never before the one before it, whatever the clock does.
        let at = command.occurred_at.unwrap_or_else(|| item.now.max(row.case.moved_at));
        let moved = row.case.moved(command.to, at)?;
        let sealed = sealing::case_note(&state.keys, tenant, row.origin.id, &command.note, &command.provenance)?;
        row.case = moved;
        row.updated_at = item.now.max(row.updated_at);
        out.event(
            tenant,
            name,
            moved.version,
            at,
            &events::case_transitioned(command.id, from, &moved, row.origin.id, item.now),
        );
        state.moves.push(CaseMove {
            tenant: tenant.clone(),
            id: command.id,
            from: Some(from),
            to: moved.status(),
            version: moved.version,
            occurred_at: at,
            recorded_at: item.now,
            principal: item.scope.principal.clone(),
            source_system: command.provenance.source_system.clone(),
            sealed,
            step: Step::Moved,
        });
        Ok(row.clone())
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        let State { cases, moves, .. } = state;
        case_update(tx, &cases, &moves).await
    }
}
