use std::collections::BTreeMap;

use rapport_proto::scoring::v1 as proto;
use rapport_store::Outbox;
use rapport_types::{TenantId, Timestamp, Uuid};

use crate::domain::PartyName;

/// A party whose orders changed, or an origin that belongs to nobody.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MovedValue {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// The party; none while nobody is known to stand behind the origin.
    pub(crate) party: Option<Uuid>,
    /// The origin of the orders.
    pub(crate) origin: Uuid,
    /// The position of the event that brought the change.
    pub(crate) position: i64,
    /// When that happened.
    pub(crate) occurred_at: Timestamp,
    /// The trace of the call that caused it.
    pub(crate) traceparent: Option<String>,
}

/// Who tells it: each consumer has aggregates of its own, as their positions in the feed are their own too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Teller {
    /// The consumer of orders.
    Orders,
    /// The consumer of contributions, of origins that came to a party.
    Contributions,
}

impl Teller {
    /// The last part of the aggregate.
    fn aggregate(self) -> &'static str {
        match self {
            Teller::Orders => "value",
            Teller::Contributions => "attribution",
        }
    }
}

/// Tells whose values moved: each party once, by the last of the events that moved it, in the order of those.
pub(crate) fn tell_values(teller: Teller, moved: impl IntoIterator<Item = MovedValue>, out: &mut Outbox) {
    let mut last: BTreeMap<(TenantId, bool, Uuid), MovedValue> = BTreeMap::new();
    for one in moved {
        let key = (one.tenant.clone(), one.party.is_some(), one.party.unwrap_or(one.origin));
        match last.get(&key) {
            Some(other) if other.position > one.position => {}
            _ => {
                last.insert(key, one);
            }
        }
    }
    let mut told: Vec<MovedValue> = last.into_values().collect();
    told.sort_by_key(|one| one.position);
    for one in told {
        let MovedValue { tenant, party, origin, position, occurred_at, traceparent } = one;
        let party = party.map(|party| PartyName::new(party).to_string()).unwrap_or_default();
        let whose = if party.is_empty() { format!("origins/{origin}") } else { party.clone() };
        let aggregate = format!("{whose}/{}", teller.aggregate());
        out.traceparent(traceparent);
        let moved = proto::ValueMoved { party, origin: origin.to_string() };
        out.event(&tenant, aggregate, position, occurred_at, &moved);
    }
}
