//! What a caller sees, theme by theme, over gRPC on every store and topology. Each test starts one system and asserts a
//! whole theme in it; parts of a theme that need nothing of each other are functions of their own.
//!
//! Nothing here sleeps: writes give positions (`rapport-position`), reads wait for them (`rapport-at-least`), and
//! streams are read until they say what is awaited.

mod attribution;
mod cases;
mod consistency;
mod feed;
mod identity;
mod interactions;
mod listing;
mod messages;
mod neighbourhood;
mod parties;
mod ports;
mod privacy;
mod relationships;
mod restart;
mod roles;
mod scoring;
mod stage;
mod streaming;
mod timeline;
