//! Relationships, their types, and neighbourhoods.

use rapport_proto::stakeholders::v1 as proto;
use rapport_rpc::{masked, wire};
use rapport_types::error::FieldError;
use rapport_types::{Collector, Etag, reason};

use super::{bounded, kind_to_proto, line, party_in, party_name, provenance_in, provenance_out, time};
use crate::api::Reading;
use crate::domain::names::RelationshipName;
use crate::domain::party::PartyKind;
use crate::domain::period::Period;
use crate::domain::relationship::{Change, Relationship, RelationshipDraft, Weight};
use crate::domain::relationship_type::RelationshipType;
use crate::queries::{Neighbor, Neighborhood};

/// The most types that a read may be narrowed to.
const MAX_TYPES: usize = 20;

/// A relationship to be recorded. `None` when something is wrong with it.
pub(crate) fn relationship_in(reading: &Reading<'_>, value: &proto::Relationship) -> Option<RelationshipDraft> {
    let fields = &reading.fields;
    let kind = fields.check("relationship_type", RelationshipType::parse(&value.relationship_type));
    let from = party_in(fields, "from_party", &value.from_party);
    let to = party_in(fields, "to_party", &value.to_party);
    let weight = match value.weight {
        Some(weight) => fields.check("weight", Weight::parse(weight)),
        None => Some(Weight::FULL),
    };
    let start = time(fields, "valid_from_time", value.valid_from_time.as_ref());
    let end = time(fields, "valid_to_time", value.valid_to_time.as_ref());
    let scope = line(fields, "scope", &value.scope, 200);
    let provenance = provenance_in(fields, value.provenance.as_ref());
    let (start, end) = (start?, end?);
    fields.check("valid_to_time", Period::parse(start, end))?;
    Some(RelationshipDraft {
        id: reading.next_id(),
        kind: kind?,
        from: from?,
        to: to?,
        weight: weight?,
        start,
        end,
        scope: scope?,
        provenance: provenance?,
    })
}

/// The changes that an update asks for, in the order of the mask.
pub(crate) fn relationship_changes_in(
    reading: &Reading<'_>,
    value: &proto::Relationship,
    mask: Option<&prost_types::FieldMask>,
    root: &Collector,
) -> Option<Vec<Change>> {
    let fields = &reading.fields;
    let wanted = masked(root, mask, &Change::PATHS, known)?;
    let read: Vec<_> = wanted
        .iter()
        .map(|path| match *path {
            "weight" => match value.weight {
                Some(weight) => fields.check(path, Weight::parse(weight)).map(Change::Weight),
                None => Some(Change::Weight(Weight::FULL)),
            },
            "scope" => line(fields, path, &value.scope, 200).map(Change::Scope),
            _ => provenance_in(fields, value.provenance.as_ref()).map(Change::Provenance),
        })
        .collect();
    read.into_iter().collect()
}

/// Whether a path may stand in a mask. The path is not repeated in the text: it could be anything.
fn known(path: &str) -> Result<(), FieldError> {
    if Change::PATHS.contains(&path) {
        return Ok(());
    }
    if ["relationship_type", "from_party", "to_party", "valid_from_time", "valid_to_time"].contains(&path) {
        return Err(FieldError::new(reason::IMMUTABLE_FIELD, "is fixed: end the relationship and record another"));
    }
    if ["name", "end_reason", "create_time", "update_time", "etag"].contains(&path) {
        return Err(FieldError::new(reason::OUTPUT_ONLY_FIELD, "is set by the server, or by a method of its own"));
    }
    Err(FieldError::new(reason::UNKNOWN_FIELD, format!("must be one of {}", Change::PATHS.join(", "))))
}

/// A relationship as a message.
pub(crate) fn relationship_out(tie: &Relationship) -> proto::Relationship {
    proto::Relationship {
        name: tie.name().to_string(),
        relationship_type: tie.kind.clone(),
        from_party: party_name(tie.from),
        to_party: party_name(tie.to),
        weight: Some(tie.weight.value()),
        valid_from_time: tie.validity.start().map(wire::to_timestamp),
        valid_to_time: tie.validity.end().map(wire::to_timestamp),
        scope: tie.scope.clone(),
        end_reason: tie.end_reason.clone(),
        provenance: provenance_out(&tie.provenance),
        create_time: Some(wire::to_timestamp(tie.created_at)),
        update_time: Some(wire::to_timestamp(tie.updated_at)),
        etag: Etag::of(tie.version).into(),
    }
}

/// The types that a read is narrowed to.
pub(crate) fn types_in(fields: &Collector, types: &[String]) -> Option<Vec<String>> {
    if !bounded(fields, "relationship_types", types, MAX_TYPES) {
        return None;
    }
    let read: Vec<_> = types
        .iter()
        .enumerate()
        .map(|(index, slug)| {
            let field = format!("relationship_types[{index}]");
            fields.check(&field, RelationshipType::parse(slug)).map(|kind| kind.slug.to_owned())
        })
        .collect();
    read.into_iter().collect()
}

/// A type as a message.
pub(crate) fn type_out(kind: &RelationshipType) -> proto::RelationshipType {
    let kinds = |kinds: &[PartyKind]| kinds.iter().map(|kind| kind_to_proto(*kind).into()).collect();
    proto::RelationshipType {
        name: format!("relationshipTypes/{}", kind.slug),
        slug: kind.slug.to_owned(),
        label: kind.label.to_owned(),
        inverse_label: kind.inverse_label.to_owned(),
        symmetric: kind.symmetric,
        from_kinds: kinds(kind.from),
        to_kinds: kinds(kind.to),
    }
}

/// The surroundings of a party as a message.
pub(crate) fn neighborhood_out(found: &Neighborhood) -> proto::GetNeighborhoodResponse {
    proto::GetNeighborhoodResponse {
        nodes: found.neighbors.iter().map(node_out).collect(),
        edges: found
            .edges
            .iter()
            .map(|followed| {
                let edge = &followed.edge;
                let label = RelationshipType::find(&edge.kind).map(|kind| kind.label(followed.from_start));
                proto::NeighborEdge {
                    relationship: RelationshipName::new(edge.id).to_string(),
                    relationship_type: edge.kind.clone(),
                    from_party: party_name(edge.from),
                    to_party: party_name(edge.to),
                    weight: edge.weight.value(),
                    label: label.unwrap_or_default().to_owned(),
                    scope: edge.scope.clone(),
                }
            })
            .collect(),
        truncated: found.truncated,
    }
}

fn node_out(neighbor: &Neighbor) -> proto::NeighborNode {
    let (node, party) = (&neighbor.node, &neighbor.party);
    proto::NeighborNode {
        party: party.name().to_string(),
        kind: kind_to_proto(party.kind).into(),
        display_name: party.profile.display_name.clone(),
        role_types: neighbor.role_types.clone(),
        depth: i32::try_from(node.depth).unwrap_or(i32::MAX),
        strength: node.strength.value(),
        truncated: node.truncated,
    }
}
