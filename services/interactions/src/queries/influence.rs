//! How influential those near a party are, as the desk keeps it.

use prost::Message;
use rapport_proto::interactions::v1 as proto;
use rapport_proto::scoring::v1 as scoring;
use rapport_types::Uuid;

use super::heard::Section;
use crate::domain::{LEAST_NETWORK, SectionKind};

/// How influential those near a party were when scoring was asked. Scoring owns the figures; this is the last that was said.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct InfluenceSection {
    /// How far it can be trusted.
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<proto::SectionStatus>,
    /// Of each who was near then.
    #[prost(message, repeated, tag = "2")]
    pub(crate) near: Vec<Influenced>,
}

/// How influential one of them was.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Influenced {
    /// The party.
    #[prost(bytes = "vec", tag = "1")]
    party: Vec<u8>,
    /// The share of others that it was ahead of, in millionths; none where that says little.
    #[prost(int64, optional, tag = "2")]
    ahead_micros: Option<i64>,
}

impl Section for InfluenceSection {
    const KIND: SectionKind = SectionKind::Influence;
    const SOURCE: &'static str = "scoring";
    const PERMISSION: &'static str = "scoring.network.read";

    fn status(&mut self) -> &mut Option<proto::SectionStatus> {
        &mut self.status
    }
}

impl InfluenceSection {
    /// What scoring says of parties, in their order.
    pub(crate) fn of(parties: &[Uuid], answer: scoring::BatchGetInfluenceResponse) -> InfluenceSection {
        let telling = answer.network.as_ref().is_some_and(|network| network.party_count >= LEAST_NETWORK);
        let near = parties.iter().zip(answer.influences).map(|(party, influence)| {
            let ranked = telling && influence.standing() == scoring::NetworkStanding::Ranked;
            Influenced { party: party.as_bytes().to_vec(), ahead_micros: ranked.then_some(influence.percentile_micros) }
        });
        InfluenceSection { status: None, near: near.collect() }
    }

    /// Whether there is nothing to say of anybody.
    pub(crate) fn nothing(&self) -> bool {
        self.near.is_empty()
    }

    /// Whether it was asked for of a party.
    pub(crate) fn knows(&self, party: Uuid) -> bool {
        self.near.iter().any(|one| one.party == party.as_bytes())
    }

    /// The share of others that each is ahead of, in millionths, where there is one.
    pub(crate) fn ahead(self) -> impl Iterator<Item = (Uuid, i64)> {
        self.near.into_iter().filter_map(|one| Some((Uuid::from_slice(&one.party).ok()?, one.ahead_micros?)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn who_is_ahead_in_a_small_network_is_not_said() {
        let parties = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let influence = |standing: scoring::NetworkStanding| scoring::Influence {
            standing: standing.into(),
            percentile_micros: 950_000,
            ..scoring::Influence::default()
        };
        let said = |party_count| {
            let network = scoring::NetworkState { party_count, ..scoring::NetworkState::default() };
            let influences =
                vec![influence(scoring::NetworkStanding::Ranked), influence(scoring::NetworkStanding::Unconnected)];
            InfluenceSection::of(&parties, scoring::BatchGetInfluenceResponse { influences, network: Some(network) })
        };
        let large = said(LEAST_NETWORK);
        assert!(large.knows(parties[1]) && !large.knows(Uuid::from_u128(3)));
        let kept = InfluenceSection::decode(large.encode_to_vec().as_slice()).unwrap();
        assert_eq!(kept.ahead().collect::<Vec<_>>(), [(parties[0], 950_000)]);
        let small = said(LEAST_NETWORK - 1);
        assert!(small.knows(parties[0]));
        assert_eq!(small.ahead().count(), 0);
    }
}
