//! The tables of this service, step by step. A step that was released is never changed.

mod m20260101_000001_parties;
mod m20260101_000002_relationships;
mod m20260101_000003_consents;

use rapport_store::Migrations;
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::SchemaManager;

/// All steps, oldest first.
pub(crate) fn migrations() -> Migrations {
    vec![
        Box::new(m20260101_000001_parties::Migration),
        Box::new(m20260101_000002_relationships::Migration),
        Box::new(m20260101_000003_consents::Migration),
    ]
}

/// Runs statements that are written once for both stores: `{text}` compares byte by byte on both, `{json}` is the
/// binary form where there is one, `{clustered}` keeps the rows of a SQLite table in the order of its key.
async fn run(manager: &SchemaManager<'_>, script: &str) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let words: [(&str, &str); 6] = match db.get_database_backend() {
        DbBackend::Postgres => [
            ("{text}", "TEXT COLLATE \"C\""),
            ("{json}", "JSONB"),
            ("{uuid}", "UUID"),
            ("{bytes}", "BYTEA"),
            ("{flag}", "BOOLEAN"),
            ("{clustered}", ""),
        ],
        _ => [
            ("{text}", "TEXT"),
            ("{json}", "TEXT"),
            ("{uuid}", "BLOB"),
            ("{bytes}", "BLOB"),
            ("{flag}", "BOOLEAN"),
            ("{clustered}", " WITHOUT ROWID"),
        ],
    };
    let script = words.iter().fold(script.to_owned(), |text, (word, meaning)| text.replace(word, meaning));
    db.execute_unprepared(&script).await?;
    Ok(())
}
