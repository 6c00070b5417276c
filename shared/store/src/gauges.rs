//! What somebody should watch in a store: what waits in the outbox, what is parked, how busy the connections are.

use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};

use crate::error::read_error;
use crate::rows::Sql;
use crate::store::Store;

/// Rows counted at most: a look must stay cheap when there is much to see.
const COUNTED: i64 = 10_000;

/// What a store has still to do, as its database says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Position of the oldest event kept.
    pub oldest: i64,
    /// Position of the newest event.
    pub newest: i64,
    /// Committed batches whose events have no position yet, so that nobody can read them; 10,000 at most.
    pub unnumbered: i64,
    /// When the oldest of those was written.
    pub unnumbered_since: Option<Timestamp>,
    /// Parked events by consumer and source; those with none are left out.
    pub parked: Vec<(String, String, i64)>,
}

/// The connections of one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// `read` or `write`.
    pub name: &'static str,
    /// Connections at work.
    pub used: u32,
    /// Connections at rest.
    pub idle: u32,
    /// Connections there may be.
    pub max: u32,
}

/// Reads the backlog; `schema` stands before every table, such as `"scoring".`, or is empty.
pub(crate) async fn backlog(db: &impl ConnectionTrait, schema: &str) -> Result<Backlog, DbErr> {
    let sql = format!(
        "SELECT coalesce((SELECT max(last_position) FROM {schema}feed_batch WHERE events > 0), s.trimmed), s.trimmed + 1, \
         w.batches, w.since FROM {schema}feed_state AS s, (SELECT count(*) AS batches, min(recorded_at) AS since FROM \
         (SELECT recorded_at FROM {schema}feed_batch WHERE last_position IS NULL ORDER BY batch LIMIT {COUNTED}) AS u) AS w \
         WHERE s.id = 1"
    );
    let row = Sql::new(db, &sql).one(db).await?.ok_or_else(|| DbErr::RecordNotFound("feed_state".to_owned()))?;
    let sql = format!(
        "SELECT consumer, source, count(*) FROM {schema}parked_event GROUP BY consumer, source ORDER BY consumer, source"
    );
    let mut parked = Vec::new();
    for row in Sql::new(db, &sql).all(db).await? {
        parked.push((row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?));
    }
    Ok(Backlog {
        newest: row.try_get_by_index(0)?,
        oldest: row.try_get_by_index(1)?,
        unnumbered: row.try_get_by_index(2)?,
        unnumbered_since: row.try_get_by_index::<Option<i64>>(3)?.map(Timestamp::from_micros),
        parked,
    })
}

fn pool(name: &'static str, db: &DatabaseConnection) -> Pool {
    let (size, idle, max) = match db.get_database_backend() {
        DbBackend::Postgres => {
            let pool = db.get_postgres_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        }
        _ => {
            let pool = db.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        }
    };
    let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(size);
    Pool { name, used: size - idle, idle, max }
}

impl Store {
    /// What the database has still to do: two statements.
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        backlog(self.reader(), "").await.map_err(read_error)
    }

    /// How busy the connections are.
    pub fn pools(&self) -> [Pool; 2] {
        [pool("read", self.reader()), pool("write", &self.inner.engine.writer)]
    }
}
