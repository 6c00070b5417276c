//! The rules and values of parties, their ties and what they allow: pure, without clock, database or wire.

pub mod attributes;
pub mod consent;
pub mod country;
pub mod identifier;
pub mod medium;
pub mod name;
pub mod names;
pub mod neighbourhood;
pub mod party;
pub mod party_change;
pub mod period;
pub mod provenance;
pub mod question;
pub mod relationship;
pub mod relationship_type;
pub mod resolution;
pub mod role;
mod sparse;
pub mod text;
