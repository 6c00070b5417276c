use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::{TenantId, Timestamp};

use crate::domain::{Funnel, InvitationState};
use crate::store::{funnel_counts, funnel_groups};

/// What became of the invitations recorded within a span of time, as of now.
///
/// # Errors
/// Unavailable.
pub(crate) async fn advocacy_funnel(
    store: &Store,
    tenant: &TenantId,
    from: Timestamp,
    until: Timestamp,
    now: Timestamp,
) -> Result<Funnel, Error> {
    let db = store.reader();
    let counts = funnel_counts(db, tenant, (from, until), now).await.map_err(read_error)?;
    let (invited_group, held_out_group) = funnel_groups(db, tenant, (from, until)).await.map_err(read_error)?;
    let mut funnel = Funnel { invited_group, held_out_group, ..Funnel::default() };
    for count in counts {
        funnel.recorded += count.count;
        match count.booked {
            InvitationState::HeldOut => funnel.held_out += count.count,
            InvitationState::Suppressed => *funnel.suppressed.entry(count.gate).or_default() += count.count,
            InvitationState::Scheduled => funnel.scheduled += count.count,
            InvitationState::Sent => {
                funnel.awaiting += count.count - count.expired;
                funnel.expired += count.expired;
            }
            InvitationState::Accepted => funnel.accepted += count.count,
            InvitationState::Declined => funnel.declined += count.count,
            InvitationState::Expired => funnel.expired += count.count,
        }
    }
    Ok(funnel)
}
