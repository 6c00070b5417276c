//! The definition `engagement` came after others had been kept for a while. What it sees in a fact is in the log already,
//! under `relationship-health`: kind, direction, time, and who took part; it does not ask how the contact was. So its
//! part of the log is copied from there, row for row, with what it makes of them, and its sums are made of that. Nothing
//! is asked of the interactions service, whose feed may have forgotten the first of these facts long ago.
//!
//! Facts that a replica of the older version takes in after this ran would lack their part: stop those first.

use async_trait::async_trait;
use rapport_store::{Sql, StoreError};
use rapport_types::{TenantId, Uuid};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::domain::{Changes, Definition, Ledger};
use crate::store;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261122_000003_engagement"
    }
}

/// Interactions that are copied at a time.
const PAGE: u32 = if cfg!(test) { 2 } else { 1_000 };

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        // A later version of the definition comes with a migration of its own.
        let (Some(source), Some(definition)) =
            (Definition::by_key("relationship-health.1"), Definition::by_key("engagement.1"))
        else {
            return Ok(());
        };
        let mut after: Option<(TenantId, Uuid)> = None;
        loop {
            let keys = page(db, source, after.as_ref()).await?;
            let Some(last) = keys.last().cloned() else {
                return Ok(());
            };
            let rows = store::contribution_find(db, &keys).await?;
            let mut ledger = Ledger::default();
            for (tenant, entry) in rows.iter().filter(|(_, entry)| entry.definition == source.key) {
                ledger
                    .derive(tenant, entry, definition)
                    .map_err(|_| DbErr::Custom("an origin has more contributions than sums can hold".to_owned()))?;
            }
            let Changes { entries, sums, .. } = ledger.into_changes();
            store::contribution_append(db, entries).await?;
            store::accumulator_add(db, sums).await.map_err(|error| match error {
                StoreError::Db(error) => error,
                error => DbErr::Custom(error.to_string()),
            })?;
            after = Some(last);
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for table in ["contribution", "accumulator"] {
            db.execute_unprepared(&format!("DELETE FROM {table} WHERE definition = 'engagement.1'")).await?;
        }
        Ok(())
    }
}

/// The next interactions in the order of the log's key.
async fn page(
    db: &impl ConnectionTrait,
    source: &Definition,
    after: Option<&(TenantId, Uuid)>,
) -> Result<Vec<(TenantId, Uuid)>, DbErr> {
    let mut sql =
        Sql::new(db, "SELECT DISTINCT tenant, interaction_id FROM contribution WHERE definition = ").bind(source.key);
    if let Some((tenant, interaction)) = after {
        sql =
            sql.text(" AND (tenant, interaction_id) > (").bind(tenant.as_str()).text(", ").bind(*interaction).text(")");
    }
    let rows = sql.text(&format!(" ORDER BY tenant, interaction_id LIMIT {PAGE}")).all(db).await?;
    rows.iter().map(|row| store::key_of(row, "interaction_id")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_store::{Outbox, Tx, Work};
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;

    use super::*;
    use crate::commands::Change;
    use crate::domain::{Fact, Participation, Revision};
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
