//! The tables of this service and their statements; the only room beside `migration` that knows SQL.

mod case_file;
mod filter;
mod identifier;
mod interaction;
mod participant;
pub(crate) mod sealing;
mod timeline;

pub(crate) use case_file::{CaseMove, CasePage, CaseRow, case_find, case_insert, case_list, case_update};
pub(crate) use filter::{Filter, case_filter, interaction_filter, timeline_filter};
pub(crate) use identifier::{HolderRow, alias_find, alias_origins, holder_replace, identifier_find, identifier_move};
pub(crate) use interaction::{
    InteractionRow, ListPage, interaction_find, interaction_insert, interaction_known, interaction_list,
};
pub(crate) use timeline::{TimelinePage, timeline_page};
