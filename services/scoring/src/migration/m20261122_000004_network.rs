//! Relationships between parties, and the last event that changed those of each tenant.

use async_trait::async_trait;
use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::{create, drop_tables};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261122_000004_network"
    }
}

const UP: &[&str] = &[
    "CREATE TABLE relationship_edge (
        tenant {text} NOT NULL,
        relationship_id {uuid} NOT NULL,
        version BIGINT NOT NULL,
        kind {text} NOT NULL,
        from_party {uuid} NOT NULL,
        to_party {uuid} NOT NULL,
        weight BIGINT NOT NULL,
        since_at BIGINT NOT NULL,
        until_at BIGINT NOT NULL,
        PRIMARY KEY (tenant, relationship_id)
    ){clustered}",
    "CREATE TABLE network (
        tenant {text} NOT NULL,
        position BIGINT NOT NULL,
        PRIMARY KEY (tenant)
    ){clustered}",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["network", "relationship_edge"]).await
    }
}
