//! The feed and its consumers, on both stores.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, unreachable_pub)]

mod consuming;
mod cursors;
mod faults;
mod feed;
mod house;
mod reapplying;
