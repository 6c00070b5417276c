use std::collections::BTreeMap;

use rapport_proto::loyalty::v1 as proto;
use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::{TenantId, Timestamp};

use crate::domain::{Gate, InvitationState, lift_micros};
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
) -> Result<proto::AdvocacyFunnel, Error> {
    let db = store.reader();
    let counts = funnel_counts(db, tenant, (from, until), now).await.map_err(read_error)?;
    let (invited, held_out) = funnel_groups(db, tenant, (from, until)).await.map_err(read_error)?;
    let mut funnel = proto::AdvocacyFunnel::default();
    let mut suppressed: BTreeMap<i16, i64> = BTreeMap::new();
    for count in counts {
        funnel.recorded_count += count.count;
        match count.booked {
            InvitationState::HeldOut => funnel.held_out_count += count.count,
            InvitationState::Suppressed => {
                *suppressed.entry(count.gate.map_or(0, Gate::code)).or_default() += count.count;
            }
            InvitationState::Scheduled => funnel.scheduled_count += count.count,
            InvitationState::Sent => {
                funnel.awaiting_count += count.count - count.expired;
                funnel.expired_count += count.expired;
            }
            InvitationState::Accepted => funnel.accepted_count += count.count,
            InvitationState::Declined => funnel.declined_count += count.count,
            InvitationState::Expired => funnel.expired_count += count.count,
        }
    }
    let gate = |(gate, count)| proto::GateCount { gate: i32::from(gate), count };
    funnel.suppressed = suppressed.into_iter().map(gate).collect();
    funnel.hold_out = Some(proto::HoldOut {
        invited_count: invited.parties,
        invited_active_count: invited.active,
        held_out_count: held_out.parties,
        held_out_active_count: held_out.active,
        lift_micros: lift_micros((invited.parties, invited.active), (held_out.parties, held_out.active)),
    });
    Ok(funnel)
}
