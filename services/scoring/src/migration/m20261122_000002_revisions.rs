//! Versions that amended or retracted an interaction.

use async_trait::async_trait;
use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::{create, drop_tables};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261122_000002_revisions"
    }
}

const UP: &[&str] = &["CREATE TABLE revision (
        tenant {text} NOT NULL,
        interaction_id {uuid} NOT NULL,
        version BIGINT NOT NULL,
        recorded_at BIGINT NOT NULL,
        PRIMARY KEY (tenant, interaction_id, version)
    ){clustered}"];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["revision"]).await
    }
}
