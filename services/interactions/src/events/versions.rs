use rapport_proto::interactions::v1 as proto;
use rapport_proto::types::v1 as types;
use rapport_rpc::wire;

use super::produced::party;
use crate::domain::{InteractionName, Origin};
use crate::store::InteractionRow;

/// An interaction has a new version.
pub(crate) fn interaction_amended(after: &InteractionRow, origins: &[Origin]) -> proto::InteractionAmended {
    let valence = after.valence.map(|(value, method, confidence)| proto::Valence {
        value,
        method: i32::from(method),
        confidence: Some(confidence),
    });
    let amount = after.amount.as_ref().map(|amount| proto::Amount {
        kind: i32::from(amount.kind),
        money: Some(types::Money { units: amount.units, nanos: amount.nanos, currency_code: amount.currency.clone() }),
    });
    let recorded = proto::InteractionRecorded {
        interaction: InteractionName::new(after.id).to_string(),
        version: after.version,
        kind: after.kind.clone(),
        channel: Some(channel(after)),
        direction: i32::from(after.direction),
        valence,
        effort: after.effort.map(i32::from),
        amount,
        topics: after.detail.topics.clone(),
        participants: participants(after, origins),
        occurred_time: Some(wire::to_timestamp(after.occurred_at)),
        recorded_time: Some(wire::to_timestamp(after.recorded_at)),
        supersedes: after.supersedes.map(|id| InteractionName::new(id).to_string()).unwrap_or_default(),
    };
    proto::InteractionAmended {
        after: Some(recorded),
        reason: after.detail.version_reason.clone(),
        replaced: Vec::new(),
    }
}

/// An interaction counts for nothing from now on.
pub(crate) fn interaction_retracted(after: &InteractionRow, origins: &[Origin]) -> proto::InteractionRetracted {
    proto::InteractionRetracted {
        interaction: InteractionName::new(after.id).to_string(),
        version: after.version,
        kind: after.kind.clone(),
        participants: participants(after, origins),
        occurred_time: Some(wire::to_timestamp(after.occurred_at)),
        recorded_time: Some(wire::to_timestamp(after.recorded_at)),
        reason: after.detail.version_reason.clone(),
        channel: Some(channel(after)),
        direction: i32::from(after.direction),
    }
}

fn channel(row: &InteractionRow) -> proto::Channel {
    proto::Channel { medium: i32::from(row.medium), online: Some(row.online) }
}

/// Those who took part in a version.
pub(crate) fn participants(row: &InteractionRow, origins: &[Origin]) -> Vec<proto::RecordedParticipant> {
    let all = row.detail.participants.iter().zip(origins).map(|(one, origin)| proto::RecordedParticipant {
        origin: origin.id.to_string(),
        party: party(origin.party),
        role_type: one.role_type.clone(),
        function: one.function,
    });
    all.collect()
}
