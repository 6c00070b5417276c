use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::TenantId;
use rapport_types::error::Error;

use super::revision::{Change, Made, Revision, lock};
use crate::domain::{Amendment, InteractionName};
use crate::events;
use crate::store::sealing::Rewording;
use crate::store::{AmountColumns, InteractionRow};

/// Amends an interaction: a new version takes the place of the one in force.
pub(crate) struct AmendInteraction {
    /// Which one, and why.
    pub(crate) change: Change,
    /// What changes.
    pub(crate) amendment: Amendment,
}

impl AmendInteraction {
    fn rewording(&self) -> Rewording<'_> {
        Rewording {
            subject_line: self.amendment.subject_line.as_deref(),
            body: self.amendment.body.as_deref(),
            provenance: self.change.provenance.as_ref(),
        }
    }
}

#[async_trait]
impl Command for AmendInteraction {
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
        let AmendInteraction { change, amendment } = &item.command;
        let tenant = &item.scope.tenant;
        let (row, standing) = state.standing(tenant, change)?;
        standing.amend(InteractionName::new(change.id))?;
        let mut after = state.next(tenant, row, change, &item.command.rewording(), item.now)?;
        put(amendment, &mut after);
        let origins = state.origins(tenant, &after);
        let event = events::interaction_amended(&after, &origins);
        state.make(tenant, after, &event, out)
    }

    async fn apply(tx: &Tx, state: Revision) -> Result<(), StoreError> {
        Revision::apply(tx, state).await
    }
}

/// Puts what changes into a row; its texts are put there sealed.
pub(super) fn put(amendment: &Amendment, row: &mut InteractionRow) {
    if let Some(kind) = &amendment.kind {
        row.kind = kind.to_string();
    }
    if let Some(channel) = amendment.channel {
        row.medium = channel.medium.code();
        row.online = channel.online;
    }
    if let Some(direction) = amendment.direction {
        row.direction = direction.code();
    }
    if let Some(topics) = &amendment.topics {
        row.detail.topics = topics.iter().map(ToString::to_string).collect();
    }
    if let Some(valence) = amendment.valence {
        row.valence = valence.map(|valence| (valence.value, valence.method.code(), valence.confidence));
    }
    if let Some(effort) = amendment.effort {
        row.effort = effort.map(|effort| effort.get());
    }
    if let Some(amount) = amendment.amount {
        row.amount = amount.map(|amount| AmountColumns {
            kind: amount.kind.code(),
            units: amount.money.units(),
            nanos: amount.money.nanos(),
            currency: amount.money.currency().to_string(),
        });
    }
    if let Some(occurred_at) = amendment.occurred_at {
        row.occurred_at = occurred_at;
    }
}
