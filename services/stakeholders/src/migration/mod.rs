//! The tables of this service, step by step. A step that was released is never changed.

mod m20260101_000001_parties;
mod m20260101_000002_relationships;
mod m20260101_000003_consents;

use rapport_store::Migrations;

/// All steps, oldest first.
pub(crate) fn migrations() -> Migrations {
    vec![
        Box::new(m20260101_000001_parties::Migration),
        Box::new(m20260101_000002_relationships::Migration),
        Box::new(m20260101_000003_consents::Migration),
    ]
}
