use prost::Message;
use rapport_store::{Store, Subject, SubjectKeys};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use super::CommitmentRow;
use super::sealing::{IdentifierText, NoteText, decided, identifier_text, subject};
use crate::domain::{NewCommitment, Provenance};

/// The field names that seals are bound to.
pub(super) const TEXT: &str = "commitment.text";
pub(super) const ENDING: &str = "commitment.ending";

/// What is sealed of a commitment, under its origin.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CommitmentText {
    #[prost(string, tag = "1")]
    pub(crate) promise: String,
    #[prost(string, tag = "2")]
    pub(crate) description: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) identifier: Option<IdentifierText>,
    #[prost(string, tag = "4")]
    pub(crate) source_record_id: String,
    #[prost(string, tag = "5")]
    pub(crate) actor: String,
    #[prost(string, tag = "6")]
    pub(crate) reason: String,
}

/// The sealed texts of a commitment.
///
/// # Errors
/// Precondition `ERASED`.
pub(crate) fn commitment_text(
    keys: &SubjectKeys,
    tenant: &TenantId,
    origin: Uuid,
    new: &NewCommitment,
) -> Result<Vec<u8>, Error> {
    let text = CommitmentText {
        promise: new.promise.clone(),
        description: new.description.clone(),
        identifier: new.named.identifier().map(identifier_text),
        source_record_id: new.provenance.source_record_id.clone(),
        actor: new.provenance.actor.clone(),
        reason: new.provenance.reason.clone(),
    };
    keys.seal(&subject(tenant, origin), TEXT, &text.encode_to_vec()).map_err(decided)
}

/// The sealed texts of a commitment of which nothing can be read any more.
///
/// # Errors
/// Precondition `ERASED`.
pub(crate) fn commitment_blank(keys: &SubjectKeys, subject: &Subject) -> Result<Vec<u8>, Error> {
    keys.seal(subject, TEXT, &CommitmentText::default().encode_to_vec()).map_err(decided)
}

/// What is sealed of the end of a commitment; none when nothing was said.
///
/// # Errors
/// Precondition `ERASED`.
pub(crate) fn commitment_ending(
    keys: &SubjectKeys,
    tenant: &TenantId,
    origin: Uuid,
    note: &str,
    provenance: &Provenance,
) -> Result<Option<Vec<u8>>, Error> {
    let text = NoteText {
        note: note.to_owned(),
        source_record_id: provenance.source_record_id.clone(),
        actor: provenance.actor.clone(),
        reason: provenance.reason.clone(),
    };
    let plain = text.encode_to_vec();
    if plain.is_empty() {
        return Ok(None);
    }
    keys.seal(&subject(tenant, origin), ENDING, &plain).map(Some).map_err(decided)
}

/// The texts of commitments and of their ends, in their order; empty where their key was destroyed.
///
/// # Errors
/// Unavailable.
pub(crate) async fn commitment_open(
    store: &Store,
    rows: &[CommitmentRow],
) -> Result<Vec<(CommitmentText, NoteText)>, Error> {
    let subject = |row: &CommitmentRow| -> Subject { subject(&row.tenant, row.origin.id) };
    let texts: Vec<_> = rows.iter().map(|row| (subject(row), row.sealed.clone())).collect();
    let ends: Vec<_> =
        rows.iter().filter_map(|row| row.ending.as_ref().map(|ending| (subject(row), ending.clone()))).collect();
    let texts = if texts.is_empty() { Vec::new() } else { store.unseal_many(TEXT, &texts).await? };
    let ends = if ends.is_empty() { Vec::new() } else { store.unseal_many(ENDING, &ends).await? };
    let mut ends = ends.into_iter();
    let opened = rows.iter().zip(texts).map(|(row, text)| {
        let ending = if row.ending.is_some() { ends.next().flatten() } else { None };
        Ok((decode::<CommitmentText>(text)?, decode::<NoteText>(ending)?))
    });
    opened.collect()
}

/// Opened bytes, or nothing.
pub(super) fn decode<M: Message + Default>(plain: Option<Vec<u8>>) -> Result<M, Error> {
    plain.map_or_else(|| Ok(M::default()), |plain| M::decode(plain.as_slice()).map_err(Error::internal))
}
