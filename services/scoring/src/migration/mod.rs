//! The tables of this service, in the order they came.

mod m20261121_000001_scores;
mod m20261122_000002_revisions;
mod m20261122_000003_engagement;
mod m20261122_000004_network;
mod m20261122_000005_values;
mod m20261122_000006_room;

use rapport_store::{Migrations, run_script};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::SchemaManager;

/// Every migration, oldest first.
pub(crate) fn migrations() -> Migrations {
    vec![
        Box::new(m20261121_000001_scores::Migration),
        Box::new(m20261122_000002_revisions::Migration),
        Box::new(m20261122_000003_engagement::Migration),
        Box::new(m20261122_000004_network::Migration),
        Box::new(m20261122_000005_values::Migration),
        Box::new(m20261122_000006_room::Migration),
    ]
}

async fn create(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        run_script(manager, statement).await?;
    }
    Ok(())
}

async fn drop_tables(manager: &SchemaManager<'_>, tables: &[&str]) -> Result<(), DbErr> {
    for table in tables {
        manager.get_connection().execute_unprepared(&format!("DROP TABLE {table}")).await?;
    }
    Ok(())
}
