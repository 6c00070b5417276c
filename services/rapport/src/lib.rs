//! The binary's library: which services there are, and the demo's story as functions that tests use.
//!
//! Hosting itself is `rapport-server`'s work; the command line is in `main.rs`.
#![forbid(unsafe_code)]

pub mod csv_table;
pub mod demo;
pub mod doctor;
pub mod patience;

use mimalloc::MiMalloc;
use rapport_server::Module;

/// Of whatever hosts the services (docs/adr/0014-allocator.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The services this build can host, in the order in which they start.
pub const SERVICES: [&str; 4] = ["stakeholders", "interactions", "scoring", "loyalty"];

/// The modules of all services, in the order of [`SERVICES`]. Which of them a process hosts its options say.
#[must_use]
pub fn modules() -> Vec<Box<dyn Module>> {
    vec![
        rapport_stakeholders::module(),
        rapport_interactions::module(),
        rapport_scoring::module(),
        rapport_loyalty::module(),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn modules_come_in_the_order_of_their_names() {
        let names: Vec<&str> = modules().iter().map(|module| module.name()).collect();
        assert_eq!(names, SERVICES);
    }
}
