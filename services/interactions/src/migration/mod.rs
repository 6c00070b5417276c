//! The tables, step by step; a step that was released never changes.

mod m20261121_000001_foundation;
mod m20261122_000001_versions;
mod m20261122_000002_surveys;
mod m20261122_000003_desk;

use rapport_store::Migrations;
use rapport_store::sea_orm::{ConnectionTrait, DbBackend, DbErr};
use rapport_store::sea_orm_migration::SchemaManager;

/// All steps, oldest first.
pub(crate) fn migrations() -> Migrations {
    vec![
        Box::new(m20261121_000001_foundation::Foundation),
        Box::new(m20261122_000001_versions::Versions),
        Box::new(m20261122_000002_surveys::Surveys),
        Box::new(m20261122_000003_desk::Desk),
    ]
}

/// Runs statements that are written once for both stores: `{text}` compares byte by byte on both, `{clustered}` keeps
/// the rows of a SQLite table in the order of its key.
async fn run(manager: &SchemaManager<'_>, script: &str) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let words = match db.get_database_backend() {
        DbBackend::Postgres => ["TEXT COLLATE \"C\"", "BYTEA", "UUID", ""],
        _ => ["TEXT", "BLOB", "BLOB", " WITHOUT ROWID"],
    };
    let mut script = script.to_owned();
    for (name, word) in ["{text}", "{bytes}", "{uuid}", "{clustered}"].into_iter().zip(words) {
        script = script.replace(name, word);
    }
    db.execute_unprepared(&script).await?;
    Ok(())
}
