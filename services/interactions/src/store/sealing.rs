use prost::Message;
use rapport_store::{Store, StoreError, Subject, SubjectKeys};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use super::commitment_text::{ENDING, TEXT};
use super::{CaseRow, InteractionRow};
use crate::domain::{Identifier, NewCase, NewInteraction, Origin, Provenance};

/// The field names that seals are bound to.
const INTERACTION_TEXT: &str = "interaction.text";
const INTERACTION_IDENTIFIER: &str = "interaction.identifier";
const CASE_TEXT: &str = "case.text";
pub(super) const CASE_NOTE: &str = "case_event.note";

/// What is sealed of an interaction, under the origin of its primary participant.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct InteractionText {
    #[prost(string, tag = "1")]
    pub(crate) subject_line: String,
    #[prost(string, tag = "2")]
    pub(crate) body: String,
    #[prost(string, tag = "3")]
    pub(crate) source_record_id: String,
    #[prost(string, tag = "4")]
    pub(crate) actor: String,
    #[prost(string, tag = "5")]
    pub(crate) reason: String,
}

/// What is sealed of a participant, under its own origin.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct IdentifierText {
    #[prost(string, tag = "1")]
    pub(crate) scheme: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

/// What is sealed of a case, under its origin.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CaseText {
    #[prost(string, tag = "1")]
    pub(crate) title: String,
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

/// What is sealed of a case's history, under the case's origin.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NoteText {
    #[prost(string, tag = "1")]
    pub(crate) note: String,
    #[prost(string, tag = "2")]
    pub(crate) source_record_id: String,
    #[prost(string, tag = "3")]
    pub(crate) actor: String,
    #[prost(string, tag = "4")]
    pub(crate) reason: String,
}

/// The subject under whose key the texts of an origin are sealed.
pub(crate) fn subject(tenant: &TenantId, origin: Uuid) -> Subject {
    Subject::of(tenant, origin)
}

/// The subjects whose keys an interaction needs.
pub(crate) fn subjects(tenant: &TenantId, interaction: &NewInteraction, origins: &[Origin], into: &mut Vec<Subject>) {
    let has_text = has_text(interaction);
    for (position, (participant, origin)) in interaction.participants.iter().zip(origins).enumerate() {
        if (position == 0 && has_text) || participant.named.identifier().is_some() {
            into.push(subject(tenant, origin.id));
        }
    }
}

fn has_text(interaction: &NewInteraction) -> bool {
    let Provenance { source_record_id, actor, reason, .. } = &interaction.provenance;
    [&interaction.subject_line, &interaction.body, source_record_id, actor, reason].iter().any(|text| !text.is_empty())
}

fn text_of(interaction: &NewInteraction) -> InteractionText {
    InteractionText {
        subject_line: interaction.subject_line.clone(),
        body: interaction.body.clone(),
        source_record_id: interaction.provenance.source_record_id.clone(),
        actor: interaction.provenance.actor.clone(),
        reason: interaction.provenance.reason.clone(),
    }
}

/// The sealed texts of an interaction; none when it has no text.
pub(crate) fn interaction_text(
    keys: &SubjectKeys,
    tenant: &TenantId,
    origin: Uuid,
    interaction: &NewInteraction,
) -> Result<Option<Vec<u8>>, StoreError> {
    if !has_text(interaction) {
        return Ok(None);
    }
    keys.seal(&subject(tenant, origin), INTERACTION_TEXT, &text_of(interaction).encode_to_vec()).map(Some)
}

/// What changes in the texts of an interaction.
#[derive(Debug)]
pub(crate) struct Rewording<'a> {
    /// The new subject line.
    pub(crate) subject_line: Option<&'a str>,
    /// The new body.
    pub(crate) body: Option<&'a str>,
    /// Where the change comes from.
    pub(crate) provenance: Option<&'a Provenance>,
}

impl Rewording<'_> {
    /// Whether there is nothing to change.
    pub(crate) fn is_empty(&self) -> bool {
        self.subject_line.is_none() && self.body.is_none() && self.provenance.is_none()
    }
}

/// The sealed texts of an interaction after a change; what was erased stays as it is, and nothing is added to it.
///
/// # Errors
/// Precondition `ERASED`.
pub(crate) fn reworded(
    keys: &SubjectKeys,
    subject: &Subject,
    sealed: Option<&[u8]>,
    change: &Rewording<'_>,
) -> Result<Option<Vec<u8>>, Error> {
    if change.is_empty() {
        return Ok(sealed.map(<[u8]>::to_vec));
    }
    let mut text = interaction_opened(keys, subject, sealed)?;
    if let Some(subject_line) = change.subject_line {
        subject_line.clone_into(&mut text.subject_line);
    }
    if let Some(body) = change.body {
        body.clone_into(&mut text.body);
    }
    if let Some(provenance) = change.provenance {
        provenance.source_record_id.clone_into(&mut text.source_record_id);
        provenance.actor.clone_into(&mut text.actor);
        provenance.reason.clone_into(&mut text.reason);
    }
    let plain = text.encode_to_vec();
    if keys.is_destroyed(subject) {
        return if plain.is_empty() { Ok(sealed.map(<[u8]>::to_vec)) } else { Err(crate::error::erased()) };
    }
    if plain.is_empty() {
        return Ok(None);
    }
    keys.seal(subject, INTERACTION_TEXT, &plain).map(Some).map_err(decided)
}

/// What a version holds under one origin, sealed anew under another: the texts, and the identifier of a participant. What
/// was erased is gone.
///
/// # Errors
/// Precondition `ERASED`.
pub(crate) fn resealed(
    keys: &SubjectKeys,
    sealed: Sealing<'_>,
    (from, to): (&Subject, &Subject),
) -> Result<Option<Vec<u8>>, Error> {
    let (field, sealed) = match sealed {
        Sealing::Texts(sealed) => (INTERACTION_TEXT, sealed),
        Sealing::Identifier(sealed) => (INTERACTION_IDENTIFIER, sealed),
        Sealing::Case(sealed) => (CASE_TEXT, sealed),
        Sealing::Note(sealed) => (CASE_NOTE, sealed),
        Sealing::Promise(sealed) => (TEXT, sealed),
        Sealing::Ending(sealed) => (ENDING, sealed),
    };
    match keys.unseal(from, field, sealed).map_err(decided)? {
        Some(plain) => keys.seal(to, field, &plain).map(Some).map_err(decided),
        None => Ok(None),
    }
}

/// What is sealed anew.
#[derive(Debug)]
pub(crate) enum Sealing<'a> {
    /// The texts of an interaction.
    Texts(&'a [u8]),
    /// The identifier of a participant.
    Identifier(&'a [u8]),
    /// The texts of a case.
    Case(&'a [u8]),
    /// A note in a case's history.
    Note(&'a [u8]),
    /// The texts of a commitment.
    Promise(&'a [u8]),
    /// What was said of the end of a commitment.
    Ending(&'a [u8]),
}

/// The texts of an interaction, by keys that were loaded; empty when there are none, or when they were erased.
///
/// # Errors
/// Internal.
pub(crate) fn interaction_opened(
    keys: &SubjectKeys,
    subject: &Subject,
    sealed: Option<&[u8]>,
) -> Result<InteractionText, Error> {
    let Some(sealed) = sealed else { return Ok(InteractionText::default()) };
    match keys.unseal(subject, INTERACTION_TEXT, sealed).map_err(decided)? {
        Some(plain) => InteractionText::decode(plain.as_slice()).map_err(Error::internal),
        None => Ok(InteractionText::default()),
    }
}

/// The identifier of a participant, by keys that were loaded; none when there is none, or when it was erased.
///
/// # Errors
/// Internal.
pub(crate) fn identifier_opened(
    keys: &SubjectKeys,
    subject: &Subject,
    sealed: &[u8],
) -> Result<Option<IdentifierText>, Error> {
    if sealed.is_empty() {
        return Ok(None);
    }
    let plain = keys.unseal(subject, INTERACTION_IDENTIFIER, sealed).map_err(decided)?;
    plain.map(|plain| IdentifierText::decode(plain.as_slice()).map_err(Error::internal)).transpose()
}

/// A sealed identifier.
pub(crate) fn identifier(
    keys: &SubjectKeys,
    tenant: &TenantId,
    origin: Uuid,
    identifier: &Identifier,
) -> Result<Vec<u8>, StoreError> {
    let plain = identifier_text(identifier).encode_to_vec();
    keys.seal(&subject(tenant, origin), INTERACTION_IDENTIFIER, &plain)
}

/// What is sealed of an identifier.
pub(crate) fn identifier_text(identifier: &Identifier) -> IdentifierText {
    IdentifierText { scheme: identifier.scheme_name().to_owned(), value: identifier.given().to_owned() }
}

/// A failure to seal, within a decision.
pub(crate) fn decided(error: StoreError) -> Error {
    match error {
        StoreError::Domain(error) => error,
        other => Error::internal(other),
    }
}

/// Refuses what is to be sealed for somebody whose data was erased: erased stays erased.
///
/// # Errors
/// Precondition `ERASED`.
pub(crate) fn refuse_erased(keys: &SubjectKeys, subjects: &[Subject]) -> Result<(), Error> {
    if subjects.iter().any(|subject| keys.is_destroyed(subject)) {
        return Err(crate::error::erased());
    }
    Ok(())
}

/// The sealed texts of a case.
pub(crate) fn case_text(keys: &SubjectKeys, tenant: &TenantId, origin: Uuid, case: &NewCase) -> Result<Vec<u8>, Error> {
    let text = CaseText {
        title: case.title.clone(),
        description: case.description.clone(),
        identifier: case.named.identifier().map(identifier_text),
        source_record_id: case.provenance.source_record_id.clone(),
        actor: case.provenance.actor.clone(),
        reason: case.provenance.reason.clone(),
    };
    keys.seal(&subject(tenant, origin), CASE_TEXT, &text.encode_to_vec()).map_err(decided)
}

/// The sealed texts of a case of which nothing can be read any more.
pub(crate) fn case_blank(keys: &SubjectKeys, subject: &Subject) -> Result<Vec<u8>, Error> {
    keys.seal(subject, CASE_TEXT, &CaseText::default().encode_to_vec()).map_err(decided)
}

/// The sealed note of a transition; none when nothing was said.
pub(crate) fn case_note(
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
    keys.seal(&subject(tenant, origin), CASE_NOTE, &plain).map(Some).map_err(decided)
}

/// Sealed values of a page, to be opened together: their keys come with one statement.
pub(crate) struct Sealed<'a> {
    tenant: &'a TenantId,
    /// What the texts are of: a field.
    field: &'static str,
    texts: Vec<(Subject, Vec<u8>)>,
    identifiers: Vec<(Subject, Vec<u8>)>,
}

impl<'a> Sealed<'a> {
    /// Texts and identifiers of interactions.
    pub(crate) fn of_interactions(tenant: &'a TenantId, rows: &[InteractionRow]) -> Sealed<'a> {
        let mut sealed = Sealed { tenant, field: INTERACTION_TEXT, texts: Vec::new(), identifiers: Vec::new() };
        for row in rows {
            if let Some(text) = &row.sealed {
                sealed.texts.push((subject(tenant, row.subject), text.clone()));
            }
            for participant in row.detail.participants.iter().filter(|one| !one.identifier.is_empty()) {
                let subject = subject(tenant, participant.origin());
                sealed.identifiers.push((subject, participant.identifier.clone()));
            }
        }
        sealed
    }

    /// Texts of cases.
    pub(crate) fn of_cases(tenant: &'a TenantId, rows: &[CaseRow]) -> Sealed<'a> {
        let texts = rows.iter().map(|row| (subject(tenant, row.origin.id), row.sealed.clone())).collect();
        Sealed { tenant, field: CASE_TEXT, texts, identifiers: Vec::new() }
    }

    /// Opens them.
    ///
    /// # Errors
    /// Unavailable.
    pub(crate) async fn open(self, store: &Store) -> Result<Opened, Error> {
        debug_assert!(self.texts.iter().all(|(subject, _)| subject.tenant == *self.tenant));
        let texts = open(store, self.field, &self.texts).await?;
        let identifiers = open(store, INTERACTION_IDENTIFIER, &self.identifiers).await?;
        Ok(Opened { texts: texts.into_iter(), identifiers: identifiers.into_iter() })
    }
}

async fn open(store: &Store, field: &str, sealed: &[(Subject, Vec<u8>)]) -> Result<Vec<Option<Vec<u8>>>, Error> {
    if sealed.is_empty() { Ok(Vec::new()) } else { store.unseal_many(field, sealed).await }
}

/// Opened values, taken out in the order of their rows. A value whose key was destroyed is empty.
pub(crate) struct Opened {
    texts: std::vec::IntoIter<Option<Vec<u8>>>,
    identifiers: std::vec::IntoIter<Option<Vec<u8>>>,
}

impl Opened {
    /// The texts of the next interaction, if it `has` any.
    pub(crate) fn interaction_text(&mut self, has: bool) -> Result<InteractionText, Error> {
        if has { Ok(take(&mut self.texts)?.unwrap_or_default()) } else { Ok(InteractionText::default()) }
    }

    /// The next participant's identifier, if it `has` one.
    pub(crate) fn identifier(&mut self, has: bool) -> Result<Option<IdentifierText>, Error> {
        if has { take(&mut self.identifiers) } else { Ok(None) }
    }

    /// The texts of the next case.
    pub(crate) fn case_text(&mut self) -> Result<CaseText, Error> {
        Ok(take(&mut self.texts)?.unwrap_or_default())
    }
}

fn take<M: Message + Default>(values: &mut std::vec::IntoIter<Option<Vec<u8>>>) -> Result<Option<M>, Error> {
    match values.next().flatten() {
        Some(plain) => M::decode(plain.as_slice()).map(Some).map_err(Error::internal),
        None => Ok(None),
    }
}
