use std::collections::BTreeSet;

use rapport_store::{Store, read_error};
use rapport_types::{Error, TenantId};

use crate::domain::question::{Question, Resolution};
use crate::store::{Key, identifier, party};

/// Answers a search without recording anybody.
///
/// # Errors
/// Unavailable when the database does not answer.
pub async fn resolve_party(store: &Store, tenant: &TenantId, question: &Question) -> Result<Resolution, Error> {
    let db = store.reader();
    let values: BTreeSet<_> = question.values().map(|(scheme, value)| (tenant.clone(), scheme, value)).collect();
    let values: Vec<_> = values.into_iter().collect();
    let found = identifier::holders(db, &values).await.map_err(read_error)?;
    let keys: BTreeSet<Key> = found.values().flatten().map(|holder| (tenant.clone(), holder.party)).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let parties = party::load(db, &keys).await.map_err(read_error)?;
    let holders = found.into_iter().map(|((_, scheme, value), all)| ((scheme, value), all)).collect();
    let parties = parties.into_iter().map(|((_, id), party)| (id, party)).collect();
    Ok(question.answer(&holders, &parties, store.world().now()))
}
