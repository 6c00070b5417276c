//! The reads. What is sealed is opened here, and nowhere before.

mod ask;
mod caller;
mod callers;
mod cases;
mod commitments;
mod heard;
mod held;
mod influence;
mod interactions;
mod learned;
mod own;
mod ready;
mod said;
mod shelf;
mod surveys;
mod touched;

pub(crate) use ask::{Asking, HEALTH, TIES};
pub(crate) use caller::{Caller, Found, ask_caller, known_caller};
pub(crate) use callers::Callers;
pub(crate) use cases::{CaseList, CaseView, get_case, list_cases, show_case};
pub(crate) use commitments::{
    CommitmentList, CommitmentView, get_commitment, list_case_events, list_commitments, show_commitment,
};
pub(crate) use heard::{Asked, Heard, Section, Unasked, hear, section_status, settle, why};
pub(crate) use held::{Standing, serve};
pub(crate) use influence::InfluenceSection;
pub(crate) use interactions::{
    InteractionList, InteractionView, Timeline, find_interactions, find_versions, get_interaction, get_timeline,
    get_version, list_interactions,
};
pub(crate) use learned::{Learning, learn, nameless};
pub(crate) use own::OwnSections;
pub(crate) use ready::{Moment, Ready, ReadyKey, Rests, Told};
pub(crate) use shelf::{Positions, SOURCES, Shelf};
pub(crate) use surveys::{
    ResponseList, ResponseView, SurveyStats, get_response, get_survey, get_survey_stats, list_responses, list_surveys,
};
pub(crate) use touched::Touched;
