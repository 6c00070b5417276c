use rapport_store::{Store, read_error};
use rapport_types::{Error, TenantId};
use uuid::Uuid;

use crate::domain::names::PartyName;
use crate::domain::relationship::{Relationship, RelationshipDraft};
use crate::error;
use crate::store::{party, relationship as rows};

/// The relationship that a draft would become; nothing is recorded.
///
/// # Errors
/// Not found, where an end is nobody; a precondition, where the type may not lead from the one to the other; already
/// exists, where they are tied so in that time.
pub async fn check_relationship(
    store: &Store,
    tenant: &TenantId,
    draft: &RelationshipDraft,
) -> Result<Relationship, Error> {
    let keys = [(tenant.clone(), draft.from), (tenant.clone(), draft.to)];
    let kinds = party::kinds(store.reader(), &keys).await.map_err(read_error)?;
    let kind = |party: Uuid| {
        let kind = kinds.get(&(tenant.clone(), party)).copied();
        kind.ok_or_else(|| Error::not_found(PartyName::new(party)))
    };
    let tie = draft.record((kind(draft.from)?, kind(draft.to)?), store.world().now())?;
    let ends = (tenant.clone(), tie.from, tie.to);
    let known = rows::between(store.reader(), std::slice::from_ref(&ends)).await.map_err(read_error)?;
    match known.get(&ends).into_iter().flatten().find(|other| other.clashes(&tie)) {
        Some(clash) => Err(error::relationship_exists(clash)),
        None => Ok(tie),
    }
}
