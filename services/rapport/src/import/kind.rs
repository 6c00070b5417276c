//! What is imported and exported, and the message of the contract that a row becomes.

use clap::ValueEnum;
use prost_reflect::MessageDescriptor;
use rapport_proto::contract;

use crate::failure::Failure;

/// What the rows of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Persons, organisations, households, groups, with their identifiers and roles.
    Parties,
    /// Ties between parties.
    Relationships,
    /// Contacts of every channel.
    Interactions,
}

impl Kind {
    /// The message that a row becomes.
    pub(crate) fn message(self) -> Result<MessageDescriptor, Failure> {
        let name = match self {
            Self::Parties => "rapport.stakeholders.v1.Party",
            Self::Relationships => "rapport.stakeholders.v1.Relationship",
            Self::Interactions => "rapport.interactions.v1.Interaction",
        };
        contract::pool()
            .get_message_by_name(name)
            .ok_or_else(|| Failure::failed(format!("{name} is not in the contract")))
    }

    /// The fields that a file carries, in the order of an exported table's columns. The others are the server's.
    pub(crate) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Parties => &[
                "kind",
                "lifecycle",
                "display_name",
                "names",
                "contact_media",
                "identifiers",
                "roles",
                "attributes",
                "language_code",
                "country_code",
                "time_zone",
                "cessation",
                "provenance",
            ],
            Self::Relationships => &[
                "relationship_type",
                "from_party",
                "to_party",
                "weight",
                "valid_from_time",
                "valid_to_time",
                "scope",
                "provenance",
            ],
            Self::Interactions => &[
                "kind",
                "channel",
                "direction",
                "participants",
                "topics",
                "subject_line",
                "body",
                "valence",
                "effort",
                "amount",
                "occurred_time",
                "provenance",
            ],
        }
    }

    /// Short columns for what the message nests, as `--help` lists them.
    pub(crate) fn short_columns(self) -> &'static [&'static str] {
        match self {
            Self::Parties => {
                &["identifier.SCHEME", "phone", "email", "web", "role", "attributes.KEY", "given_name", "family_name"]
            }
            Self::Relationships => &["type", "from", "to"],
            Self::Interactions => {
                &["medium", "party", "role", "function", "record_id", "source", "order", "return", "currency"]
            }
        }
    }
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table with commas.
    Csv,
    /// One JSON object a line.
    Jsonl,
}
