use rapport_store::{Store, read_error};
use rapport_types::{Error, TenantId, Timestamp};
use uuid::Uuid;

use crate::domain::names::PartyName;
use crate::domain::neighbourhood::{Budget, Edge, Followed, Node, Walk};
use crate::domain::party::Party;
use crate::store::relationship::{self as rows, Range};
use crate::store::{Key, party};

/// What is asked about the surroundings of a party.
#[derive(Clone, Debug)]
pub struct NeighborhoodQuestion {
    /// The party in the middle.
    pub party: Uuid,
    /// How far to go.
    pub budget: Budget,
    /// Only along ties of these types; empty means all.
    pub types: Vec<String>,
    /// The graph as it stood then; now when absent.
    pub as_of: Option<Timestamp>,
}

/// A party that was reached.
#[derive(Clone, Debug)]
pub struct Neighbor {
    /// Where it stands.
    pub node: Node,
    /// Who it is.
    pub party: Party,
    /// The role types it held at the time.
    pub role_types: Vec<String>,
}

/// The surroundings of a party.
#[derive(Clone, Debug)]
pub struct Neighborhood {
    /// The parties, nearest first.
    pub neighbors: Vec<Neighbor>,
    /// The ties that were followed.
    pub edges: Vec<Followed>,
    /// Something was cut off by the budget.
    pub truncated: bool,
}

/// Walks the graph around a party: one read per ring, bounded per party, and one for the parties.
///
/// # Errors
/// NotFound for an unknown party; Unavailable when the database does not answer.
pub async fn get_neighborhood(
    store: &Store,
    tenant: &TenantId,
    asked: NeighborhoodQuestion,
) -> Result<Neighborhood, Error> {
    let db = store.reader();
    let middle = (tenant.clone(), asked.party);
    if party::kinds(db, std::slice::from_ref(&middle)).await.map_err(read_error)?.is_empty() {
        return Err(Error::not_found(PartyName::new(asked.party)));
    }
    let moment = asked.as_of.unwrap_or_else(|| store.world().now());
    let mut types = asked.types;
    types.sort_unstable();
    types.dedup();
    let mut walk = Walk::new(asked.party, asked.budget);
    while !walk.frontier().is_empty() {
        let range = Range { tenant, types: &types, as_of: Some(moment), after: None, most: walk.wanted() };
        let ties = rows::strongest(db, walk.frontier(), range).await.map_err(read_error)?;
        walk.advance(ties.into_iter().map(|(party, ties)| (party, ties.iter().map(Edge::from).collect())).collect());
    }
    let (nodes, edges, truncated) = walk.finish();
    let keys: Vec<Key> = nodes.iter().map(|node| (tenant.clone(), node.id)).collect();
    let mut parties = party::load(db, &keys).await.map_err(read_error)?;
    let neighbors = nodes
        .into_iter()
        .filter_map(|node| {
            let party = parties.remove(&(tenant.clone(), node.id))?;
            Some(Neighbor { role_types: party.role_types_at(moment), node, party })
        })
        .collect();
    Ok(Neighborhood { neighbors, edges, truncated })
}
