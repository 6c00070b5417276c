use rapport_store::{Binding, Store, read_error};
use rapport_types::{Error, PageSize, TenantId, Timestamp};
use uuid::Uuid;

use crate::domain::names::PartyName;
use crate::domain::relationship::Relationship;
use crate::store::party;
use crate::store::relationship::{self as rows, Range};

/// What is asked of a list of relationships.
#[derive(Clone, Debug)]
pub struct RelationshipQuestion {
    /// Only ties of this party.
    pub party: Option<Uuid>,
    /// Only these types; empty means all.
    pub types: Vec<String>,
    /// Only ties that held then; now when absent.
    pub as_of: Option<Timestamp>,
    /// Ties of any time.
    pub include_ended: bool,
    /// At most so many.
    pub size: PageSize,
    /// The token of the page wanted.
    pub token: String,
}

/// A page of relationships.
#[derive(Clone, Debug)]
pub struct RelationshipPage {
    /// The ties.
    pub ties: Vec<Relationship>,
    /// The token of the next page; empty on the last.
    pub next: String,
}

/// A page of ties: of one party the strongest first, of a tenant the oldest first.
///
/// # Errors
/// NotFound for an unknown party; Invalid with `INVALID_PAGE_TOKEN`; Unavailable when the database does not answer.
pub async fn list_relationships(
    store: &Store,
    tenant: &TenantId,
    asked: RelationshipQuestion,
) -> Result<RelationshipPage, Error> {
    let mut types = asked.types;
    types.sort_unstable();
    types.dedup();
    let fixed = format!(
        "{}|{}|{}|{}",
        asked.party.map(|party| party.to_string()).unwrap_or_default(),
        types.join(","),
        asked.include_ended,
        asked.as_of.map(|moment| moment.as_micros().to_string()).unwrap_or_default(),
    );
    let binding = Binding::new(tenant, "ListRelationships", &fixed, "");
    // "Now" stays the first page's now, or ties that end meanwhile would turn the pages.
    let from: Option<(i64, Uuid, i64)> = store.pages().open(&binding, &asked.token)?;
    let moment = match from {
        Some((_, _, micros)) => Timestamp::from_micros(micros),
        None => asked.as_of.unwrap_or_else(|| store.world().now()),
    };
    let range = Range {
        tenant,
        types: &types,
        as_of: (!asked.include_ended).then_some(moment),
        after: from.map(|(weight, id, _)| (weight, id)),
        most: asked.size.probe(),
    };
    let mut ties = match asked.party {
        Some(party) => {
            let known = party::kinds(store.reader(), &[(tenant.clone(), party)]).await.map_err(read_error)?;
            if known.is_empty() {
                return Err(Error::not_found(PartyName::new(party)));
            }
            let mut found = rows::strongest(store.reader(), &[party], range).await.map_err(read_error)?;
            found.remove(&party).unwrap_or_default()
        }
        None => rows::all(store.reader(), range).await.map_err(read_error)?,
    };
    let more = ties.len() > asked.size.get();
    ties.truncate(asked.size.get());
    let next = match ties.last().filter(|_| more) {
        Some(last) => store.pages().seal(&binding, &(last.weight.micros(), last.id, moment.as_micros()))?,
        None => String::new(),
    };
    Ok(RelationshipPage { ties, next })
}
