//! The set-based statements answer alike on both stores.

use std::sync::Arc;

use rapport_store::sea_orm::{ConnectionTrait, Value};
use rapport_store::{Outbox, Rows, Sql, StoreError, Tx, Work};
use rapport_types::Uuid;

use crate::bed::Bed;

crate::on_both_stores!(rows_in_and_out);

const COLUMNS: &[&str] = &["id", "flag", "small", "big", "ratio", "word", "raw", "doc"];

struct Everything;

fn row(n: i64) -> [Value; 8] {
    let some = n % 3 != 0;
    [
        Uuid::from_u128(n as u128).into(),
        Value::Bool(some.then_some(n % 2 == 0)),
        Value::Int(some.then_some(n as i32)),
        Value::BigInt((n % 5 != 0).then_some(n)),
        Value::Double(some.then_some(n as f64 / 4.0)),
        Value::String((n % 7 != 0).then(|| format!("w'\"{n}"))),
        Value::Bytes(some.then(|| vec![0, n as u8])),
        Value::Json(some.then(|| Box::new(serde_json::json!({"n": n})))),
    ]
}

#[async_trait::async_trait]
impl Work for Everything {
    type Output = ();

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<(), StoreError> {
        let (uuid, raw, doc) = match tx.backend() {
            rapport_store::sea_orm::DbBackend::Postgres => ("UUID", "BYTEA", "JSONB"),
            _ => ("BLOB", "BLOB", "JSON"),
        };
        tx.db()
            .execute_unprepared(&format!(
                "CREATE TABLE every (id {uuid} PRIMARY KEY, flag BOOLEAN, small INT, big BIGINT, ratio DOUBLE PRECISION, \
                 word TEXT, raw {raw}, doc {doc})"
            ))
            .await?;
        for count in [0, 1, 3, 300] {
            tx.db().execute_unprepared("DELETE FROM every").await?;
            let mut rows = Rows::new("every", COLUMNS);
            for n in 0..count {
                rows.push(row(n));
            }
            assert_eq!(rows.len(), count as usize);
            assert_eq!(rows.insert(tx.db()).await?, count as u64);
            let found = Sql::new(tx.db(), "SELECT id, flag, small, big, ratio, word, raw, doc FROM every ORDER BY id")
                .all(tx.db())
                .await?;
            assert_eq!(found.len(), count as usize);
            for (n, found) in (0..count).zip(&found) {
                let some = n % 3 != 0;
                assert_eq!(found.try_get_by_index::<Uuid>(0)?, Uuid::from_u128(n as u128));
                assert_eq!(found.try_get_by_index::<Option<bool>>(1)?, some.then_some(n % 2 == 0));
                assert_eq!(found.try_get_by_index::<Option<i32>>(2)?, some.then_some(n as i32));
                assert_eq!(found.try_get_by_index::<Option<i64>>(3)?, (n % 5 != 0).then_some(n));
                assert_eq!(found.try_get_by_index::<Option<f64>>(4)?, some.then_some(n as f64 / 4.0));
                assert_eq!(found.try_get_by_index::<Option<String>>(5)?, (n % 7 != 0).then(|| format!("w'\"{n}")));
                assert_eq!(found.try_get_by_index::<Option<Vec<u8>>>(6)?, some.then(|| vec![0, n as u8]));
                let doc = found.try_get_by_index::<Option<serde_json::Value>>(7)?;
                assert_eq!(doc, some.then(|| serde_json::json!({"n": n})));
            }
        }
        let mut changes = Rows::new("every", &["id", "word", "big"]);
        for n in 0..200 {
            let id = Uuid::from_u128(n as u128 * 2);
            changes.push([id.into(), Value::String(None), (n * 10).into()]);
        }
        // 150 of them exist
        assert_eq!(changes.update_by(tx.db(), &["id"]).await?, 150);
        let listed = Sql::new(tx.db(), "SELECT big FROM every WHERE ")
            .in_list("id", [2, 4, 7, 999].map(|n| Value::from(Uuid::from_u128(n))).to_vec())
            .text(" AND big > ")
            .bind(0_i64)
            .text(" ORDER BY big")
            .all(tx.db())
            .await?;
        let listed: Vec<i64> = listed.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
        assert_eq!(listed, [7, 10, 20]);
        let pairs = vec![
            Value::from(Uuid::from_u128(2)),
            Value::from(10_i64),
            Value::from(Uuid::from_u128(4)),
            Value::from(21_i64),
            Value::from(Uuid::from_u128(7)),
            Value::from(7_i64),
        ];
        let found = Sql::new(tx.db(), "SELECT 1 FROM every WHERE ").in_rows(&["id", "big"], pairs).all(tx.db()).await?;
        assert_eq!(found.len(), 2);
        let none = Sql::new(tx.db(), "SELECT 1 FROM every WHERE ").in_list("id", Vec::new());
        assert!(none.all(tx.db()).await?.is_empty());
        Ok(())
    }
}

async fn rows_in_and_out(bed: Arc<Bed>) {
    let store = bed.store().await;
    store.run(Everything).await.unwrap();
}
