//! The contribution log, its sums, the alias map and what was superseded.

use async_trait::async_trait;
use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::{create, drop_tables};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261121_000001_scores"
    }
}

const UP: &[&str] = &[
    // One row per version of an interaction, origin and definition that was put in, one for its taking back.
    "CREATE TABLE contribution (
        tenant {text} NOT NULL,
        interaction_id {uuid} NOT NULL,
        origin {uuid} NOT NULL,
        definition {text} NOT NULL,
        version BIGINT NOT NULL,
        sign SMALLINT NOT NULL,
        named BOOLEAN NOT NULL,
        occurred_at BIGINT NOT NULL,
        recorded_at BIGINT NOT NULL,
        kind {text} NOT NULL,
        direction SMALLINT NOT NULL,
        weight INTEGER NOT NULL,
        satisfaction INTEGER NOT NULL,
        from_valence BOOLEAN NOT NULL,
        joint BOOLEAN NOT NULL,
        PRIMARY KEY (tenant, interaction_id, origin, definition, version, sign)
    )",
    "CREATE INDEX contribution_by_origin ON contribution (tenant, origin, definition, occurred_at)",
    "CREATE TABLE accumulator (
        tenant {text} NOT NULL,
        origin {uuid} NOT NULL,
        definition {text} NOT NULL,
        era BIGINT NOT NULL,
        pull {bytes} NOT NULL,
        weight {bytes} NOT NULL,
        contributions BIGINT NOT NULL,
        joint BIGINT NOT NULL,
        newest_at BIGINT NOT NULL,
        PRIMARY KEY (tenant, origin, definition, era)
    ){clustered}",
    "CREATE TABLE alias (
        tenant {text} NOT NULL,
        origin {uuid} NOT NULL,
        party {uuid} NOT NULL,
        changed_at BIGINT NOT NULL,
        PRIMARY KEY (tenant, origin)
    ){clustered}",
    "CREATE INDEX alias_by_party ON alias (tenant, party)",
    "CREATE TABLE superseded (
        tenant {text} NOT NULL,
        interaction_id {uuid} NOT NULL,
        by_id {uuid} NOT NULL,
        recorded_at BIGINT NOT NULL,
        PRIMARY KEY (tenant, interaction_id)
    ){clustered}",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["superseded", "alias", "accumulator", "contribution"]).await
    }
}
