//! The tables of this service, in the order they came.

mod m20261121_000001_scores;
mod m20261122_000002_revisions;
mod m20261122_000003_engagement;
mod m20261122_000004_network;
mod m20261122_000005_values;

use rapport_store::Migrations;
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::SchemaManager;

/// Every migration, oldest first.
pub(crate) fn migrations() -> Migrations {
    vec![
        Box::new(m20261121_000001_scores::Migration),
        Box::new(m20261122_000002_revisions::Migration),
        Box::new(m20261122_000003_engagement::Migration),
        Box::new(m20261122_000004_network::Migration),
        Box::new(m20261122_000005_values::Migration),
    ]
}

/// Runs statements with `{text}`, `{uuid}`, `{bytes}` and `{clustered}` for what the stores call differently. Text compares
/// by its bytes on both.
async fn create(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let (text, uuid, bytes, clustered) = match db.get_database_backend() {
        DbBackend::Postgres => ("TEXT COLLATE \"C\"", "UUID", "BYTEA", ""),
        _ => ("TEXT", "BLOB", "BLOB", " WITHOUT ROWID"),
    };
    for statement in statements {
        let statement = statement
            .replace("{text}", text)
            .replace("{uuid}", uuid)
            .replace("{bytes}", bytes)
            .replace("{clustered}", clustered);
        db.execute_unprepared(&statement).await?;
    }
    Ok(())
}

async fn drop_tables(manager: &SchemaManager<'_>, tables: &[&str]) -> Result<(), DbErr> {
    for table in tables {
        manager.get_connection().execute_unprepared(&format!("DROP TABLE {table}")).await?;
    }
    Ok(())
}
