//! Parties as callers read them.

use rapport_proto::stakeholders::v1 as proto;
use rapport_rpc::wire;
use rapport_types::{Etag, Timestamp};

use super::{attributes, provenance_out};
use crate::domain::identifier::{Identifier, Strength};
use crate::domain::medium::{Medium, MediumKind, PostalAddress, Verification};
use crate::domain::name::{Name, NameUsage};
use crate::domain::party::{Cessation, CessationKind, Lifecycle, Party, PartyKind, Restriction};
use crate::domain::role::{Role, RoleStatus};

pub(crate) fn kind_to_proto(kind: PartyKind) -> proto::PartyKind {
    match kind {
        PartyKind::Individual => proto::PartyKind::Individual,
        PartyKind::Organization => proto::PartyKind::Organization,
        PartyKind::Household => proto::PartyKind::Household,
        PartyKind::Group => proto::PartyKind::Group,
    }
}

pub(crate) fn lifecycle_to_proto(step: Lifecycle) -> proto::PartyLifecycle {
    match step {
        Lifecycle::Provisional => proto::PartyLifecycle::Provisional,
        Lifecycle::Identified => proto::PartyLifecycle::Identified,
        Lifecycle::Curated => proto::PartyLifecycle::Curated,
        Lifecycle::Restricted => proto::PartyLifecycle::Restricted,
    }
}

pub(crate) fn strength_to_proto(strength: Strength) -> proto::IdentifierStrength {
    match strength {
        Strength::Unique => proto::IdentifierStrength::Unique,
        Strength::Strong => proto::IdentifierStrength::Strong,
        Strength::Weak => proto::IdentifierStrength::Weak,
    }
}

pub(crate) fn role_status_to_proto(status: RoleStatus) -> proto::RoleStatus {
    match status {
        RoleStatus::Prospective => proto::RoleStatus::Prospective,
        RoleStatus::Active => proto::RoleStatus::Active,
        RoleStatus::Suspended => proto::RoleStatus::Suspended,
        RoleStatus::Ended => proto::RoleStatus::Ended,
    }
}

fn some_time(time: Option<Timestamp>) -> Option<prost_types::Timestamp> {
    time.map(wire::to_timestamp)
}

/// A party as a message.
pub(crate) fn party_out(party: &Party) -> proto::Party {
    let profile = &party.profile;
    proto::Party {
        name: party.name().to_string(),
        kind: kind_to_proto(party.kind).into(),
        lifecycle: lifecycle_to_proto(party.lifecycle).into(),
        display_name: profile.display_name.clone(),
        names: profile.names.iter().map(name_out).collect(),
        contact_media: profile.media.iter().map(medium_out).collect(),
        identifiers: party.identifiers.iter().map(identifier_out).collect(),
        roles: party.roles.iter().map(role_out).collect(),
        attributes: attributes::write(&profile.attributes),
        language_code: profile.language_code.clone(),
        country_code: profile.country_code.clone(),
        time_zone: profile.time_zone.clone(),
        cessation: profile.cessation.map(cessation_out),
        provenance: provenance_out(&profile.provenance),
        restriction: profile.restriction.as_ref().map(restriction_out),
        create_time: some_time(Some(party.created_at)),
        update_time: some_time(Some(party.updated_at)),
        etag: Etag::of(party.version).into(),
    }
}

fn restriction_out(restriction: &Restriction) -> proto::Restriction {
    proto::Restriction {
        provenance: provenance_out(&restriction.provenance),
        principal: restriction.principal.clone(),
        restricted_time: some_time(Some(restriction.restricted_at)),
    }
}

fn name_out(name: &Name) -> proto::PartyName {
    let usage = match name.usage {
        NameUsage::Legal => proto::NameUsage::Legal,
        NameUsage::Preferred => proto::NameUsage::Preferred,
        NameUsage::Trading => proto::NameUsage::Trading,
        NameUsage::Former => proto::NameUsage::Former,
    };
    proto::PartyName {
        full_name: name.full.clone(),
        given_name: name.given.clone(),
        family_name: name.family.clone(),
        usage: usage.into(),
        script: name.script.clone(),
    }
}

fn medium_out(medium: &Medium) -> proto::ContactMedium {
    let kind = match medium.kind {
        MediumKind::Phone => proto::MediumKind::Phone,
        MediumKind::Email => proto::MediumKind::Email,
        MediumKind::Postal => proto::MediumKind::Postal,
        MediumKind::Social => proto::MediumKind::Social,
        MediumKind::Web => proto::MediumKind::Web,
    };
    let verification = match medium.verification {
        Verification::Unverified => proto::MediumVerification::Unverified,
        Verification::Verified => proto::MediumVerification::Verified,
        Verification::Failed => proto::MediumVerification::Failed,
    };
    proto::ContactMedium {
        kind: kind.into(),
        value: medium.value.clone(),
        normalized_value: medium.normalized.clone(),
        label: medium.label.clone(),
        network: medium.network.clone(),
        country_code: medium.country_code.clone(),
        postal_address: postal_out(&medium.postal),
        shared: medium.shared,
        preferred: medium.preferred,
        verification: verification.into(),
        verified_time: some_time(medium.verified_at),
        valid_from_time: some_time(medium.validity.start()),
        valid_to_time: some_time(medium.validity.end()),
    }
}

fn postal_out(postal: &PostalAddress) -> Option<proto::PostalAddress> {
    (!postal.is_empty()).then(|| proto::PostalAddress {
        lines: postal.lines.clone(),
        locality: postal.locality.clone(),
        region: postal.region.clone(),
        postal_code: postal.postal_code.clone(),
        country_code: postal.country_code.clone(),
    })
}

fn identifier_out(claim: &Identifier) -> proto::PartyIdentifier {
    proto::PartyIdentifier {
        scheme: claim.scheme.as_str().to_owned(),
        value: claim.value.clone(),
        normalized_value: claim.normalized.clone(),
        strength: strength_to_proto(claim.strength).into(),
        country_code: String::new(),
        create_time: some_time(Some(claim.created_at)),
    }
}

/// A role as a message.
pub(crate) fn role_out(role: &Role) -> proto::PartyRole {
    proto::PartyRole {
        name: role.name().to_string(),
        role_type: role.role_type.as_str().to_owned(),
        scope: role.scope.clone(),
        status: role_status_to_proto(role.status).into(),
        valid_from_time: some_time(role.validity.start()),
        valid_to_time: some_time(role.validity.end()),
        end_reason: role.end_reason.clone(),
        provenance: provenance_out(&role.provenance),
        create_time: some_time(Some(role.created_at)),
        update_time: some_time(Some(role.updated_at)),
    }
}

fn cessation_out(end: Cessation) -> proto::Cessation {
    let kind = match end.kind {
        CessationKind::Deceased => proto::CessationKind::Deceased,
        CessationKind::Closed => proto::CessationKind::Closed,
    };
    proto::Cessation { kind: kind.into(), occurred_time: some_time(end.occurred_at) }
}
