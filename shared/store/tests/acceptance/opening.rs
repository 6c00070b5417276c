//! Opening: races, wrong keys, folders in use.

use std::sync::Arc;

use rapport_store::sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};
use rapport_store::{OpenError, Store, StoreOptions};
use rapport_types::Uuid;
use rapport_types::id::World;

use crate::bed::Bed;
use crate::toy;

crate::on_both_stores!(opened_at_once, another_key_is_refused, services_share_a_folder, open_is_ready);

async fn opened_at_once(bed: Arc<Bed>) {
    let mut opening = Vec::new();
    for _ in 0..6 {
        let options = bed.options();
        opening
            .push(tokio::spawn(async move { Store::open(&options, "toy", toy::migrations(), World::system()).await }));
    }
    let mut open = Vec::new();
    for one in opening {
        match one.await.unwrap() {
            Ok(store) => open.push(store),
            Err(error) => {
                assert!(matches!(error, OpenError::InUse { .. }), "{error}");
                assert!(error.to_string().ends_with("is in use by another process"));
            }
        }
    }
    assert_eq!(open.len(), if bed.is_postgres() { 6 } else { 1 });
    for store in &open {
        toy::add(store, Uuid::now_v7(), 1).await.unwrap();
        assert_eq!(store.epoch(), open[0].epoch());
    }
    assert_eq!(toy::count(&open[0], "service_migration").await, 1);
    assert_eq!(toy::count(&open[0], "store_migration").await, 2);
    for store in open {
        store.close().await;
    }
    bed.store().await;
}

async fn another_key_is_refused(bed: Arc<Bed>) {
    let store = bed.store().await;
    store.close().await;
    let key = bed.folder.path().join("rapport.key");
    let text = std::fs::read_to_string(&key).unwrap();
    assert_eq!(text.trim().len(), 44);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let open = || async { Store::open(&bed.options(), "toy", toy::migrations(), World::system()).await };
    std::fs::write(&key, text.replacen(&text[..4], "AAAA", 1)).unwrap();
    let error = open().await.unwrap_err().to_string();
    assert!(error.contains("not the one this database was made with"), "{error}");
    std::fs::write(&key, "junk").unwrap();
    let error = open().await.unwrap_err().to_string();
    assert!(error.contains("does not hold a key"), "{error}");
    std::fs::remove_file(&key).unwrap();
    let error = open().await.unwrap_err().to_string();
    assert!(error.contains("is missing"), "{error}");
    assert!(!key.exists(), "no new key for an old database");
    std::fs::write(&key, text).unwrap();
    assert!(open().await.is_ok());
}

async fn services_share_a_folder(bed: Arc<Bed>) {
    let mut opening = Vec::new();
    for service in ["toy", "other", "third"] {
        let options = bed.options();
        opening.push(tokio::spawn(
            async move { Store::open(&options, service, toy::migrations(), World::system()).await },
        ));
    }
    for one in opening {
        let store = one.await.unwrap().unwrap();
        assert_eq!(toy::add(&store, Uuid::now_v7(), 1).await.unwrap().position, 1);
        assert_eq!(toy::balances(&store).await.len(), 1);
    }
}

#[tokio::test]
async fn an_unknown_url_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions { url: "mysql://localhost/x".to_owned(), ..StoreOptions::sqlite(folder.path()) };
    let error = Store::open(&options, "toy", toy::migrations(), World::system()).await.unwrap_err();
    assert!(matches!(error, OpenError::Url));
}

/// The first calls of a store need no new connection: here nobody gets one any more.
async fn open_is_ready(bed: Arc<Bed>) {
    let store = bed.store_with(StoreOptions { ready_connections: 4, ..bed.options() }).await;
    let server = match bed.database() {
        Some(database) => {
            let server = Database::connect(std::env::var("RAPPORT_TEST_POSTGRES_URL").unwrap()).await.unwrap();
            let sql = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND application_name = 'rapport'"
            );
            let row = server.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().unwrap();
            // Readers, writers and the sequencer; the migrator's may still be closing.
            let open: i64 = row.try_get_by_index(0).unwrap();
            assert!(open > 4 + 4, "only {open} connections are open");
            server.execute_unprepared(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false")).await.unwrap();
            Some((server, database))
        }
        None => None,
    };
    let first = (0..4).map(|_| async {
        store.ready().await.unwrap();
        toy::add(&store, Uuid::now_v7(), 1).await.unwrap();
    });
    futures::future::join_all(first).await;
    if let Some((server, database)) = server {
        server.execute_unprepared(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true")).await.unwrap();
    }
    assert_eq!(toy::count(&store, "account").await, 4);
}
