//! What a server refuses, as the reject of a row.

use rapport::patience::passing;
use rapport_proto::{interactions, stakeholders};
use rapport_types::error::{Error, Kind};

use super::rows::Reject;

/// What a row that sets a party apart takes beside the permission to write parties, and the field by which it does.
const RESTRICT: (&str, &str) = ("stakeholders.parties.restrict", "lifecycle");

/// Whether a refusal is of what the row says, by somebody who may not say it: other rows may be well.
pub(crate) fn is_of_restricting(permission: Option<&String>) -> bool {
    permission.is_some_and(|permission| permission == RESTRICT.0)
}

/// Whether the import ends: whatever it sends is refused, or cannot be sent.
pub(crate) fn stops(error: &Error) -> bool {
    let refused = matches!(error.kind, Kind::Unauthenticated | Kind::Denied);
    refused && !is_of_restricting(error.metadata.get("permission")) || passing(error.kind)
}

/// A refusal of a call.
pub(crate) fn of_call(error: &Error) -> Reject {
    let wrong = error.violations.iter().map(|one| (one.field.as_str(), one.reason, one.description.as_str()));
    told(error.reason, &error.message, error.metadata.get("permission"), wrong)
}

/// A refusal of one party of a batch.
pub(crate) fn of_party(error: &stakeholders::v1::ItemError) -> Reject {
    let wrong = error.violations.iter().map(|one| (one.field.as_str(), one.reason.as_str(), one.description.as_str()));
    told(&error.reason, &error.message, error.metadata.get("permission"), wrong)
}

/// A refusal of one interaction of a batch.
pub(crate) fn of_interaction(error: &interactions::v1::ItemError) -> Reject {
    let wrong = error.violations.iter().map(|one| (one.field.as_str(), one.reason.as_str(), one.description.as_str()));
    told(&error.reason, &error.message, error.metadata.get("permission"), wrong)
}

/// The first wrong field, with its reason, and a sentence on each; else what is said of the whole.
fn told<'a>(
    reason: &'a str,
    message: &str,
    permission: Option<&String>,
    wrong: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
) -> Reject {
    let wrong: Vec<(String, &str, &str)> = wrong.map(|(field, reason, said)| (field_of(field), reason, said)).collect();
    let Some((field, reason, _)) = wrong.first() else {
        let place = if is_of_restricting(permission) { RESTRICT.1 } else { "" };
        return Reject { place: place.to_owned(), reason: reason.to_owned(), message: message.to_owned() };
    };
    let sentences: Vec<String> = wrong.iter().map(|(field, _, said)| format!("{field}: {said}")).collect();
    Reject { place: field.clone(), reason: (*reason).to_owned(), message: sentences.join("; ") }
}

/// A field without the request around it.
fn field_of(path: &str) -> String {
    let path = path
        .split_once("].")
        .filter(|_| path.starts_with("requests[") || path.starts_with("items["))
        .map_or(path, |(_, rest)| rest);
    for around in ["party.", "relationship.", "interaction."] {
        if let Some(rest) = path.strip_prefix(around) {
            return rest.to_owned();
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_as_files_name_them() {
        assert_eq!(field_of("requests[3].party.identifiers[0].scheme"), "identifiers[0].scheme");
        assert_eq!(field_of("items[0].interaction.kind"), "kind");
        assert_eq!(field_of("relationship.weight"), "weight");
    }
}
