//! What this service publishes: from domain facts to messages without personal data. It consumes nothing.

use rapport_proto::stakeholders::v1 as proto;
use rapport_rpc::wire;
use rapport_store::Outbox;
use rapport_types::{TenantId, Timestamp};

use crate::api::convert;
use crate::domain::consent::Consent;
use crate::domain::identifier::Identifier;
use crate::domain::party::Party;
use crate::domain::relationship::Relationship;
use crate::domain::role::Role;

/// A party was recorded, as version 1; its claims and roles follow as events of their own, and the party's version
/// moves on with them.
pub fn party_created(out: &mut Outbox, tenant: &TenantId, party: &mut Party) {
    let now = party.created_at;
    let name = party.name();
    let message = proto::PartyCreated {
        party: name.to_string(),
        kind: convert::kind_to_proto(party.kind).into(),
        lifecycle: convert::lifecycle_to_proto(party.lifecycle).into(),
    };
    out.event(tenant, name, party.version, now, &message);
    for claim in party.identifiers.clone() {
        party.version += 1;
        identifier_claimed(out, tenant, party, &claim, now);
    }
    // Roles are kept newest first; they are told in the order they were given.
    for role in party.roles.clone().iter().rev() {
        party.version += 1;
        role_assigned(out, tenant, party, role);
    }
}

/// Fields of a party changed.
pub fn party_updated(out: &mut Outbox, tenant: &TenantId, party: &Party, paths: Vec<String>) {
    let message = proto::PartyUpdated {
        party: party.name().to_string(),
        changed_paths: paths,
        lifecycle: convert::lifecycle_to_proto(party.lifecycle).into(),
        ceased: party.ceased(),
    };
    out.event(tenant, party.name(), party.version, party.updated_at, &message);
}

/// A party was given a role.
pub fn role_assigned(out: &mut Outbox, tenant: &TenantId, party: &Party, role: &Role) {
    let message = proto::RoleAssigned {
        role: role.name().to_string(),
        party: party.name().to_string(),
        role_type: role.role_type.as_str().to_owned(),
        status: convert::role_status_to_proto(role.status).into(),
    };
    out.event(tenant, party.name(), party.version, role.validity.start().unwrap_or(role.created_at), &message);
}

/// A role of a party ended.
pub fn role_ended(out: &mut Outbox, tenant: &TenantId, party: &Party, role: &Role) {
    let message = proto::RoleEnded {
        role: role.name().to_string(),
        party: party.name().to_string(),
        role_type: role.role_type.as_str().to_owned(),
    };
    out.event(tenant, party.name(), party.version, role.validity.until, &message);
}

/// A party was given an identifier.
pub fn identifier_claimed(out: &mut Outbox, tenant: &TenantId, party: &Party, claim: &Identifier, at: Timestamp) {
    let message = proto::IdentifierClaimed {
        party: party.name().to_string(),
        scheme: claim.scheme.as_str().to_owned(),
        strength: convert::strength_to_proto(claim.strength).into(),
    };
    out.event(tenant, party.name(), party.version, at, &message);
}

/// A tie was recorded.
pub fn relationship_created(out: &mut Outbox, tenant: &TenantId, tie: &Relationship) {
    let message = proto::RelationshipCreated {
        relationship: tie.name().to_string(),
        relationship_type: tie.kind.clone(),
        from_party: convert::party_name(tie.from),
        to_party: convert::party_name(tie.to),
        weight_micros: tie.weight.micros(),
        valid_from_time: tie.validity.start().map(wire::to_timestamp),
        valid_to_time: tie.validity.end().map(wire::to_timestamp),
    };
    out.event(tenant, tie.name(), tie.version, tie.validity.start().unwrap_or(tie.created_at), &message);
}

/// Fields of a tie were corrected.
pub fn relationship_updated(out: &mut Outbox, tenant: &TenantId, tie: &Relationship, paths: &[&str]) {
    let message = proto::RelationshipUpdated {
        relationship: tie.name().to_string(),
        relationship_type: tie.kind.clone(),
        from_party: convert::party_name(tie.from),
        to_party: convert::party_name(tie.to),
        weight_micros: tie.weight.micros(),
        valid_from_time: tie.validity.start().map(wire::to_timestamp),
        valid_to_time: tie.validity.end().map(wire::to_timestamp),
        changed_paths: paths.iter().map(ToString::to_string).collect(),
    };
    out.event(tenant, tie.name(), tie.version, tie.updated_at, &message);
}

/// A tie ended.
pub fn relationship_ended(out: &mut Outbox, tenant: &TenantId, tie: &Relationship) {
    let message = proto::RelationshipEnded {
        relationship: tie.name().to_string(),
        relationship_type: tie.kind.clone(),
        from_party: convert::party_name(tie.from),
        to_party: convert::party_name(tie.to),
        weight_micros: tie.weight.micros(),
        valid_from_time: tie.validity.start().map(wire::to_timestamp),
        valid_to_time: tie.validity.end().map(wire::to_timestamp),
    };
    out.event(tenant, tie.name(), tie.version, tie.validity.until, &message);
}

/// A party gave or withdrew consent.
pub fn consent_recorded(out: &mut Outbox, tenant: &TenantId, consent: &Consent) {
    let message = proto::ConsentRecorded {
        consent: consent.name().to_string(),
        party: convert::party_name(consent.party),
        purpose: consent.purpose.clone(),
        channel: consent.channel.clone(),
        state: convert::consent_state_to_proto(consent.state).into(),
    };
    out.event(tenant, consent.name(), 1, consent.occurred_at, &message);
}
