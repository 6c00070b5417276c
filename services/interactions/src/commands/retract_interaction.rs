use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::TenantId;
use rapport_types::error::Error;

use super::revision::{Change, Made, Revision, lock};
use crate::domain::InteractionName;
use crate::events;
use crate::store::sealing::Rewording;

/// Retracts an interaction: its last version says that it never should have been recorded.
pub(crate) struct RetractInteraction {
    /// Which one, and why.
    pub(crate) change: Change,
}

impl RetractInteraction {
    fn rewording(&self) -> Rewording<'_> {
        Rewording { subject_line: None, body: None, provenance: self.change.provenance.as_ref() }
    }
}

#[async_trait]
impl Command for RetractInteraction {
    type State = Revision;
    type Reply = Made;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![lock(tenant, self.change.id)]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<Revision, StoreError> {
        let wanted = items
            .iter()
            .map(|item| (item.scope.tenant.clone(), item.command.change.id, !item.command.rewording().is_empty()));
        Revision::load(tx, wanted).await
    }

    fn decide(item: &Item<Self>, state: &mut Revision, out: &mut Outbox) -> Result<Made, Error> {
        let change = &item.command.change;
        let tenant = &item.scope.tenant;
        let (row, standing) = state.standing(tenant, change)?;
        standing.retract(InteractionName::new(change.id))?;
        let mut after = state.next(tenant, row, change, &item.command.rewording(), item.now)?;
        after.retracted = true;
        let origins = state.origins(tenant, &after);
        let event = events::interaction_retracted(&after, &origins);
        state.make(tenant, after, &event, out)
    }

    async fn apply(tx: &Tx, state: Revision) -> Result<(), StoreError> {
        Revision::apply(tx, state).await
    }
}
