//! The failures that are this service's own, each with its reason and every value of its sentence.

use rapport_types::{Error, Etag, Timestamp, reason};
use uuid::Uuid;

use crate::domain::identifier::Scheme;
use crate::domain::names::PartyName;
use crate::domain::relationship::Relationship;

/// Another party holds the identifier. Kind AlreadyExists, reason `IDENTIFIER_TAKEN`, metadata `scheme` and `holder`.
/// The value itself is personal and stays out.
pub fn identifier_taken(scheme: &Scheme, holder: Uuid) -> Error {
    let holder = PartyName::new(holder);
    Error::already_exists(reason::IDENTIFIER_TAKEN, format!("{holder} holds this identifier of scheme {scheme}"))
        .with("scheme", scheme)
        .with("holder", holder)
}

/// The tie is there already. Kind AlreadyExists, reason `RELATIONSHIP_ALREADY_EXISTS`, metadata `name`,
/// `relationship_type`, `etag`, `valid_from_time` and `valid_to_time` (empty where it is open).
pub fn relationship_exists(existing: &Relationship) -> Error {
    let (name, kind) = (existing.name(), &existing.kind);
    Error::already_exists(
        reason::RELATIONSHIP_ALREADY_EXISTS,
        format!("{name} ties the same parties as {kind} in that time already"),
    )
    .with("name", name)
    .with("relationship_type", kind)
    .with("etag", Etag::of(existing.version))
    .with("valid_from_time", bound(existing.validity.start()))
    .with("valid_to_time", bound(existing.validity.end()))
}

/// A bound of a time; empty where it is open.
fn bound(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}
