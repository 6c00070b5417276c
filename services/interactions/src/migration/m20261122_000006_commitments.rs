use async_trait::async_trait;
use rapport_store::run_script;
use rapport_store::sea_orm::DbErr;
use rapport_store::sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Promises both ways, and who is to see to a case.
pub(super) struct Commitments;

impl MigrationName for Commitments {
    fn name(&self) -> &str {
        "m20261122_000006_commitments"
    }
}

/// Texts are in `sealed` and `ending`, under the key of the origin that the row names. `timer_at` is the due time until it
/// was told that it passed, or that no longer needs telling: its index is the one that does not begin with the tenant, as
/// the sweep asks what is due, of all of them.
///
/// A step of a case's history that assigned it leaves the status as it was, and says who has it from then on.
const TABLES: &str = r#"
CREATE TABLE commitment (
    tenant {text} NOT NULL,
    id {uuid} NOT NULL,
    version BIGINT NOT NULL,
    state SMALLINT NOT NULL,
    side SMALLINT NOT NULL,
    made_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    fell_due_at BIGINT,
    ended_at BIGINT,
    origin {uuid} NOT NULL,
    named BOOLEAN NOT NULL,
    role_type {text} NOT NULL,
    owner_kind SMALLINT,
    owner {text},
    case_id {uuid},
    interaction_id {uuid},
    source_system {text} NOT NULL,
    made_by {text} NOT NULL,
    ended_by {text} NOT NULL,
    sealed {bytes} NOT NULL,
    ending {bytes},
    recorded_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    timer_at BIGINT,
    PRIMARY KEY (tenant, id)
){clustered};
CREATE INDEX commitment_due ON commitment (tenant, due_at, id);
CREATE INDEX commitment_origin ON commitment (tenant, origin, state, due_at, id);
CREATE INDEX commitment_case ON commitment (tenant, case_id, due_at, id) WHERE case_id IS NOT NULL;
CREATE INDEX commitment_timer ON commitment (timer_at, tenant, id) WHERE timer_at IS NOT NULL;

ALTER TABLE case_file ADD COLUMN assignee_kind SMALLINT;
ALTER TABLE case_file ADD COLUMN assignee {text};
ALTER TABLE case_file ADD COLUMN assigned_at BIGINT;
ALTER TABLE case_event ADD COLUMN assigned BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE case_event ADD COLUMN assignee_kind SMALLINT;
ALTER TABLE case_event ADD COLUMN assignee {text};
"#;

#[async_trait]
impl MigrationTrait for Commitments {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await
    }
}
