//! From options to a running store.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rapport_types::id::World;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, sqlx};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::committer::queue::Queue;
use crate::committer::{Counters, Engine, worker};
use crate::feed;
use crate::key_cache::KeyCache;
use crate::keys::{self, KeyFileError, KeyRing};
use crate::migrate::{self, Migrations};
use crate::options::StoreOptions;
use crate::rows::Sql;
use crate::sequencer;
use crate::store::{Inner, Store};
use crate::{gather, postgres, schema, sqlite, statistics};

/// How often old records are swept.
const SWEEP: Duration = Duration::from_secs(600);

/// Why a store cannot be opened; for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder cannot be used.
    #[error("data folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("data folder {path} is in use by another process")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The URL is neither `sqlite` nor a PostgreSQL URL.
    #[error("store.url must be \"sqlite\" or a postgres:// URL")]
    Url,
    /// The SQLite library is older than the first safe one.
    #[error("SQLite {found} is too old: 3.51.3 or newer is needed")]
    OldSqlite {
        /// The version found.
        found: String,
    },
    /// The key file does not serve.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The database does not answer, or a migration failed.
    #[error("database: {0}")]
    Database(#[from] DbErr),
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(DbErr::Conn(sea_orm::RuntimeErr::SqlxError(Arc::new(error))))
    }
}

impl Store {
    /// Opens a service's database: makes and migrates it where needed (one process at a time), reads the keys, and
    /// starts the writers.
    pub async fn open(
        options: &StoreOptions,
        service: &'static str,
        migrations: Migrations,
        world: World,
    ) -> Result<Self, OpenError> {
        let (position, _) = watch::channel(0);
        let doubt = postgres::Doubt::default();
        let known = KeyCache::default();
        let stop = CancellationToken::new();
        let (writer, reader, sequencer, lock) = if options.is_postgres() {
            data_folder(options)?;
            let migrator = postgres::migrator(options, service).await?;
            let migrated = async {
                prepare(&migrator, &migrations, &world).await?;
                gather::tell_of_tenants(&migrator).await
            }
            .await;
            migrator.close().await?;
            migrated?;
            let pool = postgres::sequencer(options, service, &known)?;
            let writer = postgres::writer(options, service, &doubt, &known)?;
            let reader = postgres::reader(options, service, &known)?;
            let pools = [&pool, writer.get_postgres_connection_pool(), reader.get_postgres_connection_pool()];
            postgres::fill(options, service, pools).await;
            (writer, reader, Some(sequencer::new(pool, position.clone(), stop.clone())), None)
        } else if options.url == "sqlite" {
            let opened = sqlite::writer(options, service).await?;
            prepare(&opened.writer, &migrations, &world).await?;
            statistics::refresh(&opened.writer).await?;
            let reader = sqlite::reader(options, service);
            (opened.writer, reader, None, Some(opened.lock))
        } else {
            return Err(OpenError::Url);
        };

        let (keys, epoch) = unlock(&writer, options, service, known).await?;
        // SQLite has one writer, and needs no locks against other processes. PostgreSQL keeps them in a shared table of
        // some 6,400 slots.
        let (workers, max_locks) = match sequencer {
            Some(_) => (options.batches_in_flight.max(1), 256),
            None => (1, usize::MAX),
        };
        let tasks = TaskTracker::new();
        let sequencer = sequencer.map(|(sequencer, passes)| {
            // Not among the tasks that `close` waits for: those wait for it.
            tokio::spawn(passes.run());
            sequencer
        });
        let engine = Arc::new(Engine {
            world,
            writer,
            doubt,
            keys: Arc::new(keys),
            queue: Queue::new(options.queue_limit, options.max_batch, max_locks, workers),
            failpoints: options.failpoints.clone(),
            sequencer,
            position,
            counters: Counters::default(),
            tasks: tasks.clone(),
        });
        for _ in 0..workers {
            tasks.spawn(worker::run(engine.clone()));
        }
        let store = Self {
            inner: Arc::new(Inner {
                service,
                options: options.clone(),
                reader,
                engine,
                epoch,
                stop,
                lock: Mutex::new(lock),
            }),
        };
        let state = feed::state(store.reader()).await?;
        store.inner.engine.position.send_if_modified(|known| sequencer::raise(known, state.position));
        store.sweep_from_time_to_time();
        if options.is_postgres() {
            store.gather_from_time_to_time();
        } else {
            store.copy_log_beside_writes();
        }
        Ok(store)
    }

    fn sweep_from_time_to_time(&self) {
        let inner = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(inner) = inner.upgrade() else { break };
                if let Err(error) = (Store { inner }).sweep().await {
                    tracing::debug!(%error, "a sweep failed");
                }
            }
        });
    }
}

/// Makes the data folder when missing, for its owner only: it holds personal data and the key.
pub(crate) fn data_folder(options: &StoreOptions) -> Result<(), OpenError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&options.data).map_err(|source| OpenError::Folder { path: options.data.clone(), source })
}

/// Tables and the feed's state row; under the lock.
async fn prepare(db: &DatabaseConnection, migrations: &Migrations, world: &World) -> Result<(), DbErr> {
    let now = world.now();
    migrate::run(db, "store_migration", &schema::migrations(), now).await?;
    Sql::new(db, "INSERT INTO feed_state (id, trimmed, passes, epoch) VALUES (1, 0, 0, ")
        .bind(rapport_types::Uuid::new_v4().to_string())
        .text(") ON CONFLICT DO NOTHING")
        .execute(db)
        .await?;
    migrate::run(db, "service_migration", migrations, now).await?;
    Ok(())
}

/// Reads the key file and sees that it is the one this database was made with.
async fn unlock(
    db: &DatabaseConnection,
    options: &StoreOptions,
    service: &str,
    cache: KeyCache,
) -> Result<(KeyRing, String), OpenError> {
    let path = options.key_path();
    let state = feed::state(db).await?;
    let root = keys::load(&path, state.key_check.is_none())?;
    let keys = KeyRing::new(&root, service, cache);
    let known = match state.key_check {
        Some(known) => known,
        None => {
            remember(db, keys.check()).await?;
            feed::state(db).await?.key_check.unwrap_or_default()
        }
    };
    if known != keys.check() {
        return Err(KeyFileError::Wrong { path }.into());
    }
    Ok((keys, state.epoch))
}

async fn remember(db: &impl ConnectionTrait, check: &[u8; 32]) -> Result<(), DbErr> {
    Sql::new(db, "UPDATE feed_state SET key_check = ")
        .bind(check.to_vec())
        .text(" WHERE id = 1 AND key_check IS NULL")
        .execute(db)
        .await
        .map(drop)
}
