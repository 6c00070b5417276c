use rapport_store::run_script;
use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Ties between parties.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20260101_000002_relationships"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await
    }
}

const TABLES: &str = r#"
-- Indexed from both ends with the strongest first, over all types and by type: so the strongest few ties of a hub are
-- a short range however many it has.
CREATE TABLE relationship (
    tenant {text} NOT NULL,
    id {uuid} NOT NULL,
    relationship_type {text} NOT NULL,
    from_party {uuid} NOT NULL,
    to_party {uuid} NOT NULL,
    weight BIGINT NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    scope {text} NOT NULL,
    ended {flag} NOT NULL,
    end_reason {text} NOT NULL,
    provenance {json} NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
){clustered};
CREATE INDEX relationship_from ON relationship (tenant, from_party, weight DESC, id);
CREATE INDEX relationship_to ON relationship (tenant, to_party, weight DESC, id);
CREATE INDEX relationship_from_typed ON relationship (tenant, from_party, relationship_type, weight DESC, id);
CREATE INDEX relationship_to_typed ON relationship (tenant, to_party, relationship_type, weight DESC, id);
-- For the question whether a tie exists already.
CREATE INDEX relationship_between ON relationship (tenant, from_party, to_party, relationship_type);
"#;
