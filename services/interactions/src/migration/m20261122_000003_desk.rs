use async_trait::async_trait;
use rapport_store::run_script;
use rapport_store::sea_orm::DbErr;
use rapport_store::sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Calls, and what the desk keeps of other services.
pub(super) struct Desk;

impl MigrationName for Desk {
    fn name(&self) -> &str {
        "m20261122_000003_desk"
    }
}

/// `desk_section` holds the last that another service said of a party, sealed under the party's key: a row for each
/// sort, so that a consumer rewrites only what it learned. `desk_tie` holds who is near whom as ids, a row for each end
/// of a relationship: a change of a hub writes its own rows and none of its neighbours'.
const TABLES: &str = r#"
CREATE TABLE call_leg (
    tenant {text} NOT NULL,
    id {uuid} NOT NULL,
    state SMALLINT NOT NULL,
    origin {uuid} NOT NULL,
    subject {uuid} NOT NULL,
    interaction_id {uuid},
    case_id {uuid},
    recorded_at BIGINT NOT NULL,
    detail {bytes} NOT NULL,
    sealed {bytes} NOT NULL,
    PRIMARY KEY (tenant, id)
){clustered};

CREATE TABLE desk_section (
    tenant {text} NOT NULL,
    party {uuid} NOT NULL,
    kind SMALLINT NOT NULL,
    facet {text} NOT NULL,
    position BIGINT NOT NULL,
    as_of BIGINT NOT NULL,
    sealed {bytes} NOT NULL,
    PRIMARY KEY (tenant, party, kind, facet)
){clustered};

CREATE TABLE desk_tie (
    tenant {text} NOT NULL,
    party {uuid} NOT NULL,
    relationship {uuid} NOT NULL,
    neighbor {uuid} NOT NULL,
    relationship_type {text} NOT NULL,
    weight_micros BIGINT NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_to BIGINT NOT NULL,
    PRIMARY KEY (tenant, party, relationship)
){clustered};
CREATE INDEX desk_tie_strength ON desk_tie (tenant, party, weight_micros, relationship);
"#;

#[async_trait]
impl MigrationTrait for Desk {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await
    }
}
