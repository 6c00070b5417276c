//! The tables of this service and their statements; the only room beside `migration` that knows SQL.

mod by_time;
mod call;
mod call_text;
mod case_file;
mod case_follow;
mod case_history;
mod commitment;
mod commitment_follow;
mod commitment_text;
mod filter;
mod identifier;
mod interaction;
mod matters;
mod participant;
pub(crate) mod sealing;
mod section;
mod section_mark;
mod survey;
mod tie;
mod timeline;
mod version;

pub(crate) use by_time::ByTime;
pub(crate) use call::{CallRow, FoundCalls, Said, call_find, call_legs, call_put, call_told, call_waiting};
pub(crate) use call_text::{CallText, TransferText};
pub(crate) use case_file::{CaseMove, CasePage, CaseRow, case_find, case_hold, case_insert, case_list, case_update};
pub(crate) use case_follow::{Follow, case_follow, case_link, case_waiting};
pub(crate) use case_history::{Step, case_assign, case_history, case_notes, history_insert};
pub(crate) use commitment::{
    CommitmentPage, CommitmentRow, commitment_due, commitment_find, commitment_insert, commitment_list,
    commitment_lock, commitment_update,
};
pub(crate) use commitment_follow::{commitment_follow, commitment_made_in};
pub(crate) use commitment_text::{
    CommitmentText, commitment_blank, commitment_ending, commitment_open, commitment_text,
};
pub(crate) use filter::{Filter, case_filter, commitment_filter, interaction_filter, timeline_filter};
pub(crate) use identifier::{
    HolderRow, alias_find, alias_origins, holder_replace, identifier_find, identifier_move, origins_of,
};
pub(crate) use interaction::{
    AmountColumns, InteractionRow, ListPage, interaction_find, interaction_insert, interaction_insert_of,
    interaction_known, interaction_list,
};
pub(crate) use matters::{Counted, matters_count};
pub(crate) use participant::StoredParticipant;
pub(crate) use section::{Held, Known, Mark, SectionKey, section_held, section_marks, section_put};
pub(crate) use section_mark::{
    desk_reset, section_behind, section_floor, section_forget, section_mark, section_mark_kept,
};
pub(crate) use survey::{
    Counting, ResponsePage, ResponseRow, SurveyRow, case_known, response_count, response_find, response_insert,
    response_list, response_retract, survey_find, survey_insert, survey_list,
};
pub(crate) use tie::{Tie, TieKey, holder_list, tie_change, tie_list, tie_turn};
pub(crate) use timeline::{TimelinePage, timeline_page};
pub(crate) use version::{Revised, interaction_stand, version_find, version_first, version_replace};
