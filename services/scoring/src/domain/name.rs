use std::fmt;

use rapport_types::{FieldError, Uuid, reason, resource_name};

resource_name!(pub(crate) PartyName, "parties", "party");
resource_name!(pub(crate) InteractionName, "interactions", "interaction");
resource_name!(pub(crate) ClvModelName, "clvModels", "model");
resource_name!(pub(crate) RelationshipName, "relationships", "relationship");

/// The name of a score definition: `scoreDefinitions/{slug}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DefinitionName(String);

impl DefinitionName {
    /// The longest slug.
    const LONGEST: usize = 64;

    /// The name of a built-in definition.
    pub(crate) fn of(slug: &str) -> DefinitionName {
        DefinitionName(slug.to_owned())
    }

    /// Reads a name.
    ///
    /// # Errors
    /// `REQUIRED` if empty, `MALFORMED_NAME` if it is not a name of this kind.
    pub(crate) fn parse(text: &str) -> Result<DefinitionName, FieldError> {
        if text.is_empty() {
            return Err(FieldError::required());
        }
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        text.strip_prefix("scoreDefinitions/")
            .filter(|slug| (1..=DefinitionName::LONGEST).contains(&slug.len()) && slug.bytes().all(letter))
            .map(DefinitionName::of)
            .ok_or_else(|| FieldError::new(reason::MALFORMED_NAME, "must be a name of the form scoreDefinitions/{id}"))
    }

    /// What stands after the slash.
    pub(crate) fn slug(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DefinitionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "scoreDefinitions/{}", self.0)
    }
}

/// The name of a score: `parties/{party}/scores/{definition}`, or `origins/{origin}/scores/{definition}` while nobody is
/// known to stand behind the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ScoreName {
    collection: &'static str,
    holder: Uuid,
    definition: &'static str,
}

impl ScoreName {
    /// A party's score.
    pub(crate) const fn of_party(party: Uuid, definition: &'static str) -> ScoreName {
        ScoreName { collection: PartyName::COLLECTION, holder: party, definition }
    }

    /// The score of an origin that belongs to no party yet.
    pub(crate) const fn of_origin(origin: Uuid, definition: &'static str) -> ScoreName {
        ScoreName { collection: "origins", holder: origin, definition }
    }
}

impl fmt::Display for ScoreName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/scores/{}", self.collection, self.holder, self.definition)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn definition_names() {
        let text = "scoreDefinitions/relationship-health";
        assert_eq!(DefinitionName::parse(text).unwrap().to_string(), text);
        assert_eq!(DefinitionName::parse("").unwrap_err().reason, reason::REQUIRED);
        let long = format!("scoreDefinitions/{}", "x".repeat(65));
        for text in [
            "relationship-health",
            "scoreDefinitions/",
            "scoreDefinitions/A",
            "scoreDefinitions/a/b",
            "scoreDefinitions/a\0",
            &long,
        ] {
            assert_eq!(DefinitionName::parse(text).unwrap_err().reason, reason::MALFORMED_NAME, "{text}");
        }
    }
}
