use async_trait::async_trait;
use rapport_store::run_script;
use rapport_store::sea_orm::DbErr;
use rapport_store::sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Programmes, members, and the ledger.
pub(super) struct Ledger;

impl MigrationName for Ledger {
    fn name(&self) -> &str {
        "m20261122_000001_ledger"
    }
}

/// `entry` and `lot_use` are written once. A row of `entry` has one amount that one account gives and another takes, so
/// it sums to zero by its form; the checks hold what else is true of every row. Whatever never expires has the end of
/// time as its expiry, so that one order serves all. Accounts other than a member's have no row: their balance is the
/// sum of what the journal says they gave and took, and nobody waits for them.
const TABLES: &str = r#"
CREATE TABLE program (
    tenant {text} NOT NULL,
    id {uuid} NOT NULL,
    display_name {text} NOT NULL,
    time_zone {text} NOT NULL,
    tier_window SMALLINT NOT NULL,
    state SMALLINT NOT NULL,
    version BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    published_at BIGINT,
    PRIMARY KEY (tenant, id)
){clustered};

CREATE TABLE unit_type (
    tenant {text} NOT NULL,
    program_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    display_name {text} NOT NULL,
    kind SMALLINT NOT NULL,
    minor_digits INTEGER NOT NULL,
    expiry_kind SMALLINT NOT NULL,
    expiry_count INTEGER NOT NULL,
    pending_days INTEGER NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, program_id, id)
){clustered};

CREATE TABLE earning_rule (
    tenant {text} NOT NULL,
    program_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    unit_type_id {uuid} NOT NULL,
    display_name {text} NOT NULL,
    trigger_kind SMALLINT NOT NULL,
    trigger_word {text} NOT NULL,
    units BIGINT NOT NULL CHECK (units > 0),
    per_units BIGINT,
    per_nanos INTEGER,
    per_currency {text},
    rounding SMALLINT,
    max_units BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, program_id, id)
){clustered};

CREATE TABLE tier (
    tenant {text} NOT NULL,
    program_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    unit_type_id {uuid} NOT NULL,
    display_name {text} NOT NULL,
    entry_threshold BIGINT NOT NULL,
    keep_threshold BIGINT NOT NULL CHECK (keep_threshold < entry_threshold),
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, program_id, id)
){clustered};
CREATE UNIQUE INDEX tier_entry ON tier (tenant, program_id, entry_threshold);

CREATE TABLE member (
    tenant {text} NOT NULL,
    id {uuid} NOT NULL,
    program_id {uuid} NOT NULL,
    party {uuid} NOT NULL,
    role_type {text} NOT NULL,
    number {text} NOT NULL,
    joined_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
){clustered};
CREATE UNIQUE INDEX member_party ON member (tenant, party, program_id);
CREATE UNIQUE INDEX member_number ON member (tenant, program_id, number);
CREATE INDEX member_program ON member (tenant, program_id, id);

CREATE TABLE member_ledger (
    tenant {text} NOT NULL,
    member_id {uuid} NOT NULL,
    sequence BIGINT NOT NULL,
    tier_id {uuid},
    tier_until BIGINT,
    PRIMARY KEY (tenant, member_id)
){clustered};
CREATE INDEX member_ledger_due ON member_ledger (tier_until, tenant, member_id) WHERE tier_until IS NOT NULL;

CREATE TABLE account (
    tenant {text} NOT NULL,
    member_id {uuid} NOT NULL,
    unit_type_id {uuid} NOT NULL,
    balance BIGINT NOT NULL CHECK (balance >= 0),
    next_expires_at BIGINT,
    PRIMARY KEY (tenant, member_id, unit_type_id)
){clustered};
CREATE INDEX account_due ON account (next_expires_at, tenant, member_id) WHERE next_expires_at IS NOT NULL;

CREATE TABLE entry (
    tenant {text} NOT NULL,
    member_id {uuid} NOT NULL,
    sequence BIGINT NOT NULL,
    unit_type_id {uuid} NOT NULL,
    kind SMALLINT NOT NULL,
    transaction_id {uuid},
    giver SMALLINT NOT NULL,
    taker SMALLINT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    previous_balance BIGINT NOT NULL,
    new_balance BIGINT NOT NULL CHECK (new_balance >= 0),
    rule_id {uuid},
    source {text} NOT NULL,
    effective_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    principal {text} NOT NULL,
    sealed {bytes},
    PRIMARY KEY (tenant, member_id, sequence),
    CHECK (giver <> taker AND (giver = 1 OR taker = 1)),
    CHECK (new_balance = previous_balance + CASE WHEN taker = 1 THEN amount ELSE -amount END)
){clustered};

CREATE TABLE lot (
    tenant {text} NOT NULL,
    member_id {uuid} NOT NULL,
    expires_at BIGINT NOT NULL,
    earned_at BIGINT NOT NULL,
    id {uuid} NOT NULL,
    unit_type_id {uuid} NOT NULL,
    available_at BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    remaining BIGINT NOT NULL CHECK (remaining >= 0 AND remaining <= amount),
    expired BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, member_id, expires_at, earned_at, id)
){clustered};
CREATE INDEX lot_open ON lot (tenant, member_id, expires_at, earned_at, id) WHERE remaining > 0;

CREATE TABLE lot_use (
    tenant {text} NOT NULL,
    member_id {uuid} NOT NULL,
    effective_at BIGINT NOT NULL,
    lot_id {uuid} NOT NULL,
    sequence BIGINT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    PRIMARY KEY (tenant, member_id, effective_at, lot_id, sequence)
){clustered};

CREATE TABLE earned_month (
    tenant {text} NOT NULL,
    member_id {uuid} NOT NULL,
    unit_type_id {uuid} NOT NULL,
    month INTEGER NOT NULL,
    units BIGINT NOT NULL,
    PRIMARY KEY (tenant, member_id, unit_type_id, month)
){clustered};

CREATE TABLE earned_by (
    tenant {text} NOT NULL,
    source {text} NOT NULL,
    member_id {uuid} NOT NULL,
    rule_id {uuid} NOT NULL,
    transaction_id {uuid} NOT NULL,
    PRIMARY KEY (tenant, source, member_id, rule_id)
){clustered};
"#;

#[async_trait]
impl MigrationTrait for Ledger {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await
    }
}
