use rapport_proto::interactions::v1 as proto;
use rapport_proto::types::v1 as types;
use rapport_rpc::wire;
use rapport_types::error::{Collector, FieldError};
use rapport_types::etag::Etag;
use rapport_types::time::Timestamp;
use rapport_types::{Uuid, reason};

use crate::commands::Receipt;
use crate::domain::{
    Amount, AmountKind, Channel, Direction, Effort, Function, Identifier, InteractionName, MAX_PARTICIPANTS,
    MAX_TOPICS, Medium, Named, NewInteraction, Participant, PartyName, Provenance, Slug, Valence, ValenceMethod,
};
use crate::queries::InteractionView;
use crate::store::sealing::IdentifierText;

/// Reads an interaction that is to be recorded. What is wrong goes to `fields`, all of it.
pub(crate) fn interaction(fields: &Collector, message: &proto::Interaction, now: Timestamp) -> Option<NewInteraction> {
    let kind = fields.check("kind", Slug::parse(&message.kind));
    let channel = channel(fields, message.channel.as_ref());
    let direction = fields.check("direction", Direction::parse(message.direction));
    let participants = participants(fields, &message.participants);
    let topics = topics(fields, &message.topics);
    let subject_line = fields.check("subject_line", NewInteraction::subject_line(&message.subject_line));
    let body = fields.check("body", NewInteraction::body(&message.body));
    let valence = optional(message.valence.as_ref(), |message| valence(&fields.at("valence"), message));
    let effort = optional(message.effort, |effort| fields.check("effort", Effort::parse(effort)));
    let amount = optional(message.amount.as_ref(), |message| amount(&fields.at("amount"), message));
    let occurred_at = fields
        .required("occurred_time", message.occurred_time.as_ref())
        .and_then(|time| fields.check("occurred_time", wire::occurred(Some(time), now)));
    let provenance = provenance(&fields.at("provenance"), message.provenance.as_ref());
    Some(NewInteraction {
        kind: kind?,
        channel: channel?,
        direction: direction?,
        participants: participants?,
        topics: topics?,
        subject_line: subject_line?,
        body: body?,
        valence: valence?,
        effort: effort?,
        amount: amount?,
        occurred_at: occurred_at?,
        provenance: provenance?,
    })
}

/// Reads the way something went, which must be given.
pub(super) fn channel(fields: &Collector, message: Option<&proto::Channel>) -> Option<Channel> {
    let channel = fields.required("channel", message)?;
    let medium = fields.at("channel").check("medium", Medium::parse(channel.medium))?;
    Some(Channel::new(medium, channel.online))
}

/// What may be absent, but not wrong.
pub(super) fn optional<T, U>(value: Option<T>, parse: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    match value {
        None => Some(None),
        Some(value) => parse(value).map(Some),
    }
}

fn participants(fields: &Collector, messages: &[proto::Participant]) -> Option<Vec<Participant>> {
    if messages.is_empty() {
        return fields.check("participants", Err(FieldError::required()));
    }
    if messages.len() > MAX_PARTICIPANTS {
        return fields.check("participants", Err(too_many(MAX_PARTICIPANTS)));
    }
    let mut all: Vec<Option<Participant>> = Vec::with_capacity(messages.len());
    for (position, message) in messages.iter().enumerate() {
        let fields = fields.index("participants", position);
        let named = named(&fields, &message.party, message.identifier_used.as_ref());
        let role_type = fields.check("role_type", Slug::parse_optional(&message.role_type));
        let function = fields.check("function", Function::parse(message.function));
        let participant = match (named, role_type, function) {
            (Some(named), Some(role_type), Some(function)) => Some(Participant { named, role_type, function }),
            _ => None,
        };
        if let Some(participant) = &participant
            && all.iter().flatten().any(|earlier| earlier.same(participant))
        {
            fields.push("", reason::DUPLICATE, "the same participant with the same function is named before");
        }
        all.push(participant);
    }
    all.into_iter().collect()
}

/// Reads somebody who is named by party, by identifier or by both.
pub(crate) fn named(fields: &Collector, party: &str, identifier: Option<&proto::Identifier>) -> Option<Named> {
    let used = optional(identifier, |message| {
        let fields = fields.at("identifier_used");
        let scheme = fields.check("scheme", Identifier::scheme(&message.scheme));
        let value = fields.check("value", Identifier::value(&message.value));
        fields.check("value", Identifier::new(scheme?, value?))
    });
    if party.is_empty() {
        return match used? {
            Some(identifier) => Some(Named::Identifier(identifier)),
            None => fields
                .check("party", Err(FieldError::new(reason::REQUIRED, "must be given when identifier_used is not"))),
        };
    }
    let party = fields.check("party", PartyName::parse(party));
    Some(Named::Party(party?.uuid(), used?))
}

pub(super) fn topics(fields: &Collector, messages: &[String]) -> Option<Vec<Slug>> {
    if messages.len() > MAX_TOPICS {
        return fields.check("topics", Err(too_many(MAX_TOPICS)));
    }
    let mut topics: Vec<Option<Slug>> = Vec::with_capacity(messages.len());
    for (position, message) in messages.iter().enumerate() {
        let path = format!("topics[{position}]");
        let topic = fields.check(&path, Slug::parse(message));
        if topic.is_some() && topics.contains(&topic) {
            fields.push(&path, reason::DUPLICATE, "is there before");
        }
        topics.push(topic);
    }
    topics.into_iter().collect()
}

/// A list that is too long.
pub(crate) fn too_many(most: usize) -> FieldError {
    FieldError::new(reason::TOO_MANY, format!("must have at most {most} elements"))
}

pub(super) fn valence(fields: &Collector, message: &proto::Valence) -> Option<Valence> {
    let value = fields.check("value", Valence::value(message.value));
    let method = fields.check("method", ValenceMethod::parse(message.method));
    let confidence = fields.check("confidence", Valence::confidence(message.confidence));
    Some(Valence { value: value?, method: method?, confidence: confidence? })
}

pub(super) fn amount(fields: &Collector, message: &proto::Amount) -> Option<Amount> {
    let kind = fields.check("kind", AmountKind::parse(message.kind));
    let money = fields
        .required("money", message.money.as_ref())
        .and_then(|money| fields.check("money", wire::money(money).and_then(Amount::money)));
    Some(Amount { kind: kind?, money: money? })
}

/// Reads where a fact comes from; nothing is known when it is absent.
pub(crate) fn provenance(fields: &Collector, message: Option<&types::Provenance>) -> Option<Provenance> {
    let Some(message) = message else {
        return Some(Provenance::default());
    };
    let source_system = fields.check("source_system", Provenance::source_system(&message.source_system));
    let record = fields.check("source_record_id", Provenance::source_record_id(&message.source_record_id));
    let actor = fields.check("actor", Provenance::actor(&message.actor));
    let reason = fields.check("reason", Provenance::reason(&message.reason));
    Some(Provenance { source_system: source_system?, source_record_id: record?, actor: actor?, reason: reason? })
}

/// Where a fact comes from, for the wire; nothing when nothing is known.
pub(crate) fn to_provenance(source_system: &str, record: &str, actor: &str, reason: &str) -> Option<types::Provenance> {
    let known = [source_system, record, actor, reason].iter().any(|text| !text.is_empty());
    known.then(|| types::Provenance {
        source_system: source_system.to_owned(),
        source_record_id: record.to_owned(),
        actor: actor.to_owned(),
        reason: reason.to_owned(),
    })
}

/// The name of a party, or nothing.
pub(crate) fn to_party(party: Option<Uuid>) -> String {
    party.map(|party| PartyName::new(party).to_string()).unwrap_or_default()
}

/// An identifier for the wire.
pub(crate) fn to_identifier(text: IdentifierText) -> proto::Identifier {
    proto::Identifier { scheme: text.scheme, value: text.value }
}

fn attribution(named: bool, party: Option<Uuid>) -> i32 {
    let attribution = match (named, party) {
        (true, _) => proto::Attribution::Named,
        (false, Some(_)) => proto::Attribution::Resolved,
        (false, None) => proto::Attribution::Unattributed,
    };
    attribution.into()
}

/// The answer to a write: the request as it was understood, with what the server gave it.
pub(crate) fn to_recorded(new: &NewInteraction, receipt: &Receipt) -> proto::Interaction {
    let participants = new.participants.iter().zip(&receipt.origins).map(|(participant, origin)| proto::Participant {
        party: to_party(origin.party),
        identifier_used: participant.named.identifier().map(|identifier| proto::Identifier {
            scheme: identifier.scheme_name().to_owned(),
            value: identifier.given().to_owned(),
        }),
        role_type: participant.role_type.as_ref().map(ToString::to_string).unwrap_or_default(),
        function: i32::from(participant.function.code()),
        attribution: attribution(participant.named.party().is_some(), origin.party),
        origin: origin.id.to_string(),
    });
    let provenance = &new.provenance;
    proto::Interaction {
        name: InteractionName::new(receipt.id).to_string(),
        kind: new.kind.to_string(),
        channel: Some(proto::Channel {
            medium: i32::from(new.channel.medium.code()),
            online: Some(new.channel.online),
        }),
        direction: i32::from(new.direction.code()),
        participants: participants.collect(),
        topics: new.topics.iter().map(ToString::to_string).collect(),
        subject_line: new.subject_line.clone(),
        body: new.body.clone(),
        valence: new.valence.map(|valence| proto::Valence {
            value: valence.value,
            method: i32::from(valence.method.code()),
            confidence: Some(valence.confidence),
        }),
        effort: new.effort.map(|effort| i32::from(effort.get())),
        amount: new.amount.map(|amount| proto::Amount {
            kind: i32::from(amount.kind.code()),
            money: Some(wire::to_money(amount.money)),
        }),
        occurred_time: Some(wire::to_timestamp(new.occurred_at)),
        recorded_time: Some(wire::to_timestamp(receipt.recorded_at)),
        version: 1,
        supersedes: String::new(),
        provenance: to_provenance(
            &provenance.source_system,
            &provenance.source_record_id,
            &provenance.actor,
            &provenance.reason,
        ),
        etag: Etag::of(1).into(),
        retracted_time: None,
        version_reason: String::new(),
        survey_response: String::new(),
    }
}

/// An interaction as it is read.
pub(crate) fn to_interaction(view: InteractionView) -> proto::Interaction {
    let InteractionView { row, text, participants } = view;
    let detail = row.detail;
    let survey_response = detail.response().map(|name| name.to_string()).unwrap_or_default();
    let provenance = to_provenance(&detail.source_system, &text.source_record_id, &text.actor, &text.reason);
    let participants = detail.participants.into_iter().zip(participants).map(|(stored, seen)| proto::Participant {
        party: to_party(seen.party),
        identifier_used: seen.identifier.map(to_identifier),
        function: stored.function,
        attribution: attribution(stored.named, seen.party),
        origin: stored.origin().to_string(),
        role_type: stored.role_type,
    });
    proto::Interaction {
        name: InteractionName::new(row.id).to_string(),
        kind: row.kind,
        channel: Some(proto::Channel { medium: i32::from(row.medium), online: Some(row.online) }),
        direction: i32::from(row.direction),
        participants: participants.collect(),
        topics: detail.topics,
        subject_line: text.subject_line,
        body: text.body,
        valence: row.valence.map(|(value, method, confidence)| proto::Valence {
            value,
            method: i32::from(method),
            confidence: Some(confidence),
        }),
        effort: row.effort.map(i32::from),
        amount: row.amount.map(|amount| proto::Amount {
            kind: i32::from(amount.kind),
            money: Some(types::Money { units: amount.units, nanos: amount.nanos, currency_code: amount.currency }),
        }),
        occurred_time: Some(wire::to_timestamp(row.occurred_at)),
        recorded_time: Some(wire::to_timestamp(row.recorded_at)),
        version: row.version,
        supersedes: row.supersedes.map(|id| InteractionName::new(id).to_string()).unwrap_or_default(),
        provenance,
        etag: Etag::of(row.version).into(),
        retracted_time: row.retracted.then(|| wire::to_timestamp(row.recorded_at)),
        version_reason: detail.version_reason,
        survey_response,
    }
}
