use rapport_proto::loyalty::v1 as proto;
use rapport_rpc::wire;
use rapport_types::error::FieldError;
use rapport_types::text::{Limits, Text};
use rapport_types::time::Timestamp;

use crate::domain::{Answer, Funnel, Gate, InvitationState, PartyName};
use crate::queries::InvitationView;

/// The longest reason, in characters.
const REASON: usize = 500;
/// The longest note, in characters.
const NOTE: usize = 2_000;

/// Why somebody is invited: one line, maybe empty.
pub(crate) fn invitation_reason(text: &str) -> Result<String, FieldError> {
    Text::parse(text, Limits { min: 0, max: REASON }).map(Text::into_string)
}

/// What somebody says with an answer, maybe nothing.
pub(crate) fn invitation_note(text: &str) -> Result<String, FieldError> {
    Text::parse_lines(text, Limits { min: 0, max: NOTE }).map(Text::into_string)
}

/// An answer that must be given.
pub(crate) fn answer(code: i32) -> Result<Answer, FieldError> {
    Answer::parse(code)
}

/// A state to list by; nothing for all of them.
pub(crate) fn wanted_state(code: i32) -> Result<Option<InvitationState>, FieldError> {
    if code == 0 { Ok(None) } else { InvitationState::parse(code).map(Some) }
}

/// An invitation as it is read.
pub(crate) fn to_invitation(view: InvitationView) -> proto::Invitation {
    let InvitationView { invitation, reason, note, state } = view;
    let time = |time: Option<Timestamp>| time.map(wire::to_timestamp);
    let text = |name: Option<String>| name.unwrap_or_default();
    proto::Invitation {
        name: invitation.name().to_string(),
        party: text(invitation.party.map(|party| PartyName::new(party).to_string())),
        member: text(invitation.member.map(|member| member.to_string())),
        channel: invitation.channel.to_string(),
        purpose: invitation.purpose.to_string(),
        ask: invitation.ask.to_string(),
        survey_response: text(invitation.response.map(|response| response.to_string())),
        reason,
        state: i32::from(state.code()),
        gate: invitation.gate.map_or(0, |gate| i32::from(Gate::code(gate))),
        deciding_resource: invitation.decider,
        due_time: time(Some(invitation.due_at)),
        time_zone: invitation.zone,
        sent_time: time(invitation.sent_at),
        expire_time: time(invitation.expire_at),
        answered_time: time(invitation.answered_at),
        answer_note: note,
        reward_transaction: text(invitation.reward.map(|reward| reward.to_string())),
        version: invitation.version,
        create_time: time(Some(invitation.created_at)),
        update_time: time(Some(invitation.updated_at)),
    }
}

/// What became of invitations, as it is read.
pub(crate) fn to_funnel(funnel: &Funnel) -> proto::AdvocacyFunnel {
    let (invited, held_out) = (funnel.invited_group, funnel.held_out_group);
    let gate = |(gate, count): (&Option<Gate>, &i64)| proto::GateCount {
        gate: gate.map_or(0, |gate| i32::from(gate.code())),
        count: *count,
    };
    proto::AdvocacyFunnel {
        recorded_count: funnel.recorded,
        held_out_count: funnel.held_out,
        suppressed: funnel.suppressed.iter().map(gate).collect(),
        scheduled_count: funnel.scheduled,
        awaiting_count: funnel.awaiting,
        accepted_count: funnel.accepted,
        declined_count: funnel.declined,
        expired_count: funnel.expired,
        hold_out: Some(proto::HoldOut {
            invited_count: invited.parties,
            invited_active_count: invited.active,
            held_out_count: held_out.parties,
            held_out_active_count: held_out.active,
            lift_micros: funnel.lift_micros(),
        }),
    }
}
