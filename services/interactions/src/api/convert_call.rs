use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;
use rapport_types::Pii;
use rapport_types::error::{Collector, FieldError};
use rapport_types::time::Timestamp;
use rapport_types::{Uuid, reason};

use super::convert::{optional, provenance, to_party, to_provenance, topics, valence};
use crate::domain::{
    CallName, CaseName, CasePriority, Direction, Disposition, Effort, Ending, Handover, Identifier, InteractionName,
    Medium, NewCase, NewInteraction, Opening, PartyName, Resolution, Slug, Told,
};
use crate::store::{CallRow, CallText};

/// What a call may be named by: a number that is not given was withheld.
const NUMBER: &str = "tel";

/// Reads what is told of a call. What is wrong goes to `fields`, all of it.
pub(super) fn told(fields: &Collector, message: &proto::Call, now: Timestamp, begins: bool) -> Option<Told> {
    let call_id = fields.check("call_id", Told::call_id(&message.call_id));
    let leg = fields.check("leg", Told::leg(&message.leg));
    let direction = fields.check("direction", Told::direction(message.direction));
    if begins && direction == Some(None) {
        fields.check::<()>("direction", Err(FieldError::required()));
    }
    let country = fields.check("country_code", Told::country(&message.country_code)).unwrap_or_default();
    let identifier = identifier(&fields.at("identifier_used"), message.identifier_used.as_ref(), &country);
    let dialled = fields.check("dialled_number", Told::dialled(&message.dialled_number));
    let medium = medium(fields, message.medium);
    let agent = fields.check("agent", Told::agent(&message.agent));
    let started_at = time(fields, "started_time", message.started_time.as_ref(), now);
    let provenance = provenance(&fields.at("provenance"), message.provenance.as_ref());
    Some(Told {
        call_id: call_id?,
        leg: leg?,
        direction: direction?,
        identifier: identifier?,
        dialled: dialled?,
        medium: medium?,
        agent: agent?,
        started_at: started_at?,
        provenance: provenance?,
    })
}

/// A medium that may be left out.
pub(super) fn medium(fields: &Collector, code: i32) -> Option<Option<Medium>> {
    match code {
        0 => Some(None),
        code => fields.check("medium", Medium::parse(code)).map(Some),
    }
}

/// Reads an identifier, a number in national form by the plan of its country. A number that is left out was withheld,
/// and so was one that says so.
pub(super) fn identifier(
    fields: &Collector,
    message: Option<&proto::Identifier>,
    country: &str,
) -> Option<Option<Identifier>> {
    let Some(message) = message else { return Some(None) };
    let scheme = fields.check("scheme", Identifier::scheme(&message.scheme));
    if scheme.as_deref() == Some(NUMBER) && message.value.trim().is_empty() {
        return Some(None);
    }
    let value = fields.check("value", Identifier::value(&message.value));
    let read = if country.is_empty() {
        Identifier::new(scheme?, value?)
    } else {
        Identifier::within(country, scheme?, value?)
    };
    let read = fields.check("value", read)?;
    Some(Some(read).filter(|identifier| !identifier.withheld()))
}

fn time(
    fields: &Collector,
    field: &str,
    time: Option<&prost_types::Timestamp>,
    now: Timestamp,
) -> Option<Option<Timestamp>> {
    match time {
        None => Some(None),
        Some(_) => fields.check(field, wire::occurred(time, now)).map(Some),
    }
}

/// Reads how a call ended. `told` is what the same request says of the call.
pub(super) fn ending(
    fields: &Collector,
    message: &proto::EndCallRequest,
    started_at: Option<Timestamp>,
    now: Timestamp,
) -> Option<Ending> {
    let disposition = fields.check("disposition", Disposition::parse(message.disposition));
    let subject_line = fields.check("subject_line", NewInteraction::subject_line(&message.subject_line));
    let wrap_up = fields.check("wrap_up", Ending::wrap_up(&message.wrap_up));
    let valence = optional(message.valence.as_ref(), |message| valence(&fields.at("valence"), message));
    let effort = optional(message.effort, |effort| fields.check("effort", Effort::parse(effort)));
    let topics = topics(fields, &message.topics);
    let ended_at = time(fields, "ended_time", message.ended_time.as_ref(), now);
    if let (Some(started), Some(Some(ended))) = (started_at, ended_at)
        && ended < started
    {
        fields.push("ended_time", reason::END_BEFORE_START, "must not be before the call began");
    }
    let party = match message.party.as_str() {
        "" => Some(None),
        party => fields.check("party", PartyName::parse(party)).map(|name| Some(name.uuid())),
    };
    let role_type = fields.check("role_type", Slug::parse_optional(&message.role_type));
    let case = optional(message.open_case.as_ref(), |message| opening(&fields.at("open_case"), message));
    Some(Ending {
        disposition: disposition?,
        subject_line: subject_line?,
        wrap_up: wrap_up?,
        valence: valence?,
        effort: effort?,
        topics: topics?,
        ended_at: ended_at?,
        party: party?,
        role_type: role_type?,
        case: case?,
    })
}

/// What is told of a call that is handed on.
pub(super) struct Handed {
    /// The call, where it is named.
    pub(super) name: Option<CallName>,
    /// What the telephony calls it, where that is told in place of its name.
    pub(super) called: Option<(Pii<String>, Pii<String>)>,
    /// How it is handed on.
    pub(super) handover: Handover,
}

/// Reads how a call is handed on. What is wrong goes to `fields`, all of it.
pub(super) fn handover(fields: &Collector, message: &proto::TransferCallRequest, now: Timestamp) -> Option<Handed> {
    let name = match message.name.as_str() {
        "" => Some(None),
        name => fields.check("name", CallName::parse(name)).map(Some),
    };
    let called = match (message.name.as_str(), message.call_id.as_str()) {
        ("", "") => fields.check("call_id", Err(FieldError::new(reason::REQUIRED, "must be given when name is not"))),
        (_, "") => fields.check("leg", Told::leg(&message.leg)).map(|_| None),
        ("", call_id) => {
            let call_id = fields.check("call_id", Told::call_id(call_id));
            let leg = fields.check("leg", Told::leg(&message.leg));
            call_id.zip(leg).map(Some)
        }
        _ => fields.check("call_id", Err(FieldError::new(reason::CONFLICTING_FIELDS, "must not be given beside name"))),
    };
    let to_agent = fields.check("to_agent", Handover::to_agent(&message.to_agent));
    let to_leg = fields.check("to_leg", Told::leg(&message.to_leg));
    let note = fields.check("note", Handover::note(&message.note));
    let at = time(fields, "transferred_time", message.transferred_time.as_ref(), now);
    let handover = Handover { to_agent: to_agent?, to_leg: to_leg?, note: note?, at: at? };
    Some(Handed { name: name?, called: called?, handover })
}

/// How a conversation was handed on, for the wire.
pub(super) fn to_transfers(text: &CallText) -> Vec<proto::CallTransfer> {
    let transfers = text.transfers.iter().map(|transfer| proto::CallTransfer {
        from_call: CallName::new(transfer.from()).to_string(),
        to_call: transfer.to().map(|to| CallName::new(to).to_string()).unwrap_or_default(),
        from_agent: transfer.from_agent.clone(),
        to_agent: transfer.to_agent.clone(),
        note: transfer.note.clone(),
        transferred_time: Some(wire::to_timestamp(transfer.at())),
    });
    transfers.collect()
}

fn opening(fields: &Collector, message: &proto::CallCase) -> Option<Opening> {
    let kind = fields.check("type", Slug::parse(&message.r#type));
    let title = fields.check("title", NewCase::title(&message.title));
    let description = fields.check("description", NewCase::description(&message.description));
    let priority = match message.priority {
        0 => Some(CasePriority::Normal),
        code => fields.check("priority", CasePriority::parse(code)),
    };
    Some(Opening { kind: kind?, title: title?, description: description?, priority: priority? })
}

/// An identifier for the wire.
pub(super) fn to_identifier(identifier: &Identifier) -> proto::Identifier {
    proto::Identifier { scheme: identifier.scheme_name().to_owned(), value: identifier.given().to_owned() }
}

/// Who the other side is. `party` is whom the origin belongs to now, if anybody; names are filled in by others.
pub(super) fn to_resolution(resolution: &Resolution, party: Option<Uuid>) -> proto::CallResolution {
    let candidates = resolution.candidates.iter().map(|candidate| proto::CallCandidate {
        party: PartyName::new(candidate.party).to_string(),
        confidence: f64::from(candidate.confidence) / 1_000.0,
        reasons: candidate.reasons.clone(),
        display_name: String::new(),
        role_types: Vec::new(),
    });
    proto::CallResolution {
        r#match: i32::from(resolution.matched().code()),
        party: to_party(party.or(resolution.party)),
        reason: resolution.reason.clone(),
        candidates: candidates.collect(),
    }
}

/// A call for the wire.
pub(super) fn to_call(row: &CallRow, text: &CallText, party: Option<Uuid>) -> proto::Call {
    let told = row.told(text.clone());
    let provenance = &told.provenance;
    let open = |value: &Pii<String>| value.expose().clone();
    let state = if row.ended() { proto::CallState::Ended } else { proto::CallState::Open };
    proto::Call {
        name: CallName::new(row.id).to_string(),
        call_id: open(&told.call_id),
        leg: open(&told.leg),
        direction: told.direction.map_or(0, |direction| i32::from(Direction::code(direction))),
        identifier_used: told.identifier.as_ref().map(to_identifier),
        country_code: String::new(),
        dialled_number: open(&told.dialled),
        medium: i32::from(told.medium.unwrap_or(Medium::Phone).code()),
        agent: text.agent_of(row.id).to_owned(),
        started_time: row.started_at.map(wire::to_timestamp),
        ended_time: row.ended_at.map(wire::to_timestamp),
        state: state.into(),
        resolution: Some(to_resolution(&row.resolved(), party)),
        disposition: i32::from(row.disposition),
        interaction: row.interaction.map(|id| InteractionName::new(id).to_string()).unwrap_or_default(),
        case: row.case.map(|id| CaseName::new(id).to_string()).unwrap_or_default(),
        recorded_time: Some(wire::to_timestamp(row.recorded_at)),
        provenance: to_provenance(
            &provenance.source_system,
            &provenance.source_record_id,
            &provenance.actor,
            &provenance.reason,
        ),
        transfers: to_transfers(text),
    }
}
