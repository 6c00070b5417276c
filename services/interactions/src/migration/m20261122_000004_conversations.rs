use async_trait::async_trait;
use rapport_store::run_script;
use rapport_store::sea_orm::DbErr;
use rapport_store::sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Calls as legs of conversations.
pub(super) struct Conversations;

impl MigrationName for Conversations {
    fn name(&self) -> &str {
        "m20261122_000004_conversations"
    }
}

/// All legs of one call id are one conversation, whose id is that of the interaction that they become. A call that had
/// ended before is a conversation of its own; one that still goes on learns its own with what is told of it next.
const TABLES: &str = r#"
ALTER TABLE call_leg ADD COLUMN conversation {uuid};
UPDATE call_leg SET conversation = interaction_id;
CREATE INDEX call_leg_conversation ON call_leg (tenant, conversation, id);
"#;

#[async_trait]
impl MigrationTrait for Conversations {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await
    }
}
