//! A fresh place for data per test.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use futures::FutureExt;
use rapport_store::sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use rapport_store::{Store, StoreOptions};
use rapport_types::Uuid;
use rapport_types::id::World;
use tempfile::TempDir;

use crate::toy;

const VARIABLE: &str = "RAPPORT_TEST_POSTGRES_URL";

/// Where a test's data lives.
pub(crate) struct Bed {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    /// The PostgreSQL database to drop.
    database: Option<String>,
}

impl Bed {
    pub(crate) fn options(&self) -> StoreOptions {
        let (url, data) = (self.url.clone(), self.folder.path().to_owned());
        // For a moment each: none has to be ready for a rush.
        StoreOptions { url, data, ready_connections: 0, ..StoreOptions::default() }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.database.is_some()
    }

    /// The PostgreSQL database, if it is one.
    pub(crate) fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    pub(crate) async fn store(&self) -> Store {
        self.store_with(self.options()).await
    }

    pub(crate) async fn store_with(&self, options: StoreOptions) -> Store {
        Store::open(&options, "toy", toy::migrations(), World::system()).await.unwrap()
    }

    /// Stores that share the data: several replicas on PostgreSQL, one store on SQLite.
    pub(crate) async fn replicas(&self, count: usize) -> Vec<Store> {
        let mut stores = vec![self.store().await];
        while self.is_postgres() && stores.len() < count {
            stores.push(self.store().await);
        }
        stores
    }

    /// A connection that knows nothing of the store.
    pub(crate) async fn outside(&self) -> DatabaseConnection {
        let url = if self.is_postgres() {
            format!("{}?options=-c%20search_path%3Dtoy", self.url)
        } else {
            format!("sqlite://{}/toy.db", self.folder.path().display())
        };
        Database::connect(url).await.unwrap()
    }
}

/// How much more than the small default a test does.
pub(crate) fn size() -> usize {
    std::env::var("RAPPORT_TEST_SIZE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
}

pub(crate) fn run_sqlite<F, Fut>(test: F)
where
    F: FnOnce(Arc<Bed>) -> Fut,
    Fut: Future<Output = ()>,
{
    let bed = Bed { folder: tempfile::tempdir().unwrap(), url: "sqlite".to_owned(), database: None };
    runtime().block_on(test(Arc::new(bed)));
}

pub(crate) fn run_postgres<F, Fut>(test: F)
where
    F: FnOnce(Arc<Bed>) -> Fut,
    Fut: Future<Output = ()>,
{
    let admin = std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} is not set: run tests/run, which finds or starts a PostgreSQL and sets it")
    });
    runtime().block_on(async {
        let database = format!("rapport_test_{}", Uuid::new_v4().simple());
        let connection = Database::connect(&admin).await.unwrap();
        connection.execute_unprepared(&format!("CREATE DATABASE {database}")).await.unwrap();
        let (head, _) = admin.rsplit_once('/').unwrap();
        let bed = Arc::new(Bed {
            folder: tempfile::tempdir().unwrap(),
            url: format!("{head}/{database}"),
            database: Some(database.clone()),
        });
        let outcome = AssertUnwindSafe(test(bed)).catch_unwind().await;
        connection.execute_unprepared(&format!("DROP DATABASE {database} WITH (FORCE)")).await.unwrap();
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    });
}
