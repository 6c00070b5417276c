//! How a statement is run.

use rapport_store::{Sql, Store};

/// How SQLite would run a statement: the lines of `EXPLAIN QUERY PLAN`. Values are left out as `?`.
pub async fn query_plan(store: &Store, statement: &str) -> String {
    let db = store.reader();
    let rows = Sql::new(db, &format!("EXPLAIN QUERY PLAN {statement}")).all(db).await.expect("a plan");
    let lines: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").expect("a line of the plan")).collect();
    lines.join("\n")
}
