use std::collections::{BTreeMap, BTreeSet};

use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::{TenantId, Timestamp, Uuid};

use crate::domain::{Key, OrderBook, Version};
use crate::events::{MovedValue, Teller, tell_values};
use crate::store;

/// Something that happened elsewhere and bears on the order history.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OrderNews {
    /// The tenant in whose data it happened.
    pub(crate) tenant: TenantId,
    /// Its position in the feed it came by.
    pub(crate) position: i64,
    /// When it happened.
    pub(crate) occurred_at: Timestamp,
    /// The trace of the call that caused it.
    pub(crate) traceparent: Option<String>,
    /// Whose origins were when it was told, as far as it says: an origin and a party each.
    pub(crate) parties: Vec<(Uuid, Uuid)>,
    /// An origin that belongs to a party from then on.
    pub(crate) attributed: Option<Uuid>,
    /// A version of an interaction.
    pub(crate) version: Option<Version>,
}

/// Puts a batch of versions of interactions into the order history, and tells whose value that moves: in at most six
/// statements whatever its size (up to 5,000 keys).
///
/// # Errors
/// The database's, and Precondition when a sum cannot hold more.
pub(crate) async fn record_orders(tx: &Tx, news: &[OrderNews], out: &mut Outbox) -> Result<(), StoreError> {
    let named: BTreeSet<Key> = news
        .iter()
        .filter_map(|one| Some((one, one.version.as_ref()?)))
        .flat_map(|(one, version)| {
            [Some(version.interaction), version.supersedes].into_iter().flatten().map(|id| (one.tenant.clone(), id))
        })
        .collect();
    let mut book = OrderBook::default();
    book.know(store::order_line_find(tx.db(), &named).await?);
    // The event after which each origin was last heard of: the versions of one say whose orders moved, not which of them did.
    let mut last: BTreeMap<Key, &OrderNews> = BTreeMap::new();
    for one in news {
        if let Some(version) = &one.version {
            for origin in book.record(&one.tenant, version) {
                last.insert((one.tenant.clone(), origin), one);
            }
        }
    }
    let (lines, sums) = book.into_changes();
    let mut moved: BTreeSet<Key> = sums.keys().map(|key| (key.tenant.clone(), key.origin)).collect();
    store::order_line_save(tx.db(), lines).await?;
    store::order_day_add(tx.db(), sums).await?;
    let attributed = news.iter().filter_map(|one| Some(((one.tenant.clone(), one.attributed?), one)));
    let attributed: BTreeMap<Key, &OrderNews> = attributed.collect();
    let asked = attributed.keys().cloned().collect();
    for key in store::order_day_origins(tx.db(), &asked).await? {
        last.extend(attributed.get(&key).map(|one| (key.clone(), *one)));
        moved.insert(key);
    }
    if moved.is_empty() {
        return Ok(());
    }
    // What the map says is newer than what events said: an origin is given to one party, for ever.
    let told =
        news.iter().flat_map(|one| one.parties.iter().map(|(origin, party)| ((one.tenant.clone(), *origin), *party)));
    let mut whose: BTreeMap<Key, Uuid> = told.collect();
    whose.extend(store::alias_find(tx.db(), &moved).await?);
    let values = moved.into_iter().filter_map(|key| {
        let news = last.get(&key)?;
        Some(MovedValue {
            party: whose.get(&key).copied(),
            tenant: key.0,
            origin: key.1,
            position: news.position,
            occurred_at: news.occurred_at,
            traceparent: news.traceparent.clone(),
        })
    });
    tell_values(Teller::Orders, values, out);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use async_trait::async_trait;
    use rapport_store::Work;
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;
    use rapport_types::Currency;

    use super::*;
    use crate::commands::Change;
    use crate::domain::{Day, Purchase, PurchaseKind};
    use crate::fixture::{CALLER, House, OTHER, PARTY, at, recorded};

    struct Batch(Vec<OrderNews>);

    #[async_trait]
    impl Work for Batch {
        type Output = ();

        async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<(), StoreError> {
            record_orders(tx, &self.0, out).await
        }
    }

    fn news(position: i64) -> OrderNews {
        OrderNews {
            tenant: TenantId::parse("acme").unwrap(),
            position,
            occurred_at: at(20_000),
            traceparent: None,
            parties: Vec::new(),
            attributed: None,
            version: None,
        }
    }

    /// A version of an interaction that is an order of an origin, or no longer one.
    fn version(position: i64, interaction: u128, number: i64, origin: Option<Uuid>) -> OrderNews {
        let purchase = origin.map(|origin| Purchase {
            kind: PurchaseKind::Order,
            origin,
            role_type: String::new(),
            day: Day::from_number(19_000),
            currency: Currency::parse("EUR").unwrap(),
            nanos: 12,
        });
        let version = Version { interaction: Uuid::from_u128(interaction), number, supersedes: None, purchase };
        let parties = origin.filter(|origin| *origin == PARTY).map(|party| (party, party)).into_iter().collect();
        OrderNews { version: Some(version), parties, ..news(position) }
    }

    fn attributed(position: i64, origin: Uuid, party: Uuid) -> OrderNews {
        OrderNews { attributed: Some(origin), parties: vec![(origin, party)], ..news(position) }
    }

    impl House {
        /// What is told of values after a batch: the aggregate and its version each.
        async fn told(&self, batch: Vec<OrderNews>) -> Vec<(String, i64)> {
            let before = self.values_after(0).await.len();
            self.store.run(Batch(batch)).await.unwrap();
            self.values_after(before).await
        }

        async fn values_after(&self, before: usize) -> Vec<(String, i64)> {
            let events = self.store.events_after(0, 100, None).await.unwrap();
            let told = |aggregate: &str| aggregate.ends_with("/value") || aggregate.ends_with("/attribution");
            let values = events.into_iter().filter(|event| told(&event.aggregate));
            values.map(|event| (event.aggregate, event.version)).skip(before).collect()
        }
    }

    fn of(party: Uuid, position: i64) -> (String, i64) {
        (format!("parties/{party}/value"), position)
    }

    each_store! {
        async fn whoever_ordered_is_told_of_once_a_batch(place: StorePlace) {
            let house = House::new(&place).await;
            let batch = vec![version(1, 1, 1, Some(PARTY)), version(2, 2, 1, Some(PARTY)), version(3, 3, 1, Some(CALLER))];
            assert_eq!(house.told(batch.clone()).await, [of(PARTY, 2), (format!("origins/{CALLER}/value"), 3)]);
            // Told again, nothing changes; and what comes and goes within a batch leaves nothing.
            assert_eq!(house.told(batch).await, []);
            assert_eq!(house.told(vec![version(4, 4, 1, Some(PARTY)), version(5, 4, 2, None)]).await, []);
            // Taken back: the version says nothing of whose it was, the event does.
            let retracted = OrderNews { parties: vec![(PARTY, PARTY)], ..version(6, 1, 2, None) };
            assert_eq!(house.told(vec![retracted]).await, [of(PARTY, 6)]);
            // Given to another: of both.
            let given = OrderNews { parties: vec![(PARTY, PARTY), (OTHER, OTHER)], ..version(7, 2, 2, Some(OTHER)) };
            assert_eq!(house.told(vec![given]).await, [of(PARTY, 7), of(OTHER, 7)]);
        }

        async fn orders_that_find_their_party_are_told_of(place: StorePlace) {
            let house = House::new(&place).await;
            house.told(vec![version(1, 1, 1, Some(CALLER))]).await;
            assert_eq!(house.told(vec![attributed(2, OTHER, PARTY)]).await, [], "nobody ordered by that one");
            assert_eq!(house.told(vec![attributed(3, CALLER, PARTY)]).await, [of(PARTY, 3)]);
            // Whichever consumer comes last tells it: the other one knows of the map what this one may not yet.
            house.learn(vec![(1, recorded(1, 19_000, "order", CALLER))]).await;
            let attribute = async |position, origin| {
                let before = house.values_after(0).await.len();
                house.learn(vec![(position, Change::Attributed { origin, party: PARTY })]).await;
                house.values_after(before).await
            };
            assert_eq!(attribute(2, OTHER).await, [], "nothing is known of that one");
            // As an aggregate of its own: the other one was told at this position already, and may be far ahead.
            assert_eq!(attribute(3, CALLER).await, [(format!("parties/{PARTY}/attribution"), 3)]);
            assert_eq!(attribute(3, CALLER).await, [], "the map says so already");
            // From then on the map says whose they are.
            assert_eq!(house.told(vec![version(4, 2, 1, Some(CALLER))]).await, [of(PARTY, 4)]);
        }
    }
}
