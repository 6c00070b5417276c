use rapport_proto::stakeholders::v1 as proto;
use rapport_proto::stakeholders::v1::relationship_service_server::RelationshipService;
use rapport_rpc::{Reply, handle, wire, written};
use rapport_store::Binding;
use rapport_types::{PageSize, reason};
use tonic::{Request, Response, async_trait};

use super::party::unread;
use super::{Hands, SERVICE, convert};
use crate::commands::{CreateRelationship, EndRelationship, UpdateRelationship};
use crate::domain::names::RelationshipName;
use crate::domain::neighbourhood::{Budget, MAX_DEPTH};
use crate::domain::relationship_type::BUILT_IN;
use crate::queries::{self, NeighborhoodQuestion, RelationshipQuestion};

/// The graph of relationships between parties.
#[derive(Clone, Debug)]
pub struct RelationshipApi {
    hands: Hands,
}

impl RelationshipApi {
    pub(crate) fn new(hands: Hands) -> RelationshipApi {
        RelationshipApi { hands }
    }
}

#[async_trait]
impl RelationshipService for RelationshipApi {
    async fn create_relationship(
        &self,
        request: Request<proto::CreateRelationshipRequest>,
    ) -> Reply<proto::Relationship> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            reading.fields.check("request_id", wire::request_id(&request.request_id));
            let given = reading.fields.required("relationship", request.relationship.as_ref());
            let draft = given.and_then(|given| convert::relationship_in(&reading.at("relationship"), given));
            reading.fields.finish()?;
            let draft = draft.ok_or_else(unread)?;
            if request.validate_only {
                let tie = queries::check_relationship(&self.hands.store, call.tenant(), &draft).await?;
                return Ok(Response::new(proto::Relationship {
                    name: String::new(),
                    ..convert::relationship_out(&tie)
                }));
            }
            let command = CreateRelationship { draft };
            let scope = call.scope(call.method, &request.request_id, &request)?;
            let done = self.hands.store.submit(scope, command).await?;
            Ok(written(SERVICE, done, |tie| convert::relationship_out(&tie)))
        })
        .await
    }

    async fn update_relationship(
        &self,
        request: Request<proto::UpdateRelationshipRequest>,
    ) -> Reply<proto::Relationship> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            reading.fields.check("request_id", wire::request_id(&request.request_id));
            let tie = reading.fields.required("relationship", request.relationship.as_ref());
            let inner = reading.at("relationship");
            let name = tie.and_then(|tie| inner.fields.check("name", RelationshipName::parse(&tie.name)));
            let mask = request.update_mask.as_ref();
            let changes = tie.and_then(|tie| convert::relationship_changes_in(&inner, tie, mask, &reading.fields));
            drop(inner);
            reading.fields.finish()?;
            let command = UpdateRelationship {
                relationship: name.ok_or_else(unread)?.uuid(),
                etag: tie.map(|tie| tie.etag.clone()).unwrap_or_default(),
                changes: changes.ok_or_else(unread)?,
            };
            let scope = call.scope(call.method, &request.request_id, &request)?;
            let done = self.hands.store.submit(scope, command).await?;
            Ok(written(SERVICE, done, |tie| convert::relationship_out(&tie)))
        })
        .await
    }

    async fn end_relationship(&self, request: Request<proto::EndRelationshipRequest>) -> Reply<proto::Relationship> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            let fields = &reading.fields;
            fields.check("request_id", wire::request_id(&request.request_id));
            let name = fields.check("name", RelationshipName::parse(&request.name));
            let at = convert::past(&reading, "end_time", request.end_time.as_ref());
            let reason = convert::line(fields, "reason", &request.reason, 500);
            reading.fields.finish()?;
            let command = EndRelationship {
                relationship: name.ok_or_else(unread)?.uuid(),
                at: at.ok_or_else(unread)?,
                reason: reason.ok_or_else(unread)?,
                etag: request.etag.clone(),
            };
            let scope = call.scope(call.method, &request.request_id, &request)?;
            let done = self.hands.store.submit(scope, command).await?;
            Ok(written(SERVICE, done, |tie| convert::relationship_out(&tie)))
        })
        .await
    }

    async fn list_relationships(
        &self,
        request: Request<proto::ListRelationshipsRequest>,
    ) -> Reply<proto::ListRelationshipsResponse> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            let fields = &reading.fields;
            let party = match request.party.as_str() {
                "" => None,
                name => convert::party_in(fields, "party", name),
            };
            let types = convert::types_in(fields, &request.relationship_types);
            let as_of = convert::time(fields, "as_of", request.as_of.as_ref());
            let size = fields.check("page_size", PageSize::parse(request.page_size));
            reading.fields.finish()?;
            let question = RelationshipQuestion {
                party,
                types: types.ok_or_else(unread)?,
                as_of: as_of.ok_or_else(unread)?,
                include_ended: request.include_ended,
                size: size.ok_or_else(unread)?,
                token: request.page_token,
            };
            let page = queries::list_relationships(&self.hands.store, call.tenant(), question).await?;
            Ok(Response::new(proto::ListRelationshipsResponse {
                relationships: page.ties.iter().map(convert::relationship_out).collect(),
                next_page_token: page.next,
            }))
        })
        .await
    }

    async fn get_neighborhood(
        &self,
        request: Request<proto::GetNeighborhoodRequest>,
    ) -> Reply<proto::GetNeighborhoodResponse> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            let fields = &reading.fields;
            let party = convert::party_in(fields, "party", &request.party);
            let depth = match usize::try_from(request.depth) {
                Ok(0) => Some(1),
                Ok(depth) if depth <= MAX_DEPTH => Some(depth),
                _ => {
                    fields.push("depth", reason::OUT_OF_RANGE, format!("must be from 1 to {MAX_DEPTH}"));
                    None
                }
            };
            let types = convert::types_in(fields, &request.relationship_types);
            let as_of = convert::time(fields, "as_of", request.as_of.as_ref());
            let nodes = fields.check("max_nodes", convert::count(request.max_nodes, 100, 1_000));
            let edges = fields.check("max_edges", convert::count(request.max_edges, 500, 5_000));
            let per_node = fields.check("max_edges_per_node", convert::count(request.max_edges_per_node, 50, 500));
            reading.fields.finish()?;
            let question = NeighborhoodQuestion {
                party: party.ok_or_else(unread)?,
                budget: Budget {
                    depth: depth.ok_or_else(unread)?,
                    nodes: nodes.ok_or_else(unread)?,
                    edges: edges.ok_or_else(unread)?,
                    per_node: per_node.ok_or_else(unread)?,
                },
                types: types.ok_or_else(unread)?,
                as_of: as_of.ok_or_else(unread)?,
            };
            let found = queries::get_neighborhood(&self.hands.store, call.tenant(), question).await?;
            Ok(Response::new(convert::neighborhood_out(&found)))
        })
        .await
    }

    async fn list_relationship_types(
        &self,
        request: Request<proto::ListRelationshipTypesRequest>,
    ) -> Reply<proto::ListRelationshipTypesResponse> {
        handle(request, |call, request| async move {
            let size = PageSize::parse(request.page_size).map_err(|error| error.at("page_size"))?;
            let binding = Binding::new(call.tenant(), "ListRelationshipTypes", "", "");
            let pages = self.hands.store.pages();
            let after: Option<String> = pages.open(&binding, &request.page_token)?;
            let mut rest = BUILT_IN.iter().filter(|kind| after.as_deref().is_none_or(|after| kind.slug > after));
            let page: Vec<_> = rest.by_ref().take(size.get()).collect();
            let next_page_token = match page.last().filter(|_| rest.next().is_some()) {
                Some(last) => pages.seal(&binding, &last.slug)?,
                None => String::new(),
            };
            Ok(Response::new(proto::ListRelationshipTypesResponse {
                relationship_types: page.into_iter().map(convert::type_out).collect(),
                next_page_token,
            }))
        })
        .await
    }
}
