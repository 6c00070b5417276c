use rapport_store::run_script;
use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Parties with what identifies them, their roles and their sealed history.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20260101_000001_parties"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await
    }
}

const TABLES: &str = r#"
-- The card of a party: what lists filter and sort by in columns, everything else in one document.
CREATE TABLE party (
    tenant {text} NOT NULL,
    id {uuid} NOT NULL,
    kind {text} NOT NULL,
    lifecycle {text} NOT NULL,
    display_name {text} NOT NULL,
    display_key {text} NOT NULL,
    language_code {text} NOT NULL,
    country_code {text} NOT NULL,
    ceased {flag} NOT NULL,
    profile {json} NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
){clustered};
CREATE INDEX party_by_creation ON party (tenant, created_at, id);
CREATE INDEX party_by_update ON party (tenant, updated_at, id);
CREATE INDEX party_by_name ON party (tenant, display_key, id);
-- Where parties are found: claims (with their strength) and contact media (source medium, strength medium), by the
-- normalised value.
CREATE TABLE party_identifier (
    tenant {text} NOT NULL,
    scheme {text} NOT NULL,
    value {text} NOT NULL,
    party_id {uuid} NOT NULL,
    source {text} NOT NULL,
    strength {text} NOT NULL,
    given {text} NOT NULL,
    shared {flag} NOT NULL,
    verification {text} NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, scheme, value, party_id, source)
){clustered};
CREATE UNIQUE INDEX party_identifier_unique ON party_identifier (tenant, scheme, value) WHERE strength = 'unique';
CREATE INDEX party_identifier_by_party ON party_identifier (tenant, party_id, source);
CREATE TABLE party_role (
    tenant {text} NOT NULL,
    party_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    role_type {text} NOT NULL,
    scope {text} NOT NULL,
    status {text} NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    end_reason {text} NOT NULL,
    provenance {json} NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, party_id, id)
){clustered};
CREATE INDEX party_role_by_type ON party_role (tenant, role_type, party_id);
-- Every version of a party, sealed under the key of the party. Its rows are long: by their key, SQLite would give nearly each a
-- page of its own.
CREATE TABLE party_history (
    tenant {text} NOT NULL,
    party_id {uuid} NOT NULL,
    version BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    principal {text} NOT NULL,
    sealed {bytes} NOT NULL,
    PRIMARY KEY (tenant, party_id, version)
);
"#;
