//! A look at a service's database from beside: nothing is made, migrated or locked for longer than a look takes, and a
//! server may be running on it.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io;
use std::time::Duration;

use rapport_types::time::Timestamp;
use sea_orm::sqlx::postgres::{PgConnection, PgPoolOptions};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::sqlx::{self, ConnectOptions, Connection, Executor, Row};
use sea_orm::{DatabaseConnection, DbErr, SqlxPostgresConnector, SqlxSqliteConnector};

use crate::cursor::ConsumerCursor;
use crate::gauges::{self, Backlog};
use crate::key_cache::KeyCache;
use crate::keys::{self, KeyFileError, KeyRing};
use crate::migrate::Migrations;
use crate::open::OpenError;
use crate::options::StoreOptions;
use crate::postgres::connect_options;
use crate::rows::Sql;
use crate::schema;

/// How long a look may wait for the database.
const PATIENCE: Duration = Duration::from_secs(3);

/// A database under inspection.
#[derive(Debug)]
pub struct Inspector {
    db: DatabaseConnection,
    postgres: bool,
    /// Stands before every table.
    schema: String,
}

/// Something a database is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As the database calls it, for example `fsync`.
    pub name: String,
    /// As the database says it, for example `on`.
    pub value: String,
}

/// A database's schema, compared with what this build would make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Migrations that have run.
    pub applied: usize,
    /// Migrations of this build that have not.
    pub pending: Vec<String>,
    /// Migrations that have run and that this build does not know: a newer one was here.
    pub unknown: Vec<String>,
}

/// Whether what is behind a PostgreSQL address keeps a session's settings and locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// One connection is one session, all its life.
    Session,
    /// Between transactions a pooler gives a connection to another session.
    Transaction,
}

impl Inspector {
    /// Connects. `None` when there is no database yet: the first start makes it.
    ///
    /// # Errors
    /// As for opening a store, as far as it applies to looking.
    pub async fn open(options: &StoreOptions, service: &str) -> Result<Option<Self>, OpenError> {
        if options.is_postgres() {
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .acquire_timeout(PATIENCE)
                .connect_with(connect_options(&options.url)?.statement_cache_capacity(0))
                .await?;
            let db = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
            return Ok(Some(Self { db, postgres: true, schema: format!("\"{service}\".") }));
        }
        if options.url != "sqlite" {
            return Err(OpenError::Url);
        }
        let file = options.data.join(format!("{service}.db"));
        match file.metadata() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(OpenError::Folder { path: options.data.clone(), source }),
        }
        let connect = SqliteConnectOptions::new()
            .filename(file)
            .read_only(true)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_with(connect).await?;
        Ok(Some(Self { db: SqlxSqliteConnector::from_sqlx_sqlite_pool(pool), postgres: false, schema: String::new() }))
    }

    /// What durability depends on, and the version. SQLite: `version`, `journal_mode`, `synchronous`. PostgreSQL:
    /// `server_version`, `server_version_num`, `fsync`, `full_page_writes`, `synchronous_commit`, `max_connections`,
    /// `in_recovery`.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn settings(&self) -> Result<Vec<Setting>, OpenError> {
        let sql = if self.postgres {
            "SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ('server_version', 'server_version_num', \
             'fsync', 'full_page_writes', 'synchronous_commit', 'max_connections') \
             UNION ALL SELECT 'in_recovery', pg_is_in_recovery()::text"
        } else {
            "SELECT 'version', sqlite_version() UNION ALL SELECT 'journal_mode', journal_mode FROM pragma_journal_mode \
             UNION ALL SELECT 'synchronous', CAST(synchronous AS TEXT) FROM pragma_synchronous"
        };
        let mut settings = Vec::new();
        for row in Sql::new(&self.db, sql).all(&self.db).await? {
            settings.push(Setting { name: row.try_get_by_index(0)?, value: row.try_get_by_index(1)? });
        }
        Ok(settings)
    }

    /// What the database's clock says; `None` where it has none of its own.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn now(&self) -> Result<Option<Timestamp>, OpenError> {
        if !self.postgres {
            return Ok(None);
        }
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT";
        let row = Sql::new(&self.db, sql).one(&self.db).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.map(Timestamp::from_micros))
    }

    /// How the schema compares with a service's migrations.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn schema(&self, migrations: &Migrations) -> Result<Schema, OpenError> {
        let mut found = Schema::default();
        for (table, known) in [("store_migration", &schema::migrations()), ("service_migration", migrations)] {
            let applied = self.applied(table).await?;
            let names: BTreeSet<&str> = known.iter().map(|migration| migration.name()).collect();
            found.applied += applied.len();
            found.pending.extend(names.iter().filter(|name| !applied.contains(**name)).map(|name| (*name).to_owned()));
            found.unknown.extend(applied.iter().filter(|name| !names.contains(name.as_str())).cloned());
        }
        Ok(found)
    }

    async fn applied(&self, table: &str) -> Result<BTreeSet<String>, DbErr> {
        let exists = if self.postgres {
            format!("SELECT 1 WHERE to_regclass('{}{table}') IS NOT NULL", self.schema)
        } else {
            format!("SELECT 1 FROM sqlite_schema WHERE name = '{table}'")
        };
        let mut names = BTreeSet::new();
        if Sql::new(&self.db, &exists).one(&self.db).await?.is_some() {
            for row in Sql::new(&self.db, &format!("SELECT name FROM {}{table}", self.schema)).all(&self.db).await? {
                names.insert(row.try_get_by_index(0)?);
            }
        }
        Ok(names)
    }

    /// What is still to be done; the schema must be there.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn backlog(&self) -> Result<Backlog, OpenError> {
        Ok(gauges::backlog(&self.db, &self.schema).await?)
    }

    /// How far the service's consumers are; the schema must be there.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn cursors(&self) -> Result<Vec<ConsumerCursor>, OpenError> {
        let sql = format!("SELECT consumer, source, epoch, position FROM {}consumer_cursor ORDER BY 1, 2", self.schema);
        let mut cursors = Vec::new();
        for row in Sql::new(&self.db, &sql).all(&self.db).await? {
            cursors.push(ConsumerCursor {
                consumer: row.try_get_by_index(0)?,
                source: row.try_get_by_index(1)?,
                epoch: row.try_get_by_index(2)?,
                position: row.try_get_by_index(3)?,
            });
        }
        Ok(cursors)
    }

    /// When the first event after a position was recorded; `None` when there is none.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn recorded_after(&self, position: i64) -> Result<Option<Timestamp>, OpenError> {
        let sql = format!(
            "SELECT recorded_at FROM {}feed_batch WHERE events > 0 AND last_position > {position} \
             ORDER BY last_position LIMIT 1",
            self.schema
        );
        let row = Sql::new(&self.db, &sql).one(&self.db).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.map(Timestamp::from_micros))
    }

    /// Whether the key file is the one this database was made with; the schema must be there. A file that is missing is
    /// not made. `false` when the database does not know its key yet.
    ///
    /// # Errors
    /// The key file does not serve, or the database does not answer.
    pub async fn key(&self, options: &StoreOptions, service: &str) -> Result<bool, OpenError> {
        let sql = format!("SELECT key_check FROM {}feed_state WHERE id = 1", self.schema);
        let row = Sql::new(&self.db, &sql).one(&self.db).await?;
        let known: Option<Vec<u8>> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        let Some(known) = known else { return Ok(false) };
        let path = options.key_path();
        let root = keys::load(&path, false)?;
        if KeyRing::new(&root, service, KeyCache::default()).check().as_slice() != known.as_slice() {
            return Err(KeyFileError::Wrong { path }.into());
        }
        Ok(true)
    }

    /// Lets the database go.
    pub async fn close(self) {
        let _ = self.db.close().await;
    }
}

/// Whether a running process holds a service's files on SQLite.
///
/// # Errors
/// The lock file cannot be asked: the folder is not there, or its file system knows no locks.
pub fn lock_is_held(options: &StoreOptions, service: &str) -> io::Result<bool> {
    let file = match File::options().write(true).open(options.data.join(format!("{service}.lock"))) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        // Let go with the file.
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Pooling {
    /// Finds out how a PostgreSQL address treats sessions: while one connection has a transaction open, another takes
    /// what the pooler has free, and afterwards the first may find itself in another session. Simple statements only, so
    /// that it works behind poolers that lose prepared ones.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn of(options: &StoreOptions) -> Result<Self, OpenError> {
        let connect = connect_options(&options.url)?;
        let connected = tokio::time::timeout(PATIENCE, async {
            Ok::<_, sqlx::Error>((
                PgConnection::connect_with(&connect).await?,
                PgConnection::connect_with(&connect).await?,
            ))
        });
        let (mut one, mut other) = connected.await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        let before = session(&mut one).await?;
        one.execute("BEGIN").await?;
        // A pooler with a single connection lets nobody else in meanwhile; PostgreSQL itself always does.
        let blocked = tokio::time::timeout(PATIENCE, session(&mut other)).await.is_err();
        one.execute("COMMIT").await?;
        if blocked {
            return Ok(Self::Transaction);
        }
        other.execute("BEGIN").await?;
        let after = tokio::time::timeout(PATIENCE, session(&mut one)).await;
        other.execute("COMMIT").await?;
        let moved = match after {
            Ok(after) => after? != before,
            Err(_) => true,
        };
        for connection in [one, other] {
            let _ = connection.close().await;
        }
        Ok(if moved { Self::Transaction } else { Self::Session })
    }
}

async fn session(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let row = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(&mut *connection).await?;
    row.try_get(0)
}
