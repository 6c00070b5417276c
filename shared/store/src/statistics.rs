//! What SQLite's planner is told of the tables.
//!
//! Every key begins with the tenant, and without statistics SQLite takes the first column of a key for a selective one:
//! it then reads a whole tenant along the primary key where an index would find a row. Gathered statistics would depend
//! on when they were gathered; these depend on the schema alone, so that a statement has one plan on the first day and
//! on a full file. PostgreSQL gathers its own: see `gather`.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};

use crate::rows::Sql;

/// The rows that a table is said to have; all of one tenant.
const ROWS: u64 = 1_000_000;
/// How many of them share the column after the tenant.
const SHARED: u64 = 20;

/// Every index of the file, column by column. The primary key of a table without row ids goes by the table's name.
const INDEXES: &str = "SELECT t.name AS table_name, \
    CASE WHEN i.origin = 'pk' AND t.wr = 1 THEN t.name ELSE i.name END AS index_name, \
    i.\"unique\" AS is_unique, c.name AS column_name \
    FROM pragma_table_list AS t, pragma_index_list(t.name) AS i, pragma_index_info(i.name) AS c \
    WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, i.name, c.seqno";

/// Statistics by table and index.
type Statistics = BTreeMap<(String, Option<String>), String>;

/// Brings the statistics of a SQLite file in line with its indexes; the caller holds the lock. Writes only when an index
/// came or changed, or somebody gathered statistics over ours, and says whether it did.
pub(crate) async fn refresh(db: &DatabaseConnection) -> Result<bool, DbErr> {
    let wanted = wanted(db).await?;
    if stored(db).await? == wanted {
        return Ok(false);
    }
    let tx = db.begin().await?;
    // Makes the tables of statistics where they are missing, and reads no other.
    tx.execute_unprepared("ANALYZE sqlite_schema").await?;
    for table in ["sqlite_stat1", "sqlite_stat4"] {
        if exists(&tx, table).await? {
            tx.execute_unprepared(&format!("DELETE FROM {table}")).await?;
        }
    }
    for ((table, index), statistic) in wanted {
        Sql::new(&tx, "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (")
            .bind(table)
            .text(", ")
            .bind(index)
            .text(", ")
            .bind(statistic)
            .text(")")
            .execute(&tx)
            .await?;
    }
    tx.commit().await?;
    // This connection reads them now, those that open later by themselves.
    db.execute_unprepared("ANALYZE sqlite_schema").await?;
    Ok(true)
}

async fn exists(db: &impl ConnectionTrait, table: &str) -> Result<bool, DbErr> {
    let found = Sql::new(db, "SELECT 1 FROM sqlite_schema WHERE name = ").bind(table).one(db).await?;
    Ok(found.is_some())
}

async fn stored(db: &impl ConnectionTrait) -> Result<Statistics, DbErr> {
    let mut stored = Statistics::new();
    if exists(db, "sqlite_stat1").await? {
        for row in Sql::new(db, "SELECT tbl, idx, stat FROM sqlite_stat1").all(db).await? {
            stored.insert((row.try_get_by_index(0)?, row.try_get_by_index(1)?), row.try_get_by_index(2)?);
        }
    }
    Ok(stored)
}

async fn wanted(db: &impl ConnectionTrait) -> Result<Statistics, DbErr> {
    let mut indexes: BTreeMap<(String, Option<String>), (bool, Vec<String>)> = BTreeMap::new();
    for row in Sql::new(db, INDEXES).all(db).await? {
        let key = (row.try_get("", "table_name")?, Some(row.try_get("", "index_name")?));
        let entry = indexes.entry(key).or_default();
        entry.0 = row.try_get::<i64>("", "is_unique")? == 1;
        entry.1.push(row.try_get::<Option<String>>("", "column_name")?.unwrap_or_default());
    }
    Ok(indexes.into_iter().map(|(key, (unique, columns))| (key, estimate(unique, &columns))).collect())
}

/// How many rows there are, and how many share the first column, the first two, and so on.
fn estimate(unique: bool, columns: &[String]) -> String {
    let mut left = ROWS;
    let mut shared = vec![left];
    for (place, column) in columns.iter().enumerate() {
        left = match column.as_str() {
            "tenant" => left,
            _ if unique && place + 1 == columns.len() => 1,
            _ => left.min(SHARED * 4).div_ceil(4),
        };
        shared.push(left);
    }
    shared.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use sea_orm::{ConnectOptions, Database};

    use super::*;

    #[test]
    fn the_tenant_tells_nothing_apart() {
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(estimate(true, &columns(&["tenant", "id"])), "1000000 1000000 1");
        assert_eq!(estimate(false, &columns(&["tenant", "party_id", "source"])), "1000000 1000000 20 5");
    }

    #[tokio::test]
    async fn they_are_written_when_the_indexes_change() {
        let mut options = ConnectOptions::new("sqlite::memory:");
        options.max_connections(1).sqlx_logging(false);
        let db = Database::connect(options).await.unwrap();
        db.execute_unprepared("CREATE TABLE a (tenant TEXT, id BLOB, b TEXT, PRIMARY KEY (tenant, id)) WITHOUT ROWID")
            .await
            .unwrap();
        assert!(refresh(&db).await.unwrap());
        assert!(!refresh(&db).await.unwrap());
        for (change, writes) in [
            ("CREATE INDEX ab ON a (tenant, b)", true),
            // SQLite forgets what it knew of an index with the index.
            ("DROP INDEX ab", false),
            ("CREATE UNIQUE INDEX ab ON a (b)", true),
            ("ANALYZE", true),
        ] {
            db.execute_unprepared(change).await.unwrap();
            assert_eq!(refresh(&db).await.unwrap(), writes, "{change}");
            assert!(!refresh(&db).await.unwrap(), "{change}");
        }
        let stored = stored(&db).await.unwrap();
        let key = |index: &str| ("a".to_owned(), Some(index.to_owned()));
        assert_eq!(stored[&key("a")], "1000000 1000000 1");
        assert_eq!(stored[&key("ab")], "1000000 1");
        assert_eq!(stored.len(), 2);
    }
}
