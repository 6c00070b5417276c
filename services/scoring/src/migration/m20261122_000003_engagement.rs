//! The definition `engagement` came after others had been kept for a while. What it sees in a fact is in the log already,
//! under `relationship-health`: kind, direction, time, and who took part; it does not ask how the contact was. So its
//! part of the log is copied from there, row for row, with what it makes of them, and its sums are made of that. Nothing
//! is asked of the interactions service, whose feed may have forgotten the first of these facts long ago.
//!
//! Facts that a replica of the older version takes in after this ran would lack their part: stop those first.
//!
//! A step that was released never changes, so all of it stands here as it was that day: the columns, what the definition's
//! version 1 makes of a row, and how sums are stored. Of the code that goes on changing it uses none but the arithmetic of
//! the models, which gives the same bits for ever.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rapport_scoring_models::decayed::{DecayedMean, HalfLife, Observation, Share, Sum, Weight};
use rapport_store::{Rows, Sql};
use rapport_types::Uuid;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261122_000003_engagement"
    }
}

/// Interactions that are copied at a time.
const PAGE: u32 = if cfg!(test) { 2 } else { 1_000 };

/// What is copied.
const SOURCE: &str = "relationship-health.1";
/// To what.
const DEFINITION: &str = "engagement.1";
/// Half-life and prior of the definition.
const MEAN: DecayedMean = DecayedMean::new(HalfLife::days(90), Share::ZERO, Weight::from_micros(4_000_000));

/// The weight of an interaction in millionths: to sit together counts twice, and half where we approached them
/// (direction 2) or others spoke about us (4).
fn weight(kind: &str, direction: i16) -> i32 {
    let whole = if matches!(kind, "meeting" | "visit") { 2_000_000 } else { 1_000_000 };
    if matches!(direction, 2 | 4) { whole / 2 } else { whole }
}

/// The satisfaction: presence shows all there is to show.
const SATISFACTION: i32 = 1_000_000;

/// A row of the log, without what the definition says of it.
struct Entry {
    tenant: String,
    interaction: Uuid,
    origin: Uuid,
    version: i64,
    /// 1 for what is put in, -1 for what is taken back.
    sign: i16,
    named: bool,
    occurred_at: i64,
    recorded_at: i64,
    kind: String,
    direction: i16,
    joint: bool,
}

impl Entry {
    fn of(row: &QueryResult) -> Result<Entry, DbErr> {
        Ok(Entry {
            tenant: row.try_get("", "tenant")?,
            interaction: row.try_get("", "interaction_id")?,
            origin: row.try_get("", "origin")?,
            version: row.try_get("", "version")?,
            sign: row.try_get("", "sign")?,
            named: row.try_get("", "named")?,
            occurred_at: row.try_get("", "occurred_at")?,
            recorded_at: row.try_get("", "recorded_at")?,
            kind: row.try_get("", "kind")?,
            direction: row.try_get("", "direction")?,
            joint: row.try_get("", "joint")?,
        })
    }
}

/// Tenant, origin and era of a row of sums.
type SumKey = (String, Uuid, i64);

/// A row of sums, or what is added to it.
#[derive(Clone, Copy)]
struct Sums {
    sum: Sum,
    joint: i64,
    newest_at: i64,
}

impl Sums {
    fn plus(self, other: Sums) -> Result<Sums, DbErr> {
        let mut sum = self.sum;
        sum.add(&other.sum)
            .map_err(|_| DbErr::Custom("an origin has more contributions than sums can hold".to_owned()))?;
        Ok(Sums { sum, joint: self.joint + other.joint, newest_at: self.newest_at.max(other.newest_at) })
    }
}

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let mut after: Option<(String, Uuid)> = None;
        loop {
            let keys = page(db, after.as_ref()).await?;
            let Some(last) = keys.last().cloned() else {
                return Ok(());
            };
            let entries = read(db, &keys).await?;
            let mut sums: BTreeMap<SumKey, Sums> = BTreeMap::new();
            for entry in &entries {
                let (key, change) = change(entry);
                let added = match sums.get(&key) {
                    Some(sums) => sums.plus(change)?,
                    None => change,
                };
                sums.insert(key, added);
            }
            append(db, entries).await?;
            add(db, sums).await?;
            after = Some(last);
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for table in ["contribution", "accumulator"] {
            db.execute_unprepared(&format!("DELETE FROM {table} WHERE definition = '{DEFINITION}'")).await?;
        }
        Ok(())
    }
}

/// The next interactions in the order of the log's key.
async fn page(db: &impl ConnectionTrait, after: Option<&(String, Uuid)>) -> Result<Vec<(String, Uuid)>, DbErr> {
    let mut sql =
        Sql::new(db, "SELECT DISTINCT tenant, interaction_id FROM contribution WHERE definition = ").bind(SOURCE);
    if let Some((tenant, interaction)) = after {
        sql =
            sql.text(" AND (tenant, interaction_id) > (").bind(tenant.as_str()).text(", ").bind(*interaction).text(")");
    }
    let rows = sql.text(&format!(" ORDER BY tenant, interaction_id LIMIT {PAGE}")).all(db).await?;
    rows.iter().map(|row| Ok((row.try_get("", "tenant")?, row.try_get("", "interaction_id")?))).collect()
}

/// Everything about these interactions that is to be copied.
async fn read(db: &impl ConnectionTrait, keys: &[(String, Uuid)]) -> Result<Vec<Entry>, DbErr> {
    let values: Vec<Value> = keys.iter().flat_map(|(tenant, id)| [tenant.as_str().into(), (*id).into()]).collect();
    let rows = Sql::new(
        db,
        "SELECT tenant, interaction_id, origin, version, sign, named, occurred_at, recorded_at, kind, direction, joint \
         FROM contribution WHERE definition = ",
    )
    .bind(SOURCE)
    .text(" AND ")
    .in_rows(&["tenant", "interaction_id"], values)
    .all(db)
    .await?;
    rows.iter().map(Entry::of).collect()
}

/// What a row adds to which sums.
fn change(entry: &Entry) -> (SumKey, Sums) {
    let term = MEAN.term(&Observation {
        at: entry.occurred_at,
        weight: Weight::from_micros(weight(&entry.kind, entry.direction).unsigned_abs()),
        share: Share::from_micros(SATISFACTION.unsigned_abs()),
    });
    let factor: i64 = if entry.sign < 0 { -1 } else { 1 };
    let wide = i128::from(factor);
    let sum = Sum { pull: term.pull * wide, weight: term.weight * wide, count: factor };
    let sums = Sums { sum, joint: if entry.joint { factor } else { 0 }, newest_at: entry.occurred_at };
    ((entry.tenant.clone(), entry.origin, term.era), sums)
}

async fn append(db: &impl ConnectionTrait, entries: Vec<Entry>) -> Result<(), DbErr> {
    let mut rows = Rows::new(
        "contribution",
        &[
            "tenant",
            "interaction_id",
            "origin",
            "definition",
            "version",
            "sign",
            "named",
            "occurred_at",
            "recorded_at",
            "kind",
            "direction",
            "weight",
            "satisfaction",
            "from_valence",
            "joint",
        ],
    );
    for entry in entries {
        let weight = weight(&entry.kind, entry.direction);
        rows.push([
            entry.tenant.into(),
            entry.interaction.into(),
            entry.origin.into(),
            DEFINITION.into(),
            entry.version.into(),
            entry.sign.into(),
            entry.named.into(),
            entry.occurred_at.into(),
            entry.recorded_at.into(),
            entry.kind.into(),
            entry.direction.into(),
            weight.into(),
            SATISFACTION.into(),
            false.into(),
            entry.joint.into(),
        ]);
    }
    rows.insert(db).await.map(drop)
}

/// Adds to the sums: reads the rows, adds, writes them back.
async fn add(db: &impl ConnectionTrait, changes: BTreeMap<SumKey, Sums>) -> Result<(), DbErr> {
    let mut changes = changes;
    let values: Vec<Value> = changes
        .keys()
        .flat_map(|(tenant, origin, era)| {
            [tenant.as_str().into(), (*origin).into(), DEFINITION.into(), Value::from(*era)]
        })
        .collect();
    let stored = Sql::new(
        db,
        "SELECT tenant, origin, era, pull, weight, contributions, joint, newest_at FROM accumulator WHERE ",
    )
    .in_rows(&["tenant", "origin", "definition", "era"], values)
    .all(db)
    .await?;
    for row in &stored {
        let key: SumKey = (row.try_get("", "tenant")?, row.try_get("", "origin")?, row.try_get("", "era")?);
        let sum =
            Sum { pull: wide(row, "pull")?, weight: wide(row, "weight")?, count: row.try_get("", "contributions")? };
        let before = Sums { sum, joint: row.try_get("", "joint")?, newest_at: row.try_get("", "newest_at")? };
        if let Some(change) = changes.get_mut(&key) {
            *change = before.plus(*change)?;
        }
    }
    let mut rows = Rows::new(
        "accumulator",
        &["tenant", "origin", "definition", "era", "pull", "weight", "contributions", "joint", "newest_at"],
    );
    for ((tenant, origin, era), Sums { sum, joint, newest_at }) in changes {
        rows.push([
            tenant.into(),
            origin.into(),
            DEFINITION.into(),
            era.into(),
            sum.pull.to_be_bytes().to_vec().into(),
            sum.weight.to_be_bytes().to_vec().into(),
            sum.count.into(),
            joint.into(),
            newest_at.into(),
        ]);
    }
    rows.insert_with(
        db,
        "ON CONFLICT (tenant, origin, definition, era) DO UPDATE SET pull = excluded.pull, weight = excluded.weight, \
         contributions = excluded.contributions, joint = excluded.joint, newest_at = excluded.newest_at",
    )
    .await
    .map(drop)
}

/// A 128-bit integer: 16 bytes, the highest first, two's complement.
fn wide(row: &QueryResult, column: &str) -> Result<i128, DbErr> {
    let bytes: Vec<u8> = row.try_get("", column)?;
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| DbErr::Type(format!("stored {column} has not 16 bytes")))?;
    Ok(i128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_store::{Outbox, StoreError, Tx, Work};
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;

    use super::*;
    use crate::commands::Change;
    use crate::domain::{Definition, Fact, Participation, Revision};
    use crate::fixture::{CALLER, House, OTHER, PARTY, at, fact, recorded};
    use crate::queries::When;

    /// Takes the definition out, as if it had never been, and brings it in, or only the one.
    struct Anew {
        bring: bool,
    }

    #[async_trait]
    impl Work for Anew {
        type Output = ();

        async fn run(&self, tx: &Tx, _: &mut Outbox) -> Result<(), StoreError> {
            let manager = SchemaManager::new(tx.db());
            if self.bring {
                Migration.up(&manager).await?
            } else {
                Migration.down(&manager).await?
            }
            Ok(())
        }
    }

    each_store! {
        async fn what_was_kept_before_counts_as_if_the_definition_had_been_there(place: StorePlace) {
            let house = House::new(&place).await;
            let definition = Definition::find("engagement").unwrap();
            let both = [CALLER, OTHER].map(|origin| Participation { origin, party: None });
            let amended = Fact { version: 2, revision: Revision::Amended, ..fact(2, 19_500, "meeting", PARTY) };
            let story = vec![
                (1, recorded(1, 19_990, "order", PARTY)),
                (2, recorded(2, 19_400, "complaint", PARTY)),
                (3, Change::Fact(amended)),
                (4, Change::Fact(Fact { participants: both.to_vec(), ..fact(4, 19_999, "visit", CALLER) })),
                (5, recorded(5, 12_000, "inquiry", PARTY)),
            ];
            house.learn(story.clone()).await;
            house.next_door().learn(story).await;
            let read = async || {
                let mut readings = Vec::new();
                for view in [&house, &house.next_door()] {
                    for party in [PARTY, CALLER, OTHER] {
                        for day in [13_000, 19_450, 20_000] {
                            let when = When { as_of: Some(at(day)), known_at: None };
                            readings.push(view.score_when(party, definition, when).await.reading);
                        }
                    }
                }
                readings
            };
            let before = read().await;
            house.store.run(Anew { bring: false }).await.unwrap();
            assert!(read().await.iter().all(|reading| reading.count == 0));
            house.store.run(Anew { bring: true }).await.unwrap();
            assert_eq!(read().await, before);
            // And goes on from there.
            house.learn(vec![(6, recorded(6, 19_999, "order", PARTY))]).await;
            assert_eq!(house.score_when(PARTY, definition, When::default()).await.reading.count, 4);
        }
    }
}
