//! Where the store of a test lives.

use std::path::Path;

use rapport_store::StoreOptions;
use tempfile::TempDir;

use crate::postgres::TestDatabase;

/// An empty place for stores on one back end; it is removed with this value. On SQLite each service gets its own file in
/// the folder, on PostgreSQL its own schema in the database, so stores of several services fit in one place.
#[derive(Debug)]
pub struct StorePlace {
    // The database goes before the folder that holds its keys.
    database: Option<TestDatabase>,
    folder: TempDir,
}

impl StorePlace {
    /// A folder for SQLite files.
    pub fn sqlite() -> StorePlace {
        StorePlace { database: None, folder: folder() }
    }

    /// A database on the server of `RAPPORT_TEST_POSTGRES_URL`.
    pub async fn postgres() -> StorePlace {
        StorePlace { database: Some(TestDatabase::create().await), folder: folder() }
    }

    /// In a database that the test made itself, for example on a cluster of its own.
    pub fn in_database(database: TestDatabase) -> StorePlace {
        StorePlace { database: Some(database), folder: folder() }
    }

    /// The options with which a store opens here.
    pub fn options(&self) -> StoreOptions {
        let (url, data) = (self.url().to_owned(), self.folder.path().to_owned());
        // For a moment each: none has to be ready for a rush.
        StoreOptions { url, data, ready_connections: 0, ..StoreOptions::default() }
    }

    /// `sqlite` or the database's address, as in the configuration.
    pub fn url(&self) -> &str {
        self.database.as_ref().map_or("sqlite", TestDatabase::url)
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    /// The database, on PostgreSQL.
    pub fn database(&self) -> Option<&TestDatabase> {
        self.database.as_ref()
    }

    /// Whether this is PostgreSQL, where several processes may share a service's data.
    pub fn is_postgres(&self) -> bool {
        self.database.is_some()
    }
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("rapport-test.").tempdir().expect("a temporary folder")
}
