use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rapport_store::{LockKey, Outbox, StoreError, Tx, Work};

use super::Standings;
use crate::domain::{Advocate, InvitationRules, InvitationState, Key};
use crate::events::invitation_changed;
use crate::store::{InvitationRow, advocate_lock, invitation_hold, invitation_update};

/// Sends an invitation that was scheduled, if the gates still allow it. Whoever comes second finds it done.
#[derive(Clone, Debug)]
pub(crate) struct SendScheduled {
    /// The invitation.
    pub(crate) id: Key,
    /// Whom it is for, and what is known of them now.
    pub(crate) advocate: Advocate,
    /// How invitations are made.
    pub(crate) rules: Arc<InvitationRules>,
}

#[async_trait]
impl Work for SendScheduled {
    /// Whether this was the one to do it.
    type Output = bool;

    fn locks(&self) -> Vec<LockKey> {
        let party = self.advocate.party.unwrap_or(self.advocate.origin);
        vec![advocate_lock(&self.id.0, party)]
    }

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<bool, StoreError> {
        let SendScheduled { id, advocate, rules } = self;
        let parties = advocate.party.map(|party| (id.0.clone(), party)).into_iter().collect();
        // As everywhere: the party first, then the invitation.
        let standings = Standings::load(tx, rules, &parties).await?;
        let due = |row: &InvitationRow| {
            row.invitation.booked == InvitationState::Scheduled && row.invitation.due_at <= tx.now()
        };
        let held = invitation_hold(tx, &BTreeSet::from([id.clone()])).await?;
        let Some(mut row) = held.into_values().find(due) else {
            return Ok(false);
        };
        // Who was scheduled is not held out: that was decided before.
        let advocate = Advocate { held_out: false, ..advocate.clone() };
        let verdict = standings.judge(&id.0, &advocate, rules, tx.now());
        row.invitation.party = advocate.party;
        row.invitation.settle(verdict, rules.lifetime, tx.now());
        invitation_changed(out, &id.0, &row.invitation);
        invitation_update(tx.db(), &[row]).await?;
        Ok(true)
    }
}

/// Books that invitations were not answered in time.
#[derive(Clone, Debug)]
pub(crate) struct BookExpired {
    /// The invitations.
    pub(crate) ids: BTreeSet<Key>,
}

#[async_trait]
impl Work for BookExpired {
    /// How many this one booked.
    type Output = usize;

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<usize, StoreError> {
        let held = invitation_hold(tx, &self.ids).await?;
        let mut expired = Vec::new();
        for (_, mut row) in held {
            if row.invitation.expire(tx.now()) {
                invitation_changed(out, &row.tenant, &row.invitation);
                expired.push(row);
            }
        }
        invitation_update(tx.db(), &expired).await?;
        Ok(expired.len())
    }
}
