//! The order history and the models fitted on it.

use async_trait::async_trait;
use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261122_000005_values"
    }
}

const UP: &[&str] = &[
    // What counts of each interaction; nothing in the columns from `kind` on if it is no order and no return.
    "CREATE TABLE order_line (
        tenant {text} NOT NULL,
        interaction_id {uuid} NOT NULL,
        version BIGINT NOT NULL,
        superseded BOOLEAN NOT NULL,
        kind SMALLINT,
        origin {uuid},
        role_type {text},
        day INTEGER,
        currency {text},
        units BIGINT,
        nanos BIGINT,
        PRIMARY KEY (tenant, interaction_id)
    ){clustered}",
    "CREATE TABLE order_day (
        tenant {text} NOT NULL,
        origin {uuid} NOT NULL,
        currency {text} NOT NULL,
        role_type {text} NOT NULL,
        day INTEGER NOT NULL,
        orders BIGINT NOT NULL,
        ordered_units BIGINT NOT NULL,
        ordered_nanos BIGINT NOT NULL,
        returns BIGINT NOT NULL,
        returned_units BIGINT NOT NULL,
        returned_nanos BIGINT NOT NULL,
        PRIMARY KEY (tenant, origin, day, currency, role_type)
    ){clustered}",
    "CREATE TABLE clv_model (
        tenant {text} NOT NULL,
        id {uuid} NOT NULL,
        version INTEGER NOT NULL,
        operation_id {uuid} NOT NULL,
        created_at BIGINT NOT NULL,
        fitted {text} NOT NULL,
        PRIMARY KEY (tenant, id)
    ){clustered}",
    "CREATE UNIQUE INDEX clv_model_version ON clv_model (tenant, version)",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop_tables(manager, &["clv_model", "order_day", "order_line"]).await
    }
}
