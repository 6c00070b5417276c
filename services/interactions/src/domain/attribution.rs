use rapport_types::Uuid;

/// One party's hold on an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The party.
    pub(crate) party: Uuid,
    /// Whether the identifier points to this party and nobody else: false for a switchboard, a role mailbox, a mere
    /// hint.
    pub(crate) own: bool,
}

/// What is known of an identifier: under which origin facts come by it, and whose that origin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The origin of facts that come by the identifier from now on.
    pub(crate) origin: Uuid,
    /// The party that the origin belongs to. Once given, an origin is never taken from its party.
    pub(crate) party: Option<Uuid>,
    /// Facts may have come under this origin while nobody could say whose they were, so it is never given to anybody.
    pub(crate) contested: bool,
}

/// What a change of holders means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// What is known of the identifier afterwards.
    pub(crate) held: Held,
    /// The origin now belongs to this party, and did not before.
    pub(crate) attributed: Option<Uuid>,
}

/// Follows a change of an identifier's holders. `None` when nothing changes.
///
/// An origin belongs to one party at most, for ever. So when an identifier changes hands, or becomes shared, what came
/// by it stays where it is, and what comes by it afterwards has a new origin (`fresh`): a recycled number never carries
/// one party's past to another. `first` is the origin under which facts came before anybody claimed the identifier.
pub(crate) fn next(held: Option<Held>, holders: &[Holder], first: Uuid, fresh: impl FnOnce() -> Uuid) -> Option<Move> {
    let owner = match holders {
        [] => Owner::Nobody,
        [one, rest @ ..] if one.own && rest.iter().all(|other| other.party == one.party && other.own) => {
            Owner::One(one.party)
        }
        _ => Owner::Unclear,
    };
    let renewed = |party: Option<Uuid>, contested: bool| Held { origin: fresh(), party, contested };
    let after = match (held, owner) {
        (None, Owner::Nobody) => return None,
        (None, Owner::One(party)) => Held { origin: first, party: Some(party), contested: false },
        (None, Owner::Unclear) => Held { origin: first, party: None, contested: true },
        (Some(Held { party: Some(before), .. }), Owner::One(party)) if before == party => return None,
        (Some(Held { party: None, contested: false, origin }), Owner::One(party)) => {
            Held { origin, party: Some(party), contested: false }
        }
        (Some(Held { party: None, contested: false, .. }), Owner::Nobody) => return None,
        (Some(Held { party: None, contested: false, origin }), Owner::Unclear) => {
            Held { origin, party: None, contested: true }
        }
        (Some(Held { contested: true, .. }), Owner::Unclear) => return None,
        (Some(_), Owner::One(party)) => renewed(Some(party), false),
        (Some(_), Owner::Nobody) => renewed(None, false),
        (Some(_), Owner::Unclear) => renewed(None, true),
    };
    Some(Move { held: after, attributed: after.party })
}

#[derive(Clone, Copy)]
enum Owner {
    Nobody,
    One(Uuid),
    Unclear,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const FIRST: Uuid = Uuid::from_u128(1);

    fn own(party: u128) -> Holder {
        Holder { party: Uuid::from_u128(party), own: true }
    }

    fn shared(party: u128) -> Holder {
        Holder { party: Uuid::from_u128(party), own: false }
    }

    #[test]
    fn what_came_before_the_claim_goes_to_the_first_owner() {
        let claimed = next(None, &[own(10)], FIRST, || unreachable!()).unwrap();
        assert_eq!(claimed.held.origin, FIRST);
        assert_eq!(claimed.attributed, Some(Uuid::from_u128(10)));
        assert_eq!(next(Some(claimed.held), &[own(10)], FIRST, || unreachable!()), None);
    }

    #[test]
    fn a_shared_medium_belongs_to_nobody() {
        for holders in [&[shared(10)][..], &[own(10), own(11)], &[own(10), shared(10)], &[shared(10), own(11)]] {
            let moved = next(None, holders, FIRST, || unreachable!()).unwrap();
            assert_eq!((moved.held.party, moved.attributed), (None, None));
        }
    }

    #[test]
    fn a_recycled_number_starts_anew() {
        let before = Held { origin: FIRST, party: Some(Uuid::from_u128(10)), contested: false };
        let fresh = Uuid::from_u128(2);
        let moved = next(Some(before), &[own(11)], FIRST, || fresh).unwrap();
        assert_eq!(moved.held, Held { origin: fresh, party: Some(Uuid::from_u128(11)), contested: false });
        let released = next(Some(before), &[], FIRST, || fresh).unwrap();
        assert_eq!(released.held, Held { origin: fresh, party: None, contested: false });
    }

    proptest! {
        /// Whatever happens to the holders: an origin never has two owners, one that was contested never gets one, and
        /// the identifier belongs to its sole owner as soon as there is one.
        #[test]
        fn an_origin_has_one_owner_for_ever(
            changes in proptest::collection::vec(proptest::collection::vec((10..13u128, any::<bool>()), 0..3), 1..30),
        ) {
            let mut owners: HashMap<Uuid, Uuid> = HashMap::new();
            let mut contested = std::collections::HashSet::new();
            let mut held: Option<Held> = None;
            let mut ids = 100u128;
            for holders in changes {
                let holders: Vec<Holder> =
                    holders.into_iter().map(|(party, own)| Holder { party: Uuid::from_u128(party), own }).collect();
                let moved = next(held, &holders, FIRST, || { ids += 1; Uuid::from_u128(ids) });
                if let Some(moved) = moved {
                    prop_assert_ne!(Some(moved.held), held);
                    held = Some(moved.held);
                    if let Some(party) = moved.attributed {
                        prop_assert_eq!(owners.insert(moved.held.origin, party), None);
                        prop_assert!(!contested.contains(&moved.held.origin));
                    }
                }
                if let Some(held) = held {
                    if held.contested { contested.insert(held.origin); }
                    prop_assert_eq!(owners.get(&held.origin).copied(), held.party);
                    let sole = holders.first().filter(|one| holders.iter().all(|h| h.party == one.party && h.own));
                    prop_assert_eq!(held.party, sole.map(|one| one.party));
                }
                prop_assert_eq!(next(held, &holders, FIRST, || unreachable!()), None);
            }
        }
    }
}
