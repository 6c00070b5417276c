//! Influence between messages and domain values.

use rapport_proto::scoring::v1 as proto;
use rapport_rpc::wire;
use rapport_types::error::{Collector, Error};
use rapport_types::{Timestamp, Uuid};

use super::convert::{checked, time};
use crate::domain::{PartyName, Standing};
use crate::queries::Computed;

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
