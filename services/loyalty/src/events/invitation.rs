use rapport_proto::loyalty::v1 as proto;
use rapport_rpc::wire;
use rapport_store::Outbox;
use rapport_types::{TenantId, Timestamp, Uuid};

use crate::domain::{Answer, Gate, Invitation, InvitationState, PartyName};

fn party(party: Option<Uuid>) -> String {
    party.map(|party| PartyName::new(party).to_string()).unwrap_or_default()
}

fn time(time: Option<Timestamp>) -> Option<prost_types::Timestamp> {
    time.map(wire::to_timestamp)
}

fn name(name: Option<impl ToString>) -> String {
    name.map(|name| name.to_string()).unwrap_or_default()
}

/// Tells what became of an invitation with its last change.
pub(crate) fn invitation_changed(out: &mut Outbox, tenant: &TenantId, invitation: &Invitation) {
    let it = invitation;
    let (aggregate, version, now) = (it.name(), it.version, it.updated_at);
    let (invitation, party, member) = (aggregate.to_string(), party(it.party), name(it.member));
    let survey_response = name(it.response);
    let recorded_time = time(Some(now));
    match it.booked {
        InvitationState::HeldOut => {
            let event = proto::InvitationHeldOut { invitation, party, member, survey_response, recorded_time };
            out.event(tenant, aggregate, version, now, &event);
        }
        InvitationState::Suppressed => {
            let event = proto::InvitationSuppressed {
                invitation,
                party,
                member,
                gate: it.gate.map_or(0, |gate| i32::from(Gate::code(gate))),
                deciding_resource: it.decider.clone(),
                survey_response,
                recorded_time,
            };
            out.event(tenant, aggregate, version, now, &event);
        }
        InvitationState::Scheduled => {
            let due_time = time(Some(it.due_at));
            let event =
                proto::InvitationScheduled { invitation, party, member, survey_response, due_time, recorded_time };
            out.event(tenant, aggregate, version, now, &event);
        }
        InvitationState::Sent => {
            let event = proto::InvitationSent {
                invitation,
                party,
                member,
                channel: it.channel.to_string(),
                purpose: it.purpose.to_string(),
                ask: it.ask.to_string(),
                survey_response,
                sent_time: time(it.sent_at),
                expire_time: time(it.expire_at),
            };
            out.event(tenant, aggregate, version, now, &event);
        }
        InvitationState::Accepted | InvitationState::Declined => {
            let answer = if it.booked == InvitationState::Accepted { Answer::Accepted } else { Answer::Declined };
            let event = proto::InvitationAnswered {
                invitation,
                party,
                member,
                answer: i32::from(answer.code()),
                reward_transaction: name(it.reward),
                occurred_time: time(it.answered_at),
                recorded_time,
            };
            out.event(tenant, aggregate, version, it.answered_at.unwrap_or(now), &event);
        }
        InvitationState::Expired => {
            let effective_at = it.expire_at.unwrap_or(now);
            let effective_time = time(Some(effective_at));
            let event = proto::InvitationExpired { invitation, party, effective_time, recorded_time };
            out.event(tenant, aggregate, version, effective_at, &event);
        }
    }
}
