//! The PostgreSQL store: one schema per service, any number of replicas.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Connection, Executor};
use sea_orm::{DatabaseConnection, SqlxPostgresConnector};

use crate::command::LockKey;
use crate::key_cache::KeyCache;
use crate::open::OpenError;
use crate::options::StoreOptions;

/// How long a connection rests before it is asked whether it is still alive.
const RESTED: Duration = Duration::from_millis(250);

/// What a pool's sessions are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Session {
    /// Reads outside a write: cannot write.
    Read,
    /// Batches: their commit does not wait for the flush, the sequencer's does.
    Write,
    /// The sequencer: its commit is the flush.
    Sequence,
}

pub(crate) fn connect_options(url: &str) -> Result<PgConnectOptions, OpenError> {
    Ok(PgConnectOptions::from_str(url)
        .map_err(|_| OpenError::Url)?
        .application_name("rapport")
        .statement_cache_capacity(500)
        .disable_statement_logging())
}

fn settings(options: &StoreOptions, service: &str, session: Session) -> String {
    let statement = options.statement_timeout.as_millis();
    let lock = options.lock_timeout.as_millis();
    let mut sql = format!(
        "SET search_path = \"{service}\"; SET statement_timeout = {statement}; SET lock_timeout = {lock}; \
         SET idle_in_transaction_session_timeout = 10000; SET jit = off; SET timezone = 'UTC'; ",
    );
    sql.push_str(match session {
        Session::Read => "SET default_transaction_read_only = on",
        Session::Write => "SET synchronous_commit = off",
        Session::Sequence => "SET synchronous_commit = on",
    });
    if session != Session::Read {
        // Every statement of a write goes by keys, a few hundred at most. A plan made while a table was empty, or by
        // figures of a moment when nothing was numbered, would read whole tables, and is kept.
        // There is one plan for each, so it is made once: a plan for the values at hand costs as much as the statement.
        // And a row by its key is to cost no more than one beside the last, else a few hundred rows are read for one.
        sql.push_str(
            "; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
             SET random_page_cost = 1.1; SET plan_cache_mode = force_generic_plan",
        );
    }
    sql
}

fn pool(
    options: &StoreOptions,
    service: &str,
    session: Session,
    connections: u32,
    doubt: &Doubt,
    known: &KeyCache,
) -> Result<PgPool, OpenError> {
    let settings = settings(options, service, session);
    let known = known.clone();
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        // What was opened before the process was ready is opened again when it has rested too long.
        .min_connections(options.ready_connections.min(connections))
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let (settings, known) = (settings.clone(), known.clone());
            Box::pin(async move {
                connection.execute(AssertSqlSafe(settings)).await?;
                // The old one may have gone with a crash that lost commits, and keys with them.
                known.forget();
                Ok(())
            })
        });
    // A connection that rested is asked whether it is still alive, a busy one is not.
    let doubted = doubt.clone();
    let pool = pool.before_acquire(move |connection, state| {
        let doubted = doubted.clone();
        Box::pin(async move {
            if state.idle_for < RESTED && !doubted.take() {
                return Ok(true);
            }
            match session {
                Session::Write => leave_transaction(connection).await,
                Session::Read | Session::Sequence => {
                    connection.ping().await?;
                    Ok(true)
                }
            }
        })
    });
    let pool = match session {
        // Also when a connection comes back: nobody waits for it, and a transaction that was left open holds its locks no
        // longer than that.
        Session::Write => {
            let doubted = doubt.clone();
            pool.after_release(move |connection, _| {
                let doubted = doubted.clone();
                Box::pin(async move { if doubted.take() { leave_transaction(connection).await } else { Ok(true) } })
            })
        }
        Session::Read | Session::Sequence => pool,
    };
    Ok(pool.connect_lazy_with(connect_options(&options.url)?))
}

/// How many connections are looked after once there was a doubt: more than there are, several times over.
const DOUBTFUL: u64 = 1_000;

/// Whether a transaction may have been left open. One that is begun raises the doubt unless it ends in order, that is
/// with its commit or its rollback answered, so that nothing is asked of a connection that is known to be at rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubt(Arc<AtomicU64>);

impl Doubt {
    pub(crate) fn watch(&self) -> Open {
        Open(Some(self.clone()))
    }

    /// Whether this connection is to be looked after.
    fn take(&self) -> bool {
        self.0.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

/// A transaction that has not ended.
pub(crate) struct Open(Option<Doubt>);

impl Open {
    pub(crate) fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(Doubt(left)) = &self.0 {
            left.store(DOUBTFUL, Ordering::SeqCst);
        }
    }
}

/// Whatever happened to its last user, a connection starts its next transaction outside of one: a driver that lost
/// count would otherwise add an acknowledged write to a transaction that nobody commits. A bare ROLLBACK would do, but
/// leaves a warning in the server's log each time.
async fn leave_transaction(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    connection.execute("BEGIN; ROLLBACK").await?;
    Ok(true)
}

pub(crate) fn reader(options: &StoreOptions, service: &str, known: &KeyCache) -> Result<DatabaseConnection, OpenError> {
    let pool = pool(options, service, Session::Read, options.max_readers.max(1), &Doubt::default(), known)?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

pub(crate) fn writer(
    options: &StoreOptions,
    service: &str,
    doubt: &Doubt,
    known: &KeyCache,
) -> Result<DatabaseConnection, OpenError> {
    // One more than the batches, for a connection on its way back to the pool.
    let connections = u32::try_from(options.batches_in_flight).unwrap_or(8).max(1) + 1;
    let pool = pool(options, service, Session::Write, connections, doubt, known)?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

pub(crate) fn sequencer(options: &StoreOptions, service: &str, known: &KeyCache) -> Result<PgPool, OpenError> {
    pool(options, service, Session::Sequence, 1, &Doubt::default(), known)
}

/// How long the first connections may take together: a database that is busy with others opens them slowly.
const FILLING: Duration = Duration::from_secs(10);

/// Opens the first connections of pools, so that the first calls of a replica that starts under load need not wait for
/// them: a call waits for a connection no longer than `acquire_timeout`. One after another in each pool: a busy database
/// would answer none of many in time. Fewer than were asked for are better than no replica.
pub(crate) async fn fill(options: &StoreOptions, service: &str, pools: [&PgPool; 3]) {
    let filled = futures::future::try_join_all(pools.map(|pool| async move {
        let mut held = Vec::new();
        while held.len() < options.ready_connections.min(pool.options().get_max_connections()) as usize {
            match pool.acquire().await {
                Ok(connection) => held.push(connection),
                Err(sqlx::Error::PoolTimedOut) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }));
    match tokio::time::timeout(FILLING, filled).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(service, %error, "the database gives fewer connections than it is to begin with")
        }
        Err(_) => {
            tracing::warn!(service, "the database is slow to give connections: the first calls may wait for theirs")
        }
    }
}

/// A connection of its own that holds the migration lock until it is closed. The schema exists afterwards.
pub(crate) async fn migrator(options: &StoreOptions, service: &str) -> Result<DatabaseConnection, OpenError> {
    let service = service.to_owned();
    // An absent server is told soon; a replica that migrates may take its time.
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(connect_options(&options.url)?)
        .await?
        .close()
        .await;
    let LockKey(key) = LockKey::of_migration(&service);
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(300))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let service = service.clone();
            Box::pin(async move { prepare(connection, &service, key).await })
        })
        .connect_with(connect_options(&options.url)?)
        .await?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

async fn prepare(connection: &mut PgConnection, service: &str, key: i64) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_lock($1)").bind(key).execute(&mut *connection).await?;
    let exists: bool =
        sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL").bind(service).fetch_one(&mut *connection).await?;
    if !exists {
        // Asked for only when missing: a role that may not make schemas can use one that was made for it.
        connection.execute(AssertSqlSafe(format!("CREATE SCHEMA \"{service}\""))).await?;
    }
    connection
        .execute(AssertSqlSafe(format!("SET search_path = \"{service}\"; SET client_min_messages = warning")))
        .await?;
    Ok(())
}
