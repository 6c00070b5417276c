//! Searches for a party and their answers.

use rapport_identity::{Lookup, MAX_VALUE, lookup, scheme};
use rapport_proto::stakeholders::v1 as proto;
use rapport_rpc::wire;
use rapport_types::reason;

use super::{bounded, count, kind_in, name_line, party_name, party_out, provenance_in};
use crate::api::Reading;
use crate::domain::country;
use crate::domain::identifier::{Identifier, Scheme, Strength};
use crate::domain::medium::{Medium, MediumContext, MediumKind};
use crate::domain::name;
use crate::domain::party::{PartyDraft, PartyKind, Profile};
use crate::domain::provenance::Provenance;
use crate::domain::question::{
    Answered, Asking, DEFAULT_CANDIDATES, MAX_CANDIDATES, MAX_IDENTIFIERS, Outcome, Question, Reading as How,
    Resolution, Understood,
};
use crate::domain::resolution::{FULL, Hints, Reason, ReasonKind};
use crate::domain::role::RoleType;

/// An identifier as it was asked for.
struct Query {
    asking: Asking,
    raw: String,
    country: String,
}

/// A search. `None` when something is wrong with it.
pub(crate) fn question_in(reading: &Reading<'_>, request: &proto::ResolvePartyRequest) -> Option<Question> {
    let fields = &reading.fields;
    let queries = queries_in(reading, &request.identifiers);
    let hints = hints_in(&reading.at("hints"), request.hints.as_ref());
    let kind = super::either(fields, "provisional_kind", request.provisional_kind, kind_in, PartyKind::Individual);
    let most = fields.check("max_candidates", count(request.max_candidates, DEFAULT_CANDIDATES, MAX_CANDIDATES));
    let provenance = provenance_in(fields, request.provenance.as_ref());
    let queries = queries?;
    let (kind, provenance) = (kind?, provenance?);
    let provisional = if request.create_provisional { provisional(reading, &queries, kind, provenance) } else { None };
    Some(Question {
        identifiers: queries.into_iter().map(|query| query.asking).collect(),
        hints: hints?,
        provisional,
        most: most?,
    })
}

fn queries_in(reading: &Reading<'_>, identifiers: &[proto::IdentifierQuery]) -> Option<Vec<Query>> {
    if identifiers.is_empty() {
        reading.fields.push("identifiers", reason::REQUIRED, "must name at least one identifier");
        return None;
    }
    if !bounded(&reading.fields, "identifiers", identifiers, MAX_IDENTIFIERS) {
        return None;
    }
    let read: Vec<_> = identifiers
        .iter()
        .enumerate()
        .map(|(index, value)| query_in(&reading.index("identifiers", index), value))
        .collect();
    read.into_iter().collect()
}

fn query_in(reading: &Reading<'_>, value: &proto::IdentifierQuery) -> Option<Query> {
    let fields = &reading.fields;
    let scheme = fields.check("scheme", Scheme::parse(&value.scheme));
    let country = fields.check("country_code", country::parse(&value.country_code));
    let raw = super::line(fields, "value", &value.value, MAX_VALUE);
    let (scheme, country, raw) = (scheme?, country?, raw?);
    if raw.trim().is_empty() && scheme.as_str() != scheme::TEL {
        fields.push("value", reason::REQUIRED, "must be given");
        return None;
    }
    let country = reading.country(&[&country]).to_owned();
    let lookup = lookup(scheme.as_str(), &raw, &country);
    Some(Query { asking: Asking { scheme, lookup, shared: value.shared }, raw, country })
}

fn hints_in(reading: &Reading<'_>, value: Option<&proto::ResolutionHints>) -> Option<Hints> {
    let Some(value) = value else {
        return Some(Hints::default());
    };
    let fields = &reading.fields;
    let display_name = name_line(fields, "display_name", &value.display_name, name::MAX_FULL);
    let kind = fields.check("kind", wire::any_value::<proto::PartyKind>(value.kind)).map(kind_in);
    let role_type = if value.role_type.is_empty() {
        Some(None)
    } else {
        fields.check("role_type", RoleType::parse(&value.role_type)).map(|kind| Some(kind.as_str().to_owned()))
    };
    let country_code = fields.check("country_code", country::parse(&value.country_code));
    Some(Hints { display_name: display_name?, kind: kind?, role_type: role_type?, country_code: country_code? })
}

/// The party that is known by these identifiers alone: numbers and addresses become contact media, everything else a
/// strong claim. Nothing when no identifier could be read.
fn provisional(
    reading: &Reading<'_>,
    queries: &[Query],
    kind: PartyKind,
    provenance: Provenance,
) -> Option<PartyDraft> {
    let (mut media, mut identifiers) = (Vec::<Medium>::new(), Vec::<Identifier>::new());
    for query in queries {
        let Asking { scheme, lookup: Lookup::Value(normalized), shared } = &query.asking else {
            continue;
        };
        let medium_kind = match scheme.as_str() {
            scheme::TEL => Some(MediumKind::Phone),
            scheme::EMAIL => Some(MediumKind::Email),
            _ => None,
        };
        if let Some(medium_kind) = medium_kind {
            if media.iter().any(|known| known.kind == medium_kind && known.normalized == *normalized) {
                continue;
            }
            let context = MediumContext { network: "", country: &query.country };
            if let Ok(medium) = Medium::parse(medium_kind, &query.raw, context) {
                media.push(Medium { shared: *shared || medium.shared, ..medium });
            }
        } else if !identifiers.iter().any(|known| known.scheme == *scheme && known.normalized == *normalized)
            && let Ok(claim) = Identifier::parse(scheme.clone(), &query.raw, Strength::Strong, &query.country)
        {
            identifiers.push(claim);
        }
    }
    if media.is_empty() && identifiers.is_empty() {
        return None;
    }
    let profile = Profile { media, provenance, ..Profile::default() };
    let id = reading.next_id();
    Some(PartyDraft { id, kind, profile, stated: None, identifiers, roles: Vec::new() })
}

/// An answer as a message.
pub(crate) fn resolution_out(found: &Resolution) -> proto::ResolvePartyResponse {
    let outcome = match found.outcome {
        Outcome::Matched => proto::ResolutionOutcome::Matched,
        Outcome::Candidates => proto::ResolutionOutcome::Candidates,
        Outcome::None => proto::ResolutionOutcome::None,
        Outcome::ProvisionalCreated => proto::ResolutionOutcome::ProvisionalCreated,
    };
    proto::ResolvePartyResponse {
        outcome: outcome.into(),
        party: found.party.as_ref().map(party_out),
        candidates: found.candidates.iter().map(|one| candidate_out(one, found)).collect(),
        identifiers: found.identifiers.iter().map(understood_out).collect(),
        truncated: found.truncated,
    }
}

/// Thousandths as a share.
fn share(thousandths: i64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let (part, whole) = (thousandths as f64, FULL as f64);
    part / whole
}

fn candidate_out(answered: &Answered, found: &Resolution) -> proto::MatchCandidate {
    let candidate = &answered.candidate;
    proto::MatchCandidate {
        party: party_name(candidate.party),
        display_name: answered.display_name.clone(),
        confidence: share(candidate.confidence),
        reasons: candidate.reasons.iter().map(|reason| reason_out(reason, found)).collect(),
        role_types: answered.role_types.clone(),
    }
}

fn reason_out(reason: &Reason, found: &Resolution) -> proto::MatchReason {
    let kind = match reason.kind {
        ReasonKind::UniqueIdentifier => proto::MatchReasonKind::UniqueIdentifier,
        ReasonKind::StrongIdentifier => proto::MatchReasonKind::StrongIdentifier,
        ReasonKind::WeakIdentifier => proto::MatchReasonKind::WeakIdentifier,
        ReasonKind::ContactMedium => proto::MatchReasonKind::ContactMedium,
        ReasonKind::SharedMedium => proto::MatchReasonKind::SharedMedium,
        ReasonKind::OutOfValidity => proto::MatchReasonKind::OutOfValidity,
        ReasonKind::FailedVerification => proto::MatchReasonKind::FailedVerification,
        ReasonKind::HintAgrees => proto::MatchReasonKind::HintAgrees,
        ReasonKind::HintDisagrees => proto::MatchReasonKind::HintDisagrees,
        ReasonKind::UniqueConflict => proto::MatchReasonKind::UniqueConflict,
    };
    let scheme = reason.identifier.and_then(|place| found.identifiers.get(place)).map(|one| one.scheme.to_string());
    proto::MatchReason {
        kind: kind.into(),
        scheme: scheme.unwrap_or_default(),
        identifier_index: reason.identifier.and_then(|place| i32::try_from(place).ok()).unwrap_or(-1),
        weight: share(reason.weight),
        description: reason.description.to_string(),
    }
}

fn understood_out(one: &Understood) -> proto::ResolvedIdentifier {
    let (reading, normalized) = match &one.reading {
        How::Read(value) => (proto::IdentifierReading::Read, value.clone()),
        How::Withheld => (proto::IdentifierReading::Withheld, String::new()),
        How::Unreadable => (proto::IdentifierReading::Unreadable, String::new()),
    };
    proto::ResolvedIdentifier {
        scheme: one.scheme.to_string(),
        normalized_value: normalized,
        reading: reading.into(),
        holder_count: i32::try_from(one.holders).unwrap_or(i32::MAX),
    }
}
