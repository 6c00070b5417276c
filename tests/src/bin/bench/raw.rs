//! The other baseline: 1000-row INSERTs of the same rows, straight into the database. How long they are is asked of the side
//! that was measured.

use std::time::{Duration, Instant};

use rapport_store::sea_orm::{DatabaseConnection, TransactionTrait as _, Value};
use rapport_store::{Rows, Sql};
use uuid::Uuid;

use crate::load::Figures;

const ROWS: usize = 1000;

/// The rows of an interaction as our side left them: how many bytes its sealed parts, its event and the answer for a retry
/// have, and of how many parties they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    detail: usize,
    sealed: usize,
    reply: usize,
    payload: usize,
    parties: usize,
    request_id: fn() -> Uuid,
}

impl Shape {
    /// What the interactions in a database are like.
    pub(crate) async fn of(database: &DatabaseConnection) -> Shape {
        let interaction = "(SELECT detail, sealed FROM interaction LIMIT 1000)";
        let event = "(SELECT payload FROM outbox WHERE kind LIKE '%.InteractionRecorded' LIMIT 1000)";
        let [detail, sealed, reply, payload, parties] = numbers(
            database,
            [
                &format!("avg(length(detail)) FROM {interaction} AS few"),
                &format!("avg(length(sealed)) FROM {interaction} AS few"),
                "avg(length(reply)) FROM (SELECT reply FROM idempotency LIMIT 1000) AS few",
                &format!("avg(length(payload)) FROM {event} AS few"),
                "count(*) FROM subject_key",
            ],
        )
        .await;
        Shape { detail, sealed, reply, payload, parties, request_id: Uuid::now_v7 }
    }

    /// The same rows of requests that were named by what they say, as an import does.
    pub(crate) fn named(self) -> Shape {
        Shape { request_id: Uuid::new_v4, ..self }
    }

    fn party(&self, row: usize) -> Uuid {
        let spread = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835_u128;
        Uuid::from_u128(((row % self.parties.max(1)) as u128 + 1).wrapping_mul(spread))
    }
}

/// What these queries, each without its SELECT, say of a database, in whole numbers.
pub(crate) async fn numbers<const N: usize>(database: &DatabaseConnection, queries: [&str; N]) -> [usize; N] {
    let parts = queries.map(|query| {
        let (number, rest) = query.split_once(" FROM ").unwrap();
        format!("(SELECT CAST({number} AS BIGINT) FROM {rest})")
    });
    let row = Sql::new(database, &format!("SELECT {}", parts.join(", "))).one(database).await.unwrap().unwrap();
    std::array::from_fn(|at| usize::try_from(row.try_get_by_index::<i64>(at).unwrap()).unwrap())
}

/// Rows a second of one transaction per 1000 interactions with all that belongs to them, from `writers` at once.
pub(crate) async fn insert(database: &DatabaseConnection, shape: Shape, writers: usize, length: Duration) -> Figures {
    let end = Instant::now() + length;
    let started = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                let mut rows = 0;
                while Instant::now() < end {
                    // Nobody is new any more.
                    chunk(&database, &shape, shape.parties + rows).await;
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

/// So many rows, the first of each party with its key.
pub(crate) async fn fill(database: &DatabaseConnection, shape: Shape, rows: usize) {
    for chunks in 0..rows.div_ceil(ROWS) {
        chunk(database, &shape, chunks * ROWS).await;
    }
}

async fn chunk(database: &DatabaseConnection, shape: &Shape, first: usize) {
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
    let mut keys = Rows::new("subject_key", &["tenant", "subject", "wrapped", "created_at"]);
    let feed = i64::from_be_bytes(Uuid::new_v4().as_bytes()[..8].try_into().unwrap()) >> 1;
    for row in 0..ROWS {
        let (own, origin, occurred) = (Uuid::now_v7(), shape.party(first + row), big((first + row) as i64));
        let request_id = (shape.request_id)();
        idempotency.push([text("local"), id(request_id), big(7), bytes(32), id(origin), bytes(shape.reply), big(0)]);
        if first + row < shape.parties {
            keys.push([text("local"), id(origin), bytes(60), big(0)]);
        }
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
            bytes(shape.detail),
            bytes(shape.sealed),
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
            bytes(shape.payload),
        ]);
    }
    let tx = database.begin().await.unwrap();
    for rows in [idempotency, interaction, participant, keys, batch, outbox] {
        rows.insert(&tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}
