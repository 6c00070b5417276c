//! One request id, one effect. A record is written with the effect; whoever comes again with the same request gets
//! the first answer, sealed under the key of the subject it speaks about. Only successes are recorded.

use std::collections::HashMap;

use rapport_types::Uuid;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use sea_orm::{DbBackend, Value};

use crate::command::{LockKey, Scope};
use crate::error::StoreError;
use crate::keys::{self, Subject};
use crate::rows::{Rows, Sql, give_way};
use crate::tx::Tx;

const KEY: &[&str] = &["tenant", "request_id", "asker"];
const FIELD: &str = "idempotency.reply";

/// What is to be recorded for an item that succeeded.
pub(crate) struct Request {
    pub(crate) tenant: rapport_types::tenant::TenantId,
    pub(crate) id: Uuid,
    pub(crate) asker: i64,
    pub(crate) fingerprint: [u8; 32],
    pub(crate) subject: Subject,
    /// Whether it is never swept away.
    pub(crate) keep: bool,
    pub(crate) reply: Vec<u8>,
}

/// What is known of a request.
pub(crate) enum Known {
    /// Done before: the first reply as JSON.
    Replay(Vec<u8>),
    /// Cannot be answered.
    Refused(Error),
}

/// Takes the batch's locks against other processes (sorted, so that two batches never wait for one another in a ring;
/// SQLite has one writer and needs none), and says what the records know of its requests: by index into `scopes`.
pub(crate) async fn begin(tx: &Tx, locks: &[LockKey], scopes: &[&Scope]) -> Result<HashMap<usize, Known>, StoreError> {
    debug_assert!(locks.is_sorted());
    let mut asked = HashMap::new();
    for (at, scope) in scopes.iter().enumerate() {
        if let Some(id) = scope.request_id {
            asked.insert((scope.tenant.as_str(), id, scope.asker()), (at, *scope));
        }
    }
    let values: Vec<Value> =
        asked.keys().flat_map(|(tenant, id, asker)| [(*tenant).into(), (*id).into(), (*asker).into()]).collect();
    let sql = if tx.backend() == DbBackend::Postgres && !locks.is_empty() {
        // The locks and the records in one round trip. The records are seen as they were before the wait for the locks:
        // a twin that another process recorded meanwhile is met as a unique value, and found on the next try.
        let sql = Sql::new(
            tx.db(),
            "SELECT i.tenant, i.request_id, i.asker, i.fingerprint, i.subject, i.reply, l.held \
             FROM (SELECT count(pg_advisory_xact_lock(key)) AS held FROM unnest(",
        )
        .bind(locks.iter().map(|key| key.0).collect::<Vec<i64>>())
        .text("::int8[]) AS k(key)) AS l LEFT JOIN (SELECT * FROM idempotency WHERE ");
        sql.in_rows(KEY, values).text(") AS i ON true")
    } else if asked.is_empty() {
        return Ok(HashMap::new());
    } else {
        Sql::new(tx.db(), "SELECT tenant, request_id, asker, fingerprint, subject, reply FROM idempotency WHERE ")
            .in_rows(KEY, values)
    };
    let rows = sql.all(tx.db()).await?;
    let mut known = HashMap::with_capacity(rows.len());
    let mut sealed = Vec::new();
    for row in rows {
        let Some(tenant) = row.try_get_by_index::<Option<String>>(0)? else {
            continue;
        };
        let id = row.try_get_by_index::<Uuid>(1)?;
        let key = (tenant.as_str(), id, row.try_get_by_index::<i64>(2)?);
        let Some((at, scope)) = asked.get(&key).copied() else {
            continue;
        };
        let fingerprint: Vec<u8> = row.try_get_by_index(3)?;
        if fingerprint != scope.fingerprint {
            known.insert(at, Known::Refused(reused(id)));
            continue;
        }
        let subject = Subject::of(&scope.tenant, row.try_get_by_index(4)?);
        sealed.push((at, subject, row.try_get_by_index::<Vec<u8>>(5)?));
    }
    if sealed.is_empty() {
        return Ok(known);
    }
    let subjects: Vec<_> = sealed.iter().map(|(_, subject, _)| subject.clone()).collect();
    let keys = tx.keys(&subjects).await?;
    for (at, subject, reply) in sealed {
        let answer = match keys.unseal(&subject, FIELD, &reply)? {
            Some(plain) => Known::Replay(plain),
            None => Known::Refused(keys::erased()),
        };
        known.insert(at, answer);
    }
    Ok(known)
}

fn reused(id: Uuid) -> Error {
    Error::new(
        Kind::AlreadyExists,
        reason::REQUEST_ID_REUSED,
        format!("request_id {id} was used for another request before"),
    )
    .with("request_id", id.to_string())
}

/// The rows that record these requests.
pub(crate) async fn rows(tx: &Tx, requests: Vec<Request>) -> Result<Rows, StoreError> {
    let mut rows =
        Rows::new("idempotency", &["tenant", "request_id", "asker", "fingerprint", "subject", "reply", "created_at"]);
    if requests.is_empty() {
        return Ok(rows);
    }
    let subjects: Vec<_> = requests.iter().map(|request| request.subject.clone()).collect();
    let keys = tx.keys(&subjects).await?;
    for (at, request) in requests.into_iter().enumerate() {
        give_way(at).await;
        // A write that erased its own subject leaves a record that cannot be opened: a retry learns that it is done
        // and erased.
        let sealed = if keys.is_destroyed(&request.subject) {
            Vec::new()
        } else {
            keys.seal(&request.subject, FIELD, &request.reply)?
        };
        rows.push([
            request.tenant.as_str().into(),
            request.id.into(),
            request.asker.into(),
            request.fingerprint.to_vec().into(),
            request.subject.id.into(),
            sealed.into(),
            // What is kept for ever is never old: a sweep does not even come across it.
            if request.keep { i64::MAX } else { tx.now().as_micros() }.into(),
        ]);
    }
    Ok(rows)
}
