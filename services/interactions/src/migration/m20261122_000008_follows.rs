use async_trait::async_trait;
use rapport_store::run_script;
use rapport_store::sea_orm::DbErr;
use rapport_store::sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// What follows an interaction that turns out to be somebody else's.
pub(super) struct Follows;

impl MigrationName for Follows {
    fn name(&self) -> &str {
        "m20261122_000008_follows"
    }
}

/// A step of a case's history says whose the case was from then on, and which interaction it followed. A commitment that
/// followed one keeps the origin that it came by, to go back to; the index finds those that were made in an interaction.
const TABLES: &str = r#"
ALTER TABLE case_event ADD COLUMN given_origin {uuid};
ALTER TABLE case_event ADD COLUMN given_named BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE case_event ADD COLUMN given_interaction {uuid};
ALTER TABLE commitment ADD COLUMN came_origin {uuid};
ALTER TABLE commitment ADD COLUMN came_named BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX commitment_interaction ON commitment (tenant, interaction_id) WHERE interaction_id IS NOT NULL;
"#;

#[async_trait]
impl MigrationTrait for Follows {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await
    }
}
