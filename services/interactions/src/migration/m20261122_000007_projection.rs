use async_trait::async_trait;
use rapport_store::run_script;
use rapport_store::sea_orm::DbErr;
use rapport_store::sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// What the desk keeps is what it shows.
pub(super) struct Projection;

impl MigrationName for Projection {
    fn name(&self) -> &str {
        "m20261122_000007_projection"
    }
}

/// `wanted` is the last position of the source's feed that spoke of the section: while it is after `position`, something
/// is known to have happened that the section does not hold. The index finds those, and is empty otherwise. What was kept
/// before knows of no such position, and is right up to its own.
const TABLES: &str = r#"
ALTER TABLE desk_section ADD COLUMN wanted BIGINT NOT NULL DEFAULT 0;
CREATE INDEX desk_section_behind ON desk_section (kind, wanted) WHERE wanted > position;
"#;

#[async_trait]
impl MigrationTrait for Projection {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await
    }
}
