use rapport_expr::OrderBy;
use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::commitment_service_server::CommitmentService;
use rapport_proto::types::v1::Provenance;
use rapport_rpc::{Call, Reply, handle, wire, written};
use rapport_server::Context;
use rapport_store::{Binding, Committed};
use rapport_types::error::{Collector, Error, FieldError};
use rapport_types::page::PageSize;
use tonic::{Request, Response};

use super::convert::{optional, provenance};
use super::convert_commitment::{commitment, to_commitment};
use super::paging::{Place, cut};
use super::recording::route;
use crate::commands::{EndCommitment, MakeCommitment};
use crate::domain::{CaseName, Commitment, CommitmentEnd, CommitmentName, PartyName};
use crate::queries::{CommitmentList, get_commitment, list_commitments, show_commitment};
use crate::store::{CommitmentRow, commitment_filter};

/// `rapport.interactions.v1.CommitmentService`.
#[derive(Clone)]
pub(crate) struct Commitments {
    cx: Context,
}

/// What the three requests that end a commitment have in common.
struct Ending<'a> {
    name: &'a str,
    end: CommitmentEnd,
    /// The field of what was said of it, and what that is.
    said: (&'static str, Result<String, FieldError>),
    occurred_time: Option<&'a prost_types::Timestamp>,
    etag: &'a str,
    provenance: Option<&'a Provenance>,
}

impl Commitments {
    /// The service over its parts.
    pub(crate) fn new(cx: Context) -> Commitments {
        Commitments { cx }
    }
}

#[tonic::async_trait]
impl CommitmentService for Commitments {
    async fn make_commitment(&self, request: Request<proto::MakeCommitmentRequest>) -> Reply<proto::Commitment> {
        handle(request, |call, request| self.make(call, request)).await
    }

    async fn fulfil_commitment(&self, request: Request<proto::FulfilCommitmentRequest>) -> Reply<proto::Commitment> {
        handle(request, |call, request| async move {
            let ending = Ending {
                name: &request.name,
                end: CommitmentEnd::Kept,
                said: ("note", Commitment::note(&request.note)),
                occurred_time: request.occurred_time.as_ref(),
                etag: &request.etag,
                provenance: request.provenance.as_ref(),
            };
            let (fields, command) = self.ending(ending, &request.request_id);
            fields.finish()?;
            let scope = call.scope(call.method, &request.request_id, &request)?;
            self.end(scope, command).await
        })
        .await
    }

    async fn break_commitment(&self, request: Request<proto::BreakCommitmentRequest>) -> Reply<proto::Commitment> {
        handle(request, |call, request| async move {
            let ending = Ending {
                name: &request.name,
                end: CommitmentEnd::Broken,
                said: ("reason", Commitment::why(&request.reason)),
                occurred_time: request.occurred_time.as_ref(),
                etag: &request.etag,
                provenance: request.provenance.as_ref(),
            };
            let (fields, command) = self.ending(ending, &request.request_id);
            fields.finish()?;
            let scope = call.scope(call.method, &request.request_id, &request)?;
            self.end(scope, command).await
        })
        .await
    }

    async fn waive_commitment(&self, request: Request<proto::WaiveCommitmentRequest>) -> Reply<proto::Commitment> {
        handle(request, |call, request| async move {
            let ending = Ending {
                name: &request.name,
                end: CommitmentEnd::Waived,
                said: ("reason", Commitment::why(&request.reason)),
                occurred_time: request.occurred_time.as_ref(),
                etag: &request.etag,
                provenance: request.provenance.as_ref(),
            };
            let (fields, command) = self.ending(ending, &request.request_id);
            fields.finish()?;
            let scope = call.scope(call.method, &request.request_id, &request)?;
            self.end(scope, command).await
        })
        .await
    }

    async fn get_commitment(&self, request: Request<proto::GetCommitmentRequest>) -> Reply<proto::Commitment> {
        handle(request, |call, request| async move {
            let name = CommitmentName::parse(&request.name).map_err(|error| error.at("name"))?;
            let view = get_commitment(&self.cx.store, call.tenant(), name.uuid()).await?;
            Ok(Response::new(to_commitment(view, self.cx.world.now())))
        })
        .await
    }

    async fn list_commitments(
        &self,
        request: Request<proto::ListCommitmentsRequest>,
    ) -> Reply<proto::ListCommitmentsResponse> {
        handle(request, |call, request| self.list(call, request)).await
    }
}

impl Commitments {
    async fn make(
        &self,
        call: Call,
        request: proto::MakeCommitmentRequest,
    ) -> Result<Response<proto::Commitment>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let new = fields
            .required("commitment", request.commitment.as_ref())
            .and_then(|message| commitment(&fields.at("commitment"), message, store.world().now()));
        fields.finish()?;
        let Some(new) = new else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let route = route(store, call.tenant(), &new.named);
        let command = MakeCommitment { id: store.world().next_id(), commitment: new, route };
        self.answer(store.submit(scope, command).await?).await
    }

    /// The command of a request that ends a commitment, and what is wrong with the request.
    fn ending(&self, ending: Ending<'_>, request_id: &str) -> (Collector, Option<EndCommitment>) {
        let now = self.cx.store.world().now();
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(request_id));
        let name = fields.check("name", CommitmentName::parse(ending.name));
        let (field, said) = ending.said;
        let note = fields.check(field, said);
        let occurred_at =
            optional(ending.occurred_time, |time| fields.check("occurred_time", wire::occurred(Some(time), now)));
        let provenance = provenance(&fields.at("provenance"), ending.provenance);
        let command = match (name, note, occurred_at, provenance) {
            (Some(name), Some(note), Some(occurred_at), Some(provenance)) => Some(EndCommitment {
                id: name.uuid(),
                end: ending.end,
                note,
                occurred_at,
                etag: ending.etag.to_owned(),
                provenance,
            }),
            _ => None,
        };
        (fields, command)
    }

    async fn end(
        &self,
        scope: rapport_store::Scope,
        command: Option<EndCommitment>,
    ) -> Result<Response<proto::Commitment>, Error> {
        let Some(command) = command else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        self.answer(self.cx.store.submit(scope, command).await?).await
    }

    /// The commitment as the write left it, with its texts.
    async fn answer(&self, committed: Committed<CommitmentRow>) -> Result<Response<proto::Commitment>, Error> {
        let store = &self.cx.store;
        let Committed { reply, position, replayed } = committed;
        let view = show_commitment(store, reply).await?;
        let now = self.cx.world.now();
        Ok(written(store.service(), Committed { reply: view, position, replayed }, |view| to_commitment(view, now)))
    }

    async fn list(
        &self,
        call: Call,
        request: proto::ListCommitmentsRequest,
    ) -> Result<Response<proto::ListCommitmentsResponse>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        let party = optional(Some(&request.party).filter(|name| !name.is_empty()), |name| {
            fields.check("party", PartyName::parse(name)).map(|name| name.uuid())
        });
        let case = optional(Some(&request.case).filter(|name| !name.is_empty()), |name| {
            fields.check("case", CaseName::parse(name)).map(|name| name.uuid())
        });
        let size = fields.check("page_size", PageSize::parse(request.page_size));
        fields.finish()?;
        let (Some(party), Some(case), Some(size)) = (party, case, size) else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        let order = OrderBy::parse(&request.order_by, &["due_time"])?;
        let descending = order.first().is_some_and(|key| key.descending);
        let filter = commitment_filter(&request.filter)?;
        let bound = format!("{}|{}|{}", request.party, request.case, request.filter);
        let binding = Binding::new(call.tenant(), call.method, &bound, if descending { "desc" } else { "asc" });
        let after: Option<Place> = store.pages().open(&binding, &request.page_token)?;
        let list = CommitmentList { party, case, filter: &filter, descending, after, limit: size.probe() };
        let views = list_commitments(store, call.tenant(), &list).await?;
        let now = self.cx.world.now();
        let places = views.into_iter().map(|view| {
            let place = (view.row.commitment.due_at.as_micros(), view.row.id);
            (place, to_commitment(view, now))
        });
        let (commitments, next_page_token) = cut(store, &binding, size, places.collect())?;
        Ok(Response::new(proto::ListCommitmentsResponse { commitments, next_page_token }))
    }
}
