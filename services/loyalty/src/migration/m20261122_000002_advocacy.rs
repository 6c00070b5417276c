//! Invitations, the complaints that hold them back, and what is known of origins.

use async_trait::async_trait;
use rapport_store::run_script;
use rapport_store::sea_orm::{ConnectionTrait, DbErr};
use rapport_store::sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261122_000002_advocacy"
    }
}

/// Statements with `{text}`, `{uuid}`, `{bytes}` and `{clustered}` for what the stores call differently. Text compares by
/// its bytes on both.
const UP: &[&str] = &[
    "CREATE TABLE alias (
        tenant {text} NOT NULL,
        origin {uuid} NOT NULL,
        party {uuid} NOT NULL,
        PRIMARY KEY (tenant, origin)
    ){clustered}",
    "CREATE INDEX alias_by_party ON alias (tenant, party)",
    "CREATE TABLE invitation (
        tenant {text} NOT NULL,
        id {uuid} NOT NULL,
        version BIGINT NOT NULL,
        origin {uuid} NOT NULL,
        named BOOLEAN NOT NULL,
        program_id {uuid},
        member_id {uuid},
        channel {text} NOT NULL,
        purpose {text} NOT NULL,
        ask {text} NOT NULL,
        survey_id {uuid},
        response_id {uuid},
        state SMALLINT NOT NULL,
        gate SMALLINT NOT NULL,
        decider {text} NOT NULL,
        due_at BIGINT NOT NULL,
        zone {text} NOT NULL,
        sent_at BIGINT,
        expire_at BIGINT,
        answered_at BIGINT,
        reward {uuid},
        timer_at BIGINT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        reason {bytes},
        note {bytes},
        PRIMARY KEY (tenant, id)
    )",
    "CREATE UNIQUE INDEX invitation_by_response ON invitation (tenant, response_id)",
    "CREATE INDEX invitation_by_origin ON invitation (tenant, origin, id)",
    "CREATE INDEX invitation_by_time ON invitation (tenant, created_at)",
    // The one index that does not begin with the tenant: the worker asks what is due, of all of them.
    "CREATE INDEX invitation_by_timer ON invitation (timer_at) WHERE timer_at IS NOT NULL",
    "CREATE TABLE complaint (
        tenant {text} NOT NULL,
        case_id {uuid} NOT NULL,
        origin {uuid} NOT NULL,
        open BOOLEAN NOT NULL,
        version BIGINT NOT NULL,
        opened_at BIGINT NOT NULL,
        PRIMARY KEY (tenant, case_id)
    ){clustered}",
    "CREATE INDEX complaint_by_origin ON complaint (tenant, origin, opened_at)",
    // What parties did for the tenant by themselves: reviews, references.
    "CREATE TABLE advocacy (
        tenant {text} NOT NULL,
        origin {uuid} NOT NULL,
        interaction_id {uuid} NOT NULL,
        occurred_at BIGINT NOT NULL,
        PRIMARY KEY (tenant, origin, interaction_id)
    ){clustered}",
    "CREATE INDEX advocacy_by_interaction ON advocacy (tenant, interaction_id)",
    // What may still earn: facts by origins that belong to nobody yet.
    "CREATE TABLE unclaimed (
        tenant {text} NOT NULL,
        origin {uuid} NOT NULL,
        source {text} NOT NULL,
        interaction_id {uuid} NOT NULL,
        occurred_at BIGINT NOT NULL,
        payload {bytes} NOT NULL,
        PRIMARY KEY (tenant, origin, source)
    ){clustered}",
    "CREATE INDEX unclaimed_by_interaction ON unclaimed (tenant, interaction_id)",
];

const TABLES: &[&str] = &["unclaimed", "advocacy", "complaint", "invitation", "alias"];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in UP {
            run_script(manager, statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.get_connection().execute_unprepared(&format!("DROP TABLE {table}")).await?;
        }
        Ok(())
    }
}
