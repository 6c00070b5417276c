//! What this crate's tests stand on: a store in an empty place, and the service over it without its peers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Name;
use rapport_events::{Cursors, Event, Feed};
use rapport_rpc::{Local, Peers};
use rapport_server::Context;
use rapport_store::Store;
use rapport_testkit::place::StorePlace;
use rapport_types::time::ManualClock;
use rapport_types::{TenantId, Timestamp, World};
use tokio_util::sync::CancellationToken;

/// The clock of a test, at noon of a day in January.
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::parse("2026-01-10T12:00:00Z").unwrap()))
}

/// The service over a new store. Peers answer UNAVAILABLE.
pub(crate) async fn context(place: &StorePlace, clock: &Arc<ManualClock>) -> Context {
    let world = World::with_clock(Arc::clone(clock) as Arc<dyn rapport_types::Clock>);
    let store = Store::open(&place.options(), "loyalty", crate::migration::migrations(), world.clone()).await.unwrap();
    Context {
        world,
        peers: Peers::new("loyalty", Local::default(), [], BTreeMap::new()),
        cursors: Cursors::new(store.clone()),
        feed: Feed::new(store.clone()),
        stopping: CancellationToken::new(),
        traced: false,
        store,
    }
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// An event of the feed of interactions, in acme's data.
pub(crate) fn event<P: Name>(position: i64, aggregate: &str, payload: &P) -> Event {
    Event {
        source: "interactions".to_owned(),
        epoch: "test".to_owned(),
        position,
        tenant: tenant("acme"),
        kind: P::full_name(),
        aggregate: aggregate.to_owned(),
        version: 1,
        occurred_at: Timestamp::EPOCH,
        recorded_at: Timestamp::EPOCH,
        traceparent: None,
        payload: payload.encode_to_vec().into(),
    }
}
