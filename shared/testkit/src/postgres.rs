//! A PostgreSQL database per test.

use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use uuid::Uuid;

const VARIABLE: &str = "RAPPORT_TEST_POSTGRES_URL";

/// The address of the server under test, as a role that may create databases.
///
/// # Panics
/// If `RAPPORT_TEST_POSTGRES_URL` is not set: tests never pass by being skipped.
pub fn admin_url() -> String {
    match std::env::var(VARIABLE) {
        Ok(url) if !url.is_empty() => url,
        _ => panic!(
            "{VARIABLE} is not set, so there is no PostgreSQL to test on: run the tests by tests/run, which finds or \
             starts one, or set the variable to postgres://USER:PASSWORD@HOST:5432/postgres"
        ),
    }
}

/// An empty database that is dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    admin: String,
    name: String,
    url: String,
}

impl TestDatabase {
    /// A database on the server of `RAPPORT_TEST_POSTGRES_URL`.
    pub async fn create() -> TestDatabase {
        TestDatabase::create_on(&admin_url()).await
    }

    /// A database on another server, for example a [`Cluster`](crate::cluster::Cluster).
    pub async fn create_on(admin: &str) -> TestDatabase {
        let name = format!("rapport_test_{}", Uuid::now_v7().simple());
        // template0: nobody can be connected to it, which would make the copy fail.
        execute(admin, &format!("CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'")).await;
        TestDatabase { url: with_database(admin, &name), admin: admin.to_owned(), name }
    }

    /// The address of the database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Leaves the database where it is, for a later run, and gives its address.
    pub fn leave(self) -> String {
        std::mem::ManuallyDrop::new(self).url.clone()
    }

    /// One connection of the test's own, for looking at what the system wrote.
    pub async fn connect(&self) -> DatabaseConnection {
        connect(&self.url).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let admin = std::mem::take(&mut self.admin);
        let sql = format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name);
        // A thread of its own: a test's runtime cannot be waited on from within.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let connecting = Database::connect(options(&admin));
                let connection = tokio::time::timeout(Duration::from_secs(2), connecting).await.ok()?.ok()?;
                connection.execute_unprepared(&sql).await.ok()
            })
        });
        // A server that the test has stopped takes the database with it.
        let _gone = dropping.join();
    }
}

fn options(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.to_owned());
    options.max_connections(1).sqlx_logging(false).acquire_timeout(Duration::from_secs(30));
    options
}

/// One connection to a database.
pub async fn connect(url: &str) -> DatabaseConnection {
    Database::connect(options(url))
        .await
        .unwrap_or_else(|error| panic!("no connection to PostgreSQL at {url}: {error}"))
}

async fn execute(url: &str, sql: &str) {
    let connection = connect(url).await;
    connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let _closed = connection.close().await;
}

/// The address of another database of the same server.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let host = base.find("://").map_or(0, |at| at + 3);
    let end = base[host..].find('/').map_or(base.len(), |at| host + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &base[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_an_address_is_replaced() {
        for (url, expected) in [
            ("postgres://u:p@h:5432/postgres", "postgres://u:p@h:5432/t"),
            ("postgres://u@h", "postgres://u@h/t"),
            ("postgres://u@h/db?sslmode=disable", "postgres://u@h/t?sslmode=disable"),
            ("postgres:///db?host=/run/postgresql", "postgres:///t?host=/run/postgresql"),
        ] {
            assert_eq!(with_database(url, "t"), expected);
        }
    }
}
