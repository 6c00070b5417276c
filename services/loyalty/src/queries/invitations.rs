use std::collections::BTreeSet;

use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::{TenantId, Timestamp, Uuid};

use crate::domain::{Invitation, InvitationName, InvitationState};
use crate::store::sealing::invitation_texts;
use crate::store::{InvitationPage, InvitationRow, alias_origins, invitation_find, invitation_list};

/// An invitation with its texts, as its reader sees it.
#[derive(Debug)]
pub(crate) struct InvitationView {
    /// The invitation.
    pub(crate) invitation: Invitation,
    /// Why somebody asked for it; empty when its key was destroyed.
    pub(crate) reason: String,
    /// What the party said with its answer.
    pub(crate) note: String,
    /// Where it stands now.
    pub(crate) state: InvitationState,
}

/// One invitation.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn get_invitation(store: &Store, tenant: &TenantId, id: Uuid) -> Result<InvitationView, Error> {
    let ids = BTreeSet::from([(tenant.clone(), id)]);
    let found = invitation_find(store.reader(), &ids).await.map_err(read_error)?;
    let row = found.into_values().next().ok_or_else(|| Error::not_found(InvitationName::new(id)))?;
    show_invitation(store, row).await
}

/// An invitation as it was written.
///
/// # Errors
/// Unavailable.
pub(crate) async fn show_invitation(store: &Store, row: InvitationRow) -> Result<InvitationView, Error> {
    let now = store.world().now();
    let mut shown = show(store, vec![row], now).await?;
    shown.pop().ok_or_else(|| Error::bug("an invitation was lost between its row and its view"))
}

/// What a page of invitations is asked for by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InvitationList {
    /// Only those of this party.
    pub(crate) party: Option<Uuid>,
    /// Only those in this state.
    pub(crate) state: Option<InvitationState>,
    /// The one after which the page begins.
    pub(crate) after: Option<Uuid>,
    /// How many at most.
    pub(crate) limit: usize,
}

/// Invitations, newest first.
///
/// # Errors
/// Unavailable.
pub(crate) async fn list_invitations(
    store: &Store,
    tenant: &TenantId,
    list: InvitationList,
) -> Result<Vec<InvitationView>, Error> {
    let db = store.reader();
    let origins: Option<Vec<Uuid>> = match list.party {
        Some(party) => {
            let whose = alias_origins(db, &BTreeSet::from([(tenant.clone(), party)])).await.map_err(read_error)?;
            Some(whose.into_keys().map(|(_, origin)| origin).collect())
        }
        None => None,
    };
    let now = store.world().now();
    let page =
        InvitationPage { origins: origins.as_deref(), state: list.state, now, after: list.after, limit: list.limit };
    let rows = invitation_list(db, tenant, &page).await.map_err(read_error)?;
    show(store, rows, now).await
}

async fn show(store: &Store, rows: Vec<InvitationRow>, now: Timestamp) -> Result<Vec<InvitationView>, Error> {
    let texts = invitation_texts(store, &rows).await?;
    let view = |(row, (reason, note)): (InvitationRow, (String, String))| InvitationView {
        state: row.invitation.state_at(now),
        invitation: row.invitation,
        reason,
        note,
    };
    Ok(rows.into_iter().zip(texts).map(view).collect())
}
