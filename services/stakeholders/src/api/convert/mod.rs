//! Between the messages of the contract and domain values.

mod attributes;
mod consent;
mod party_in;
mod party_out;
mod relationship;
mod resolution;

pub(crate) use consent::{consent_in, consent_out, consent_state_to_proto, reason_to_proto};
pub(crate) use party_in::{changes_in, draft_in, identifier_in, kind_in, role_in};
pub(crate) use party_out::{
    kind_to_proto, lifecycle_to_proto, party_out, role_out, role_status_to_proto, strength_to_proto,
};
pub(crate) use relationship::{
    neighborhood_out, relationship_changes_in, relationship_in, relationship_out, type_out, types_in,
};
pub(crate) use resolution::{question_in, resolution_out};

use rapport_proto::types::v1 as types;
use rapport_rpc::wire;
use rapport_types::error::FieldError;
use rapport_types::text::{Limits, Text};
use rapport_types::{Collector, Timestamp, reason};
use uuid::Uuid;

use super::Reading;
use crate::domain::names::PartyName;
use crate::domain::provenance::Provenance;

/// The text of a party's name.
pub(crate) fn party_name(id: Uuid) -> String {
    PartyName::new(id).to_string()
}

/// A party's id from its name.
pub(crate) fn party_in(fields: &Collector, field: &str, name: &str) -> Option<Uuid> {
    fields.check(field, PartyName::parse(name)).map(|name| name.uuid())
}

/// One line, possibly empty.
pub(crate) fn line(fields: &Collector, field: &str, value: &str, max: usize) -> Option<String> {
    fields.check(field, Text::parse(value, Limits { min: 0, max })).map(Text::into_string)
}

/// A name, possibly empty.
fn name_line(fields: &Collector, field: &str, value: &str, max: usize) -> Option<String> {
    fields.check(field, Text::parse_name(value, Limits { min: 0, max })).map(Text::into_string)
}

/// Whether a list is short enough to be read at all.
pub(crate) fn bounded<T>(fields: &Collector, field: &str, list: &[T], most: usize) -> bool {
    if list.len() > most {
        fields.push(field, reason::TOO_MANY, format!("must have at most {most} elements"));
        return false;
    }
    true
}

/// A time that may be left out. `None` when it is wrong.
pub(crate) fn time(
    fields: &Collector,
    field: &str,
    value: Option<&prost_types::Timestamp>,
) -> Option<Option<Timestamp>> {
    match value {
        None => Some(None),
        Some(value) => fields.check(field, wire::timestamp(value)).map(Some),
    }
}

/// A time that may be left out and lies at most a day ahead. `None` when it is wrong.
pub(crate) fn past(
    reading: &Reading<'_>,
    field: &str,
    value: Option<&prost_types::Timestamp>,
) -> Option<Option<Timestamp>> {
    match value {
        None => Some(None),
        Some(_) => reading.fields.check(field, wire::occurred(value, reading.now)).map(Some),
    }
}

/// A value of an enum, where the zero value means `default`.
pub(crate) fn either<E: TryFrom<i32> + PartialEq, T>(
    fields: &Collector,
    field: &str,
    value: i32,
    read: impl Fn(E) -> Option<T>,
    default: T,
) -> Option<T> {
    fields.check(field, wire::any_value::<E>(value)).map(|value| read(value).unwrap_or(default))
}

/// A number of things: 0 means `default`, more than `most` means `most`.
pub(crate) fn count(value: i32, default: usize, most: usize) -> Result<usize, FieldError> {
    match usize::try_from(value) {
        Ok(0) => Ok(default),
        Ok(value) => Ok(value.min(most)),
        Err(_) => Err(FieldError::new(reason::OUT_OF_RANGE, "must not be negative")),
    }
}

/// Where a fact came from.
pub(crate) fn provenance_in(fields: &Collector, value: Option<&types::Provenance>) -> Option<Provenance> {
    let Some(value) = value else {
        return Some(Provenance::default());
    };
    let fields = fields.at("provenance");
    let source_system = line(&fields, "source_system", &value.source_system, 100);
    let source_record_id = line(&fields, "source_record_id", &value.source_record_id, 200);
    let actor = line(&fields, "actor", &value.actor, 200);
    let reason = line(&fields, "reason", &value.reason, 500);
    Some(Provenance {
        source_system: source_system?,
        source_record_id: source_record_id?,
        actor: actor?,
        reason: reason?,
    })
}

/// Where a fact came from, if anything is said.
pub(crate) fn provenance_out(value: &Provenance) -> Option<types::Provenance> {
    (!value.is_empty()).then(|| types::Provenance {
        source_system: value.source_system.clone(),
        source_record_id: value.source_record_id.clone(),
        actor: value.actor.clone(),
        reason: value.reason.clone(),
    })
}
