//! Consents.

use rapport_proto::stakeholders::v1 as proto;
use rapport_rpc::wire;
use rapport_types::Timestamp;
use rapport_types::error::FieldError;
use rapport_types::text::{Limits, Text};

use super::{party_in, party_name, past, provenance_in, provenance_out, time};
use crate::api::Reading;
use crate::domain::consent::{Consent, ConsentReason, ConsentState};
use crate::domain::period::Period;
use crate::domain::text;

/// A slug, or the empty text that stands for all.
fn slug_or_all(value: &str) -> Result<String, FieldError> {
    if value.is_empty() { Ok(String::new()) } else { text::slug(value) }
}

/// A record to be kept. `None` when something is wrong with it.
pub(crate) fn consent_in(reading: &Reading<'_>, value: &proto::Consent) -> Option<Consent> {
    let fields = &reading.fields;
    let party = party_in(fields, "party", &value.party);
    let state = fields.check("state", wire::chosen::<proto::ConsentState>(value.state)).and_then(state_in);
    let purpose = match state {
        Some(ConsentState::Granted) => fields.check("purpose", text::slug(&value.purpose)),
        _ => fields.check("purpose", slug_or_all(&value.purpose)),
    };
    let channel = fields.check("channel", slug_or_all(&value.channel));
    let evidence = fields.check("evidence", Text::parse_lines(&value.evidence, Limits { min: 0, max: 2000 }));
    let occurred_at = past(reading, "occurred_time", value.occurred_time.as_ref());
    let from = time(fields, "valid_from_time", value.valid_from_time.as_ref());
    let until = time(fields, "valid_to_time", value.valid_to_time.as_ref());
    let provenance = provenance_in(fields, value.provenance.as_ref());
    let occurred_at = occurred_at.map(|said| said.unwrap_or(reading.now));
    // A start that is given is held against the end whatever is wrong with the moment it was said.
    let validity = match (from.and_then(|from| from.or(occurred_at)), until) {
        (Some(from), Some(until)) => fields.check("valid_to_time", Period::parse(Some(from), until)),
        _ => None,
    };
    Some(Consent {
        id: reading.next_id(),
        party: party?,
        purpose: purpose?,
        channel: channel?,
        state: state?,
        evidence: evidence?.into_string(),
        occurred_at: occurred_at?,
        validity: validity?,
        provenance: provenance?,
        recorded_at: Timestamp::MIN,
    })
}

fn state_in(state: proto::ConsentState) -> Option<ConsentState> {
    match state {
        proto::ConsentState::Unspecified => None,
        proto::ConsentState::Granted => Some(ConsentState::Granted),
        proto::ConsentState::Withdrawn => Some(ConsentState::Withdrawn),
    }
}

pub(crate) fn consent_state_to_proto(state: ConsentState) -> proto::ConsentState {
    match state {
        ConsentState::Granted => proto::ConsentState::Granted,
        ConsentState::Withdrawn => proto::ConsentState::Withdrawn,
    }
}

/// A record as a message.
pub(crate) fn consent_out(consent: &Consent) -> proto::Consent {
    proto::Consent {
        name: consent.name().to_string(),
        party: party_name(consent.party),
        purpose: consent.purpose.clone(),
        channel: consent.channel.clone(),
        state: consent_state_to_proto(consent.state).into(),
        evidence: consent.evidence.clone(),
        occurred_time: Some(wire::to_timestamp(consent.occurred_at)),
        valid_from_time: consent.validity.start().map(wire::to_timestamp),
        valid_to_time: consent.validity.end().map(wire::to_timestamp),
        provenance: provenance_out(&consent.provenance),
        recorded_time: Some(wire::to_timestamp(consent.recorded_at)),
    }
}

pub(crate) fn reason_to_proto(reason: ConsentReason) -> proto::ConsentReason {
    match reason {
        ConsentReason::Granted => proto::ConsentReason::Granted,
        ConsentReason::NoConsent => proto::ConsentReason::NoConsent,
        ConsentReason::Withdrawn => proto::ConsentReason::Withdrawn,
        ConsentReason::Expired => proto::ConsentReason::Expired,
        ConsentReason::NotYetValid => proto::ConsentReason::NotYetValid,
        ConsentReason::PartyCeased => proto::ConsentReason::PartyCeased,
        ConsentReason::PartyRestricted => proto::ConsentReason::PartyRestricted,
    }
}
