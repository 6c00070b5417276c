use rapport_store::run_script;
use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// What parties allow: records that are never changed.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20260101_000003_consents"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await
    }
}

const TABLES: &str = r#"
CREATE TABLE consent (
    tenant {text} NOT NULL,
    party_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    purpose {text} NOT NULL,
    channel {text} NOT NULL,
    state {text} NOT NULL,
    occurred_at BIGINT NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    sealed {bytes} NOT NULL,
    PRIMARY KEY (tenant, party_id, id)
){clustered};
"#;
