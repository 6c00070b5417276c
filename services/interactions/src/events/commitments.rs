use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;
use rapport_store::Outbox;
use rapport_types::Uuid;
use rapport_types::time::Timestamp;

use super::produced::party;
use crate::domain::{Assignee, CaseName, CommitmentState, InteractionName, PartyName};
use crate::store::{CaseRow, CommitmentRow};

/// An assignee for the wire.
pub(crate) fn assignee(assignee: &Assignee) -> proto::Assignee {
    use proto::assignee::To;
    let to = match assignee {
        Assignee::Team(team) => To::Team(team.clone()),
        Assignee::User(user) => To::User(user.clone()),
        Assignee::Partner(party) => To::Partner(PartyName::new(*party).to_string()),
    };
    proto::Assignee { to: Some(to) }
}

/// A case was given to somebody, or taken from whoever had it.
pub(crate) fn case_assigned(row: &CaseRow, recorded_at: Timestamp) -> proto::CaseAssigned {
    proto::CaseAssigned {
        case: CaseName::new(row.id).to_string(),
        version: row.case.version,
        origin: row.origin.id.to_string(),
        assignee: row.assignment.as_ref().map(|(who, _)| assignee(who)),
        occurred_time: Some(wire::to_timestamp(recorded_at)),
        recorded_time: Some(wire::to_timestamp(recorded_at)),
    }
}

/// Something was promised.
pub(crate) fn commitment_made(row: &CommitmentRow) -> proto::CommitmentMade {
    proto::CommitmentMade {
        commitment: row.name().to_string(),
        version: row.commitment.version,
        origin: row.origin.id.to_string(),
        party: party(row.origin.party),
        role_type: row.role_type.clone(),
        side: i32::from(row.side),
        due_time: Some(wire::to_timestamp(row.commitment.due_at)),
        owner: row.owner.as_ref().map(assignee),
        case: row.case.map(|case| CaseName::new(case).to_string()).unwrap_or_default(),
        interaction: row.interaction.map(|id| InteractionName::new(id).to_string()).unwrap_or_default(),
        occurred_time: Some(wire::to_timestamp(row.commitment.made_at)),
        recorded_time: Some(wire::to_timestamp(row.recorded_at)),
    }
}

/// The due time of a commitment has passed while it was open.
pub(crate) fn commitment_fell_due(row: &CommitmentRow, recorded_at: Timestamp) -> proto::CommitmentFellDue {
    let due = Some(wire::to_timestamp(row.commitment.due_at));
    proto::CommitmentFellDue {
        commitment: row.name().to_string(),
        version: row.commitment.version,
        origin: row.origin.id.to_string(),
        party: party(row.origin.party),
        side: i32::from(row.side),
        due_time: due,
        occurred_time: due,
        recorded_time: Some(wire::to_timestamp(recorded_at)),
        owner: row.owner.as_ref().map(assignee),
    }
}

/// A commitment is somebody else's from now on.
pub(crate) fn commitment_reassigned(
    row: &CommitmentRow,
    previous: Uuid,
    recorded_at: Timestamp,
) -> proto::CommitmentReassigned {
    proto::CommitmentReassigned {
        commitment: row.name().to_string(),
        version: row.commitment.version,
        origin: row.origin.id.to_string(),
        party: party(row.origin.party),
        previous_origin: previous.to_string(),
        side: i32::from(row.side),
        recorded_time: Some(wire::to_timestamp(recorded_at)),
    }
}

/// Tells how a commitment ended.
pub(crate) fn commitment_ended(out: &mut Outbox, row: &CommitmentRow, at: Timestamp, recorded_at: Timestamp) {
    let (commitment, version, origin) = (row.name().to_string(), row.commitment.version, row.origin.id.to_string());
    let (party, side) = (party(row.origin.party), i32::from(row.side));
    let due_time = Some(wire::to_timestamp(row.commitment.due_at));
    let occurred_time = Some(wire::to_timestamp(at));
    let recorded_time = Some(wire::to_timestamp(recorded_at));
    let (tenant, name) = (&row.tenant, row.name());
    match row.commitment.state() {
        // Nothing ended.
        CommitmentState::Open => {}
        state @ (CommitmentState::Kept | CommitmentState::KeptLate) => {
            let late = state == CommitmentState::KeptLate;
            let kept = proto::CommitmentKept {
                commitment,
                version,
                origin,
                party,
                side,
                due_time,
                occurred_time,
                recorded_time,
                late,
            };
            out.event(tenant, name, version, at, &kept);
        }
        CommitmentState::Broken => {
            let broken = proto::CommitmentBroken {
                commitment,
                version,
                origin,
                party,
                side,
                due_time,
                occurred_time,
                recorded_time,
            };
            out.event(tenant, name, version, at, &broken);
        }
        CommitmentState::Waived => {
            let waived = proto::CommitmentWaived {
                commitment,
                version,
                origin,
                party,
                side,
                due_time,
                occurred_time,
                recorded_time,
            };
            out.event(tenant, name, version, at, &waived);
        }
    }
}
