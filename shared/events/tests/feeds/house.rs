//! Two small services: one that tells events, one that writes down which of them it applied.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rapport_events::{Consumer, Cursors, Event, Feed, RunOptions, Source, run_with};
use rapport_store::{Outbox, Store, StoreError, Tx, Work};
use rapport_testkit::place::StorePlace;
use rapport_types::error::{Error, Kind};
use rapport_types::tenant::TenantId;
use rapport_types::{World, reason};
use sea_orm::{ConnectionTrait, Statement, Value};
use sea_orm_migration::prelude::*;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const TELLER: &str = "stakeholders";
pub const LISTENER: &str = "scoring";

pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// The migration of the listener: one row per effect, without anything unique that would hide a second one.
struct Effects;

impl MigrationName for Effects {
    fn name(&self) -> &str {
        "m20260101_000001_effects"
    }
}

#[async_trait]
impl MigrationTrait for Effects {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = "CREATE TABLE effect (tenant TEXT NOT NULL, aggregate TEXT NOT NULL, version BIGINT NOT NULL, \
                   position BIGINT NOT NULL, said TEXT NOT NULL)";
        manager.get_connection().execute_unprepared(sql).await?;
        manager.get_connection().execute_unprepared("CREATE TABLE taken (value BIGINT PRIMARY KEY)").await?;
        Ok(())
    }
}

pub async fn teller(place: &StorePlace) -> Store {
    Store::open(&place.options(), TELLER, vec![], World::system()).await.unwrap()
}

pub async fn listener(place: &StorePlace) -> Store {
    Store::open(&place.options(), LISTENER, vec![Box::new(Effects)], World::system()).await.unwrap()
}

/// Events to tell: tenant, aggregate, version.
#[derive(Clone, Default)]
pub struct Tell(pub Vec<(String, String, i64)>);

#[async_trait]
impl Work for Tell {
    type Output = ();

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<(), StoreError> {
        for (name, aggregate, version) in &self.0 {
            let said = format!("{aggregate} {version}");
            out.event(&tenant(name), aggregate, *version, tx.now(), &said);
        }
        Ok(())
    }
}

/// Tells `count` events of ten aggregates of two tenants, in batches of ten; each aggregate's versions begin at
/// `from + 1`.
pub async fn tell(store: &Store, from: i64, count: i64) {
    for round in 0..count / 10 {
        store.run(Tell((0..10).map(|n| one(n, from + round + 1)).collect())).await.unwrap();
    }
}

pub fn one(aggregate: i64, version: i64) -> (String, String, i64) {
    let tenant = if aggregate % 2 == 0 { "acme" } else { "globex" };
    (tenant.to_owned(), format!("parties/p{aggregate}"), version)
}

/// A row of the listener's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    pub tenant: String,
    pub aggregate: String,
    pub version: i64,
    pub position: i64,
    pub said: String,
}

pub async fn rows(store: &Store, sql: &str) -> Vec<sea_orm::QueryResult> {
    let connection = store.reader();
    connection.query_all_raw(Statement::from_string(connection.get_database_backend(), sql.to_owned())).await.unwrap()
}

/// Everything that was applied, by position.
pub async fn effects(store: &Store) -> Vec<Effect> {
    rows(store, "SELECT tenant, aggregate, version, position, said FROM effect ORDER BY position")
        .await
        .iter()
        .map(|row| Effect {
            tenant: row.try_get("", "tenant").unwrap(),
            aggregate: row.try_get("", "aggregate").unwrap(),
            version: row.try_get("", "version").unwrap(),
            position: row.try_get("", "position").unwrap(),
            said: row.try_get("", "said").unwrap(),
        })
        .collect()
}

/// Asserts that what was applied is each of the told events once, as it was told.
pub fn assert_each_once(effects: &[Effect], told: i64) {
    let positions: Vec<i64> = effects.iter().map(|effect| effect.position).collect();
    assert_eq!(positions, (1..=told).collect::<Vec<_>>(), "positions were skipped or applied twice");
    let mut versions = std::collections::BTreeMap::new();
    for effect in effects {
        let last = versions.insert((&effect.tenant, &effect.aggregate), effect.version).unwrap_or(0);
        assert!(effect.version > last, "{} went from {last} to {}", effect.aggregate, effect.version);
        assert_eq!(effect.said, format!("{} {}", effect.aggregate, effect.version));
    }
}

/// What a scribe does with an event of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Content,
    RefusesToApply,
    RefusesToGather,
    Panics,
    Collides,
}

/// A consumer that writes down what it applies. Clones share their counters.
#[derive(Clone)]
pub struct Scribe {
    pub mood: Arc<dyn Fn(&Event) -> Mood + Send + Sync>,
    /// While set, gathering fails as if a peer were down.
    pub peer_down: Arc<Mutex<bool>>,
    pub applied_batches: Arc<AtomicU64>,
    /// Events that it takes at once.
    pub batch: usize,
}

impl Default for Scribe {
    fn default() -> Scribe {
        Scribe {
            mood: Arc::new(|_| Mood::Content),
            peer_down: Arc::default(),
            applied_batches: Arc::default(),
            batch: 500,
        }
    }
}

#[async_trait]
impl Consumer for Scribe {
    type Gathered = Vec<String>;

    fn name(&self) -> &'static str {
        "scribe"
    }

    fn source(&self) -> &'static str {
        TELLER
    }

    fn batch(&self) -> usize {
        self.batch
    }

    async fn gather(&self, events: &[Event]) -> Result<Vec<String>, Error> {
        tokio::task::yield_now().await;
        if *self.peer_down.lock().unwrap() {
            return Err(Error::unavailable("peer is down", Duration::from_millis(10)));
        }
        if events.iter().any(|event| (self.mood)(event) == Mood::RefusesToGather) {
            return Err(Error::new(Kind::NotFound, reason::RESOURCE_NOT_FOUND, "nobody knows this party"));
        }
        events.iter().map(|event| event.decode::<String>().unwrap()).collect()
    }

    async fn apply(
        &self,
        tx: &Tx,
        events: &[Event],
        gathered: &Vec<String>,
        _out: &mut Outbox,
    ) -> Result<(), StoreError> {
        for (event, said) in events.iter().zip(gathered) {
            match (self.mood)(event) {
                Mood::Collides => {
                    let sql = "INSERT INTO taken (value) VALUES (1), (1)";
                    tx.db().execute_unprepared(sql).await?;
                }
                Mood::Panics => panic!("this event is unbearable"),
                Mood::RefusesToApply => {
                    let error = Error::precondition(reason::INVALID_TRANSITION, "this event does not fit");
                    return Err(error.into());
                }
                Mood::Content | Mood::RefusesToGather => {}
            }
            let values: Vec<Value> = vec![
                event.tenant.to_string().into(),
                event.aggregate.clone().into(),
                event.version.into(),
                event.position.into(),
                said.clone().into(),
            ];
            let sql = "INSERT INTO effect (tenant, aggregate, version, position, said) VALUES ($1, $2, $3, $4, $5)";
            tx.db().execute_raw(Statement::from_sql_and_values(tx.backend(), sql, values)).await?;
        }
        self.applied_batches.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Short pauses, so that tests of failures take no longer than they must.
pub fn quick() -> RunOptions {
    RunOptions {
        attempts: 3,
        shortest_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        standby: Duration::from_millis(5),
    }
}

/// A running scribe.
pub struct Running {
    pub cursors: Cursors,
    pub cancel: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Running {
    pub async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

pub fn start(scribe: &Scribe, store: &Store, source: impl Source) -> Running {
    let cursors = Cursors::new(store.clone());
    let cancel = CancellationToken::new();
    let running = run_with(quick(), scribe.clone(), store.clone(), Arc::new(source), cursors.clone(), cancel.clone());
    Running { cursors, cancel, task: tokio::spawn(running) }
}

pub fn feed(store: &Store) -> Feed {
    Feed::new(store.clone())
}

/// Waits until the scribe is through, or fails.
pub async fn caught_up(cursors: &Cursors, position: i64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let fresh = cursors.wait(TELLER, position, deadline).await;
    assert!(fresh.is_fresh(), "{fresh:?} instead of {position}: {:?}", cursors.progress());
}
