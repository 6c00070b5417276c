//! The tables of this service, in the order they came.

mod m20261121_000001_scores;

use rapport_store::Migrations;

/// Every migration, oldest first.
pub(crate) fn migrations() -> Migrations {
    vec![Box::new(m20261121_000001_scores::Migration)]
}
