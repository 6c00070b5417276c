use rapport_proto::interactions::v1 as proto;
use rapport_proto::types::v1 as types;
use rapport_rpc::{masked, wire};
use rapport_types::error::{Collector, FieldError};
use rapport_types::reason;
use rapport_types::time::Timestamp;

use super::convert::{amount, channel, optional, provenance, topics, valence};
use crate::commands::{Change, Reassign};
use crate::domain::{Amendment, Direction, Effort, InteractionName, MAX_PARTICIPANTS, NewInteraction, PartyName, Slug};

/// Reads an amendment. What is wrong goes to `fields`, all of it.
pub(super) fn amendment(
    fields: &Collector,
    request: &proto::AmendInteractionRequest,
    now: Timestamp,
) -> Option<(Change, Amendment)> {
    let message = fields.required("interaction", request.interaction.as_ref());
    let wanted = masked(fields, request.update_mask.as_ref(), Amendment::FIELDS, known);
    let name = message.map(|message| message.name.as_str());
    let change = change(
        fields,
        ("interaction.name", name),
        message.map_or("", |message| message.etag.as_str()),
        &request.reason,
        request.provenance.as_ref(),
    );
    let (message, wanted) = (message?, wanted?);
    let within = fields.at("interaction");
    let has = |path: &str| wanted.contains(&path);
    // What is named has to be right; what is not named is not looked at.
    let kind = named(has("kind"), || within.check("kind", Slug::parse(&message.kind)));
    let channel = named(has("channel"), || channel(&within, message.channel.as_ref()));
    let direction = named(has("direction"), || within.check("direction", Direction::parse(message.direction)));
    let topics = named(has("topics"), || topics(&within, &message.topics));
    let subject_line = named(has("subject_line"), || {
        within.check("subject_line", NewInteraction::subject_line(&message.subject_line))
    });
    let body = named(has("body"), || within.check("body", NewInteraction::body(&message.body)));
    let valence =
        named(has("valence"), || optional(message.valence.as_ref(), |message| valence(&within.at("valence"), message)));
    let effort =
        named(has("effort"), || optional(message.effort, |effort| within.check("effort", Effort::parse(effort))));
    let amount =
        named(has("amount"), || optional(message.amount.as_ref(), |message| amount(&within.at("amount"), message)));
    let occurred_at = named(has("occurred_time"), || {
        let time = within.required("occurred_time", message.occurred_time.as_ref())?;
        within.check("occurred_time", wire::occurred(Some(time), now))
    });
    let change = change?;
    let amendment = Amendment {
        kind: kind?,
        channel: channel?,
        direction: direction?,
        topics: topics?,
        subject_line: subject_line?,
        body: body?,
        valence: valence?,
        effort: effort?,
        amount: amount?,
        occurred_at: occurred_at?,
    };
    Some((change, amendment))
}

/// Reads what amendments and retractions have alike; `name` comes with the path of its field.
pub(super) fn change(
    fields: &Collector,
    (path, name): (&str, Option<&str>),
    etag: &str,
    reason: &str,
    from: Option<&types::Provenance>,
) -> Option<Change> {
    let name = name.and_then(|name| fields.check(path, InteractionName::parse(name)));
    let reason = fields.check("reason", Slug::parse(reason));
    let provenance = optional(from, |message| provenance(&fields.at("provenance"), Some(message)));
    Some(Change { id: name?.uuid(), etag: etag.to_owned(), reason: reason?, provenance: provenance? })
}

/// Reads who an interaction is reassigned to, and which participant. What is wrong goes to `fields`, all of it.
pub(super) fn reassignment(
    fields: &Collector,
    request: &proto::ReassignInteractionRequest,
) -> Option<(Change, Option<usize>, Reassign)> {
    let name = ("name", Some(request.name.as_str()));
    let change = change(fields, name, &request.etag, &request.reason, request.provenance.as_ref());
    let participant = optional(request.participant, |place| {
        let place = usize::try_from(place).ok().filter(|place| *place < MAX_PARTICIPANTS);
        let wrong = || FieldError::new(reason::OUT_OF_RANGE, "must be the place of one who took part");
        fields.check("participant", place.ok_or_else(wrong))
    });
    let to = match (request.undo, request.party.as_str()) {
        (true, "") => Some(Reassign::Undo),
        (true, _) => {
            let wrong = FieldError::new(reason::CONFLICTING_FIELDS, "must not be given when it is taken back");
            fields.check("party", Err(wrong))
        }
        (false, "") => fields.check("party", Err(FieldError::required())),
        (false, party) => fields.check("party", PartyName::parse(party)).map(|name| Reassign::Party(name.uuid())),
    };
    Some((change?, participant?, to?))
}

/// What is read when it is named: the outer `None` is a mistake, the inner one says that nothing changes.
fn named<T>(named: bool, read: impl FnOnce() -> Option<T>) -> Option<Option<T>> {
    if named { read().map(Some) } else { Some(None) }
}

/// Whether a path may stand in a mask. The path is not repeated in the text: it could be anything.
fn known(path: &str) -> Result<(), FieldError> {
    if Amendment::FIELDS.contains(&path) {
        return Ok(());
    }
    if Amendment::OUTPUT_ONLY.contains(&path) {
        return Err(FieldError::new(reason::OUTPUT_ONLY_FIELD, "is set by the server"));
    }
    if Amendment::IMMUTABLE.contains(&path) {
        return Err(FieldError::new(
            reason::IMMUTABLE_FIELD,
            "never changes by an amendment: reassign the interaction to whom it really was",
        ));
    }
    let fields = Amendment::FIELDS.join(", ");
    Err(FieldError::new(reason::UNKNOWN_FIELD, format!("names no field that can be amended; there are {fields}")))
}
