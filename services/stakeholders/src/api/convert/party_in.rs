//! Parties as callers write them.

use std::collections::BTreeSet;

use rapport_proto::stakeholders::v1 as proto;
use rapport_rpc::{masked, wire};
use rapport_types::error::FieldError;
use rapport_types::{Collector, reason};

use super::{attributes, bounded, either, line, name_line, past, provenance_in, time};
use crate::api::Reading;
use crate::domain::attributes::Attributes;
use crate::domain::identifier::{self, Identifier, Scheme, Strength};
use crate::domain::medium::{self, Medium, MediumContext, MediumKind, PostalAddress, Verification};
use crate::domain::name::{self, Name, NameUsage};
use crate::domain::party::{Cessation, CessationKind, Lifecycle, PartyDraft, PartyKind, Profile};
use crate::domain::party_change::{self, Change};
use crate::domain::period::Period;
use crate::domain::role::{self, RoleDraft, RoleStatus, RoleType};
use crate::domain::{country, text};

/// The kind of party that an enum value stands for.
pub(crate) fn kind_in(kind: proto::PartyKind) -> Option<PartyKind> {
    match kind {
        proto::PartyKind::Unspecified => None,
        proto::PartyKind::Individual => Some(PartyKind::Individual),
        proto::PartyKind::Organization => Some(PartyKind::Organization),
        proto::PartyKind::Household => Some(PartyKind::Household),
        proto::PartyKind::Group => Some(PartyKind::Group),
    }
}

/// A party to be recorded. `None` when something is wrong with it.
pub(crate) fn draft_in(reading: &Reading<'_>, party: &proto::Party) -> Option<PartyDraft> {
    let fields = &reading.fields;
    let kind = fields.check("kind", wire::chosen::<proto::PartyKind>(party.kind)).and_then(kind_in);
    let display_name = name_line(fields, "display_name", &party.display_name, name::MAX_FULL);
    let names = names_in(fields, &party.names);
    let country_code = fields.check("country_code", country::parse(&party.country_code));
    let home = country_code.clone().unwrap_or_default();
    let media = media_in(reading, &party.contact_media, &home);
    let identifiers = identifiers_in(reading, &party.identifiers, &home);
    let roles = roles_in(reading, &party.roles);
    let attributes = match &party.attributes {
        Some(value) => fields.check("attributes", attributes::read(value)),
        None => Some(Attributes::default()),
    };
    let language_code = fields.check("language_code", rapport_types::text::language(&party.language_code));
    let time_zone = fields.check("time_zone", text::time_zone(&party.time_zone));
    let cessation = cessation_in(reading, party.cessation.as_ref());
    if let (Some(kind), Some(Some(end))) = (kind, cessation) {
        cessation_fits(fields, end.kind, kind);
    }
    let provenance = provenance_in(fields, party.provenance.as_ref());
    let stated = stated_in(fields, party);
    let nothing = party.display_name.is_empty()
        && party.names.is_empty()
        && party.contact_media.is_empty()
        && party.identifiers.is_empty();
    if nothing {
        fields.push("display_name", reason::REQUIRED, "must be given, or names, contact_media or identifiers");
    }
    Some(PartyDraft {
        id: reading.next_id(),
        kind: kind?,
        profile: Profile {
            display_name: display_name?,
            names: names?,
            media: media?,
            attributes: attributes?,
            language_code: language_code?,
            country_code: country_code?,
            time_zone: time_zone?,
            cessation: cessation?,
            provenance: provenance?,
            restriction: None,
        },
        stated,
        identifiers: identifiers?,
        roles: roles?,
    })
}

/// What a caller may say of a party that is new; every other lifecycle is found.
fn stated_in(fields: &Collector, party: &proto::Party) -> Option<Lifecycle> {
    if party.lifecycle == i32::from(proto::PartyLifecycle::Curated) {
        if party.display_name.is_empty() && party.names.is_empty() {
            fields.push(
                "display_name",
                reason::REQUIRED,
                "must be given, or names, where a party is PARTY_LIFECYCLE_CURATED",
            );
        }
        return Some(Lifecycle::Curated);
    }
    (party.lifecycle == i32::from(proto::PartyLifecycle::Restricted)).then(|| {
        restriction_fits(fields, party);
        Lifecycle::Restricted
    })
}

/// Whoever sets a party apart from the start says why, and does so with the living alone, as an update does.
fn restriction_fits(fields: &Collector, party: &proto::Party) {
    if party.provenance.as_ref().is_none_or(|told| told.reason.trim().is_empty()) {
        fields.push("provenance.reason", reason::REQUIRED, "must say why a party is restricted");
    }
    if party.cessation.is_some() {
        let description =
            "must not be PARTY_LIFECYCLE_RESTRICTED with a cessation: nobody deceased or closed is restricted";
        fields.push("lifecycle", reason::CONFLICTING_FIELDS, description);
    }
}

fn cessation_fits(fields: &Collector, cessation: CessationKind, kind: PartyKind) {
    if let Err(error) = party_change::fits(cessation, kind) {
        for violation in error.violations {
            fields.push("cessation.kind", violation.reason, violation.description);
        }
    }
}

fn names_in(fields: &Collector, names: &[proto::PartyName]) -> Option<Vec<Name>> {
    if !bounded(fields, "names", names, name::LIMIT) {
        return None;
    }
    let read = |(index, value): (usize, &proto::PartyName)| {
        let fields = fields.index("names", index);
        let full = name_line(&fields, "full_name", &value.full_name, name::MAX_FULL);
        let given = name_line(&fields, "given_name", &value.given_name, name::MAX_PART);
        let family = name_line(&fields, "family_name", &value.family_name, name::MAX_PART);
        let usage = either(&fields, "usage", value.usage, usage_in, NameUsage::Legal);
        let script = fields.check("script", name::script(&value.script));
        fields.check("full_name", Name::assemble(full?, given?, family?, usage?, script?))
    };
    // Every name is read before the first wrong one ends it.
    let read: Vec<_> = names.iter().enumerate().map(read).collect();
    read.into_iter().collect()
}

fn usage_in(usage: proto::NameUsage) -> Option<NameUsage> {
    match usage {
        proto::NameUsage::Unspecified => None,
        proto::NameUsage::Legal => Some(NameUsage::Legal),
        proto::NameUsage::Preferred => Some(NameUsage::Preferred),
        proto::NameUsage::Trading => Some(NameUsage::Trading),
        proto::NameUsage::Former => Some(NameUsage::Former),
    }
}

fn media_in(reading: &Reading<'_>, media: &[proto::ContactMedium], home: &str) -> Option<Vec<Medium>> {
    if !bounded(&reading.fields, "contact_media", media, medium::LIMIT) {
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut read = Vec::with_capacity(media.len());
    for (index, value) in media.iter().enumerate() {
        let reading = reading.index("contact_media", index);
        let medium = medium_in(&reading, value, home);
        if let Some(medium) = &medium
            && !seen.insert((medium.kind, medium.network.clone(), medium.normalized.clone()))
        {
            reading.fields.push("value", reason::DUPLICATE, "comes twice");
        }
        read.push(medium);
    }
    read.into_iter().collect()
}

fn medium_in(reading: &Reading<'_>, value: &proto::ContactMedium, home: &str) -> Option<Medium> {
    let fields = &reading.fields;
    let kind = fields.check("kind", wire::chosen::<proto::MediumKind>(value.kind)).and_then(medium_kind_in);
    let label = line(fields, "label", &value.label, 100);
    let own_country = fields.check("country_code", country::parse(&value.country_code));
    let postal = postal_in(fields, value.postal_address.as_ref());
    let network = match kind {
        Some(MediumKind::Social) => fields.check("network", text::slug(&value.network)),
        _ if value.network.is_empty() => Some(String::new()),
        Some(_) => {
            fields.push("network", reason::CONFLICTING_FIELDS, "must be empty for all but SOCIAL media");
            None
        }
        None => None,
    };
    let verification = either(
        fields,
        "verification",
        value.verification,
        |given| match given {
            proto::MediumVerification::Unspecified => None,
            proto::MediumVerification::Unverified => Some(Verification::Unverified),
            proto::MediumVerification::Verified => Some(Verification::Verified),
            proto::MediumVerification::Failed => Some(Verification::Failed),
        },
        Verification::Unverified,
    );
    let verified_at = past(reading, "verified_time", value.verified_time.as_ref());
    let from = time(fields, "valid_from_time", value.valid_from_time.as_ref());
    let until = time(fields, "valid_to_time", value.valid_to_time.as_ref());
    let validity = fields.check("valid_to_time", Period::parse(from?, until?));
    let (kind, network, own_country, postal) = (kind?, network?, own_country?, postal?);
    if kind != MediumKind::Postal && !postal.is_empty() {
        fields.push("postal_address", reason::CONFLICTING_FIELDS, "must be empty for all but POSTAL media");
        return None;
    }
    let written = if value.value.trim().is_empty() { postal.line() } else { value.value.clone() };
    let country = match kind {
        MediumKind::Phone => reading.country(&[&own_country, home]),
        _ => &own_country,
    };
    let medium = fields.check("value", Medium::parse(kind, &written, MediumContext { network: &network, country }))?;
    Some(Medium {
        label: label?,
        postal,
        shared: value.shared || medium.shared,
        preferred: value.preferred,
        verification: verification?,
        verified_at: verified_at?,
        validity: validity?,
        ..medium
    })
}

fn medium_kind_in(kind: proto::MediumKind) -> Option<MediumKind> {
    match kind {
        proto::MediumKind::Unspecified => None,
        proto::MediumKind::Phone => Some(MediumKind::Phone),
        proto::MediumKind::Email => Some(MediumKind::Email),
        proto::MediumKind::Postal => Some(MediumKind::Postal),
        proto::MediumKind::Social => Some(MediumKind::Social),
        proto::MediumKind::Web => Some(MediumKind::Web),
    }
}

fn postal_in(fields: &Collector, value: Option<&proto::PostalAddress>) -> Option<PostalAddress> {
    let Some(value) = value else {
        return Some(PostalAddress::default());
    };
    let fields = fields.at("postal_address");
    let lines: Option<Vec<_>> = bounded(&fields, "lines", &value.lines, 5).then(|| {
        let read: Vec<_> =
            value.lines.iter().enumerate().map(|(i, text)| line(&fields, &format!("lines[{i}]"), text, 200)).collect();
        read.into_iter().collect::<Option<Vec<_>>>()
    })?;
    let locality = line(&fields, "locality", &value.locality, 100);
    let region = line(&fields, "region", &value.region, 100);
    let postal_code = line(&fields, "postal_code", &value.postal_code, 20);
    let country_code = fields.check("country_code", country::parse(&value.country_code));
    Some(PostalAddress {
        lines: lines?,
        locality: locality?,
        region: region?,
        postal_code: postal_code?,
        country_code: country_code?,
    })
}

fn identifiers_in(
    reading: &Reading<'_>,
    identifiers: &[proto::PartyIdentifier],
    home: &str,
) -> Option<Vec<Identifier>> {
    if !bounded(&reading.fields, "identifiers", identifiers, identifier::LIMIT) {
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut read = Vec::with_capacity(identifiers.len());
    for (index, value) in identifiers.iter().enumerate() {
        let reading = reading.index("identifiers", index);
        let claim = identifier_in(&reading, value, home);
        if let Some(claim) = &claim
            && !seen.insert((claim.scheme.clone(), claim.normalized.clone()))
        {
            reading.fields.push("value", reason::DUPLICATE, "comes twice");
        }
        read.push(claim);
    }
    read.into_iter().collect()
}

/// An identifier to be claimed; `home` is the country of its party.
pub(crate) fn identifier_in(reading: &Reading<'_>, value: &proto::PartyIdentifier, home: &str) -> Option<Identifier> {
    let fields = &reading.fields;
    let scheme = fields.check("scheme", Scheme::parse(&value.scheme));
    let strength = either(
        fields,
        "strength",
        value.strength,
        |given| match given {
            proto::IdentifierStrength::Unspecified => None,
            proto::IdentifierStrength::Unique => Some(Strength::Unique),
            proto::IdentifierStrength::Strong => Some(Strength::Strong),
            proto::IdentifierStrength::Weak => Some(Strength::Weak),
        },
        Strength::Strong,
    );
    let country = fields.check("country_code", country::parse(&value.country_code));
    if value.value.is_empty() {
        fields.push("value", reason::REQUIRED, "must be given");
        return None;
    }
    let (scheme, strength, country) = (scheme?, strength?, country?);
    let country = reading.country(&[&country, home]);
    fields.check("value", Identifier::parse(scheme, &value.value, strength, country))
}

fn roles_in(reading: &Reading<'_>, roles: &[proto::PartyRole]) -> Option<Vec<RoleDraft>> {
    if !bounded(&reading.fields, "roles", roles, role::LIMIT) {
        return None;
    }
    let read: Vec<_> =
        roles.iter().enumerate().map(|(index, value)| role_in(&reading.index("roles", index), value)).collect();
    read.into_iter().collect()
}

/// A role to be given.
pub(crate) fn role_in(reading: &Reading<'_>, value: &proto::PartyRole) -> Option<RoleDraft> {
    let fields = &reading.fields;
    let role_type = fields.check("role_type", RoleType::parse(&value.role_type));
    let scope = line(fields, "scope", &value.scope, 200);
    let status = either(fields, "status", value.status, |given| role_status_in(fields, given), RoleStatus::Active);
    let from = time(fields, "valid_from_time", value.valid_from_time.as_ref());
    let until = time(fields, "valid_to_time", value.valid_to_time.as_ref());
    let provenance = provenance_in(fields, value.provenance.as_ref());
    let (from, until) = (from?, until?);
    fields.check("valid_to_time", Period::parse(from, until))?;
    Some(RoleDraft {
        id: reading.next_id(),
        role_type: role_type?,
        scope: scope?,
        status: status?,
        from,
        until,
        provenance: provenance?,
    })
}

fn role_status_in(fields: &Collector, status: proto::RoleStatus) -> Option<RoleStatus> {
    match status {
        proto::RoleStatus::Unspecified => None,
        proto::RoleStatus::Prospective => Some(RoleStatus::Prospective),
        proto::RoleStatus::Active => Some(RoleStatus::Active),
        proto::RoleStatus::Suspended => Some(RoleStatus::Suspended),
        proto::RoleStatus::Ended => {
            fields.push("status", reason::OUTPUT_ONLY_FIELD, "must not be ENDED: EndRole ends roles");
            None
        }
    }
}

/// `None` when it is wrong, `Some(None)` when the party has not ceased.
fn cessation_in(reading: &Reading<'_>, value: Option<&proto::Cessation>) -> Option<Option<Cessation>> {
    let Some(value) = value else { return Some(None) };
    let reading = reading.at("cessation");
    let kind = reading.fields.check("kind", wire::chosen::<proto::CessationKind>(value.kind));
    let occurred_at = past(&reading, "occurred_time", value.occurred_time.as_ref());
    let kind = match kind? {
        proto::CessationKind::Deceased => CessationKind::Deceased,
        proto::CessationKind::Closed => CessationKind::Closed,
        proto::CessationKind::Unspecified => return None,
    };
    Some(Some(Cessation { kind, occurred_at: occurred_at? }))
}

/// Paths that `*` stands for.
const WRITABLE: &[&str] = &[
    "display_name",
    "names",
    "contact_media",
    "attributes",
    "language_code",
    "country_code",
    "time_zone",
    "cessation",
    "provenance",
];
const OUTPUT_ONLY: &[&str] = &["name", "identifiers", "roles", "create_time", "update_time", "etag"];

/// The changes that an update asks for, in the order of the mask; `home` is the country that the party has.
pub(crate) fn changes_in(
    reading: &Reading<'_>,
    party: &proto::Party,
    mask: Option<&prost_types::FieldMask>,
    root: &Collector,
    home: &str,
) -> Option<Vec<Change>> {
    let wanted = masked(root, mask, WRITABLE, known)?;
    let read: Vec<_> = wanted.iter().map(|path| change_in(reading, party, path, home)).collect();
    read.into_iter().collect()
}

/// Whether a path may stand in a mask. The path is not repeated in the text: it could be anything.
fn known(path: &str) -> Result<(), FieldError> {
    if WRITABLE.contains(&path)
        || path == "lifecycle"
        || path.strip_prefix("attributes.").is_some_and(|key| !key.is_empty())
    {
        return Ok(());
    }
    if path == "kind" {
        return Err(FieldError::new(reason::IMMUTABLE_FIELD, "is fixed at creation"));
    }
    if OUTPUT_ONLY.contains(&path) {
        return Err(FieldError::new(reason::OUTPUT_ONLY_FIELD, "is set by the server, or by a method of its own"));
    }
    let description = format!("must be one of {}, lifecycle, attributes.<key>", WRITABLE.join(", "));
    Err(FieldError::new(reason::UNKNOWN_FIELD, description))
}

fn change_in(reading: &Reading<'_>, party: &proto::Party, path: &str, home: &str) -> Option<Change> {
    let fields = &reading.fields;
    Some(match path {
        "display_name" => Change::DisplayName(name_line(fields, path, &party.display_name, name::MAX_FULL)?),
        "names" => Change::Names(names_in(fields, &party.names)?),
        "contact_media" => Change::Media(media_in(reading, &party.contact_media, home)?),
        "attributes" => match &party.attributes {
            Some(value) => Change::Attributes(fields.check(path, attributes::read(value))?),
            None => Change::Attributes(Attributes::default()),
        },
        "language_code" => Change::Language(fields.check(path, rapport_types::text::language(&party.language_code))?),
        "country_code" => Change::Country(fields.check(path, country::parse(&party.country_code))?),
        "time_zone" => Change::TimeZone(fields.check(path, text::time_zone(&party.time_zone))?),
        "cessation" => Change::Cessation(cessation_in(reading, party.cessation.as_ref())?),
        "provenance" => Change::Provenance(provenance_in(fields, party.provenance.as_ref())?),
        "lifecycle" => {
            let step = fields.check(path, wire::chosen::<proto::PartyLifecycle>(party.lifecycle))?;
            Change::Lifecycle(lifecycle_in(step)?)
        }
        other => {
            let key = other.strip_prefix("attributes.")?;
            let value = party.attributes.as_ref().and_then(|all| all.fields.get(key));
            let value = match value {
                Some(value) => Some(fields.check("attributes", attributes::read_value(value))?),
                None => None,
            };
            Change::Attribute(key.to_owned(), value)
        }
    })
}

fn lifecycle_in(step: proto::PartyLifecycle) -> Option<Lifecycle> {
    match step {
        proto::PartyLifecycle::Unspecified => None,
        proto::PartyLifecycle::Provisional => Some(Lifecycle::Provisional),
        proto::PartyLifecycle::Identified => Some(Lifecycle::Identified),
        proto::PartyLifecycle::Curated => Some(Lifecycle::Curated),
        proto::PartyLifecycle::Restricted => Some(Lifecycle::Restricted),
    }
}
