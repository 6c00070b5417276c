use async_trait::async_trait;
use rapport_store::run_script;
use rapport_store::sea_orm::DbErr;
use rapport_store::sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Versions of interactions, and retraction.
pub(super) struct Versions;

impl MigrationName for Versions {
    fn name(&self) -> &str {
        "m20261122_000001_versions"
    }
}

/// `interaction` and its index hold what is in force. What an amendment or a retraction puts out of force goes here as
/// it is, sealed under the same key, with the time until which it held: `recorded_at` to `superseded_at` is when the
/// service knew it so.
const TABLES: &str = r#"
ALTER TABLE interaction ADD COLUMN retracted BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE interaction_participant ADD COLUMN retracted BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE interaction_version (
    tenant {text} NOT NULL,
    id {uuid} NOT NULL,
    version BIGINT NOT NULL,
    supersedes {uuid},
    kind {text} NOT NULL,
    medium SMALLINT NOT NULL,
    online BOOLEAN NOT NULL,
    direction SMALLINT NOT NULL,
    occurred_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    valence DOUBLE PRECISION,
    valence_method SMALLINT,
    confidence DOUBLE PRECISION,
    effort SMALLINT,
    amount_kind SMALLINT,
    amount_units BIGINT,
    amount_nanos INTEGER,
    amount_currency {text},
    subject {uuid} NOT NULL,
    detail {bytes} NOT NULL,
    sealed {bytes},
    superseded_at BIGINT NOT NULL,
    retracted BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (tenant, id, version)
){clustered};

CREATE TABLE participant_version (
    tenant {text} NOT NULL,
    origin {uuid} NOT NULL,
    occurred_at BIGINT NOT NULL,
    interaction_id {uuid} NOT NULL,
    version BIGINT NOT NULL,
    ordinal SMALLINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    superseded_at BIGINT NOT NULL,
    role_type {text} NOT NULL,
    function SMALLINT NOT NULL,
    PRIMARY KEY (tenant, origin, occurred_at, interaction_id, version, ordinal)
){clustered};
"#;

#[async_trait]
impl MigrationTrait for Versions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await
    }
}
