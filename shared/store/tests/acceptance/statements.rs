//! The set-based statements answer alike on both stores.

use std::sync::Arc;

use rapport_store::sea_orm::{ConnectionTrait, Value};
use rapport_store::{Outbox, Rows, Sql, StoreError, Tx, Work};
use rapport_types::Uuid;

use crate::bed::Bed;
use crate::toy;

crate::on_both_stores!(rows_in_and_out, rows_of_every_number_at_the_end);

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

/// Claims so many names at the end of the transaction, half of them with an owner.
struct AtTheEnd(i64);

#[async_trait::async_trait]
impl Work for AtTheEnd {
    type Output = ();

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<(), StoreError> {
        for part in ["a", "b"] {
            let mut rows = Rows::new("claim", &["tenant", "name", "owner"]);
            for n in 0..self.0 {
                let owner = (n % 2 == 1).then(Uuid::new_v4);
                rows.push(["acme".into(), format!("{part} {} {n}", self.0).into(), owner.into()]);
            }
            tx.insert_last(rows);
        }
        for version in 1..=self.0 {
            let event = toy::Deposited { amount: version, balance: version };
            out.event(&toy::tenant("acme"), format!("claims/{}", self.0), version, tx.now(), &event);
        }
        Ok(())
    }
}

async fn rows_of_every_number_at_the_end(bed: Arc<Bed>) {
    let store = bed.store().await;
    let (mut sum, mut ownerless) = (0, 0);
    for count in [0, 1, 2, 3, 7, 16, 17, 33, 65, 100, 128, 129, 300] {
        let position = store.run(AtTheEnd(count)).await.unwrap().position;
        sum += count;
        assert_eq!(position, sum);
        assert_eq!(toy::count(&store, "claim").await, sum * 2);
        ownerless += 2 * ((count + 1) / 2);
        assert_eq!(toy::count(&store, "claim WHERE owner IS NULL").await, ownerless);
    }
    let events = store.events_after(0, 10_000, None).await.unwrap();
    assert_eq!(events.len() as i64, sum);
    for (before, event) in events.iter().enumerate() {
        assert_eq!(event.position, before as i64 + 1);
    }
}
