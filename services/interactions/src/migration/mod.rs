//! The tables, step by step; a step that was released never changes.

mod m20261121_000001_foundation;

use rapport_store::Migrations;

/// All steps, oldest first.
pub(crate) fn migrations() -> Migrations {
    vec![Box::new(m20261121_000001_foundation::Foundation)]
}
