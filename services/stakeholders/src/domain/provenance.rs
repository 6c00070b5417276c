//! Where a fact came from.

use serde::{Deserialize, Serialize};

use super::sparse::is_default;

/// Where a fact came from; every part may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// The system that told us, at most 100 characters.
    #[serde(skip_serializing_if = "is_default")]
    pub source_system: String,
    /// The key of the record over there, at most 200 characters.
    #[serde(skip_serializing_if = "is_default")]
    pub source_record_id: String,
    /// Who caused it there, at most 200 characters.
    #[serde(skip_serializing_if = "is_default")]
    pub actor: String,
    /// Why it was recorded, at most 500 characters.
    #[serde(skip_serializing_if = "is_default")]
    pub reason: String,
}

impl Provenance {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Provenance::default()
    }
}
