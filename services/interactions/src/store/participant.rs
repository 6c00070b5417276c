use prost::Message;
use rapport_store::{StoreError, SubjectKeys};
use rapport_types::{TenantId, Uuid};

use super::sealing;
use crate::domain::{NewInteraction, Origin, SurveyName, SurveyResponseName};

/// What an interaction's row holds beside its columns: what nobody filters by.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Detail {
    #[prost(message, repeated, tag = "1")]
    pub(crate) participants: Vec<StoredParticipant>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) topics: Vec<String>,
    #[prost(string, tag = "3")]
    pub(crate) source_system: String,
    /// Why this version was made; empty for a first record.
    #[prost(string, tag = "4")]
    pub(crate) version_reason: String,
    /// The survey whose response this is, 16 bytes; empty for everything else.
    #[prost(bytes = "vec", tag = "5")]
    survey: Vec<u8>,
    /// The response, 16 bytes; empty for everything else.
    #[prost(bytes = "vec", tag = "6")]
    response: Vec<u8>,
}

/// A participant as its interaction's row holds it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StoredParticipant {
    /// The origin, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    origin: Vec<u8>,
    /// Whether the caller named the party, whose id the origin then is.
    #[prost(bool, tag = "2")]
    pub(crate) named: bool,
    #[prost(string, tag = "3")]
    pub(crate) role_type: String,
    #[prost(int32, tag = "4")]
    pub(crate) function: i32,
    /// The identifier that was used, sealed under the origin; empty when there was none.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) identifier: Vec<u8>,
    /// The origin that the fact came by, 16 bytes, where somebody said that it was somebody else; else empty.
    #[prost(bytes = "vec", tag = "6")]
    came_by: Vec<u8>,
    /// Whether the party was named then.
    #[prost(bool, tag = "7")]
    came_named: bool,
}

impl StoredParticipant {
    /// The origin that the fact came by, and whether it named the party, where it was reassigned since.
    pub(crate) fn came_by(&self) -> Option<(Uuid, bool)> {
        Some((Uuid::from_slice(&self.came_by).ok()?, self.came_named))
    }

    /// Puts it under another origin. Back under the one that it came by, it is as if nothing had happened.
    pub(crate) fn give(&mut self, origin: Uuid, named: bool) {
        let (first, first_named) = self.came_by().unwrap_or((self.origin(), self.named));
        if (first, first_named) == (origin, named) {
            self.came_by = Vec::new();
            self.came_named = false;
        } else {
            self.came_by = first.as_bytes().to_vec();
            self.came_named = first_named;
        }
        self.origin = origin.as_bytes().to_vec();
        self.named = named;
    }

    /// The origin.
    pub(crate) fn origin(&self) -> Uuid {
        Uuid::from_slice(&self.origin).unwrap_or_default()
    }
}

impl Detail {
    /// What is stored of an interaction.
    pub(crate) fn of(
        tenant: &TenantId,
        interaction: &NewInteraction,
        origins: &[Origin],
        keys: &SubjectKeys,
        response: Option<SurveyResponseName>,
    ) -> Result<Detail, StoreError> {
        let mut participants = Vec::with_capacity(origins.len());
        for (participant, origin) in interaction.participants.iter().zip(origins) {
            let identifier = match participant.named.identifier() {
                Some(identifier) => sealing::identifier(keys, tenant, origin.id, identifier)?,
                None => Vec::new(),
            };
            participants.push(StoredParticipant {
                origin: origin.id.as_bytes().to_vec(),
                named: participant.named.party().is_some(),
                role_type: participant.role_type.as_ref().map(ToString::to_string).unwrap_or_default(),
                function: i32::from(participant.function.code()),
                identifier,
                came_by: Vec::new(),
                came_named: false,
            });
        }
        Ok(Detail {
            participants,
            topics: interaction.topics.iter().map(ToString::to_string).collect(),
            source_system: interaction.provenance.source_system.clone(),
            version_reason: String::new(),
            survey: response.map(|name| name.parent().uuid().as_bytes().to_vec()).unwrap_or_default(),
            response: response.map(|name| name.uuid().as_bytes().to_vec()).unwrap_or_default(),
        })
    }

    /// The survey response that this interaction records.
    pub(crate) fn response(&self) -> Option<SurveyResponseName> {
        let id = |bytes: &[u8]| Uuid::from_slice(bytes).ok();
        Some(SurveyResponseName::new(SurveyName::new(id(&self.survey)?), id(&self.response)?))
    }
}
