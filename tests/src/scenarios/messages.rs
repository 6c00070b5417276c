//! The messages that scenarios write again and again, and moments of time.

use std::time::{SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use rapport_proto::interactions::v1 as interactions;
use rapport_proto::stakeholders::v1 as stakeholders;
use stakeholders::{
    ContactMedium, IdentifierStrength, MediumKind, Party, PartyIdentifier, PartyKind, PartyLifecycle, PartyRole,
    UpdatePartyRequest,
};

/// A day, in seconds.
pub(crate) const DAY: i64 = 86_400;

/// A moment as RFC 3339 writes it.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

/// This moment, to the second.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp { seconds: i64::try_from(since.as_secs()).expect("before the end of time"), nanos: 0 }
}

/// A moment so many seconds later, or earlier.
pub(crate) fn after(moment: Timestamp, seconds: i64) -> Timestamp {
    Timestamp { seconds: moment.seconds + seconds, ..moment }
}

/// In microseconds since 1970: what the services keep.
pub(crate) fn micros(moment: Timestamp) -> i64 {
    moment.seconds * 1_000_000 + i64::from(moment.nanos) / 1_000
}

/// A person known by name alone.
pub(crate) fn person(name: &str) -> Party {
    Party { kind: PartyKind::Individual.into(), display_name: name.into(), ..Default::default() }
}

/// An organisation known by name alone.
pub(crate) fn organization(name: &str) -> Party {
    Party { kind: PartyKind::Organization.into(), display_name: name.into(), ..Default::default() }
}

/// A telephone number.
pub(crate) fn phone(number: &str) -> ContactMedium {
    ContactMedium { kind: MediumKind::Phone.into(), value: number.into(), ..Default::default() }
}

/// An e-mail address.
pub(crate) fn email(address: &str) -> ContactMedium {
    ContactMedium { kind: MediumKind::Email.into(), value: address.into(), ..Default::default() }
}

/// An identifier of a strength.
pub(crate) fn identifier(scheme: &str, value: &str, strength: IdentifierStrength) -> PartyIdentifier {
    PartyIdentifier { scheme: scheme.into(), value: value.into(), strength: strength.into(), ..Default::default() }
}

/// A role in force everywhere from now on.
pub(crate) fn role(role_type: &str) -> PartyRole {
    PartyRole { role_type: role_type.into(), ..Default::default() }
}

/// Moves a party to a lifecycle, and says why.
pub(crate) fn set_apart(party: &str, to: PartyLifecycle, why: &str) -> UpdatePartyRequest {
    let provenance = rapport_proto::types::v1::Provenance { reason: why.into(), ..Default::default() };
    let party = Party { name: party.into(), lifecycle: to.into(), provenance: Some(provenance), ..Default::default() };
    let paths = vec!["lifecycle".to_owned(), "provenance".to_owned()];
    let update_mask = Some(prost_types::FieldMask { paths });
    UpdatePartyRequest { party: Some(party), update_mask, request_id: String::new() }
}

/// A participant named by party, who began it.
pub(crate) fn by_party(party: &str) -> interactions::Participant {
    interactions::Participant {
        party: party.into(),
        function: interactions::Function::Initiator.into(),
        ..Default::default()
    }
}

/// A participant named by a telephone number alone, who began it.
pub(crate) fn by_number(number: &str) -> interactions::Participant {
    interactions::Participant {
        identifier_used: Some(interactions::Identifier { scheme: "tel".into(), value: number.into() }),
        function: interactions::Function::Initiator.into(),
        ..Default::default()
    }
}

/// An inbound call of a kind, by one who began it.
pub(crate) fn contact(kind: &str, who: interactions::Participant, occurred: Timestamp) -> interactions::Interaction {
    interactions::Interaction {
        kind: kind.into(),
        channel: Some(interactions::Channel { medium: interactions::Medium::Phone.into(), online: None }),
        direction: interactions::Direction::Inbound.into(),
        participants: vec![who],
        occurred_time: Some(occurred),
        ..Default::default()
    }
}

/// Asks to record it, once.
pub(crate) fn record(interaction: interactions::Interaction) -> interactions::RecordInteractionRequest {
    interactions::RecordInteractionRequest { interaction: Some(interaction), ..Default::default() }
}
