//! Events, written in the transaction of the rows they speak about.

use prost::Name;
use rapport_types::tenant::TenantId;
use rapport_types::time::Timestamp;
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use crate::error::StoreError;
use crate::feed;
use crate::idempotency::{self, Request};
use crate::keys::Subject;
use crate::rows::{Arrays, Rows, Sql};
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
        self.traceparent = traceparent.cloned();
        self.events.len()
    }

    pub(crate) fn take_back(&mut self, mark: usize) {
        self.events.truncate(mark);
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

/// Writes events and request records at the end of a transaction.
pub(crate) async fn write(tx: &Tx, out: Outbox, requests: Vec<Request>) -> Result<Written, StoreError> {
    let requests = idempotency::rows(tx, requests).await?;
    match tx.backend() {
        DbBackend::Postgres => write_postgres(tx, out, requests).await,
        _ => write_sqlite(tx, out, requests).await,
    }
}

fn cells(place: usize, event: Event) -> [Value; 8] {
    [
        (place as i64).into(),
        event.tenant.as_str().into(),
        event.kind.into(),
        event.aggregate.into(),
        event.version.into(),
        event.occurred_at.as_micros().into(),
        event.traceparent.into(),
        event.payload.into(),
    ]
}

/// Everything in one statement, hence one round trip.
async fn write_postgres(tx: &Tx, out: Outbox, requests: Rows) -> Result<Written, StoreError> {
    let mut arrays = Arrays::new(2);
    let mut sql = "WITH b AS (INSERT INTO feed_batch (events, recorded_at) VALUES ($1, $2) RETURNING batch)".to_owned();
    let mut values = vec![Value::from(out.events.len() as i64), Value::from(tx.now().as_micros())];
    if !out.events.is_empty() {
        let mut flat = Vec::with_capacity(out.events.len() * COLUMNS.len());
        for (place, event) in out.events.into_iter().enumerate() {
            flat.extend(cells(place, event));
        }
        arrays.add(COLUMNS, flat)?;
        sql.push_str(&format!(
            ", o AS (INSERT INTO outbox (batch, {}) SELECT b.batch, {} FROM b, {})",
            COLUMNS.join(", "),
            arrays.selected.join(", "),
            arrays.from()
        ));
        values.append(&mut arrays.values);
    }
    if !requests.is_empty() {
        let (columns, flat) = requests.into_parts();
        let mut arrays = Arrays::new(values.len());
        arrays.add(columns, flat)?;
        sql.push_str(&format!(
            ", i AS (INSERT INTO idempotency ({}) SELECT {} FROM {})",
            columns.join(", "),
            arrays.selected.join(", "),
            arrays.from()
        ));
        values.append(&mut arrays.values);
    }
    sql.push_str(" SELECT batch FROM b");
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    // All rows, not the first: the driver then reads to the end of the reply, errors included.
    let rows = tx.db().query_all_raw(statement).await?;
    let row = rows.first().ok_or_else(|| StoreError::lost("no batch row"))?;
    Ok(Written::Batch(row.try_get_by_index(0)?))
}

/// Numbers a batch within its own transaction, whose commit then is the flush: for a batch that no other would share a
/// pass with. The rest of the feed waits for this commit, as it would for a pass.
pub(crate) async fn number(tx: &Tx, batch: i64) -> Result<Written, StoreError> {
    let rows = Sql::new(
        tx.db(),
        "SELECT numbered, first_at, last_at, set_config('synchronous_commit', 'on', true) FROM feed_pass()",
    )
    .all(tx.db())
    .await?;
    let mut first = None;
    let mut newest = 0;
    for row in rows {
        newest = newest.max(row.try_get_by_index(2)?);
        if row.try_get_by_index::<i64>(0)? == batch {
            first = Some(row.try_get_by_index(1)?);
        }
    }
    let first = first.ok_or_else(|| StoreError::lost("a pass did not see its own batch"))?;
    Ok(Written::Numbered { first, newest })
}

/// The one writer numbers its events itself.
async fn write_sqlite(tx: &Tx, out: Outbox, requests: Rows) -> Result<Written, StoreError> {
    requests.insert(tx.db()).await?;
    let count = out.events.len() as i64;
    if count == 0 {
        let newest = feed::state(tx.db()).await?.position;
        return Ok(Written::Numbered { first: newest + 1, newest });
    }
    let row = Sql::new(tx.db(), "INSERT INTO feed_batch (events, recorded_at, first_position, last_position) SELECT ")
        .bind(count)
        .text(", ")
        .bind(tx.now().as_micros())
        .text(", p.newest + 1, p.newest + ")
        .bind(count)
        .text(
            " FROM (SELECT coalesce((SELECT max(last_position) FROM feed_batch WHERE events > 0), trimmed) AS newest \
         FROM feed_state WHERE id = 1) AS p RETURNING batch, first_position, last_position",
        )
        .all(tx.db())
        .await?;
    let row = row.first().ok_or_else(|| StoreError::lost("no batch row"))?;
    let batch: i64 = row.try_get_by_index(0)?;
    let first: i64 = row.try_get_by_index(1)?;
    let newest: i64 = row.try_get_by_index(2)?;
    let mut rows = Rows::new(
        "outbox",
        &["batch", "place", "tenant", "kind", "aggregate", "version", "occurred_at", "traceparent", "payload"],
    );
    for (place, event) in out.events.into_iter().enumerate() {
        let [a, b, c, d, e, f, g, h] = cells(place, event);
        rows.push([batch.into(), a, b, c, d, e, f, g, h]);
    }
    rows.insert(tx.db()).await?;
    Ok(Written::Numbered { first, newest })
}
