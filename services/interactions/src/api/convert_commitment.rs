use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;
use rapport_types::error::Collector;
use rapport_types::etag::Etag;
use rapport_types::time::Timestamp;

use super::convert::{named, optional, provenance, to_identifier, to_party, to_provenance};
use crate::domain::{Assignee, CaseName, InteractionName, NewCommitment, Side, Slug};
use crate::events;
use crate::queries::CommitmentView;
use crate::store::sealing::NoteText;
use crate::store::{CaseMove, Step};

/// Reads who is to see to something; nobody when nothing is said. What is wrong goes to `fields`.
pub(super) fn assignee(fields: &Collector, message: Option<&proto::Assignee>) -> Option<Option<Assignee>> {
    use proto::assignee::To;
    let to = message.and_then(|message| message.to.as_ref());
    optional(to, |to| match to {
        To::Team(team) => fields.check("team", Assignee::team(team)),
        To::User(user) => fields.check("user", Assignee::user(user)),
        To::Partner(party) => fields.check("partner", Assignee::partner(party)),
    })
}

/// Reads a promise that is to be recorded. What is wrong goes to `fields`, all of it.
pub(super) fn commitment(fields: &Collector, message: &proto::Commitment, now: Timestamp) -> Option<NewCommitment> {
    let named = named(fields, &message.party, message.identifier_used.as_ref());
    let role_type = fields.check("role_type", Slug::parse_optional(&message.role_type));
    let side = fields.check("side", Side::parse(message.side));
    let promise = fields.check("promise", NewCommitment::promise(&message.promise));
    let description = fields.check("description", NewCommitment::description(&message.description));
    let made_at = fields.check("made_time", wire::occurred(message.made_time.as_ref(), now));
    let due_at = fields
        .required("due_time", message.due_time.as_ref())
        .and_then(|time| fields.check("due_time", wire::timestamp(time)))
        .zip(made_at)
        .and_then(|(due_at, made_at)| fields.check("due_time", NewCommitment::due(due_at, made_at, now)));
    let case = optional(Some(&message.case).filter(|name| !name.is_empty()), |name| {
        fields.check("case", CaseName::parse(name)).map(|name| name.uuid())
    });
    let interaction = optional(Some(&message.interaction).filter(|name| !name.is_empty()), |name| {
        fields.check("interaction", InteractionName::parse(name)).map(|name| name.uuid())
    });
    let owner = assignee(&fields.at("owner"), message.owner.as_ref());
    let owner = owner.zip(side).and_then(|(owner, side)| fields.check("owner", NewCommitment::owner(owner, side)));
    let provenance = provenance(&fields.at("provenance"), message.provenance.as_ref());
    Some(NewCommitment {
        named: named?,
        role_type: role_type?,
        side: side?,
        promise: promise?,
        description: description?,
        made_at: made_at?,
        due_at: due_at?,
        case: case?,
        interaction: interaction?,
        owner: owner?,
        provenance: provenance?,
    })
}

/// A commitment as it is read at a moment.
pub(super) fn to_commitment(view: CommitmentView, now: Timestamp) -> proto::Commitment {
    let CommitmentView { row, text, ending } = view;
    let time = |time: Option<Timestamp>| time.map(wire::to_timestamp);
    proto::Commitment {
        name: row.name().to_string(),
        party: to_party(row.origin.party),
        identifier_used: text.identifier.map(to_identifier),
        side: i32::from(row.side),
        promise: text.promise,
        description: text.description,
        made_time: time(Some(row.commitment.made_at)),
        due_time: time(Some(row.commitment.due_at)),
        case: row.case.map(|case| CaseName::new(case).to_string()).unwrap_or_default(),
        interaction: row.interaction.map(|id| InteractionName::new(id).to_string()).unwrap_or_default(),
        owner: row.owner.as_ref().map(events::assignee),
        state: i32::from(row.commitment.state().code()),
        late: row.commitment.late(now),
        fell_due_time: time(row.commitment.fell_due_at),
        ended_time: time(row.commitment.ended_at),
        end_note: ending.note,
        made_by: row.made_by,
        ended_by: row.ended_by,
        recorded_time: time(Some(row.recorded_at)),
        updated_time: time(Some(row.updated_at)),
        etag: Etag::of(row.commitment.revision()).to_string(),
        origin: row.origin.id.to_string(),
        provenance: to_provenance(&row.source_system, &text.source_record_id, &text.actor, &text.reason),
        role_type: row.role_type,
    }
}

/// A step of a case's history.
pub(super) fn to_case_event((step, text): (CaseMove, NoteText)) -> proto::CaseEvent {
    let (party, interaction) = match &step.step {
        Step::Given { to, interaction, .. } => (to.party, Some(*interaction)),
        Step::Linked(interaction) => (None, Some(*interaction)),
        Step::Moved | Step::Assigned(_) => (None, None),
    };
    let (kind, assignee) = match (&step.step, step.from) {
        (Step::Given { .. }, _) => (proto::CaseEventKind::Reassigned, None),
        (Step::Linked(_), _) => (proto::CaseEventKind::Linked, None),
        (Step::Assigned(assignee), _) => (proto::CaseEventKind::Assigned, assignee.as_ref()),
        (Step::Moved, None) => (proto::CaseEventKind::Opened, None),
        (Step::Moved, Some(_)) => (proto::CaseEventKind::Transitioned, None),
    };
    proto::CaseEvent {
        kind: kind.into(),
        from: step.from.map_or(0, |from| i32::from(from.code())),
        to: i32::from(step.to.code()),
        assignee: assignee.map(events::assignee),
        note: text.note,
        principal: step.principal,
        occurred_time: Some(wire::to_timestamp(step.occurred_at)),
        recorded_time: Some(wire::to_timestamp(step.recorded_at)),
        version: step.version,
        provenance: to_provenance(&step.source_system, &text.source_record_id, &text.actor, &text.reason),
        party: to_party(party),
        interaction: interaction.map(|id| InteractionName::new(id).to_string()).unwrap_or_default(),
    }
}
