use std::collections::{HashMap, HashSet};

use rapport_store::{LockKey, Outbox, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::etag::Etag;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};
use serde::{Deserialize, Serialize};

use crate::domain::{InteractionName, Origin, Provenance, Slug, Standing};
use crate::store::sealing::{self, Rewording};
use crate::store::{InteractionRow, Revised, alias_find, interaction_stand, response_retract, version_replace};

/// Which version a change made: the answer is read from there, however often it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// The interaction.
    pub(crate) id: Uuid,
    /// Its new version.
    pub(crate) version: i64,
}

/// What every change of an interaction says beside the change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// The interaction.
    pub(crate) id: Uuid,
    /// The etag as the caller knows it; empty when it does not matter.
    pub(crate) etag: String,
    /// Why.
    pub(crate) reason: Slug,
    /// Where the change comes from; the record keeps its own when it is not said.
    pub(crate) provenance: Option<Provenance>,
}

/// What a change must have for itself.
pub(super) fn lock(tenant: &TenantId, id: Uuid) -> LockKey {
    LockKey::of(tenant, "interaction", id.as_bytes())
}

/// What a group of changes needs and leaves.
pub(crate) struct Revision {
    /// The interactions as they stand.
    pub(super) rows: HashMap<(TenantId, Uuid), InteractionRow>,
    /// Whose their origins are.
    pub(super) aliases: HashMap<(TenantId, Uuid), Uuid>,
    /// The keys of those whose texts may change.
    pub(super) keys: SubjectKeys,
    /// What is to be written, in order.
    pub(super) revised: Vec<Revised>,
}

impl Revision {
    /// Reads what changes of these interactions need; `texts` says whether a change touches texts.
    pub(super) async fn load(
        tx: &Tx,
        wanted: impl Iterator<Item = (TenantId, Uuid, bool)>,
    ) -> Result<Revision, StoreError> {
        let mut names = HashSet::new();
        let mut reworded = HashSet::new();
        for (tenant, id, texts) in wanted {
            if texts {
                reworded.insert((tenant.clone(), id));
            }
            names.insert((tenant, id));
        }
        let rows = interaction_stand(tx.db(), &names).await?;
        let mut origins: HashMap<&TenantId, HashSet<Uuid>> = HashMap::new();
        let mut subjects = Vec::new();
        for (name, row) in &rows {
            origins.entry(&name.0).or_default().extend(row.detail.participants.iter().map(|one| one.origin()));
            if reworded.contains(name) {
                subjects.push(sealing::subject(&name.0, row.subject));
            }
        }
        let mut aliases = HashMap::new();
        for (tenant, origins) in origins {
            let parties = alias_find(tx.db(), tenant, &origins).await?;
            aliases.extend(parties.into_iter().map(|(origin, party)| ((tenant.clone(), origin), party)));
        }
        let keys = tx.keys(&subjects).await?;
        Ok(Revision { rows, aliases, keys, revised: Vec::new() })
    }

    /// The interaction as it stands, if the caller knows it so.
    ///
    /// # Errors
    /// NotFound; Conflict `ETAG_MISMATCH`.
    pub(super) fn standing(&self, tenant: &TenantId, change: &Change) -> Result<(&InteractionRow, Standing), Error> {
        let name = InteractionName::new(change.id);
        let row = self.rows.get(&(tenant.clone(), change.id)).ok_or_else(|| Error::not_found(name))?;
        Etag::check(&change.etag, row.version, name)?;
        Ok((row, Standing { retracted: row.retracted, response: row.detail.response().is_some() }))
    }

    /// The version that follows one: the same, with what every change says of itself.
    pub(super) fn next(
        &self,
        tenant: &TenantId,
        row: &InteractionRow,
        change: &Change,
        rewording: &Rewording<'_>,
        now: Timestamp,
    ) -> Result<InteractionRow, Error> {
        let subject = sealing::subject(tenant, row.subject);
        let mut after = row.clone();
        after.sealed = sealing::reworded(&self.keys, &subject, row.sealed.as_deref(), rewording)?;
        after.version += 1;
        // Versions follow one another in time, whatever the clock does.
        after.recorded_at = now.max(row.recorded_at);
        after.detail.version_reason = change.reason.to_string();
        if let Some(provenance) = &change.provenance {
            after.detail.source_system.clone_from(&provenance.source_system);
        }
        Ok(after)
    }

    /// The origins of those who took part, and whose they are.
    pub(super) fn origins(&self, tenant: &TenantId, row: &InteractionRow) -> Vec<Origin> {
        let of = |one: &crate::store::StoredParticipant| {
            let id = one.origin();
            let party = self.aliases.get(&(tenant.clone(), id)).copied().or(one.named.then_some(id));
            Origin { id, party }
        };
        row.detail.participants.iter().map(of).collect()
    }

    /// Takes note of a new version and its event.
    pub(super) fn make<P: prost::Name>(
        &mut self,
        tenant: &TenantId,
        after: InteractionRow,
        event: &P,
        out: &mut Outbox,
    ) -> Result<Made, Error> {
        let made = Made { id: after.id, version: after.version };
        out.event(tenant, InteractionName::new(after.id), after.version, after.occurred_at, event);
        match self.rows.insert((tenant.clone(), after.id), after.clone()) {
            Some(before) => {
                self.revised.push(Revised { tenant: tenant.clone(), before, after });
                Ok(made)
            }
            None => Err(Error::bug("a version was made of an interaction that was not loaded")),
        }
    }

    /// Writes the new versions.
    pub(super) async fn apply(tx: &Tx, revision: Revision) -> Result<(), StoreError> {
        version_replace(tx, &revision.revised).await?;
        // A response that is recorded by a retracted interaction no longer counts.
        let mut responses = Vec::new();
        for Revised { tenant, after, .. } in revision.revised.iter().filter(|one| one.after.retracted) {
            if let Some(response) = after.detail.response() {
                responses.push((tenant.clone(), response.parent().uuid(), response.uuid(), after.recorded_at));
            }
        }
        response_retract(tx, &responses).await?;
        Ok(())
    }
}
