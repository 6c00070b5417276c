use async_trait::async_trait;
use rapport_store::run_script;
use rapport_store::sea_orm::DbErr;
use rapport_store::sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Surveys and the responses to them.
pub(super) struct Surveys;

impl MigrationName for Surveys {
    fn name(&self) -> &str {
        "m20261122_000002_surveys"
    }
}

/// A response says nothing about a person here: who answered, by what, and what they said beside it stands in the
/// interaction that it is.
///
/// The index by time holds all that statistics count, so that counting reads nothing else.
const TABLES: &str = r#"
CREATE TABLE survey (
    tenant {text} NOT NULL,
    id {uuid} NOT NULL,
    measure SMALLINT NOT NULL,
    question {text} NOT NULL,
    language {text} NOT NULL,
    purpose {text} NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
){clustered};
CREATE INDEX survey_recorded ON survey (tenant, recorded_at, id);

CREATE TABLE survey_response (
    tenant {text} NOT NULL,
    survey_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    interaction_id {uuid} NOT NULL,
    score SMALLINT NOT NULL,
    category SMALLINT NOT NULL,
    origin {uuid} NOT NULL,
    role_type {text} NOT NULL,
    case_id {uuid},
    about {uuid},
    occurred_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    retracted_at BIGINT,
    PRIMARY KEY (tenant, survey_id, id)
){clustered};
CREATE INDEX survey_response_occurred
    ON survey_response (tenant, survey_id, occurred_at, id, score, role_type, recorded_at, retracted_at);
CREATE INDEX survey_response_origin ON survey_response (tenant, origin, occurred_at, id);
"#;

#[async_trait]
impl MigrationTrait for Surveys {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await
    }
}
