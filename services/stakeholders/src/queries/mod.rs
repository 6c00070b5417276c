//! The reads.

mod check_consent;
mod check_relationship;
mod get_neighborhood;
mod get_parties;
mod list_consents;
mod list_parties;
mod list_relationships;
mod resolve_party;

pub use check_consent::{Answer, ConsentQuestion, check_consent};
pub use check_relationship::check_relationship;
pub use get_neighborhood::{Neighbor, Neighborhood, NeighborhoodQuestion, get_neighborhood};
pub use get_parties::{get_parties, get_party};
pub use list_consents::{ConsentPage, list_consents};
pub use list_parties::{PartyPage, PartyQuestion, list_parties};
pub use list_relationships::{RelationshipPage, RelationshipQuestion, list_relationships};
pub use resolve_party::resolve_party;
