//! PostgreSQL knows of a table as soon as it has grown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rapport_store::sea_orm::ConnectionTrait;
use rapport_store::{Outbox, Sql, Store, StoreError, Tx, Work};
use rapport_types::Uuid;

use crate::bed::Bed;
use crate::toy::{deposit, scope_of};

crate::on_postgres!(a_table_that_grew_is_searched_by_its_whole_key);

/// The plan that a write keeps for a lookup of many keys.
struct Plan;

#[async_trait::async_trait]
impl Work for Plan {
    type Output = String;

    async fn run(&self, tx: &Tx, _: &mut Outbox) -> Result<String, StoreError> {
        let lookup = "PREPARE lookup (text, uuid[]) AS SELECT balance FROM account WHERE (tenant, id) IN \
            (SELECT $1 AS tenant, id FROM unnest($2) AS r(id))";
        tx.db().execute_unprepared(lookup).await?;
        let rows = Sql::new(tx.db(), "EXPLAIN EXECUTE lookup ('t0', '{}')").all(tx.db()).await?;
        tx.db().execute_unprepared("DEALLOCATE lookup").await?;
        let lines: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
        Ok(lines?.join("\n"))
    }
}

async fn number(store: &Store, sql: &str) -> Option<f32> {
    let row = Sql::new(store.reader(), sql).one(store.reader()).await.unwrap();
    row.map(|row| row.try_get_by_index(0).unwrap())
}

async fn a_table_that_grew_is_searched_by_its_whole_key(bed: Arc<Bed>) {
    let store = bed.store().await;
    for round in 0..12_u128 {
        let one = |n: u128| (scope_of(&format!("t{}", n % 5), None), deposit(Uuid::from_u128(round << 64 | n), 1));
        let done = store.submit_many((0..300).map(one).collect()).await;
        assert!(done.iter().all(Result::is_ok));
    }
    let asked = Instant::now();
    // It is gathered anew once it is four times as large as was known: a quarter of 3,600 rows may be known for long.
    let known = "SELECT reltuples FROM pg_class WHERE oid = 'account'::regclass AND reltuples > 600";
    while number(&store, known).await.is_none() {
        // Autovacuum would come by after a minute.
        assert!(asked.elapsed() < Duration::from_secs(20), "nobody gathers what is known of the table");
    }
    let tenants =
        "SELECT n_distinct FROM pg_stats WHERE schemaname = 'toy' AND tablename = 'account' AND attname = 'tenant'";
    assert_eq!(number(&store, tenants).await, Some(1.0), "any of five tenants may have nearly all rows");
    let plan = store.run(Plan).await.unwrap().reply;
    let by_key = |line: &str| line.contains("Index Cond") && line.contains("tenant =") && line.contains("id =");
    assert!(plan.lines().any(by_key), "{plan}");
    store.close().await;
}
