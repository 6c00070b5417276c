//! Relationships between parties as scoring keeps them.

use std::collections::BTreeMap;

use rapport_types::{TenantId, Timestamp, Uuid};

use super::Key;

/// A relationship: who is tied to whom, how strongly, from when until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tie {
    /// Its version at the service that owns it.
    pub(crate) version: i64,
    /// Its type, as a slug.
    pub(crate) kind: String,
    /// The party it starts from.
    pub(crate) from: Uuid,
    /// The party it leads to.
    pub(crate) to: Uuid,
    /// How strong it is, in millionths: above 0.
    pub(crate) weight_micros: i64,
    /// From when on it holds.
    pub(crate) since: Timestamp,
    /// Until when it holds, exclusive; `Timestamp::MAX` while it has no end.
    pub(crate) until: Timestamp,
}

/// What an event says of a relationship. Events of early versions say less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TieChange {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// The relationship.
    pub(crate) relationship: Uuid,
    /// Its version after the event.
    pub(crate) version: i64,
    /// Its type.
    pub(crate) kind: String,
    /// The party it starts from.
    pub(crate) from: Uuid,
    /// The party it leads to.
    pub(crate) to: Uuid,
    /// How strong it is, in millionths, where that is said.
    pub(crate) weight_micros: Option<i64>,
    /// From when on it holds, where that is said.
    pub(crate) since: Option<Timestamp>,
    /// Until when it holds; `Timestamp::MAX` for no end.
    pub(crate) until: Timestamp,
    /// The position of the event.
    pub(crate) position: i64,
}

/// The relationships that changes lead to, from those stored under the same keys; and for each tenant of which one changed,
/// the position of the last change. What is older than what is stored changes nothing.
pub(crate) fn change_ties(
    mut stored: BTreeMap<Key, Tie>,
    changes: &[TieChange],
) -> (BTreeMap<Key, Tie>, BTreeMap<TenantId, i64>) {
    let mut changed: BTreeMap<Key, Tie> = BTreeMap::new();
    let mut positions: BTreeMap<TenantId, i64> = BTreeMap::new();
    for change in changes {
        let key = (change.tenant.clone(), change.relationship);
        let before = stored.get(&key);
        if before.is_some_and(|before| before.version >= change.version) {
            continue;
        }
        let tie = Tie {
            version: change.version,
            kind: change.kind.clone(),
            from: change.from,
            to: change.to,
            weight_micros: change.weight_micros.or(before.map(|before| before.weight_micros)).unwrap_or(1_000_000),
            // Where nothing tells when it began, it is not known to have held at all.
            since: change.since.or(before.map(|before| before.since)).unwrap_or(change.until),
            until: change.until,
        };
        stored.insert(key.clone(), tie.clone());
        changed.insert(key, tie);
        let position = positions.entry(change.tenant.clone()).or_insert(change.position);
        *position = (*position).max(change.position);
    }
    (changed, positions)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn created() -> TieChange {
        TieChange {
            tenant: TenantId::local(),
            relationship: Uuid::from_u128(1),
            version: 1,
            kind: "knows".to_owned(),
            from: Uuid::from_u128(7),
            to: Uuid::from_u128(8),
            weight_micros: Some(500_000),
            since: Some(Timestamp::from_micros(10)),
            until: Timestamp::MAX,
            position: 5,
        }
    }

    /// As early versions told it.
    fn ended() -> TieChange {
        TieChange {
            version: 2,
            weight_micros: None,
            since: None,
            until: Timestamp::from_micros(20),
            position: 6,
            ..created()
        }
    }

    #[test]
    fn an_end_keeps_what_was_known() {
        let (ties, positions) = change_ties(BTreeMap::new(), &[created(), ended()]);
        let tie = ties.values().next().unwrap();
        assert_eq!((tie.version, tie.weight_micros), (2, 500_000));
        assert_eq!((tie.since.as_micros(), tie.until.as_micros()), (10, 20));
        assert_eq!(positions, BTreeMap::from([(TenantId::local(), 6)]));
        // In two batches, and once more.
        let (first, _) = change_ties(BTreeMap::new(), &[created()]);
        let (second, _) = change_ties(first, &[ended(), created()]);
        assert_eq!(second, ties);
        assert_eq!(change_ties(ties, &[created(), ended()]), (BTreeMap::new(), BTreeMap::new()));
    }

    #[test]
    fn an_end_alone_never_held() {
        let (ties, _) = change_ties(BTreeMap::new(), &[ended(), created()]);
        let tie = ties.values().next().unwrap();
        assert_eq!((tie.since, tie.until), (Timestamp::from_micros(20), Timestamp::from_micros(20)));
    }
}
