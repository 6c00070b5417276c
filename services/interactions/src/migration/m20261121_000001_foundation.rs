use async_trait::async_trait;
use rapport_store::run_script;
use rapport_store::sea_orm::DbErr;
use rapport_store::sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Interactions, cases, and whose an identifier is.
pub(super) struct Foundation;

impl MigrationName for Foundation {
    fn name(&self) -> &str {
        "m20261121_000001_foundation"
    }
}

/// Facts (`interaction`, `interaction_participant`, `case_event`) are written once. Texts are in `sealed` columns, under
/// the key of the origin that the row names; nothing else says anything about a person.
///
/// `interaction_participant` is the timeline's index: it is read along its key and holds nothing that a read of the
/// interaction itself needs. `identifier` and `alias` say under which origin facts come by an identifier, and whose an
/// origin is: the map that changes, so that facts never do.
const TABLES: &str = r#"
CREATE TABLE interaction (
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
    PRIMARY KEY (tenant, id)
){clustered};
CREATE INDEX interaction_occurred ON interaction (tenant, occurred_at, id);

CREATE TABLE interaction_participant (
    tenant {text} NOT NULL,
    origin {uuid} NOT NULL,
    occurred_at BIGINT NOT NULL,
    interaction_id {uuid} NOT NULL,
    ordinal SMALLINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    role_type {text} NOT NULL,
    function SMALLINT NOT NULL,
    PRIMARY KEY (tenant, origin, occurred_at, interaction_id, ordinal)
){clustered};

CREATE TABLE identifier (
    tenant {text} NOT NULL,
    index_id {uuid} NOT NULL,
    origin {uuid} NOT NULL,
    party {uuid},
    contested BOOLEAN NOT NULL,
    PRIMARY KEY (tenant, index_id)
){clustered};

CREATE TABLE identifier_holder (
    tenant {text} NOT NULL,
    party {uuid} NOT NULL,
    index_id {uuid} NOT NULL,
    own BOOLEAN NOT NULL,
    PRIMARY KEY (tenant, party, index_id)
){clustered};
CREATE INDEX identifier_holder_index ON identifier_holder (tenant, index_id, party);

CREATE TABLE alias (
    tenant {text} NOT NULL,
    origin {uuid} NOT NULL,
    party {uuid} NOT NULL,
    PRIMARY KEY (tenant, origin)
){clustered};
CREATE INDEX alias_party ON alias (tenant, party, origin);

CREATE TABLE case_file (
    tenant {text} NOT NULL,
    id {uuid} NOT NULL,
    version BIGINT NOT NULL,
    status SMALLINT NOT NULL,
    opened_at BIGINT NOT NULL,
    first_response_at BIGINT,
    resolved_at BIGINT,
    closed_at BIGINT,
    reopen_count INTEGER NOT NULL,
    moved_at BIGINT NOT NULL,
    origin {uuid} NOT NULL,
    named BOOLEAN NOT NULL,
    role_type {text} NOT NULL,
    kind {text} NOT NULL,
    priority SMALLINT NOT NULL,
    source_system {text} NOT NULL,
    sealed {bytes} NOT NULL,
    recorded_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
){clustered};
CREATE INDEX case_file_opened ON case_file (tenant, opened_at, id);
CREATE INDEX case_file_origin ON case_file (tenant, origin, opened_at, id);

CREATE TABLE case_interaction (
    tenant {text} NOT NULL,
    case_id {uuid} NOT NULL,
    ordinal SMALLINT NOT NULL,
    interaction_id {uuid} NOT NULL,
    PRIMARY KEY (tenant, case_id, ordinal)
){clustered};
CREATE INDEX case_interaction_interaction ON case_interaction (tenant, interaction_id, case_id);

CREATE TABLE case_event (
    tenant {text} NOT NULL,
    case_id {uuid} NOT NULL,
    version BIGINT NOT NULL,
    from_status SMALLINT,
    to_status SMALLINT NOT NULL,
    occurred_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    principal {text} NOT NULL,
    source_system {text} NOT NULL,
    sealed {bytes},
    PRIMARY KEY (tenant, case_id, version)
){clustered};
"#;

#[async_trait]
impl MigrationTrait for Foundation {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await
    }
}
