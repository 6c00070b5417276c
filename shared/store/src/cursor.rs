//! How far this service has applied the feeds of others, and what it could not apply.

use rapport_types::tenant::TenantId;
use rapport_types::time::Timestamp;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use crate::error::{StoreError, read_error};
use crate::feed;
use crate::rows::{Rows, Sql};
use crate::store::Store;
use crate::tx::Tx;
use rapport_types::error::Error;

/// How far one consumer has applied one feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerCursor {
    /// The consumer's name.
    pub consumer: String,
    /// The service whose feed it is.
    pub source: String,
    /// That feed's epoch; positions of different epochs have nothing to do with one another.
    pub epoch: String,
    /// The position of the last event applied.
    pub position: i64,
}

/// An event that a consumer could not apply, kept with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedEvent {
    /// The consumer that could not.
    pub consumer: String,
    /// The service whose event it is.
    pub source: String,
    /// That feed's epoch.
    pub epoch: String,
    /// The event's position there.
    pub position: i64,
    /// Whose it is.
    pub tenant: TenantId,
    /// Full protobuf name of the payload.
    pub kind: String,
    /// The resource it speaks about; its later events are parked too.
    pub aggregate: String,
    /// That resource's version.
    pub version: i64,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When its service recorded it.
    pub recorded_at: Timestamp,
    /// The trace that caused it.
    pub traceparent: Option<String>,
    /// The encoded message.
    pub payload: Vec<u8>,
    /// Why it could not be applied.
    pub reason: String,
    /// When it was parked.
    pub parked_at: Timestamp,
}

const PARKED: &[&str] = &[
    "tenant",
    "consumer",
    "source",
    "epoch",
    "position",
    "kind",
    "aggregate",
    "version",
    "occurred_at",
    "recorded_at",
    "traceparent",
    "payload",
    "reason",
    "parked_at",
];

fn cursor(row: &QueryResult) -> Result<ConsumerCursor, DbErr> {
    Ok(ConsumerCursor {
        consumer: row.try_get_by_index(0)?,
        source: row.try_get_by_index(1)?,
        epoch: row.try_get_by_index(2)?,
        position: row.try_get_by_index(3)?,
    })
}

pub(crate) async fn cursors(db: &impl ConnectionTrait) -> Result<Vec<ConsumerCursor>, DbErr> {
    let sql = "SELECT consumer, source, epoch, position FROM consumer_cursor ORDER BY consumer, source";
    let rows = Sql::new(db, sql).all(db).await?;
    rows.iter().map(cursor).collect()
}

fn parked(row: &QueryResult) -> Result<ParkedEvent, DbErr> {
    Ok(ParkedEvent {
        tenant: feed::tenant(&row.try_get_by_index::<String>(0)?)?,
        consumer: row.try_get_by_index(1)?,
        source: row.try_get_by_index(2)?,
        epoch: row.try_get_by_index(3)?,
        position: row.try_get_by_index(4)?,
        kind: row.try_get_by_index(5)?,
        aggregate: row.try_get_by_index(6)?,
        version: row.try_get_by_index(7)?,
        occurred_at: Timestamp::from_micros(row.try_get_by_index(8)?),
        recorded_at: Timestamp::from_micros(row.try_get_by_index(9)?),
        traceparent: row.try_get_by_index(10)?,
        payload: row.try_get_by_index(11)?,
        reason: row.try_get_by_index(12)?,
        parked_at: Timestamp::from_micros(row.try_get_by_index(13)?),
    })
}

impl Store {
    /// Where a consumer stands; `None` when it never applied anything.
    pub async fn cursor(&self, consumer: &str, source: &str) -> Result<Option<ConsumerCursor>, Error> {
        let all = self.cursors().await?;
        Ok(all.into_iter().find(|c| c.consumer == consumer && c.source == source))
    }

    /// Where every consumer of this service stands.
    pub async fn cursors(&self) -> Result<Vec<ConsumerCursor>, Error> {
        cursors(self.reader()).await.map_err(read_error)
    }

    /// The aggregates of which a consumer has parked events, and how many of each.
    pub async fn parked_aggregates(&self, consumer: &str, source: &str) -> Result<Vec<(TenantId, String, i64)>, Error> {
        let db = self.reader();
        let rows = Sql::new(db, "SELECT tenant, aggregate, count(*) FROM parked_event WHERE consumer = ")
            .bind(consumer)
            .text(" AND source = ")
            .bind(source)
            .text(" GROUP BY tenant, aggregate")
            .all(db)
            .await
            .map_err(read_error)?;
        let found = |row: &QueryResult| -> Result<_, DbErr> {
            let tenant = feed::tenant(&row.try_get_by_index::<String>(0)?)?;
            Ok((tenant, row.try_get_by_index(1)?, row.try_get_by_index(2)?))
        };
        rows.iter().map(found).collect::<Result<_, _>>().map_err(read_error)
    }

    /// Parked events of a consumer, oldest first, at most `limit`.
    pub async fn parked(&self, consumer: &str, limit: u64) -> Result<Vec<ParkedEvent>, Error> {
        let db = self.reader();
        let rows = Sql::new(db, &format!("SELECT {} FROM parked_event WHERE consumer = ", PARKED.join(", ")))
            .bind(consumer)
            .text(" ORDER BY source, parked_at, position")
            .limit(limit)
            .all(db)
            .await
            .map_err(read_error)?;
        rows.iter().map(parked).collect::<Result<_, _>>().map_err(read_error)
    }
}

/// Where a list of parked events goes on: tenant, consumer, source, epoch, position of the last one given.
pub type ParkedKey = (String, String, String, String, i64);

/// Which parked events are meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParkedFilter<'a> {
    /// Those of one tenant.
    pub tenant: Option<&'a TenantId>,
    /// Those of one consumer.
    pub consumer: Option<&'a str>,
    /// Those of one resource.
    pub aggregate: Option<&'a str>,
}

impl ParkedFilter<'_> {
    fn of(&self, mut sql: Sql) -> Sql {
        for (column, value) in
            [("tenant", self.tenant.map(TenantId::as_str)), ("consumer", self.consumer), ("aggregate", self.aggregate)]
        {
            if let Some(value) = value {
                sql = sql.text(&format!(" AND {column} = ")).bind(value);
            }
        }
        sql
    }
}

impl Store {
    /// Parked events in the order of their keys, after the last one that is known already.
    pub async fn parked_page(
        &self,
        filter: ParkedFilter<'_>,
        after: Option<&ParkedKey>,
        limit: usize,
    ) -> Result<Vec<ParkedEvent>, Error> {
        let db = self.reader();
        let mut sql = filter.of(Sql::new(db, &format!("SELECT {} FROM parked_event WHERE 1 = 1", PARKED.join(", "))));
        if let Some((tenant, consumer, source, epoch, position)) = after {
            sql = sql.text(" AND (tenant, consumer, source, epoch, position) > (");
            for part in [tenant, consumer, source, epoch] {
                sql = sql.bind(part.as_str()).text(", ");
            }
            sql = sql.bind(*position).text(")");
        }
        let rows = sql
            .text(" ORDER BY tenant, consumer, source, epoch, position")
            .limit(limit)
            .all(db)
            .await
            .map_err(read_error)?;
        rows.iter().map(parked).collect::<Result<_, _>>().map_err(read_error)
    }

    /// For each consumer and resource that has parked events, the one that has to be applied first; the longest parked
    /// resources first.
    pub async fn parked_firsts(&self, filter: ParkedFilter<'_>, limit: usize) -> Result<Vec<ParkedEvent>, Error> {
        let db = self.reader();
        let sql = "SELECT tenant, consumer, source, aggregate FROM parked_event WHERE 1 = 1";
        let rows = filter
            .of(Sql::new(db, sql))
            .text(" GROUP BY tenant, consumer, source, aggregate ORDER BY min(parked_at), 1, 2, 3, 4")
            .limit(limit)
            .all(db)
            .await
            .map_err(read_error)?;
        let mut firsts = Vec::with_capacity(rows.len());
        for row in rows {
            let group = || -> Result<(TenantId, String, String, String), DbErr> {
                let tenant = feed::tenant(&row.try_get_by_index::<String>(0)?)?;
                Ok((tenant, row.try_get_by_index(1)?, row.try_get_by_index(2)?, row.try_get_by_index(3)?))
            };
            let (tenant, consumer, source, aggregate) = group().map_err(read_error)?;
            firsts.extend(first(db, &tenant, &consumer, &source, &aggregate).await.map_err(read_error)?);
        }
        Ok(firsts)
    }

    /// The parked event of the same resource that has to be applied next.
    pub async fn parked_next(&self, of: &ParkedEvent) -> Result<Option<ParkedEvent>, Error> {
        first(self.reader(), &of.tenant, &of.consumer, &of.source, &of.aggregate).await.map_err(read_error)
    }

    /// How many events are parked.
    pub async fn parked_count(&self, filter: ParkedFilter<'_>) -> Result<i64, Error> {
        let db = self.reader();
        let row = filter
            .of(Sql::new(db, "SELECT count(*) FROM parked_event WHERE 1 = 1"))
            .one(db)
            .await
            .map_err(read_error)?;
        row.map_or(Ok(0), |row| row.try_get_by_index(0)).map_err(read_error)
    }
}

/// By version: it only grows within an aggregate, whatever the clocks did.
async fn first(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    consumer: &str,
    source: &str,
    aggregate: &str,
) -> Result<Option<ParkedEvent>, DbErr> {
    let row = Sql::new(db, &format!("SELECT {} FROM parked_event WHERE tenant = ", PARKED.join(", ")))
        .bind(tenant.as_str())
        .text(" AND consumer = ")
        .bind(consumer)
        .text(" AND source = ")
        .bind(source)
        .text(" AND aggregate = ")
        .bind(aggregate)
        .text(" ORDER BY version, position LIMIT 1")
        .one(db)
        .await?;
    row.as_ref().map(parked).transpose()
}

impl Tx {
    /// Keeps a consumer's cursor, and with it everybody who parks or unparks for it, waiting until this transaction ends.
    pub async fn hold_cursor(&self, consumer: &str, source: &str) -> Result<(), StoreError> {
        Sql::new(self.db(), "UPDATE consumer_cursor SET updated_at = ")
            .bind(self.now().as_micros())
            .text(" WHERE consumer = ")
            .bind(consumer)
            .text(" AND source = ")
            .bind(source)
            .execute(self.db())
            .await?;
        Ok(())
    }

    /// The parked event of this one's aggregate that has to be applied next.
    pub async fn parked_first(&self, of: &ParkedEvent) -> Result<Option<ParkedEvent>, StoreError> {
        Ok(first(self.db(), &of.tenant, &of.consumer, &of.source, &of.aggregate).await?)
    }

    /// Moves a consumer's cursor, if it still stands where the caller believes (`from`, `None` for never moved).
    /// `false` says that another replica was quicker: the caller rolls back (by returning an error) and reads again.
    pub async fn advance_cursor(
        &self,
        consumer: &str,
        source: &str,
        from: Option<(&str, i64)>,
        to: (&str, i64),
    ) -> Result<bool, StoreError> {
        let now = self.now().as_micros();
        let done = match from {
            None => {
                let mut rows = Rows::new("consumer_cursor", &["consumer", "source", "epoch", "position", "updated_at"]);
                rows.push([consumer.into(), source.into(), to.0.into(), to.1.into(), now.into()]);
                rows.insert_with(self.db(), "ON CONFLICT DO NOTHING").await?
            }
            Some(from) => Sql::new(self.db(), "UPDATE consumer_cursor SET epoch = ")
                .bind(to.0)
                .text(", position = ")
                .bind(to.1)
                .text(", updated_at = ")
                .bind(now)
                .text(" WHERE consumer = ")
                .bind(consumer)
                .text(" AND source = ")
                .bind(source)
                .text(" AND epoch = ")
                .bind(from.0)
                .text(" AND position = ")
                .bind(from.1)
                .execute(self.db())
                .await?
                .rows_affected(),
        };
        Ok(done == 1)
    }

    /// Keeps events that cannot be applied; one that is parked already stays as it is.
    pub async fn park(&self, events: Vec<ParkedEvent>) -> Result<(), StoreError> {
        let mut rows = Rows::new("parked_event", PARKED);
        for event in events {
            rows.push([
                event.tenant.as_str().into(),
                event.consumer.into(),
                event.source.into(),
                event.epoch.into(),
                event.position.into(),
                event.kind.into(),
                event.aggregate.into(),
                event.version.into(),
                event.occurred_at.as_micros().into(),
                event.recorded_at.as_micros().into(),
                event.traceparent.into(),
                event.payload.into(),
                event.reason.into(),
                event.parked_at.as_micros().into(),
            ]);
        }
        rows.insert_with(self.db(), "ON CONFLICT DO NOTHING").await?;
        Ok(())
    }

    /// Which of these aggregates have a parked event, so that their later events must be parked too.
    pub async fn parked_among(
        &self,
        consumer: &str,
        source: &str,
        aggregates: &[(TenantId, String)],
    ) -> Result<Vec<(TenantId, String)>, StoreError> {
        if aggregates.is_empty() {
            return Ok(Vec::new());
        }
        let values = aggregates
            .iter()
            .flat_map(|(tenant, name)| [Value::from(tenant.as_str()), Value::from(name.as_str())])
            .collect();
        let rows = Sql::new(self.db(), "SELECT DISTINCT tenant, aggregate FROM parked_event WHERE consumer = ")
            .bind(consumer)
            .text(" AND source = ")
            .bind(source)
            .text(" AND ")
            .in_rows(&["tenant", "aggregate"], values)
            .all(self.db())
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            found.push((feed::tenant(&row.try_get_by_index::<String>(0)?)?, row.try_get_by_index(1)?));
        }
        Ok(found)
    }

    /// Forgets a parked event, when it was applied after all or given up.
    pub async fn unpark(&self, event: &ParkedEvent) -> Result<bool, StoreError> {
        let done = Sql::new(self.db(), "DELETE FROM parked_event WHERE tenant = ")
            .bind(event.tenant.as_str())
            .text(" AND consumer = ")
            .bind(event.consumer.as_str())
            .text(" AND source = ")
            .bind(event.source.as_str())
            .text(" AND epoch = ")
            .bind(event.epoch.as_str())
            .text(" AND position = ")
            .bind(event.position)
            .execute(self.db())
            .await?;
        Ok(done.rows_affected() == 1)
    }
}
