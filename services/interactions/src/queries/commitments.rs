use std::collections::HashSet;

use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use crate::domain::{CaseName, CommitmentName};
use crate::store::sealing::NoteText;
use crate::store::{
    ByTime, CaseMove, CommitmentPage, CommitmentRow, CommitmentText, Filter, Step, alias_find, case_find, case_history,
    case_notes, commitment_find, commitment_list, commitment_open, origins_of,
};

/// A commitment with its texts, as its reader sees it.
#[derive(Debug)]
pub(crate) struct CommitmentView {
    /// The row.
    pub(crate) row: CommitmentRow,
    /// The texts; empty when their key was destroyed.
    pub(crate) text: CommitmentText,
    /// What was said of its end.
    pub(crate) ending: NoteText,
}

/// One commitment.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn get_commitment(store: &Store, tenant: &TenantId, id: Uuid) -> Result<CommitmentView, Error> {
    let names = std::iter::once((tenant.clone(), id)).collect();
    let found = commitment_find(store.reader(), &names).await.map_err(read_error)?;
    let row = found.into_values().next().ok_or_else(|| Error::not_found(CommitmentName::new(id)))?;
    show_commitment(store, row).await
}

/// A commitment as it was written.
///
/// # Errors
/// Unavailable.
pub(crate) async fn show_commitment(store: &Store, row: CommitmentRow) -> Result<CommitmentView, Error> {
    let mut shown = show(store, vec![row]).await?;
    shown.pop().ok_or_else(|| Error::bug("a commitment was lost between its row and its view"))
}

/// What a page of commitments is asked for by.
pub(crate) struct CommitmentList<'a> {
    /// Only those of this party.
    pub(crate) party: Option<Uuid>,
    /// Only those about this case.
    pub(crate) case: Option<Uuid>,
    /// What is wanted.
    pub(crate) filter: &'a Filter,
    /// Those due last first, in place of those due first.
    pub(crate) descending: bool,
    /// The place after which the page begins: due_at in microseconds, id.
    pub(crate) after: Option<(i64, Uuid)>,
    /// How many at most.
    pub(crate) limit: usize,
}

/// Commitments by the time they are due.
///
/// # Errors
/// Unavailable.
pub(crate) async fn list_commitments(
    store: &Store,
    tenant: &TenantId,
    list: &CommitmentList<'_>,
) -> Result<Vec<CommitmentView>, Error> {
    let db = store.reader();
    let origins = origins_of(db, tenant, list.party).await.map_err(read_error)?;
    let page = CommitmentPage {
        origins: origins.as_deref(),
        case: list.case,
        filter: list.filter,
        by_due: ByTime { after: list.after, descending: list.descending, limit: list.limit },
    };
    let rows = commitment_list(db, tenant, &page).await.map_err(read_error)?;
    show(store, rows).await
}

async fn show(store: &Store, rows: Vec<CommitmentRow>) -> Result<Vec<CommitmentView>, Error> {
    let texts = commitment_open(store, &rows).await?;
    let views = rows.into_iter().zip(texts);
    Ok(views.map(|(row, (text, ending))| CommitmentView { row, text, ending }).collect())
}

/// A page of a case's history: each step with what was noted.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn list_case_events(
    store: &Store,
    tenant: &TenantId,
    case: Uuid,
    after: Option<i64>,
    limit: usize,
) -> Result<Vec<(CaseMove, NoteText)>, Error> {
    let names = std::iter::once((tenant.clone(), case)).collect();
    let found = case_find(store.reader(), &names).await.map_err(read_error)?;
    let row = found.into_values().next().ok_or_else(|| Error::not_found(CaseName::new(case)))?;
    let mut steps = case_history(store.reader(), tenant, case, after, limit).await.map_err(read_error)?;
    name(store, tenant, &mut steps).await?;
    let notes = case_notes(store, row.origin.id, &steps).await?;
    Ok(steps.into_iter().zip(notes).collect())
}

/// Says whose those are to whom a case was given, as it is known today.
async fn name(store: &Store, tenant: &TenantId, steps: &mut [CaseMove]) -> Result<(), Error> {
    let given = |step: &CaseMove| if let Step::Given { to, .. } = &step.step { Some(to.id) } else { None };
    let origins: HashSet<Uuid> = steps.iter().filter_map(given).collect();
    if origins.is_empty() {
        return Ok(());
    }
    let parties = alias_find(store.reader(), tenant, &origins).await.map_err(read_error)?;
    for step in steps {
        if let Step::Given { to, .. } = &mut step.step {
            to.party = parties.get(&to.id).copied().or(to.party);
        }
    }
    Ok(())
}
