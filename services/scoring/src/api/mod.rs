//! The RPCs: one file per proto service, messages to domain values and back in `convert`.

mod convert;
mod convert_batch;
mod convert_history;
mod convert_network;
mod convert_value;
mod network_service;
mod score_service;
mod value_service;
mod watch;

pub(crate) use network_service::NetworkApi;
pub(crate) use score_service::ScoreApi;
pub(crate) use value_service::ValueApi;
