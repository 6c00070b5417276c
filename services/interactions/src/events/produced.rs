use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;
use rapport_types::Uuid;
use rapport_types::time::Timestamp;

use crate::domain::{Case, CaseName, CaseStatus, InteractionName, NewCase, NewInteraction, Origin, PartyName};
use crate::store::CaseRow;

/// The name of a party, or nothing.
pub(super) fn party(party: Option<Uuid>) -> String {
    party.map(|party| PartyName::new(party).to_string()).unwrap_or_default()
}

/// An interaction was recorded.
pub(crate) fn interaction_recorded(
    id: Uuid,
    interaction: &NewInteraction,
    origins: &[Origin],
    recorded_at: Timestamp,
) -> proto::InteractionRecorded {
    let participants =
        interaction.participants.iter().zip(origins).map(|(participant, origin)| proto::RecordedParticipant {
            origin: origin.id.to_string(),
            party: party(origin.party),
            role_type: participant.role_type.as_ref().map(ToString::to_string).unwrap_or_default(),
            function: i32::from(participant.function.code()),
        });
    proto::InteractionRecorded {
        interaction: InteractionName::new(id).to_string(),
        version: 1,
        kind: interaction.kind.to_string(),
        channel: Some(proto::Channel {
            medium: i32::from(interaction.channel.medium.code()),
            online: Some(interaction.channel.online),
        }),
        direction: i32::from(interaction.direction.code()),
        valence: interaction.valence.map(|valence| proto::Valence {
            value: valence.value,
            method: i32::from(valence.method.code()),
            confidence: Some(valence.confidence),
        }),
        effort: interaction.effort.map(|effort| i32::from(effort.get())),
        amount: interaction.amount.map(|amount| proto::Amount {
            kind: i32::from(amount.kind.code()),
            money: Some(wire::to_money(amount.money)),
        }),
        topics: interaction.topics.iter().map(ToString::to_string).collect(),
        participants: participants.collect(),
        occurred_time: Some(wire::to_timestamp(interaction.occurred_at)),
        recorded_time: Some(wire::to_timestamp(recorded_at)),
        supersedes: String::new(),
    }
}

/// An origin that stood for an identifier alone now belongs to a party.
pub(crate) fn origin_attributed(origin: Uuid, party: Uuid) -> proto::OriginAttributed {
    proto::OriginAttributed { origin: origin.to_string(), party: PartyName::new(party).to_string() }
}

/// A case was opened.
pub(crate) fn case_opened(
    id: Uuid,
    new: &NewCase,
    case: &Case,
    origin: Origin,
    recorded_at: Timestamp,
) -> proto::CaseOpened {
    proto::CaseOpened {
        case: CaseName::new(id).to_string(),
        version: case.version,
        origin: origin.id.to_string(),
        party: party(origin.party),
        r#type: new.kind.to_string(),
        priority: i32::from(new.priority.code()),
        role_type: new.role_type.as_ref().map(ToString::to_string).unwrap_or_default(),
        interactions: new.interactions.iter().map(|id| InteractionName::new(*id).to_string()).collect(),
        occurred_time: Some(wire::to_timestamp(case.opened_at)),
        recorded_time: Some(wire::to_timestamp(recorded_at)),
    }
}

/// A case is somebody else's from now on.
pub(crate) fn case_reassigned(row: &CaseRow, previous: Uuid, recorded_at: Timestamp) -> proto::CaseReassigned {
    proto::CaseReassigned {
        case: CaseName::new(row.id).to_string(),
        version: row.case.version,
        origin: row.origin.id.to_string(),
        party: party(row.origin.party),
        previous_origin: previous.to_string(),
        recorded_time: Some(wire::to_timestamp(recorded_at)),
    }
}

/// A case that was there is about one more interaction.
pub(crate) fn case_linked(row: &CaseRow, interaction: Uuid, recorded_at: Timestamp) -> proto::CaseLinked {
    proto::CaseLinked {
        case: CaseName::new(row.id).to_string(),
        version: row.case.version,
        origin: row.origin.id.to_string(),
        party: party(row.origin.party),
        interaction: InteractionName::new(interaction).to_string(),
        recorded_time: Some(wire::to_timestamp(recorded_at)),
    }
}

/// A case went from one status to another.
pub(crate) fn case_transitioned(
    id: Uuid,
    from: CaseStatus,
    case: &Case,
    origin: Uuid,
    recorded_at: Timestamp,
) -> proto::CaseTransitioned {
    proto::CaseTransitioned {
        case: CaseName::new(id).to_string(),
        version: case.version,
        origin: origin.to_string(),
        from: i32::from(from.code()),
        to: i32::from(case.status().code()),
        occurred_time: Some(wire::to_timestamp(case.moved_at)),
        recorded_time: Some(wire::to_timestamp(recorded_at)),
    }
}
