use rapport_store::Outbox;
use rapport_types::{TenantId, Timestamp};

use crate::domain::{Done, Entry, EntryKind, Member, MemberName, ProgramName, TierMove};
use crate::events;

/// Tells what a posting did: the expiries that were booked before it, itself, and the tier that it led to.
pub(crate) fn tell(out: &mut Outbox, tenant: &TenantId, member: &Member, done: &Done) {
    tell_expired(out, tenant, member, &done.posted.expired);
    let name = MemberName::new(ProgramName::new(member.program), member.id);
    let entry = &done.posted.entry;
    match (entry.kind, &done.posted.lot) {
        (EntryKind::Accrual, Some(lot)) => {
            let event = events::accrual_posted(member, entry, lot);
            out.event(tenant, name, entry.sequence, entry.effective_at, &event);
        }
        _ => {
            let event = events::balance_adjusted(member, entry);
            out.event(tenant, name, entry.sequence, entry.effective_at, &event);
        }
    }
    tell_tier(out, tenant, member, done.tier, entry.sequence, entry.recorded_at);
}

/// Tells expiries that were booked.
pub(crate) fn tell_expired(out: &mut Outbox, tenant: &TenantId, member: &Member, expired: &[Entry]) {
    let name = MemberName::new(ProgramName::new(member.program), member.id);
    for entry in expired {
        out.event(tenant, name, entry.sequence, entry.effective_at, &events::units_expired(member, entry));
    }
}

/// Tells that a tier was left or reached.
pub(crate) fn tell_tier(
    out: &mut Outbox,
    tenant: &TenantId,
    member: &Member,
    tier: Option<TierMove>,
    sequence: i64,
    now: Timestamp,
) {
    if let Some(tier) = tier {
        let name = MemberName::new(ProgramName::new(member.program), member.id);
        out.event(tenant, name, sequence, now, &events::tier_changed(member, tier, now));
    }
}
