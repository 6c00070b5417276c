use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;
use rapport_types::error::Collector;
use rapport_types::etag::Etag;
use rapport_types::time::Timestamp;
use rapport_types::{Uuid, reason};

use super::convert::{named, provenance, to_identifier, to_party, to_provenance, too_many};
use crate::domain::{CaseName, CasePriority, InteractionName, MAX_LINKED, NewCase, Slug};
use crate::events;
use crate::queries::CaseView;

/// Reads a case that is to be opened. What is wrong goes to `fields`, all of it.
pub(crate) fn case(fields: &Collector, message: &proto::Case, now: Timestamp) -> Option<NewCase> {
    let named = named(fields, &message.party, message.identifier_used.as_ref());
    let role_type = fields.check("role_type", Slug::parse_optional(&message.role_type));
    let kind = fields.check("type", Slug::parse(&message.r#type));
    let priority = match message.priority {
        0 => Some(CasePriority::Normal),
        code => fields.check("priority", CasePriority::parse(code)),
    };
    let title = fields.check("title", NewCase::title(&message.title));
    let description = fields.check("description", NewCase::description(&message.description));
    let interactions = interactions(fields, &message.interactions);
    let opened_at = match &message.opened_time {
        None => Some(None),
        Some(time) => fields.check("opened_time", wire::occurred(Some(time), now)).map(Some),
    };
    let provenance = provenance(&fields.at("provenance"), message.provenance.as_ref());
    Some(NewCase {
        named: named?,
        role_type: role_type?,
        kind: kind?,
        priority: priority?,
        title: title?,
        description: description?,
        interactions: interactions?,
        opened_at: opened_at?,
        provenance: provenance?,
    })
}

fn interactions(fields: &Collector, messages: &[String]) -> Option<Vec<Uuid>> {
    if messages.len() > MAX_LINKED {
        return fields.check("interactions", Err(too_many(MAX_LINKED)));
    }
    let mut all = Vec::with_capacity(messages.len());
    for (position, message) in messages.iter().enumerate() {
        let path = format!("interactions[{position}]");
        let id = fields.check(&path, InteractionName::parse(message)).map(|name| name.uuid());
        if id.is_some() && all.contains(&id) {
            fields.push(&path, reason::DUPLICATE, "is there before");
        }
        all.push(id);
    }
    all.into_iter().collect()
}

/// A case as it is read.
pub(crate) fn to_case(view: CaseView) -> proto::Case {
    let CaseView { row, text } = view;
    let time = |time: Option<Timestamp>| time.map(wire::to_timestamp);
    proto::Case {
        name: CaseName::new(row.id).to_string(),
        party: to_party(row.origin.party),
        identifier_used: text.identifier.map(to_identifier),
        role_type: row.role_type.unwrap_or_default(),
        r#type: row.kind,
        priority: i32::from(row.priority),
        status: i32::from(row.case.status().code()),
        title: text.title,
        description: text.description,
        interactions: row.interactions.iter().map(|id| InteractionName::new(*id).to_string()).collect(),
        opened_time: time(Some(row.case.opened_at)),
        first_response_time: time(row.case.first_response_at),
        resolved_time: time(row.case.resolved_at),
        closed_time: time(row.case.closed_at),
        reopen_count: row.case.reopen_count,
        recorded_time: time(Some(row.recorded_at)),
        updated_time: time(Some(row.updated_at)),
        etag: Etag::of(row.case.version).to_string(),
        origin: row.origin.id.to_string(),
        provenance: to_provenance(&row.source_system, &text.source_record_id, &text.actor, &text.reason),
        assignment: row.assignment.map(|(assignee, at)| proto::CaseAssignment {
            assignee: Some(events::assignee(&assignee)),
            assigned_time: time(Some(at)),
        }),
    }
}
