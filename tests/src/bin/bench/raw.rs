//! The other baseline: 1000-row INSERTs of the same rows, straight into the database.

use std::time::{Duration, Instant};

use rapport_store::Rows;
use rapport_store::sea_orm::{DatabaseConnection, TransactionTrait as _, Value};
use uuid::Uuid;

use crate::load::Figures;

const ROWS: usize = 1000;

/// Rows a second of one transaction per 1000 interactions with all that belongs to them, from `writers` at once.
pub(crate) async fn insert(database: &DatabaseConnection, writers: usize, length: Duration) -> Figures {
    let end = Instant::now() + length;
    let started = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                let mut rows = 0;
                while Instant::now() < end {
                    chunk(&database).await;
                    rows += ROWS;
                }
                rows
            })
        })
        .collect();
    let mut rows = 0;
    for task in tasks {
        rows += task.await.unwrap();
    }
    let took = started.elapsed();
    Figures { rate: rows as f64 / took.as_secs_f64(), p50: took, p99: took, count: rows }
}

/// So many rows.
pub(crate) async fn fill(database: &DatabaseConnection, rows: usize) {
    for _ in 0..rows.div_ceil(ROWS) {
        chunk(database).await;
    }
}

async fn chunk(database: &DatabaseConnection) {
    let text = |text: &str| Value::String(Some(text.to_owned()));
    let bytes = |length: usize| Value::Bytes(Some(vec![7; length]));
    let small = |number: i16| Value::SmallInt(Some(number));
    let big = |number: i64| Value::BigInt(Some(number));
    let id = |id: Uuid| Value::Uuid(Some(id));
    let mut idempotency =
        Rows::new("idempotency", &["tenant", "request_id", "asker", "fingerprint", "subject", "reply", "created_at"]);
    let mut interaction = Rows::new(
        "interaction",
        &[
            "tenant",
            "id",
            "version",
            "kind",
            "medium",
            "online",
            "direction",
            "occurred_at",
            "recorded_at",
            "subject",
            "detail",
            "sealed",
        ],
    );
    let mut participant = Rows::new(
        "interaction_participant",
        &["tenant", "origin", "occurred_at", "interaction_id", "ordinal", "recorded_at", "role_type", "function"],
    );
    let mut batch = Rows::new("feed_batch", &["events", "recorded_at"]);
    batch.push([big(ROWS as i64), big(0)]);
    let mut outbox =
        Rows::new("outbox", &["batch", "place", "tenant", "kind", "aggregate", "version", "occurred_at", "payload"]);
    let feed = i64::from_be_bytes(Uuid::new_v4().as_bytes()[..8].try_into().unwrap()) >> 1;
    for row in 0..ROWS {
        let (own, origin, occurred) = (Uuid::now_v7(), Uuid::from_u128(row as u128), big(row as i64));
        idempotency.push([text("local"), id(Uuid::now_v7()), big(7), bytes(32), id(origin), bytes(120), big(0)]);
        interaction.push([
            text("local"),
            id(own),
            big(1),
            text("inquiry"),
            small(1),
            Value::Bool(Some(false)),
            small(1),
            occurred.clone(),
            big(0),
            id(origin),
            bytes(48),
            bytes(120),
        ]);
        participant.push([
            text("local"),
            id(origin),
            occurred.clone(),
            id(own),
            small(0),
            big(0),
            text("customer"),
            small(1),
        ]);
        outbox.push([
            big(feed),
            big(row as i64),
            text("local"),
            text("rapport.interactions.v1.InteractionRecorded"),
            text(&format!("interactions/{own}")),
            big(1),
            occurred,
            bytes(160),
        ]);
    }
    let tx = database.begin().await.unwrap();
    for rows in [idempotency, interaction, participant, batch, outbox] {
        rows.insert(&tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}
