use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::case_service_server::CaseService;
use rapport_rpc::{Call, Reply, handle, wire, written};
use rapport_store::{Binding, Committed};
use rapport_types::error::{Collector, Error};
use rapport_types::page::PageSize;
use tonic::{Request, Response};

use super::convert::provenance;
use super::convert_case::{case, to_case};
use super::convert_commitment::{assignee, to_case_event};
use super::paging::{Place, ascending, cut};
use super::recording::route;
use crate::commands::{AssignCase, OpenCase, TransitionCase};
use crate::domain::{Case, CaseName, CaseStatus, PartyName};
use crate::queries::{CaseList, get_case, list_case_events, list_cases, show_case};
use crate::store::{CaseRow, case_filter};
use rapport_server::Context;

/// `rapport.interactions.v1.CaseService`.
#[derive(Clone)]
pub(crate) struct Cases {
    cx: Context,
}

impl Cases {
    /// The service over its parts.
    pub(crate) fn new(cx: Context) -> Cases {
        Cases { cx }
    }
}

#[tonic::async_trait]
impl CaseService for Cases {
    async fn open_case(&self, request: Request<proto::OpenCaseRequest>) -> Reply<proto::Case> {
        handle(request, |call, request| self.open(call, request)).await
    }

    async fn transition_case(&self, request: Request<proto::TransitionCaseRequest>) -> Reply<proto::Case> {
        handle(request, |call, request| self.transition(call, request)).await
    }

    async fn assign_case(&self, request: Request<proto::AssignCaseRequest>) -> Reply<proto::Case> {
        handle(request, |call, request| self.assign(call, request)).await
    }

    async fn get_case(&self, request: Request<proto::GetCaseRequest>) -> Reply<proto::Case> {
        handle(request, |call, request| async move {
            let name = CaseName::parse(&request.name).map_err(|error| error.at("name"))?;
            let view = get_case(&self.cx.store, call.tenant(), name.uuid()).await?;
            Ok(Response::new(to_case(view)))
        })
        .await
    }

    async fn list_cases(&self, request: Request<proto::ListCasesRequest>) -> Reply<proto::ListCasesResponse> {
        handle(request, |call, request| self.list(call, request)).await
    }

    async fn list_case_events(
        &self,
        request: Request<proto::ListCaseEventsRequest>,
    ) -> Reply<proto::ListCaseEventsResponse> {
        handle(request, |call, request| self.history(call, request)).await
    }
}

impl Cases {
    async fn open(&self, call: Call, request: proto::OpenCaseRequest) -> Result<Response<proto::Case>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let new = fields
            .required("case", request.case.as_ref())
            .and_then(|message| case(&fields.at("case"), message, store.world().now()));
        fields.finish()?;
        let Some(new) = new else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let route = route(store, call.tenant(), &new.named);
        let command = OpenCase { id: store.world().next_id(), case: new, route };
        self.answer(store.submit(scope, command).await?).await
    }

    async fn transition(
        &self,
        call: Call,
        request: proto::TransitionCaseRequest,
    ) -> Result<Response<proto::Case>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let name = fields.check("name", CaseName::parse(&request.name));
        let status = fields.check("status", CaseStatus::parse(request.status));
        let note = fields.check("note", Case::note(&request.note));
        let occurred_at = request
            .occurred_time
            .as_ref()
            .and_then(|time| fields.check("occurred_time", wire::occurred(Some(time), store.world().now())));
        let provenance = provenance(&fields.at("provenance"), request.provenance.as_ref());
        fields.finish()?;
        let (Some(name), Some(to), Some(note), Some(provenance)) = (name, status, note, provenance) else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let etag = request.etag;
        let command = TransitionCase { id: name.uuid(), to, note, occurred_at, etag, provenance };
        self.answer(store.submit(scope, command).await?).await
    }

    async fn assign(&self, call: Call, request: proto::AssignCaseRequest) -> Result<Response<proto::Case>, Error> {
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let name = fields.check("name", CaseName::parse(&request.name));
        let assignee = assignee(&fields.at("assignee"), request.assignee.as_ref());
        let note = fields.check("note", Case::note(&request.note));
        let provenance = provenance(&fields.at("provenance"), request.provenance.as_ref());
        fields.finish()?;
        let (Some(name), Some(assignee), Some(note), Some(provenance)) = (name, assignee, note, provenance) else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let command = AssignCase { id: name.uuid(), assignee, note, etag: request.etag, provenance };
        self.answer(self.cx.store.submit(scope, command).await?).await
    }

    /// The case as the write left it, with its texts.
    async fn answer(&self, committed: Committed<CaseRow>) -> Result<Response<proto::Case>, Error> {
        let store = &self.cx.store;
        let Committed { reply, position, replayed } = committed;
        let view = show_case(store, reply).await?;
        Ok(written(store.service(), Committed { reply: view, position, replayed }, to_case))
    }

    async fn list(
        &self,
        call: Call,
        request: proto::ListCasesRequest,
    ) -> Result<Response<proto::ListCasesResponse>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        let party = match request.party.as_str() {
            "" => None,
            party => fields.check("party", PartyName::parse(party)),
        };
        let size = fields.check("page_size", PageSize::parse(request.page_size));
        fields.finish()?;
        let Some(size) = size else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        let ascending = ascending(&request.order_by, "opened_time")?;
        let filter = case_filter(&request.filter)?;
        let bound = format!("{}|{}", request.party, request.filter);
        let binding = Binding::new(call.tenant(), call.method, &bound, if ascending { "asc" } else { "desc" });
        let after: Option<Place> = store.pages().open(&binding, &request.page_token)?;
        let list =
            CaseList { party: party.map(|party| party.uuid()), filter: &filter, ascending, after, limit: size.probe() };
        let views = list_cases(store, call.tenant(), &list).await?;
        let places = views.into_iter().map(|view| ((view.row.case.opened_at.as_micros(), view.row.id), to_case(view)));
        let (cases, next_page_token) = cut(store, &binding, size, places.collect())?;
        Ok(Response::new(proto::ListCasesResponse { cases, next_page_token }))
    }

    async fn history(
        &self,
        call: Call,
        request: proto::ListCaseEventsRequest,
    ) -> Result<Response<proto::ListCaseEventsResponse>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        let case = fields.check("case", CaseName::parse(&request.case));
        let size = fields.check("page_size", PageSize::parse(request.page_size));
        fields.finish()?;
        let (Some(case), Some(size)) = (case, size) else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        let binding = Binding::new(call.tenant(), call.method, &request.case, "asc");
        let after: Option<Place> = store.pages().open(&binding, &request.page_token)?;
        let after = after.map(|(version, _)| version);
        let steps = list_case_events(store, call.tenant(), case.uuid(), after, size.probe()).await?;
        let places = steps.into_iter().map(|step| ((step.0.version, case.uuid()), to_case_event(step)));
        let (case_events, next_page_token) = cut(store, &binding, size, places.collect())?;
        Ok(Response::new(proto::ListCaseEventsResponse { case_events, next_page_token }))
    }
}
