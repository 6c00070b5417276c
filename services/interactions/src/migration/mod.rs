//! The tables, step by step; a step that was released never changes.

mod m20261121_000001_foundation;
mod m20261122_000001_versions;
mod m20261122_000002_surveys;
mod m20261122_000003_desk;
mod m20261122_000004_conversations;
mod m20261122_000006_commitments;
mod m20261122_000007_projection;
mod m20261122_000008_follows;

use rapport_store::Migrations;

/// All steps, oldest first.
pub(crate) fn migrations() -> Migrations {
    vec![
        Box::new(m20261121_000001_foundation::Foundation),
        Box::new(m20261122_000001_versions::Versions),
        Box::new(m20261122_000002_surveys::Surveys),
        Box::new(m20261122_000003_desk::Desk),
        Box::new(m20261122_000004_conversations::Conversations),
        Box::new(m20261122_000006_commitments::Commitments),
        Box::new(m20261122_000007_projection::Projection),
        Box::new(m20261122_000008_follows::Follows),
    ]
}
