use rapport_types::Uuid;
use serde::{Deserialize, Serialize};

use super::{Held, Named};

/// How the origin of a fact is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The caller named the party: its id is the origin.
    Party(Uuid),
    /// The blind index of the identifier; what is known of it says the origin, else it is the origin itself.
    Identifier(Uuid),
    /// A withheld number stands for nobody: each fact has an origin of its own.
    Withheld(Uuid),
}

impl Route {
    /// The route of somebody as the caller named them. `blind` takes the blind index of a comparable identifier, `fresh`
    /// gives a new id.
    pub(crate) fn of(named: &Named, blind: impl FnOnce(&str) -> Uuid, fresh: impl FnOnce() -> Uuid) -> Route {
        match named {
            Named::Party(party, _) => Route::Party(*party),
            Named::Identifier(identifier) if identifier.withheld() => Route::Withheld(fresh()),
            Named::Identifier(identifier) => Route::Identifier(blind(&identifier.comparable())),
        }
    }

    /// The blind index that has to be looked up.
    pub(crate) fn index(self) -> Option<Uuid> {
        match self {
            Route::Identifier(index) => Some(index),
            Route::Party(_) | Route::Withheld(_) => None,
        }
    }

    /// Where the fact goes, by what is known of the identifier.
    pub(crate) fn resolve(self, held: Option<Held>) -> Origin {
        match (self, held) {
            (Route::Party(party), _) => Origin { id: party, party: Some(party) },
            (Route::Identifier(_), Some(held)) => Origin { id: held.origin, party: held.party },
            (Route::Identifier(index), None) => Origin { id: index, party: None },
            (Route::Withheld(id), _) => Origin { id, party: None },
        }
    }
}

/// The id that a fact keeps for ever, and the party that it belonged to when the fact was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The id.
    pub(crate) id: Uuid,
    /// The party, if it was known.
    pub(crate) party: Option<Uuid>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::domain::Identifier;

    const PARTY: Uuid = Uuid::from_u128(7);
    const BLIND: Uuid = Uuid::from_u128(8);
    const FRESH: Uuid = Uuid::from_u128(9);

    fn tel(value: &str) -> Identifier {
        Identifier::new("tel".to_owned(), value.to_owned()).unwrap()
    }

    #[test]
    fn who_is_named_decides_the_route() {
        let route = |named: &Named| Route::of(named, |_| BLIND, || FRESH);
        assert_eq!(route(&Named::Party(PARTY, Some(tel("+351912345678")))), Route::Party(PARTY));
        assert_eq!(route(&Named::Identifier(tel("+351912345678"))), Route::Identifier(BLIND));
        assert_eq!(route(&Named::Identifier(tel("anonymous"))), Route::Withheld(FRESH));
    }

    #[test]
    fn an_identifier_leads_to_what_is_known_of_it() {
        let route = Route::Identifier(BLIND);
        assert_eq!(route.resolve(None), Origin { id: BLIND, party: None });
        let held = Held { origin: FRESH, party: Some(PARTY), contested: false };
        assert_eq!(route.resolve(Some(held)), Origin { id: FRESH, party: Some(PARTY) });
        let contested = Held { origin: BLIND, party: None, contested: true };
        assert_eq!(route.resolve(Some(contested)), Origin { id: BLIND, party: None });
    }
}
