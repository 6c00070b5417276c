use std::collections::{HashMap, HashSet};

use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use crate::domain::InteractionName;
use crate::store::sealing::{self, IdentifierText, InteractionText};
use crate::store::{
    ByTime, Filter, InteractionRow, ListPage, TimelinePage, alias_find, alias_origins, interaction_find,
    interaction_list, timeline_page, version_find,
};

/// An interaction with its texts, as its reader sees it.
#[derive(Debug)]
pub(crate) struct InteractionView {
    /// The row.
    pub(crate) row: InteractionRow,
    /// The texts; empty when their key was destroyed.
    pub(crate) text: InteractionText,
    /// Those who took part, in the order of the row.
    pub(crate) participants: Vec<Seen>,
}

/// Who took part, as far as it is known now.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The party that the participant belongs to now.
    pub(crate) party: Option<Uuid>,
    /// The identifier that was used.
    pub(crate) identifier: Option<IdentifierText>,
}

/// One interaction.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn get_interaction(store: &Store, tenant: &TenantId, id: Uuid) -> Result<InteractionView, Error> {
    let mut found = find_interactions(store, tenant, &[id]).await?;
    found.pop().ok_or_else(|| Error::not_found(InteractionName::new(id)))
}

/// Those of the interactions that exist, in no order. At most 1,000.
///
/// # Errors
/// Unavailable.
pub(crate) async fn find_interactions(
    store: &Store,
    tenant: &TenantId,
    ids: &[Uuid],
) -> Result<Vec<InteractionView>, Error> {
    let rows = interaction_find(store.reader(), tenant, ids).await.map_err(read_error)?;
    show(store, tenant, rows).await
}

/// One version of an interaction.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn get_version(
    store: &Store,
    tenant: &TenantId,
    id: Uuid,
    version: i64,
) -> Result<InteractionView, Error> {
    let mut found = find_versions(store, tenant, &[(id, version)]).await?;
    found.pop().ok_or_else(|| {
        let name = InteractionName::new(id);
        Error::not_found(format!("version {version} of {name}")).with("name", name).with("version", version)
    })
}

/// Those of the versions that exist, by id and version, in no order. At most 1,000.
///
/// # Errors
/// Unavailable.
pub(crate) async fn find_versions(
    store: &Store,
    tenant: &TenantId,
    wanted: &[(Uuid, i64)],
) -> Result<Vec<InteractionView>, Error> {
    let ids: Vec<Uuid> = wanted.iter().map(|(id, _)| *id).collect();
    // What is in force is read first: a version that is put aside in between is then found where it was put.
    let mut rows = interaction_find(store.reader(), tenant, &ids).await.map_err(read_error)?;
    rows.retain(|row| wanted.contains(&(row.id, row.version)));
    let found: HashSet<(Uuid, i64)> = rows.iter().map(|row| (row.id, row.version)).collect();
    let past: Vec<(Uuid, i64)> = wanted.iter().filter(|name| !found.contains(name)).copied().collect();
    rows.extend(version_find(store.reader(), tenant, &past).await.map_err(read_error)?);
    show(store, tenant, rows).await
}

/// What a page of interactions is asked for by.
pub(crate) struct InteractionList<'a> {
    /// What is wanted.
    pub(crate) filter: &'a Filter,
    /// Oldest first, in place of newest first.
    pub(crate) ascending: bool,
    /// Those too that were retracted.
    pub(crate) include_retracted: bool,
    /// The place after which the page begins: occurred_at in microseconds, id.
    pub(crate) after: Option<(i64, Uuid)>,
    /// How many at most.
    pub(crate) limit: usize,
}

/// Interactions by the time they occurred.
///
/// # Errors
/// Unavailable.
pub(crate) async fn list_interactions(
    store: &Store,
    tenant: &TenantId,
    list: &InteractionList<'_>,
) -> Result<Vec<InteractionView>, Error> {
    let InteractionList { filter, ascending, include_retracted, after, limit } = *list;
    let page = ListPage { filter, include_retracted, by_occurrence: ByTime { after, descending: !ascending, limit } };
    let rows = interaction_list(store.reader(), tenant, &page).await.map_err(read_error)?;
    show(store, tenant, rows).await
}

/// What a page of a timeline is asked for by.
pub(crate) struct Timeline<'a> {
    /// The party.
    pub(crate) party: Uuid,
    /// What is wanted.
    pub(crate) filter: &'a Filter,
    /// Only what had occurred by then.
    pub(crate) as_of: Option<Timestamp>,
    /// Only what had been recorded by then, in the versions of then.
    pub(crate) as_known_at: Option<Timestamp>,
    /// Those too that were retracted.
    pub(crate) include_retracted: bool,
    /// The place after which the page begins: occurred_at in microseconds, id.
    pub(crate) after: Option<(i64, Uuid)>,
    /// How many at most.
    pub(crate) limit: usize,
}

/// A party's interactions, newest first: those under its own id and those under every origin that belongs to it.
///
/// # Errors
/// Unavailable.
pub(crate) async fn get_timeline(
    store: &Store,
    tenant: &TenantId,
    timeline: &Timeline<'_>,
) -> Result<Vec<InteractionView>, Error> {
    let db = store.reader();
    let origins = alias_origins(db, tenant, timeline.party).await.map_err(read_error)?;
    let page = TimelinePage {
        origins: &origins,
        filter: timeline.filter,
        as_of: timeline.as_of,
        as_known_at: timeline.as_known_at,
        include_retracted: timeline.include_retracted,
        after: timeline.after,
        limit: timeline.limit,
    };
    let rows = timeline_page(db, tenant, &page).await.map_err(read_error)?;
    show(store, tenant, rows).await
}

/// Opens what is sealed and says to whom each participant belongs now.
async fn show(store: &Store, tenant: &TenantId, rows: Vec<InteractionRow>) -> Result<Vec<InteractionView>, Error> {
    let origins: HashSet<Uuid> =
        rows.iter().flat_map(|row| row.detail.participants.iter().map(|one| one.origin())).collect();
    let parties: HashMap<Uuid, Uuid> = alias_find(store.reader(), tenant, &origins).await.map_err(read_error)?;
    let mut opened = sealing::Sealed::of_interactions(tenant, &rows).open(store).await?;
    let views = rows.into_iter().map(|row| {
        let text = opened.interaction_text(row.sealed.is_some())?;
        let mut participants = Vec::with_capacity(row.detail.participants.len());
        for one in &row.detail.participants {
            let origin = one.origin();
            participants.push(Seen {
                party: parties.get(&origin).copied().or(one.named.then_some(origin)),
                identifier: opened.identifier(!one.identifier.is_empty())?,
            });
        }
        Ok(InteractionView { row, text, participants })
    });
    views.collect()
}
