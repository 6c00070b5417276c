//! Texts about a party, sealed under the key of the origin they belong to: who is erased there is erased here. Those about
//! a member belong to the party that was enrolled.

use rapport_store::{Store, StoreError, Subject, SubjectKeys};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use super::{EntryRow, InvitationRow};
use crate::error::decided;

/// The field names that seals are bound to.
const REASON: &str = "invitation.reason";
const NOTE: &str = "invitation.note";
const GROUNDS: &str = "entry.grounds";

/// The subject under whose key the texts of an origin are sealed.
pub(crate) fn subject(tenant: &TenantId, origin: Uuid) -> Subject {
    Subject::of(tenant, origin)
}

/// Why somebody is invited, sealed; nothing when nothing was said.
pub(crate) fn reason(
    keys: &SubjectKeys,
    tenant: &TenantId,
    origin: Uuid,
    text: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    sealed(keys, tenant, origin, REASON, text)
}

/// What somebody said with an answer, sealed; nothing when nothing was said.
pub(crate) fn note(
    keys: &SubjectKeys,
    tenant: &TenantId,
    origin: Uuid,
    text: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    sealed(keys, tenant, origin, NOTE, text)
}

fn sealed(
    keys: &SubjectKeys,
    tenant: &TenantId,
    origin: Uuid,
    field: &str,
    text: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    keys.seal(&subject(tenant, origin), field, text.as_bytes()).map(Some)
}

/// Seals why a balance is corrected.
pub(crate) fn grounds_seal(keys: &SubjectKeys, subject: &Subject, grounds: &str) -> Result<Vec<u8>, Error> {
    keys.seal(subject, GROUNDS, grounds.as_bytes()).map_err(decided)
}

/// Opens the grounds of entries of one member; empty where there are none, and once they were erased.
///
/// # Errors
/// Unavailable; Internal for what cannot be read.
pub(crate) async fn grounds_open(store: &Store, subject: &Subject, entries: &[EntryRow]) -> Result<Vec<String>, Error> {
    let sealed = entries.iter().filter_map(|row| Some((subject.clone(), row.sealed.clone()?))).collect();
    let mut opened = opened(store, GROUNDS, sealed).await?.into_iter();
    let text = |row: &EntryRow| row.sealed.as_ref().and_then(|_| opened.next()).unwrap_or_default();
    Ok(entries.iter().map(text).collect())
}

/// The texts of invitations, in their order: reason and note. One whose key was destroyed is empty.
///
/// # Errors
/// Unavailable.
pub(crate) async fn invitation_texts(store: &Store, rows: &[InvitationRow]) -> Result<Vec<(String, String)>, Error> {
    let of = |pick: fn(&InvitationRow) -> &Option<Vec<u8>>| -> Vec<(Subject, Vec<u8>)> {
        let text = |row: &InvitationRow| {
            let bytes = pick(row).clone()?;
            Some((subject(&row.tenant, row.invitation.origin), bytes))
        };
        rows.iter().filter_map(text).collect()
    };
    let mut reasons = opened(store, REASON, of(|row| &row.reason)).await?.into_iter();
    let mut notes = opened(store, NOTE, of(|row| &row.note)).await?.into_iter();
    let next = |has: bool, texts: &mut std::vec::IntoIter<String>| {
        if has { texts.next().unwrap_or_default() } else { String::new() }
    };
    Ok(rows
        .iter()
        .map(|row| (next(row.reason.is_some(), &mut reasons), next(row.note.is_some(), &mut notes)))
        .collect())
}

async fn opened(store: &Store, field: &str, sealed: Vec<(Subject, Vec<u8>)>) -> Result<Vec<String>, Error> {
    if sealed.is_empty() {
        return Ok(Vec::new());
    }
    let opened = store.unseal_many(field, &sealed).await?;
    opened.into_iter().map(|text| String::from_utf8(text.unwrap_or_default()).map_err(Error::internal)).collect()
}
