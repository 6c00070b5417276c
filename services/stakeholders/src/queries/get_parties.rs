use rapport_store::{Store, read_error};
use rapport_types::{Error, TenantId};
use uuid::Uuid;

use crate::domain::names::PartyName;
use crate::domain::party::Party;
use crate::store::{Key, party};

/// The parties of these ids, in their order and each once, and the ids that stand for no party of the tenant.
///
/// # Errors
/// Unavailable when the database does not answer.
pub async fn get_parties(store: &Store, tenant: &TenantId, ids: &[Uuid]) -> Result<(Vec<Party>, Vec<Uuid>), Error> {
    let mut keys: Vec<Key> = Vec::with_capacity(ids.len());
    for id in ids {
        if !keys.iter().any(|(_, known)| known == id) {
            keys.push((tenant.clone(), *id));
        }
    }
    let mut loaded = party::load(store.reader(), &keys).await.map_err(read_error)?;
    let (mut found, mut missing) = (Vec::with_capacity(keys.len()), Vec::new());
    for key in keys {
        match loaded.remove(&key) {
            Some(party) => found.push(party),
            None => missing.push(key.1),
        }
    }
    Ok((found, missing))
}

/// One party.
///
/// # Errors
/// NotFound; Unavailable when the database does not answer.
pub async fn get_party(store: &Store, tenant: &TenantId, id: Uuid) -> Result<Party, Error> {
    let (mut found, _) = get_parties(store, tenant, &[id]).await?;
    found.pop().ok_or_else(|| Error::not_found(PartyName::new(id)))
}
