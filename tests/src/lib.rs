//! The tests that look at the whole: the architecture's law, scenarios on every topology and store,
//! bad input generated from the contract, tenancy, and faults.
//!
//! One library of `#[cfg(test)]` modules, so that the workspace is linked once and not once per file.
//! `tests/run` builds the `rapport` binary first: the topologies of several processes start it.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod club;
mod examples;
mod faults;
mod house;
mod law;
mod matrix;
mod raw;
mod scenarios;
mod wire;
