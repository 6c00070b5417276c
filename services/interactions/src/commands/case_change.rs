use std::collections::HashMap;

use rapport_store::{Command, Item, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::etag::Etag;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use crate::domain::{CaseName, Provenance};
use crate::store::{CaseMove, CaseRow, Step, case_hold, sealing};

/// Cases that are changed: what a group of changes needs and leaves.
pub(crate) struct Cases {
    /// The cases as they stand.
    pub(super) rows: HashMap<(TenantId, Uuid), CaseRow>,
    /// The keys of their origins.
    keys: SubjectKeys,
    /// What their histories say of it.
    pub(super) steps: Vec<CaseMove>,
}

/// Why a case is changed, and where that comes from.
pub(super) struct Why<'a> {
    /// Empty when nothing was said.
    pub(super) note: &'a str,
    pub(super) provenance: &'a Provenance,
}

impl Cases {
    /// Reads the cases that are to be changed; until the transaction ends nobody else changes them.
    pub(super) async fn load<C: Command>(
        tx: &Tx,
        items: &[Item<C>],
        id: impl Fn(&C) -> Uuid,
    ) -> Result<Cases, StoreError> {
        let names = items.iter().map(|item| (item.scope.tenant.clone(), id(&item.command))).collect();
        let rows = case_hold(tx, &names).await?;
        let subjects: Vec<_> = rows.values().map(|row| sealing::subject(&row.tenant, row.origin.id)).collect();
        let keys = tx.keys(&subjects).await?;
        Ok(Cases { rows, keys, steps: Vec::with_capacity(items.len()) })
    }

    /// A case as it stands.
    ///
    /// # Errors
    /// NotFound; Aborted, where the etag that the caller knows is that of another version.
    pub(super) fn get(&self, tenant: &TenantId, id: Uuid, etag: &str) -> Result<CaseRow, Error> {
        let name = CaseName::new(id);
        let row = self.rows.get(&(tenant.clone(), id)).ok_or_else(|| Error::not_found(name))?;
        Etag::check(etag, row.case.version, name)?;
        Ok(row.clone())
    }

    /// Puts a case back as it is from `at` on, with the step of its history that says so.
    ///
    /// # Errors
    /// When the note cannot be sealed; nothing is changed then.
    pub(super) fn put<C: Command>(
        &mut self,
        item: &Item<C>,
        mut row: CaseRow,
        (step, at): (Step, Timestamp),
        why: &Why<'_>,
    ) -> Result<CaseRow, Error> {
        let key = (row.tenant.clone(), row.id);
        let from = self.rows.get(&key).map(|before| before.case.status());
        let sealed = sealing::case_note(&self.keys, &key.0, row.origin.id, why.note, why.provenance)?;
        row.updated_at = item.now.max(row.updated_at);
        self.steps.push(CaseMove {
            tenant: key.0.clone(),
            id: key.1,
            from,
            to: row.case.status(),
            version: row.case.version,
            occurred_at: at,
            recorded_at: item.now,
            principal: item.scope.principal.clone(),
            source_system: why.provenance.source_system.clone(),
            sealed,
            step,
        });
        self.rows.insert(key, row.clone());
        Ok(row)
    }
}
