//! A store with a clock that stands still, into which facts are put as the consumers would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use async_trait::async_trait;
use rapport_store::{Outbox, Store, StoreError, Tx, Work};
use rapport_testkit::place::StorePlace;
use rapport_types::time::ManualClock;
use rapport_types::{TenantId, Timestamp, Uuid, World};

use crate::commands::{Arrival, Change, record_contributions, record_relationships};
use crate::domain::{Definition, Direction, Fact, Participation, Revision, TieChange};
use crate::options::ScoringOptions;
use crate::queries::{Networks, Score, Scores, When};

pub(crate) const DAY: i64 = 86_400_000_000;
pub(crate) const PARTY: Uuid = Uuid::from_u128(7);
pub(crate) const CALLER: Uuid = Uuid::from_u128(8);
pub(crate) const OTHER: Uuid = Uuid::from_u128(9);

struct Batch(Vec<Arrival>);

#[async_trait]
impl Work for Batch {
    type Output = ();

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<(), StoreError> {
        record_contributions(tx, &self.0, out).await
    }
}

struct Ties(Vec<TieChange>);

#[async_trait]
impl Work for Ties {
    type Output = ();

    async fn run(&self, tx: &Tx, _: &mut Outbox) -> Result<(), StoreError> {
        record_relationships(tx, &self.0).await
    }
}

/// One tenant's view of a store.
pub(crate) struct House {
    pub(crate) tenant: TenantId,
    pub(crate) store: Store,
    pub(crate) scores: Scores,
    pub(crate) networks: Networks,
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub(crate) fn at(day: i64) -> Timestamp {
    Timestamp::from_micros(day * DAY)
}

pub(crate) fn health() -> &'static Definition {
    Definition::find("relationship-health").unwrap()
}

impl House {
    /// It is day 20,000.
    pub(crate) async fn new(place: &StorePlace) -> House {
        let world = World::with_clock(Arc::new(ManualClock::new(at(20_000))));
        let store = Store::open(&place.options(), "scoring", crate::migration::migrations(), world).await.unwrap();
        House::of(store, "acme")
    }

    fn of(store: Store, name: &str) -> House {
        let options = ScoringOptions::default();
        House {
            tenant: tenant(name),
            scores: Scores::new(store.clone(), options.clone()),
            networks: Networks::new(store.clone(), options),
            store,
        }
    }

    /// Another tenant in the same database.
    pub(crate) fn next_door(&self) -> House {
        House::of(self.store.clone(), "next-door")
    }

    pub(crate) async fn learn(&self, changes: Vec<(i64, Change)>) {
        let arrivals = changes
            .into_iter()
            .map(|(position, change)| Arrival {
                tenant: self.tenant.clone(),
                position,
                occurred_at: at(20_000),
                traceparent: None,
                change,
            })
            .collect();
        self.store.run(Batch(arrivals)).await.unwrap();
    }

    pub(crate) async fn tie(&self, changes: Vec<TieChange>) {
        let changes = changes.into_iter().map(|change| TieChange { tenant: self.tenant.clone(), ..change }).collect();
        self.store.run(Ties(changes)).await.unwrap();
    }

    pub(crate) async fn score_when(&self, party: Uuid, definition: &'static Definition, when: When) -> Score {
        let score = self.scores.get(&self.tenant, party, &[definition], when).await.unwrap()[0];
        // Whatever way the value came, its explanation is about the same value and sums to it.
        let explained = self.scores.explain(&self.tenant, party, definition, when, 2).await.unwrap();
        assert_eq!((explained.score.reading, explained.score.party), (score.reading, score.party));
        let explanation = &explained.explanation;
        let sum: i64 = explanation.lines.iter().map(|line| line.effect).sum();
        let others = explanation.others.map_or(0, |others| others.effect);
        assert_eq!(explanation.prior_effect + sum + others, score.reading.value_micros);
        score
    }

    pub(crate) async fn score_as_of(&self, party: Uuid, as_of: Option<Timestamp>) -> Score {
        self.score_when(party, health(), When { as_of, known_at: None }).await
    }

    pub(crate) async fn value(&self, party: Uuid) -> i64 {
        self.score_as_of(party, None).await.reading.value_micros
    }

    /// Whose relationship health moved, in the order it did.
    pub(crate) async fn aggregates(&self) -> Vec<(String, i64)> {
        let events = self.store.events_after(0, 100, None).await.unwrap();
        let health = events.into_iter().filter(|event| event.aggregate.ends_with("/relationship-health"));
        health.map(|event| (event.aggregate, event.version)).collect()
    }
}

pub(crate) fn fact(interaction: u128, day: i64, kind: &str, origin: Uuid) -> Fact {
    Fact {
        interaction: Uuid::from_u128(interaction),
        version: 1,
        revision: Revision::First,
        supersedes: None,
        kind: kind.to_owned(),
        direction: Direction::Inbound,
        valence: None,
        occurred_at: at(day),
        recorded_at: at(20_000),
        participants: vec![Participation { origin, party: (origin == PARTY).then_some(PARTY) }],
    }
}

pub(crate) fn recorded(interaction: u128, day: i64, kind: &str, origin: Uuid) -> Change {
    Change::Fact(fact(interaction, day, kind, origin))
}
