//! The connector against a protocol-true fake of Asterisk and of the others who call it: with a Rapport on either store,
//! with none, and with one that hangs. Nothing here sleeps: every wait is for an event.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod alone;
mod fake;
mod garbage;
mod house;
mod outage;
mod real;
mod whole;
