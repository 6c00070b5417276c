use std::collections::BTreeSet;

use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use crate::domain::{Catalog, Member, MemberName, Program, ProgramName};
use crate::store::{catalog_find, member_find, member_list, program_list};

/// A programme with all that belongs to it.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn find_catalog(store: &Store, tenant: &TenantId, id: Uuid) -> Result<Catalog, Error> {
    let wanted = BTreeSet::from([(tenant.clone(), id)]);
    let found = catalog_find(store.reader(), &wanted).await.map_err(read_error)?;
    found.into_values().next().ok_or_else(|| Error::not_found(ProgramName::new(id)))
}

/// A page of programmes, oldest first.
///
/// # Errors
/// Unavailable.
pub(crate) async fn list_programs(
    store: &Store,
    tenant: &TenantId,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Vec<Program>, Error> {
    program_list(store.reader(), tenant, after, limit).await.map_err(read_error)
}

/// One member.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn find_member(store: &Store, tenant: &TenantId, name: MemberName) -> Result<Member, Error> {
    let wanted = BTreeSet::from([(tenant.clone(), name.uuid())]);
    let found = member_find(store.reader(), &wanted).await.map_err(read_error)?;
    found
        .into_values()
        .next()
        .filter(|member| member.program == name.parent().uuid())
        .ok_or_else(|| Error::not_found(name))
}

/// A page of members, oldest first: of a programme, of a party, or of both.
///
/// # Errors
/// Unavailable.
pub(crate) async fn list_members(
    store: &Store,
    tenant: &TenantId,
    whose: (Option<Uuid>, Option<Uuid>),
    after: Option<Uuid>,
    limit: usize,
) -> Result<Vec<Member>, Error> {
    member_list(store.reader(), tenant, whose, after, limit).await.map_err(read_error)
}
