//! Influence between messages and domain values.

use rapport_proto::scoring::v1 as proto;
use rapport_rpc::wire;
use rapport_types::error::{Collector, Error};
use rapport_types::{Timestamp, Uuid};

use super::convert::{checked, time};
use super::convert_batch::{parties, span};
use crate::domain::{PartyName, Standing};
use crate::queries::Computed;

/// Parties of one request at most.
const MOST_PARTIES: usize = 500;
/// How old an answer may be at most that somebody calls good enough, in microseconds.
const OLDEST: i64 = 24 * 3_600 * 1_000_000;

/// The parties that are asked for, and how old the answer may be, in microseconds.
///
/// # Errors
/// Every wrong field.
pub(crate) fn batch_get_influence(request: &proto::BatchGetInfluenceRequest) -> Result<(Vec<Uuid>, i64), Error> {
    let fields = Collector::new();
    let parties = parties(&fields, &request.parties, 1, MOST_PARTIES);
    let max_age = request.max_age.as_ref().and_then(|age| fields.check("max_age", span(age, OLDEST, "24 hours")));
    fields.finish()?;
    Ok((parties, max_age.unwrap_or_default()))
}

/// # Errors
/// Every wrong field.
pub(crate) fn get_influence(request: &proto::GetInfluenceRequest) -> Result<(Uuid, Option<Timestamp>), Error> {
    let fields = Collector::new();
    let party = fields.check("party", PartyName::parse(&request.party));
    let as_of = time(&fields, "as_of", request.as_of.as_ref());
    fields.finish()?;
    Ok((checked(party)?.uuid(), as_of))
}

/// Influence for the wire; of a party without a standing too.
pub(crate) fn to_influence(party: Uuid, standing: Option<Standing>, computed: &Computed) -> proto::Influence {
    let name = PartyName::new(party).to_string();
    let Some(standing) = standing else {
        return proto::Influence {
            party: name,
            standing: proto::NetworkStanding::Unconnected.into(),
            ..Default::default()
        };
    };
    proto::Influence {
        party: name,
        standing: proto::NetworkStanding::Ranked.into(),
        pagerank: standing.pagerank,
        rank: count(standing.place.rank),
        percentile_micros: standing.percentile_micros(computed.network.len()),
        tie_count: standing.ties.into(),
    }
}

/// What influence was computed over, for the wire: it holds for the moment asked for.
pub(crate) fn to_network(computed: &Computed, as_of: Timestamp) -> proto::NetworkState {
    proto::NetworkState {
        party_count: count(computed.network.len()),
        edge_count: count(computed.network.edges),
        as_of: Some(wire::to_timestamp(as_of)),
        computed_time: Some(wire::to_timestamp(computed.computed_at)),
        stakeholders_position: computed.position,
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::reason;

    use super::*;

    #[test]
    fn every_wrong_field_of_a_batch_is_named() {
        let age = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let asked =
            |parties: Vec<String>, max_age| batch_get_influence(&proto::BatchGetInfluenceRequest { parties, max_age });
        let one = PartyName::new(Uuid::from_u128(7)).to_string();
        assert_eq!(asked(vec![one.clone()], None).unwrap(), (vec![Uuid::from_u128(7)], 0));
        assert_eq!(asked(vec![one.clone(); 500], age(86_400)).unwrap().1, OLDEST);
        for (parties, max_age, expected) in [
            (vec![], age(1), ("parties", reason::REQUIRED)),
            (vec![one.clone(); 501], age(1), ("parties", reason::TOO_MANY)),
            (vec!["parties/7".to_owned()], None, ("parties[0]", reason::MALFORMED_NAME)),
            (vec![one.clone()], age(86_401), ("max_age", reason::OUT_OF_RANGE)),
            (vec![one.clone()], age(0), ("max_age", reason::OUT_OF_RANGE)),
        ] {
            let error = asked(parties, max_age).unwrap_err();
            assert_eq!((error.violations[0].field.as_str(), error.violations[0].reason), expected);
        }
    }
}
