use std::collections::{BTreeMap, BTreeSet};

use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::{TenantId, Timestamp, Uuid};

use crate::domain::{Changes, Fact, Key, Ledger};
use crate::error::ScoringError;
use crate::events::{MovedValue, Teller, score_moved, tell_values};
use crate::store;

/// Something that happened elsewhere and bears on scores.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrival {
    /// The tenant in whose data it happened.
    pub(crate) tenant: TenantId,
    /// Its position in the feed it came by.
    pub(crate) position: i64,
    /// When it happened.
    pub(crate) occurred_at: Timestamp,
    /// The trace of the call that caused it, which the moved scores join.
    pub(crate) traceparent: Option<String>,
    /// What happened.
    pub(crate) change: Change,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// An interaction was recorded, amended or retracted.
    Fact(Fact),
    /// An origin belongs to a party.
    Attributed {
        /// The origin.
        origin: Uuid,
        /// The party.
        party: Uuid,
    },
}

/// Puts a batch of arrivals into log, sums and alias map, in at most eleven statements whatever its size (up to 5,000
/// keys), and tells which scores moved, and whose value may have.
///
/// # Errors
/// The database's, and Precondition when sums cannot hold more.
pub(crate) async fn record_contributions(tx: &Tx, arrivals: &[Arrival], out: &mut Outbox) -> Result<(), StoreError> {
    let mut ledger = load(tx, arrivals).await?;
    for Arrival { tenant, position, occurred_at, change, .. } in arrivals {
        match change {
            Change::Fact(fact) => {
                ledger.record(tenant, *position, fact).map_err(|_| ScoringError::TooManyContributions)?;
            }
            Change::Attributed { origin, party } => ledger.attribute(tenant, *position, *occurred_at, *origin, *party),
        }
    }
    let Changes { entries, sums, superseded, revisions, aliases, moves, given } = ledger.into_changes();
    store::contribution_append(tx.db(), entries).await?;
    store::accumulator_add(tx.db(), sums).await?;
    store::superseded_save(tx.db(), superseded).await?;
    store::revision_save(tx.db(), revisions).await?;
    store::alias_save(tx.db(), aliases, tx.now()).await?;
    let traces: BTreeMap<i64, &Arrival> = arrivals.iter().map(|arrival| (arrival.position, arrival)).collect();
    for moved in &moves {
        out.traceparent(traces.get(&moved.position).and_then(|arrival| arrival.traceparent.clone()));
        out.event(&moved.tenant, moved.score(), moved.position, moved.occurred_at, &score_moved(moved));
    }
    // Orders may have come by such an origin. The consumer that knows reads this map: it tells of what it takes in after it.
    let values = given.into_iter().filter_map(|(tenant, origin, party, position)| {
        let arrival = traces.get(&position)?;
        let (occurred_at, traceparent) = (arrival.occurred_at, arrival.traceparent.clone());
        Some(MovedValue { tenant, party: Some(party), origin, position, occurred_at, traceparent })
    });
    tell_values(Teller::Contributions, values, out);
    Ok(())
}

async fn load(tx: &Tx, arrivals: &[Arrival]) -> Result<Ledger, StoreError> {
    let mut interactions: BTreeSet<Key> = BTreeSet::new();
    let mut recorded: BTreeSet<Key> = BTreeSet::new();
    let mut origins: BTreeSet<Key> = BTreeSet::new();
    let mut attributed: BTreeSet<Key> = BTreeSet::new();
    for Arrival { tenant, change, .. } in arrivals {
        match change {
            Change::Fact(fact) => {
                recorded.insert((tenant.clone(), fact.interaction));
                interactions
                    .extend([fact.interaction].into_iter().chain(fact.supersedes).map(|id| (tenant.clone(), id)));
                origins.extend(fact.participants.iter().map(|one| (tenant.clone(), one.origin)));
            }
            Change::Attributed { origin, .. } => {
                origins.insert((tenant.clone(), *origin));
                attributed.insert((tenant.clone(), *origin));
            }
        }
    }
    let mut ledger = Ledger::default();
    let rows = store::contribution_find(tx.db(), &interactions).await?;
    // A version that is taken back moves the scores of those who took part in it.
    origins.extend(rows.iter().map(|(tenant, entry)| (tenant.clone(), entry.origin)));
    ledger.know_entries(rows);
    ledger.know_superseded(store::superseded_find(tx.db(), &recorded).await?);
    ledger.know_revisions(store::revision_find(tx.db(), &recorded).await?);
    ledger.know_aliases(store::alias_find(tx.db(), &origins).await?);
    ledger.know_with_facts(store::accumulator_origins(tx.db(), &attributed).await?);
    Ok(ledger)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;

    use super::*;
    use crate::domain::Participation;
    use crate::fixture::{CALLER, House, OTHER, PARTY, at, fact, health, recorded};
    use crate::options::ScoringOptions;
    use crate::queries::{Scores, When};

    each_store! {
        async fn a_party_without_facts_has_the_prior(place: StorePlace) {
            let house = House::new(&place).await;
            let score = house.score_as_of(PARTY, None).await;
            assert_eq!((score.reading.value_micros, score.reading.weight_micros, score.reading.count), (50_000_000, 0, 0));
            assert_eq!(score.as_of, at(20_000));
        }

        async fn batches_in_any_order_give_the_same_bits(place: StorePlace) {
            let changes = vec![
                (1, recorded(1, 19_900, "order", PARTY)),
                (2, recorded(2, 13_000, "complaint", PARTY)),
                (3, recorded(3, 19_990, "praise", PARTY)),
                (4, recorded(4, 20_001, "complaint", PARTY)),
            ];
            let one = House::new(&place).await;
            one.learn(changes.clone()).await;
            let other = one.next_door();
            for change in changes.into_iter().rev() {
                other.learn(vec![change]).await;
            }
            for day in [12_000, 15_000, 19_950, 20_000, 20_001, 30_000] {
                let (one, other) = (one.score_as_of(PARTY, Some(at(day))).await, other.score_as_of(PARTY, Some(at(day))).await);
                assert_eq!(one.reading, other.reading, "{day}");
            }
            // The complaint of tomorrow counts tomorrow.
            let (today, tomorrow) = (one.score_as_of(PARTY, Some(at(20_000))).await, one.score_as_of(PARTY, Some(at(20_001))).await);
            assert_eq!((today.reading.count, tomorrow.reading.count), (3, 4));
            assert!(tomorrow.reading.value_micros < today.reading.value_micros);
        }

        async fn a_newer_version_counts_alone(place: StorePlace) {
            let house = House::new(&place).await;
            house.learn(vec![(1, recorded(1, 19_900, "complaint", PARTY))]).await;
            let newer = Fact { version: 2, supersedes: Some(Uuid::from_u128(1)), ..fact(2, 19_900, "order", PARTY) };
            house.learn(vec![(2, Change::Fact(newer.clone())), (3, Change::Fact(newer))]).await;
            let expected = house.next_door();
            expected.learn(vec![(1, recorded(2, 19_900, "order", PARTY))]).await;
            assert_eq!(house.score_as_of(PARTY, None).await.reading, expected.score_as_of(PARTY, None).await.reading);
        }

        async fn facts_of_an_origin_come_to_its_party(place: StorePlace) {
            let house = House::new(&place).await;
            house.learn(vec![(1, recorded(1, 19_999, "complaint", CALLER)), (2, recorded(2, 19_998, "order", PARTY))]).await;
            let before = house.value(PARTY).await;
            assert!(before > 50_000_000);
            house.learn(vec![(3, Change::Attributed { origin: CALLER, party: PARTY })]).await;
            assert!(house.value(PARTY).await < before);
            // What comes by the origin later is the party's as well, and the origin's own name leads to the party.
            house.learn(vec![(4, recorded(3, 19_999, "praise", CALLER))]).await;
            assert_eq!(house.score_as_of(PARTY, None).await.reading.count, 3);
            assert_eq!(house.score_as_of(CALLER, None).await.party, PARTY);

            let party = format!("parties/{PARTY}/scores/relationship-health");
            let origin = format!("origins/{CALLER}/scores/relationship-health");
            assert_eq!(house.aggregates().await, [(origin, 1), (party.clone(), 2), (party.clone(), 3), (party, 4)]);
        }

        async fn another_tenant_sees_nothing_of_it(place: StorePlace) {
            let house = House::new(&place).await;
            house.learn(vec![(1, recorded(1, 19_999, "complaint", PARTY))]).await;
            let foreign = house.next_door().score_as_of(PARTY, None).await.reading;
            assert_eq!((foreign.value_micros, foreign.count), (50_000_000, 0));
        }

        async fn one_meeting_by_two_origins_counts_once(place: StorePlace) {
            let house = House::new(&place).await;
            let both = [CALLER, OTHER].map(|origin| Participation { origin, party: None });
            let meeting = Fact { participants: both.to_vec(), ..fact(1, 19_999, "complaint", CALLER) };
            house.learn(vec![(1, Change::Fact(meeting)), (2, recorded(2, 19_998, "order", CALLER))]).await;
            house.learn([CALLER, OTHER].map(|origin| (3, Change::Attributed { origin, party: PARTY })).to_vec()).await;
            assert_eq!(house.score_as_of(PARTY, None).await.reading.count, 2);
        }

        async fn an_answer_reads_no_more_than_it_may(place: StorePlace) {
            let house = House::new(&place).await;
            house.learn((1..=3).map(|n| (n, recorded(n as u128, 19_000 + n, "order", PARTY))).collect()).await;
            let narrow = Scores::new(house.store.clone(), ScoringOptions { log_limit: 2, ..ScoringOptions::default() });
            let error = narrow.explain(&house.tenant, PARTY, health(), When::default(), 2).await.unwrap_err();
            assert_eq!(error.reason, rapport_types::reason::BUDGET_EXCEEDED);
            assert!(narrow.get(&house.tenant, PARTY, &[health()], When::default()).await.is_ok(), "the sums need no log");
        }
    }
}
