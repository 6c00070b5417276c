//! Migrations: each in its own transaction, with its record; names already recorded are skipped, and names recorded
//! by a newer version are left alone, so that two neighbouring versions can run on one database.

use std::collections::BTreeSet;

use rapport_types::time::Timestamp;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};
use sea_orm_migration::{MigrationTrait, SchemaManager};

use crate::rows::Sql;

/// A service's migrations, oldest first; names never change and never repeat.
pub type Migrations = Vec<Box<dyn MigrationTrait>>;

/// Applies what is missing. The caller holds the lock.
pub(crate) async fn run(
    db: &DatabaseConnection,
    table: &str,
    migrations: &Migrations,
    now: Timestamp,
) -> Result<usize, DbErr> {
    db.execute_unprepared(&format!(
        "CREATE TABLE IF NOT EXISTS {table} (name TEXT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)"
    ))
    .await?;
    let mut applied = BTreeSet::new();
    for row in Sql::new(db, &format!("SELECT name FROM {table}")).all(db).await? {
        applied.insert(row.try_get_by_index::<String>(0)?);
    }
    let mut count = 0;
    for migration in migrations {
        if applied.contains(migration.name()) {
            continue;
        }
        let record = Sql::new(db, &format!("INSERT INTO {table} (name, applied_at) VALUES ("))
            .bind(migration.name())
            .text(", ")
            .bind(now.as_micros())
            .text(")");
        if migration.use_transaction() == Some(false) {
            migration.up(&SchemaManager::new(db)).await?;
            record.execute(db).await?;
        } else {
            let tx = db.begin().await?;
            migration.up(&SchemaManager::new(&tx)).await?;
            record.execute(&tx).await?;
            tx.commit().await?;
        }
        tracing::info!(migration = migration.name(), "migrated");
        count += 1;
    }
    Ok(count)
}
