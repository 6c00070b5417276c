//! Scripts of migrations, written once for both stores.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::SchemaManager;

/// A word of a script, and what PostgreSQL and SQLite call it.
const WORDS: [(&str, &str, &str); 7] = [
    // Compares byte by byte on both.
    ("{text}", "TEXT COLLATE \"C\"", "TEXT"),
    // The binary form where there is one.
    ("{json}", "JSONB", "TEXT"),
    ("{uuid}", "UUID", "BLOB"),
    ("{bytes}", "BYTEA", "BLOB"),
    ("{flag}", "BOOLEAN", "BOOLEAN"),
    // A key that the database counts upwards.
    ("{serial}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"),
    // Keeps the rows of a SQLite table in the order of their key.
    ("{clustered}", "", " WITHOUT ROWID"),
];

/// Runs a script in which `{text}`, `{json}`, `{uuid}`, `{bytes}`, `{flag}`, `{serial}` and `{clustered}` stand for what
/// the stores call differently.
///
/// # Errors
/// What the database says.
pub async fn run_script(manager: &SchemaManager<'_>, script: &str) -> Result<(), DbErr> {
    let db = manager.get_connection();
    db.execute_unprepared(&in_words_of(script, db.get_database_backend())).await?;
    Ok(())
}

fn in_words_of(script: &str, backend: DbBackend) -> String {
    WORDS.iter().fold(script.to_owned(), |text, (word, postgres, sqlite)| {
        text.replace(word, if backend == DbBackend::Postgres { postgres } else { sqlite })
    })
}
