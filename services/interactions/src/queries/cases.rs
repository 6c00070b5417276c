use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use crate::domain::CaseName;
use crate::store::sealing::{self, CaseText};
use crate::store::{ByTime, CasePage, CaseRow, Filter, case_find, case_list, origins_of};

/// A case with its texts, as its reader sees it.
#[derive(Debug)]
pub(crate) struct CaseView {
    /// The row.
    pub(crate) row: CaseRow,
    /// The texts; empty when their key was destroyed.
    pub(crate) text: CaseText,
}

/// One case.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn get_case(store: &Store, tenant: &TenantId, id: Uuid) -> Result<CaseView, Error> {
    let names = std::iter::once((tenant.clone(), id)).collect();
    let found = case_find(store.reader(), &names).await.map_err(read_error)?;
    let row = found.into_values().next().ok_or_else(|| Error::not_found(CaseName::new(id)))?;
    show_case(store, row).await
}

/// A case as it was written.
///
/// # Errors
/// Unavailable.
pub(crate) async fn show_case(store: &Store, row: CaseRow) -> Result<CaseView, Error> {
    let tenant = row.tenant.clone();
    let mut shown = show(store, &tenant, vec![row]).await?;
    shown.pop().ok_or_else(|| Error::bug("a case was lost between its row and its view"))
}

/// What a page of cases is asked for by.
pub(crate) struct CaseList<'a> {
    /// Only those of this party.
    pub(crate) party: Option<Uuid>,
    /// What is wanted.
    pub(crate) filter: &'a Filter,
    /// Oldest first, in place of newest first.
    pub(crate) ascending: bool,
    /// The place after which the page begins: opened_at in microseconds, id.
    pub(crate) after: Option<(i64, Uuid)>,
    /// How many at most.
    pub(crate) limit: usize,
}

/// Cases by the time they were opened.
///
/// # Errors
/// Unavailable.
pub(crate) async fn list_cases(store: &Store, tenant: &TenantId, list: &CaseList<'_>) -> Result<Vec<CaseView>, Error> {
    let db = store.reader();
    let origins = origins_of(db, tenant, list.party).await.map_err(read_error)?;
    let page = CasePage {
        origins: origins.as_deref(),
        filter: list.filter,
        by_opening: ByTime { after: list.after, descending: !list.ascending, limit: list.limit },
    };
    let rows = case_list(db, tenant, &page).await.map_err(read_error)?;
    show(store, tenant, rows).await
}

async fn show(store: &Store, tenant: &TenantId, rows: Vec<CaseRow>) -> Result<Vec<CaseView>, Error> {
    let mut opened = sealing::Sealed::of_cases(tenant, &rows).open(store).await?;
    rows.into_iter().map(|row| Ok(CaseView { text: opened.case_text()?, row })).collect()
}
