//! The failures that are this service's own, each with its reason and every value of its sentence.

use rapport_types::{Error, Etag, reason};
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
/// `relationship_type`, `etag`, and `valid_from_time` and `valid_to_time` where they are bounded.
pub fn relationship_exists(existing: &Relationship) -> Error {
    let (name, kind) = (existing.name(), &existing.kind);
    let error = Error::already_exists(
        reason::RELATIONSHIP_ALREADY_EXISTS,
        format!("{name} ties the same parties as {kind} in that time already"),
    )
    .with("name", name)
    .with("relationship_type", kind)
    .with("etag", Etag::of(existing.version));
    // An empty value would be no value at all on the way: translators of JSON stumble over it.
    let bounds = [("valid_from_time", existing.validity.start()), ("valid_to_time", existing.validity.end())];
    bounds.into_iter().fold(error, |error, (bound, at)| match at {
        Some(at) => error.with(bound, at),
        None => error,
    })
}
