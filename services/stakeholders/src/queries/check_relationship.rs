use rapport_store::{Store, read_error};
use rapport_types::{Error, TenantId};
use uuid::Uuid;

use crate::domain::names::PartyName;
use crate::domain::relationship::{Relationship, RelationshipDraft};
use crate::store::party;

/// The relationship that a draft would become; nothing is recorded.
///
/// # Errors
/// Not found, where an end is nobody; a precondition, where the type may not lead from the one to the other.
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
    draft.record((kind(draft.from)?, kind(draft.to)?), store.world().now())
}
