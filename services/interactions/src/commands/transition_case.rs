use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::case_change::{Cases, Why};
use crate::domain::{CaseName, CaseStatus, Provenance};
use crate::events;
use crate::store::{CaseRow, Step, case_update};

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

#[async_trait]
impl Command for TransitionCase {
    type State = Cases;
    type Reply = CaseRow;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![LockKey::of(tenant, "case", self.id.as_bytes())]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<Cases, StoreError> {
        Cases::load(tx, items, |command| command.id).await
    }

    fn decide(item: &Item<Self>, state: &mut Cases, out: &mut Outbox) -> Result<CaseRow, Error> {
        let TransitionCase { id, to, note, occurred_at, etag, provenance } = &item.command;
        let tenant = &item.scope.tenant;
        let row = state.get(tenant, *id, etag)?;
        let from = row.case.status();
        // Without a time of the caller's, the move is never before the one before it, whatever the clock does.
        let at = occurred_at.unwrap_or_else(|| item.now.max(row.case.moved_at));
        let moved = row.case.moved(*to, at)?;
        let row = state.put(item, CaseRow { case: moved, ..row }, (Step::Moved, at), &Why { note, provenance })?;
        let event = events::case_transitioned(*id, from, &moved, row.origin.id, item.now);
        out.event(tenant, CaseName::new(*id), moved.version, at, &event);
        Ok(row)
    }

    async fn apply(tx: &Tx, state: Cases) -> Result<(), StoreError> {
        case_update(tx, &state.rows, &state.steps).await
    }
}
