//! The promises that were made in an interaction go with it: to whom it turns out to have been with, and back.

use std::collections::HashMap;

use rapport_store::{LockKey, Outbox, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::talks::{Key, Talks};
use crate::domain::Origin;
use crate::events;
use crate::store::sealing::{self, Sealing};
use crate::store::{
    CommitmentRow, InteractionRow, StoredParticipant, commitment_blank, commitment_find, commitment_lock,
    commitment_made_in,
};

/// A promise that is somebody else's from now on.
pub(super) struct Pledge {
    row: CommitmentRow,
    /// The origin that it was under.
    from: Uuid,
}

/// The promises that were made in interactions, by their names. Nobody ends one meanwhile: whoever does holds nothing else
/// that is waited for here.
pub(super) async fn pledges(
    tx: &Tx,
    interactions: &HashMap<Key, InteractionRow>,
) -> Result<HashMap<Key, CommitmentRow>, StoreError> {
    let names = commitment_made_in(tx.db(), interactions.keys()).await?;
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let locks: Vec<LockKey> = names.iter().map(|(tenant, id)| commitment_lock(tenant, *id)).collect();
    tx.lock(&locks).await?;
    Ok(commitment_find(tx.db(), &names).await?)
}

impl Talks {
    /// The promises made in an interaction, to or by a participant who is somebody else from now on.
    ///
    /// # Errors
    /// Precondition `ERASED`.
    pub(super) fn pledged(
        &self,
        tenant: &TenantId,
        (before, after): (&InteractionRow, &InteractionRow),
        ordinal: usize,
        now: Timestamp,
    ) -> Result<Vec<Pledge>, Error> {
        let at = |row: &'_ InteractionRow| row.detail.participants.get(ordinal).map(|one| (one.origin(), one.named));
        let (Some(old), Some(new)) = (at(before), at(after)) else { return Ok(Vec::new()) };
        let theirs = self.whose_is(tenant, old);
        // Somebody who takes part in two ways goes on to take part in the other one: what was promised stays with them, unless
        // it came to them with this participant before.
        let also = |(at, one): (usize, &StoredParticipant)| {
            at != ordinal && self.whose_is(tenant, (one.origin(), one.named)) == theirs
        };
        let stays = before.detail.participants.iter().enumerate().any(also);
        let made = self.promises.values().filter(|row| row.tenant == *tenant && row.interaction == Some(before.id));
        let theirs = made.filter(|row| {
            self.whose_is(tenant, (row.origin.id, row.named)) == theirs && (!stays || row.came_by.is_some())
        });
        theirs.map(|row| self.pledge(row, new, now)).collect()
    }

    /// The party that an origin belongs to, or the origin.
    fn whose_is(&self, tenant: &TenantId, (origin, named): (Uuid, bool)) -> Uuid {
        self.owner(tenant, Origin { id: origin, party: named.then_some(origin) }).unwrap_or(origin)
    }

    fn pledge(&self, row: &CommitmentRow, to: (Uuid, bool), now: Timestamp) -> Result<Pledge, Error> {
        let (tenant, from) = (&row.tenant, row.origin.id);
        // Back to whom it came by: under the origin that it came by.
        let back = row.came_by.filter(|first| {
            self.whose_is(tenant, *first) == self.whose_is(tenant, to) && !self.erased(tenant, first.0)
        });
        let (origin, named) = back.unwrap_or(to);
        let keys = &self.revision.keys;
        let (subject, target) = (sealing::subject(tenant, from), sealing::subject(tenant, origin));
        let mut row = row.clone();
        row.sealed = match sealing::resealed(keys, Sealing::Promise(&row.sealed), (&subject, &target))? {
            Some(sealed) => sealed,
            None => commitment_blank(keys, &target)?,
        };
        row.ending = match &row.ending {
            Some(ending) => sealing::resealed(keys, Sealing::Ending(ending), (&subject, &target))?,
            None => None,
        };
        row.came_by = if back.is_some() { None } else { Some(row.came_by.unwrap_or((from, row.named))) };
        let party = self.owner(tenant, Origin { id: origin, party: named.then_some(origin) });
        row.origin = Origin { id: origin, party };
        row.named = named;
        row.commitment.version += 1;
        row.updated_at = now.max(row.updated_at);
        Ok(Pledge { row, from })
    }

    /// Takes note of promises that went, and tells it. Nothing here can fail.
    pub(super) fn pledge_all(&mut self, pledges: Vec<Pledge>, now: Timestamp, out: &mut Outbox) {
        for Pledge { row, from } in pledges {
            let event = events::commitment_reassigned(&row, from, now);
            out.event(&row.tenant, row.name(), row.commitment.version, now, &event);
            let key = (row.tenant.clone(), row.id);
            self.pledged.insert(key.clone());
            self.promises.insert(key, row);
        }
    }
}
