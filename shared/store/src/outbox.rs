//! Events, written in the transaction of the rows they speak about.

use prost::Name;
use rapport_types::tenant::TenantId;
use rapport_types::time::Timestamp;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

use crate::error::StoreError;
use crate::idempotency::{self, Request};
use crate::keys::Subject;
use crate::rows::Rows;
use crate::tx::Tx;

struct Event {
    tenant: TenantId,
    kind: String,
    aggregate: String,
    version: i64,
    occurred_at: Timestamp,
    traceparent: Option<String>,
    payload: Vec<u8>,
}

/// What a write tells the rest of the world.
#[derive(Default)]
pub struct Outbox {
    events: Vec<Event>,
    subject: Option<Subject>,
    keep: bool,
    traceparent: Option<String>,
}

impl Outbox {
    /// Adds an event: `aggregate` is the resource name it speaks about, `version` that aggregate's version after the
    /// change, `occurred_at` when it happened in the world. No personal value and no key travels in an event.
    pub fn event<P: Name>(
        &mut self,
        tenant: &TenantId,
        aggregate: impl ToString,
        version: i64,
        occurred_at: Timestamp,
        payload: &P,
    ) {
        self.events.push(Event {
            tenant: tenant.clone(),
            kind: P::full_name(),
            aggregate: aggregate.to_string(),
            version,
            occurred_at,
            traceparent: self.traceparent.clone(),
            payload: payload.encode_to_vec(),
        });
    }

    /// Whose key seals the reply that is kept for a retry of this request; the tenant's own when never called.
    pub fn subject(&mut self, subject: Subject) {
        self.subject = Some(subject);
    }

    /// Keeps the record of this request for ever: it stays one effect however late it is sent again.
    pub fn keep_request(&mut self) {
        self.keep = true;
    }

    /// The trace that the following events belong to; a consumer sets that of the event it handles. Within a command
    /// it is the caller's already.
    pub fn traceparent(&mut self, traceparent: Option<String>) {
        self.traceparent = traceparent;
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Starts the next item; gives the mark to go back to.
    pub(crate) fn enter(&mut self, traceparent: Option<&String>) -> usize {
        self.subject = None;
        self.keep = false;
        self.traceparent = traceparent.cloned();
        self.events.len()
    }

    pub(crate) fn take_back(&mut self, mark: usize) {
        self.events.truncate(mark);
    }

    pub(crate) fn keeps_request(&self) -> bool {
        self.keep
    }

    pub(crate) fn take_subject(&mut self, tenant: &TenantId) -> Subject {
        self.subject.take().unwrap_or_else(|| Subject::tenant(tenant))
    }
}

/// Where a transaction's events went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Numbered already: on SQLite, and by a batch that was alone.
    Numbered {
        /// Position of the first event.
        first: i64,
        /// Newest position of the feed.
        newest: i64,
    },
    /// To be numbered by a pass.
    Batch(i64),
}

const COLUMNS: &[&str] = &["place", "tenant", "kind", "aggregate", "version", "occurred_at", "traceparent", "payload"];

/// Writes events, request records and the rows kept for the end, at the end of a transaction. `alone`: nobody else would
/// share a pass with this batch, so on PostgreSQL it numbers itself, and its commit is the flush.
pub(crate) async fn write(tx: &Tx, out: Outbox, requests: Vec<Request>, alone: bool) -> Result<Written, StoreError> {
    let mut tables = tx.take_last();
    if tx.backend() == DbBackend::Sqlite && tables.iter().map(Rows::values).sum::<usize>() > SCRIPT {
        // The thread that runs the statements has work while the last rows are made.
        let waiting = std::mem::take(&mut tables);
        let ((), made) = futures::try_join!(insert(tx, waiting), idempotency::rows(tx, requests))?;
        tables.push(made);
    } else {
        tables.push(idempotency::rows(tx, requests).await?);
    }
    tables.extend(tx.take_last());
    tables.retain(|rows| !rows.is_empty());
    let count = out.events.len() as i64;
    let mut events = Rows::new("outbox", COLUMNS);
    for (place, event) in out.events.into_iter().enumerate() {
        events.push([
            (place as i64).into(),
            event.tenant.as_str().into(),
            event.kind.into(),
            event.aggregate.into(),
            event.version.into(),
            event.occurred_at.as_micros().into(),
            event.traceparent.into(),
            event.payload.into(),
        ]);
    }
    match tx.backend() {
        DbBackend::Postgres => write_postgres(tx, count, events, tables, alone).await,
        _ => write_sqlite(tx, count, events, tables).await,
    }
}

async fn insert(tx: &Tx, tables: Vec<Rows>) -> Result<(), StoreError> {
    for rows in tables {
        rows.insert(tx.db()).await?;
    }
    Ok(())
}

/// Everything in one statement, hence one round trip.
async fn write_postgres(
    tx: &Tx,
    count: i64,
    events: Rows,
    tables: Vec<Rows>,
    alone: bool,
) -> Result<Written, StoreError> {
    let mut values = vec![Value::from(count), Value::from(tx.now().as_micros())];
    let mut sql = if alone {
        "WITH b AS (SELECT batch, first_at, last_at FROM feed_write($1, $2))".to_owned()
    } else {
        "WITH b AS (INSERT INTO feed_batch (events, recorded_at) VALUES ($1, $2) \
         RETURNING batch, first_position AS first_at, last_position AS last_at)"
            .to_owned()
    };
    if !events.is_empty() {
        let select = events.select(&mut values)?;
        let columns = COLUMNS.join(", ");
        sql.push_str(&format!(
            ", o AS (INSERT INTO outbox (batch, {columns}) SELECT b.batch, e.* FROM b, ({select}) AS e)"
        ));
    }
    for (at, rows) in tables.into_iter().enumerate() {
        sql.push_str(&format!(", t{at} AS (INSERT INTO {} {})", rows.target(), rows.select(&mut values)?));
    }
    sql.push_str(" SELECT batch, first_at, last_at FROM b");
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    // All rows, not the first: the driver then reads to the end of the reply, errors included.
    let rows = tx.db().query_all_raw(statement).await?;
    let row = rows.first().ok_or_else(|| StoreError::lost("no batch row"))?;
    if alone {
        return Ok(Written::Numbered { first: row.try_get_by_index(1)?, newest: row.try_get_by_index(2)? });
    }
    Ok(Written::Batch(row.try_get_by_index(0)?))
}

/// Statements of one round trip to SQLite may have this many values: a script of many is not worth a place among the
/// prepared ones.
const SCRIPT: usize = 1_000;

/// The one writer numbers its events itself. What is small goes in one round trip, a script of several statements: the
/// way to the thread that runs them takes longer than a row.
async fn write_sqlite(tx: &Tx, count: i64, events: Rows, tables: Vec<Rows>) -> Result<Written, StoreError> {
    let mut pieces = Vec::new();
    for rows in tables {
        let target = rows.target();
        pieces.extend(rows.lists().into_iter().map(|(list, values)| (format!("INSERT INTO {target} {list}"), values)));
    }
    if count > 0 {
        let number = format!("{NUMBER} {NEWEST} RETURNING first_position, last_position");
        pieces.push((number, vec![count.into(), tx.now().as_micros().into(), count.into()]));
        // No other table with a row id is written after the batch's own row.
        let head = format!("INSERT INTO outbox (batch, {}) SELECT last_insert_rowid(), * FROM ", COLUMNS.join(", "));
        pieces.extend(events.lists().into_iter().map(|(list, values)| (format!("{head}({list})"), values)));
    } else {
        pieces.push((format!("SELECT p.newest + 1, p.newest FROM {NEWEST}"), Vec::new()));
    }
    let mut placed = Vec::new();
    let mut script = String::new();
    let mut bound: Vec<Value> = Vec::new();
    for (sql, mut values) in pieces {
        if !script.is_empty() && bound.len() + values.len() > SCRIPT {
            placed.extend(run(tx, std::mem::take(&mut script), std::mem::take(&mut bound)).await?);
        }
        if !script.is_empty() {
            script.push_str("; ");
        }
        script.push_str(&sql);
        bound.append(&mut values);
    }
    if !script.is_empty() {
        placed.extend(run(tx, script, bound).await?);
    }
    let row = placed.first().ok_or_else(|| StoreError::lost("no batch row"))?;
    Ok(Written::Numbered { first: row.try_get_by_index(0)?, newest: row.try_get_by_index(1)? })
}

const NUMBER: &str = "INSERT INTO feed_batch (events, recorded_at, first_position, last_position) \
    SELECT ?, ?, p.newest + 1, p.newest + ? FROM";
const NEWEST: &str = "(SELECT coalesce((SELECT max(last_position) FROM feed_batch WHERE events > 0), trimmed) AS newest \
    FROM feed_state WHERE id = 1) AS p";

async fn run(tx: &Tx, script: String, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
    tx.db().query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, script, values)).await
}
