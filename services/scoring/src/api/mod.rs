//! The RPCs: one file per proto service, messages to domain values and back in `convert`.

mod convert;
mod score_service;

pub(crate) use score_service::ScoreApi;
