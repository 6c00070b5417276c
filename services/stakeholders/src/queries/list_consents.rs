use rapport_store::{Binding, Store, read_error};
use rapport_types::{Error, PageSize, TenantId};
use uuid::Uuid;

use crate::domain::consent::Consent;
use crate::domain::names::PartyName;
use crate::store::{consent as rows, party};

/// A page of what a party said of its consents.
#[derive(Clone, Debug)]
pub struct ConsentPage {
    /// The records, the one recorded last first.
    pub consents: Vec<Consent>,
    /// The token of the next page; empty on the last.
    pub next: String,
}

/// Every record of a party's consents, the one recorded last first.
///
/// # Errors
/// NotFound for an unknown party; Invalid with `INVALID_PAGE_TOKEN`; Unavailable when the database does not answer.
pub async fn list_consents(
    store: &Store,
    tenant: &TenantId,
    party: Uuid,
    size: PageSize,
    token: &str,
) -> Result<ConsentPage, Error> {
    let binding = Binding::new(tenant, "ListConsents", &party.to_string(), "");
    let before: Option<Uuid> = store.pages().open(&binding, token)?;
    let known = party::kinds(store.reader(), &[(tenant.clone(), party)]).await.map_err(read_error)?;
    if known.is_empty() {
        return Err(Error::not_found(PartyName::new(party)));
    }
    let mut found = rows::latest(store, tenant, party, before, size.probe()).await?;
    let more = found.len() > size.get();
    found.truncate(size.get());
    let next = match found.last().filter(|_| more) {
        Some(last) => store.pages().seal(&binding, &last.consent.id)?,
        None => String::new(),
    };
    let mut consents = Vec::with_capacity(found.len());
    for stored in found {
        consents.push(rows::open(store, tenant, stored).await?);
    }
    Ok(ConsentPage { consents, next })
}
