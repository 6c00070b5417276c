//! Reading the feed: every event of a service, in order, at dense positions.

use rapport_types::tenant::TenantId;
use rapport_types::time::Timestamp;
use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use crate::rows::Sql;

/// An event as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the feed: 1, 2, 3, ... without gaps.
    pub position: i64,
    /// Whose it is.
    pub tenant: TenantId,
    /// The full protobuf name of the payload, such as `rapport.stakeholders.v1.PartyCreated`.
    pub kind: String,
    /// The resource it speaks about.
    pub aggregate: String,
    /// That resource's version after the change; never goes back along the feed.
    pub version: i64,
    /// When it happened in the world.
    pub occurred_at: Timestamp,
    /// When it was written.
    pub recorded_at: Timestamp,
    /// The trace of the call that caused it.
    pub traceparent: Option<String>,
    /// The encoded protobuf message.
    pub payload: Vec<u8>,
}

/// Some of the feed, and how far it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPage {
    /// The events, in order.
    pub events: Vec<StoredEvent>,
    /// Everything up to this position was looked at: the next page starts after it. It is where the caller stood when
    /// there is nothing newer.
    pub scanned: i64,
}

/// Batches that one page for a single tenant looks through at most.
const WINDOW: i64 = 500;

/// Events after a position, in order, at most `limit`; of one tenant, from a bounded stretch of the feed.
pub(crate) async fn page(
    db: &impl ConnectionTrait,
    position: i64,
    limit: usize,
    tenant: Option<&TenantId>,
) -> Result<FeedPage, DbErr> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let end = match tenant {
        None => None,
        Some(_) => match window_end(db, position).await? {
            None => {
                return Ok(FeedPage { events: Vec::new(), scanned: position });
            }
            end => end,
        },
    };
    // The batch in which the first event falls is found by its last position; of that batch, the places before it are
    // skipped. Every batch has an event, so no more batches than events are looked at.
    let mut sql = Sql::new(
        db,
        "SELECT b.first_position + o.place, o.tenant, o.kind, o.aggregate, o.version, o.occurred_at, \
         b.recorded_at, o.traceparent, o.payload \
         FROM (SELECT batch, first_position, last_position, recorded_at FROM feed_batch \
         WHERE events > 0 AND last_position > ",
    )
    .bind(position)
    .text(" ORDER BY last_position")
    .limit(if tenant.is_some() { WINDOW } else { limit })
    .text(") AS b JOIN outbox o ON o.batch = b.batch WHERE o.place > ")
    .bind(position)
    .text(" - b.first_position");
    if let (Some(tenant), Some(end)) = (tenant, end) {
        sql = sql.text(" AND b.last_position <= ").bind(end).text(" AND o.tenant = ").bind(tenant.as_str());
    }
    let rows = sql.text(" ORDER BY b.last_position, o.place").limit(limit).all(db).await?;
    let events = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
    let full = i64::try_from(events.len()).is_ok_and(|count| count >= limit);
    let last = events.last().map_or(position, |event| event.position);
    let scanned = match end {
        Some(end) if !full => end,
        _ => last,
    };
    Ok(FeedPage { events, scanned })
}

async fn window_end(db: &impl ConnectionTrait, position: i64) -> Result<Option<i64>, DbErr> {
    let row = Sql::new(
        db,
        "SELECT max(last_position) FROM (SELECT last_position FROM feed_batch WHERE events > 0 AND last_position > ",
    )
    .bind(position)
    .text(" ORDER BY last_position")
    .limit(WINDOW)
    .text(") AS w")
    .one(db)
    .await?;
    row.map_or(Ok(None), |row| row.try_get_by_index(0))
}

fn stored(row: &QueryResult) -> Result<StoredEvent, DbErr> {
    Ok(StoredEvent {
        position: row.try_get_by_index(0)?,
        tenant: tenant(&row.try_get_by_index::<String>(1)?)?,
        kind: row.try_get_by_index(2)?,
        aggregate: row.try_get_by_index(3)?,
        version: row.try_get_by_index(4)?,
        occurred_at: Timestamp::from_micros(row.try_get_by_index(5)?),
        recorded_at: Timestamp::from_micros(row.try_get_by_index(6)?),
        traceparent: row.try_get_by_index(7)?,
        payload: row.try_get_by_index(8)?,
    })
}

/// A tenant as stored: it was parsed once, so it parses again.
pub(crate) fn tenant(text: &str) -> Result<TenantId, DbErr> {
    TenantId::parse(text).map_err(|_| DbErr::Type("a stored tenant does not parse".to_owned()))
}

/// The feed's state row.
pub(crate) struct State {
    pub(crate) position: i64,
    pub(crate) trimmed: i64,
    pub(crate) epoch: String,
    pub(crate) key_check: Option<Vec<u8>>,
}

pub(crate) async fn state(db: &impl ConnectionTrait) -> Result<State, DbErr> {
    let row = Sql::new(
        db,
        "SELECT coalesce((SELECT max(last_position) FROM feed_batch WHERE events > 0), trimmed), trimmed, epoch, \
         key_check FROM feed_state WHERE id = 1",
    )
    .one(db)
    .await?
    .ok_or_else(|| DbErr::RecordNotFound("feed_state".to_owned()))?;
    Ok(State {
        position: row.try_get_by_index(0)?,
        trimmed: row.try_get_by_index(1)?,
        epoch: row.try_get_by_index(2)?,
        key_check: row.try_get_by_index(3)?,
    })
}
