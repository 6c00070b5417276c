//! The tables of this service and their statements; the only room beside `migration` that knows SQL.

mod act;
mod alias;
mod catalog;
mod catalogs;
mod complaint;
mod funnel;
mod invitation;
mod journal;
mod ledger;
mod member;
pub(crate) mod sealing;
mod unclaimed;

pub(crate) use act::{ActRow, act_delete, act_insert};
pub(crate) use alias::{alias_find, alias_origins, alias_save};
pub(crate) use catalog::{Additions, catalog_find, catalog_insert, program_list, program_update};
pub(crate) use catalogs::{Catalogs, catalogs_load, catalogs_warm};
pub(crate) use complaint::{ComplaintRow, complaint_find, complaint_open, complaint_save};
pub(crate) use funnel::{funnel_counts, funnel_groups};
pub(crate) use invitation::{
    DuePlace, InvitationPage, InvitationRow, advocate_lock, invitation_due, invitation_find, invitation_hold,
    invitation_insert, invitation_list, invitation_of_responses, invitation_sent, invitation_update,
};
pub(crate) use journal::{
    EntryRow, LotPage, LotPlace, due_list, earned_until, entry_list, entry_of, lot_list, lots_as_of, lots_open,
    months_of,
};
pub(crate) use ledger::{Books, Wanted, books_load, books_open, books_save};
pub(crate) use member::{
    member_by_number, member_find, member_insert, member_list, member_of_parties, member_of_party,
};
pub(crate) use unclaimed::{
    UnclaimedRow, rule_triggers, unclaimed_claim, unclaimed_delete, unclaimed_find, unclaimed_insert,
};

use rapport_store::sea_orm::{DbErr, QueryResult, Value};
use rapport_types::{TenantId, Timestamp, Uuid};

use crate::domain::Key;

/// Keys of one statement at most: below the limits on bound values with four values a key.
const MOST_KEYS: usize = 5_000;

/// Keys row-major, for `Sql::in_rows`.
fn key_values(keys: &[&Key]) -> Vec<Value> {
    keys.iter().flat_map(|(tenant, id)| [tenant.as_str().into(), (*id).into()]).collect()
}

/// The key of a row.
fn key_of(row: &QueryResult, column: &str) -> Result<Key, DbErr> {
    let text: String = row.try_get("", "tenant")?;
    let id: Uuid = row.try_get("", column)?;
    let tenant = TenantId::parse(&text).map_err(|_| corrupt("tenant"))?;
    Ok((tenant, id))
}

/// A time of a row.
fn time(row: &QueryResult, column: &str) -> Result<Timestamp, DbErr> {
    Ok(Timestamp::from_micros(row.try_get("", column)?))
}

/// A stored value that no version of this service writes.
fn corrupt(what: &str) -> DbErr {
    DbErr::Type(format!("{what} holds what it cannot"))
}
