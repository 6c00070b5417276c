//! What members have: computed at the time asked about, from rows that wait for no job.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::{TenantId, Timestamp, Uuid};

use super::programs::find_member;
use crate::domain::{Balance, Catalog, Lot, Member, MemberName, Months, Standing};
use crate::store::sealing::{grounds_open, subject};
use crate::store::{
    Catalogs, EntryRow, LotPage, catalogs_load, earned_until, entry_list, lot_list, lots_as_of, lots_open, months_of,
};

/// A member with its programme.
struct Whose {
    member: Member,
    catalog: Arc<Catalog>,
}

/// The member of this name, with its programme.
async fn whose(store: &Store, known: &Catalogs, tenant: &TenantId, name: MemberName) -> Result<Whose, Error> {
    let member = find_member(store, tenant, name).await?;
    let wanted = BTreeSet::from([(tenant.clone(), member.program)]);
    let found = catalogs_load(store.reader(), &wanted, known, true).await.map_err(read_error)?;
    let catalog = found.into_values().next().ok_or_else(|| Error::not_found(name.parent()))?;
    Ok(Whose { member, catalog })
}

/// What a member has of each unit type, in the order in which unit types were made.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn balances(
    store: &Store,
    known: &Catalogs,
    tenant: &TenantId,
    name: MemberName,
    as_of: Option<Timestamp>,
    soon: Duration,
) -> Result<(Timestamp, Vec<(Uuid, Balance)>), Error> {
    let Whose { member, catalog } = whose(store, known, tenant, name).await?;
    let now = store.world().now();
    let at = as_of.unwrap_or(now);
    // What is left of the open lots now is what will be left of them, if nothing more happens.
    let lots = if at < now {
        lots_as_of(store.reader(), tenant, member.id, at).await
    } else {
        lots_open(store.reader(), tenant, member.id).await
    };
    let mut by_unit: BTreeMap<Uuid, Vec<Lot>> = BTreeMap::new();
    for lot in lots.map_err(read_error)? {
        by_unit.entry(lot.unit_type).or_default().push(lot);
    }
    let soon = at.saturating_add(soon);
    let of = |unit: &Uuid| Balance::of(by_unit.get(unit).into_iter().flatten(), at, soon);
    Ok((at, catalog.units.keys().map(|unit| (*unit, of(unit))).collect()))
}

/// A page of a member's journal with the grounds of each entry, newest first.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn journal(
    store: &Store,
    tenant: &TenantId,
    name: MemberName,
    unit_type: Option<Uuid>,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<(EntryRow, String)>, Error> {
    let member = find_member(store, tenant, name).await?;
    let rows = entry_list(store.reader(), tenant, member.id, unit_type, before, limit).await.map_err(read_error)?;
    let grounds = grounds_open(store, &subject(tenant, member.party), &rows).await?;
    Ok(rows.into_iter().zip(grounds).collect())
}

/// A page of a member's lots, in the order in which they are used.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn lots(
    store: &Store,
    tenant: &TenantId,
    name: MemberName,
    page: &LotPage,
) -> Result<Vec<Lot>, Error> {
    let member = find_member(store, tenant, name).await?;
    lot_list(store.reader(), tenant, member.id, page).await.map_err(read_error)
}

/// Where a member stands at a time.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn standing(
    store: &Store,
    known: &Catalogs,
    tenant: &TenantId,
    name: MemberName,
    as_of: Option<Timestamp>,
) -> Result<(Timestamp, Arc<Catalog>, Standing), Error> {
    let Whose { member, catalog } = whose(store, known, tenant, name).await?;
    let at = as_of.unwrap_or_else(|| store.world().now());
    let months = match (catalog.ladder.unit_type(), as_of) {
        (None, _) => Months::new(),
        (Some(unit), None) => months_of(store.reader(), tenant, member.id, unit).await.map_err(read_error)?,
        // Of a month that had begun then, the sum holds what came later too: only the journal knows.
        (Some(unit), Some(at)) => {
            let earned = earned_until(store.reader(), tenant, member.id, unit, at).await.map_err(read_error)?;
            let mut months = Months::new();
            for (time, units) in earned {
                let sum = months.entry(catalog.program.zone.month(time)).or_default();
                *sum = sum.saturating_add(units);
            }
            months
        }
    };
    let standing = catalog.ladder.standing(&months, catalog.program.zone.month(at));
    Ok((at, catalog, standing))
}
