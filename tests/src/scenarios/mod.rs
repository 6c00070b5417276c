//! What a caller sees, theme by theme, over gRPC on every store and topology. Each test starts one system and asserts a
//! whole theme in it; parts of a theme that need nothing of each other are functions of their own.
//!
//! Nothing here sleeps: writes give positions (`rapport-position`), reads wait for them (`rapport-at-least`), and
//! streams are read until they say what is awaited.

pub(crate) mod advocacy;
mod amend;
mod attribution;
mod cases;
mod commitments;
mod consistency;
pub(crate) mod desk;
mod desk_again;
mod desk_alone;
mod desk_callers;
mod desk_rebuild;
mod desk_talk;
mod desk_ties;
mod doctor;
mod doctor_postgres;
mod earning;
mod feed;
mod identity;
mod influence;
mod interactions;
mod listing;
mod loyalty;
mod loyalty_ledger;
pub(crate) mod messages;
mod metrics;
mod neighbourhood;
mod operations;
mod parked;
mod parties;
mod poison;
mod pooler;
mod ports;
mod privacy;
mod projection;
pub(crate) mod purchases;
pub(crate) mod relationships;
mod restart;
mod roles;
mod scores;
mod scoring;
mod secured;
pub(crate) mod stage;
mod streaming;
mod survey;
mod telephony;
mod timeline;
mod traces;
pub(crate) mod value;
