use rapport_types::error::FieldError;

use super::wording::line;

/// Where a fact came from. All but the system may say something about a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Provenance {
    /// The system that told us; at most 100 characters.
    pub(crate) source_system: String,
    /// The key of the record over there; at most 200 characters.
    pub(crate) source_record_id: String,
    /// Who caused it there; at most 200 characters.
    pub(crate) actor: String,
    /// Why it was recorded; at most 500 characters.
    pub(crate) reason: String,
}

impl Provenance {
    /// A checked system.
    pub(crate) fn source_system(text: &str) -> Result<String, FieldError> {
        line(text, 0, 100)
    }

    /// A checked key of a record.
    pub(crate) fn source_record_id(text: &str) -> Result<String, FieldError> {
        line(text, 0, 200)
    }

    /// A checked actor.
    pub(crate) fn actor(text: &str) -> Result<String, FieldError> {
        line(text, 0, 200)
    }

    /// A checked reason.
    pub(crate) fn reason(text: &str) -> Result<String, FieldError> {
        line(text, 0, 500)
    }
}
