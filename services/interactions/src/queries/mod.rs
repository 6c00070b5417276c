//! The reads. What is sealed is opened here, and nowhere before.

mod cases;
mod interactions;

pub(crate) use cases::{CaseList, CaseView, get_case, list_cases, show_case};
pub(crate) use interactions::{
    InteractionList, InteractionView, Timeline, find_interactions, get_interaction, get_timeline, list_interactions,
};
