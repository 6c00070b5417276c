//! The tables, step by step; a step that was released never changes.

mod m20261122_000001_ledger;
mod m20261122_000002_advocacy;

use rapport_store::Migrations;

/// All steps, oldest first.
pub(crate) fn migrations() -> Migrations {
    vec![Box::new(m20261122_000001_ledger::Ledger), Box::new(m20261122_000002_advocacy::Migration)]
}
