//! The store's own tables, in every service's database.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::migrate::Migrations;
use crate::script::run_script;

pub(crate) fn migrations() -> Migrations {
    vec![Box::new(Foundation), Box::new(Operations)]
}

struct Foundation;

impl MigrationName for Foundation {
    fn name(&self) -> &str {
        "m20250101_000001_foundation"
    }
}

/// The outbox is written once and never updated: a batch's rows carry the batch and their place in it, and only the
/// batch's own row learns its position. So numbering costs one row a batch, and a row's position is
/// `first_position + place`.
///
/// A request is known by a digest of who asked for what (`asker`), and request ids mostly grow: new records go to the
/// end of a small index. The table is in the order of its rows also on SQLite, whose clustered tables would repeat the
/// whole key in the index of ages.
const TABLES: &str = r#"
CREATE TABLE feed_batch (
    batch {serial},
    events BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    first_position BIGINT,
    last_position BIGINT
);
CREATE UNIQUE INDEX feed_batch_position ON feed_batch (last_position) WHERE events > 0;
CREATE INDEX feed_batch_unnumbered ON feed_batch (batch) WHERE last_position IS NULL;

CREATE TABLE outbox (
    batch BIGINT NOT NULL,
    place BIGINT NOT NULL,
    tenant {text} NOT NULL,
    kind {text} NOT NULL,
    aggregate {text} NOT NULL,
    version BIGINT NOT NULL,
    occurred_at BIGINT NOT NULL,
    traceparent {text},
    payload {bytes} NOT NULL,
    PRIMARY KEY (batch, place)
){clustered};

CREATE TABLE feed_state (
    id BIGINT NOT NULL PRIMARY KEY,
    trimmed BIGINT NOT NULL,
    passes BIGINT NOT NULL,
    epoch {text} NOT NULL,
    key_check {bytes}
);

CREATE TABLE idempotency (
    tenant {text} NOT NULL,
    request_id {uuid} NOT NULL,
    asker BIGINT NOT NULL,
    fingerprint {bytes} NOT NULL,
    subject {uuid} NOT NULL,
    reply {bytes} NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, request_id, asker)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

CREATE TABLE subject_key (
    tenant {text} NOT NULL,
    subject {uuid} NOT NULL,
    wrapped {bytes},
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, subject)
){clustered};

CREATE TABLE consumer_cursor (
    consumer {text} NOT NULL,
    source {text} NOT NULL,
    epoch {text} NOT NULL,
    position BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (consumer, source)
){clustered};

CREATE TABLE parked_event (
    tenant {text} NOT NULL,
    consumer {text} NOT NULL,
    source {text} NOT NULL,
    epoch {text} NOT NULL,
    position BIGINT NOT NULL,
    kind {text} NOT NULL,
    aggregate {text} NOT NULL,
    version BIGINT NOT NULL,
    occurred_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    traceparent {text},
    payload {bytes} NOT NULL,
    reason {text} NOT NULL,
    parked_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, consumer, source, epoch, position)
){clustered};
CREATE INDEX parked_event_aggregate ON parked_event (consumer, source, tenant, aggregate);
"#;

/// One pass of the sequencer: gives the batches it numbered. The lock and the numbering are separate statements of a
/// VOLATILE function, so that the numbering sees what was committed while the pass waited for the lock. Taking the
/// lock writes, so that the commit of a pass always flushes the log, also when there was nothing to number.
const PASS: &str = r#"
CREATE FUNCTION feed_pass()
RETURNS TABLE (numbered BIGINT, first_at BIGINT, last_at BIGINT)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE feed_state SET passes = passes + 1 WHERE id = 1;
    RETURN QUERY
        WITH newest AS (
            SELECT coalesce(max(b.last_position), (SELECT s.trimmed FROM feed_state s WHERE s.id = 1)) AS position
            FROM feed_batch b WHERE b.events > 0
        ), todo AS (
            SELECT b.batch, b.events,
                n.position + (sum(b.events) OVER (ORDER BY b.batch))::BIGINT AS upto
            FROM newest n, feed_batch b WHERE b.last_position IS NULL
        )
        UPDATE feed_batch f SET first_position = t.upto - t.events + 1, last_position = t.upto
        FROM todo t WHERE f.batch = t.batch
        RETURNING f.batch, f.first_position, f.last_position;
END
$$
"#;

/// The row of a batch that numbers itself: a pass that also makes the row, numbered from the start. The commit of the
/// transaction it runs in flushes.
const WRITE: &str = r#"
CREATE FUNCTION feed_write(own_events BIGINT, own_recorded_at BIGINT)
RETURNS TABLE (batch BIGINT, first_at BIGINT, last_at BIGINT)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE feed_state SET passes = passes + 1 WHERE id = 1;
    PERFORM set_config('synchronous_commit', 'on', true);
    RETURN QUERY
        WITH newest AS (
            SELECT coalesce(max(b.last_position), (SELECT s.trimmed FROM feed_state s WHERE s.id = 1)) AS position
            FROM feed_batch b WHERE b.events > 0
        ), todo AS (
            SELECT b.batch, b.events,
                n.position + (sum(b.events) OVER (ORDER BY b.batch))::BIGINT AS upto
            FROM newest n, feed_batch b WHERE b.last_position IS NULL
        ), others AS (
            UPDATE feed_batch f SET first_position = t.upto - t.events + 1, last_position = t.upto
            FROM todo t WHERE f.batch = t.batch
        )
        INSERT INTO feed_batch AS f (events, recorded_at, first_position, last_position)
        SELECT own_events, own_recorded_at, p.upto + 1, p.upto + own_events
        FROM (SELECT coalesce((SELECT max(t.upto) FROM todo t), (SELECT n.position FROM newest n)) AS upto) AS p
        RETURNING f.batch, f.first_position, f.last_position;
END
$$
"#;

#[async_trait]
impl MigrationTrait for Foundation {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, TABLES).await?;
        let db = manager.get_connection();
        if db.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared(PASS).await?;
            db.execute_unprepared(WRITE).await?;
        }
        Ok(())
    }
}

struct Operations;

impl MigrationName for Operations {
    fn name(&self) -> &str {
        "m20261122_000001_operations"
    }
}

/// States below 3 are those that have not ended.
const OPERATIONS: &str = r#"
CREATE TABLE operation (
    tenant {text} NOT NULL,
    id {uuid} NOT NULL,
    method {text} NOT NULL,
    principal {text} NOT NULL,
    state SMALLINT NOT NULL,
    subject {uuid} NOT NULL,
    input {bytes} NOT NULL,
    done BIGINT NOT NULL,
    total BIGINT NOT NULL,
    note {text} NOT NULL,
    result {text},
    failure {text},
    cancel_asked BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    claims BIGINT NOT NULL,
    lost INTEGER NOT NULL,
    lease_until BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
){clustered};
CREATE INDEX operation_open ON operation (lease_until) WHERE state < 3;
CREATE INDEX operation_ended ON operation (ended_at) WHERE ended_at IS NOT NULL;
"#;

#[async_trait]
impl MigrationTrait for Operations {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_script(manager, OPERATIONS).await
    }
}
