use rapport_proto::loyalty::v1 as proto;
use rapport_proto::loyalty::v1::member_service_server::MemberService;
use rapport_rpc::{Call, Reply, handle, wire, written};
use rapport_server::Context;
use rapport_store::Binding;
use rapport_types::error::{Collector, Error};
use rapport_types::page::PageSize;
use rapport_types::{Uuid, reason};
use tonic::{Request, Response};

use super::convert::programs::{member, to_member};
use super::paging::cut;
use super::program_service::checked;
use crate::commands::{EnrollMember, Enrolled};
use crate::domain::{Member, MemberName, PartyName, ProgramName};
use crate::queries::{find_member, list_members};

/// `rapport.loyalty.v1.MemberService`.
#[derive(Clone)]
pub(crate) struct Members {
    cx: Context,
}

impl Members {
    /// The service over its parts.
    pub(crate) fn new(cx: Context) -> Members {
        Members { cx }
    }
}

#[tonic::async_trait]
impl MemberService for Members {
    async fn enroll_member(&self, request: Request<proto::EnrollMemberRequest>) -> Reply<proto::Member> {
        handle(request, |call, request| self.enroll(call, request)).await
    }

    async fn get_member(&self, request: Request<proto::GetMemberRequest>) -> Reply<proto::Member> {
        handle(request, |call, request| async move {
            let name = MemberName::parse(&request.name).map_err(|error| error.at("name"))?;
            let member = find_member(&self.cx.store, call.tenant(), name).await?;
            Ok(Response::new(to_member(&member)))
        })
        .await
    }

    async fn list_members(&self, request: Request<proto::ListMembersRequest>) -> Reply<proto::ListMembersResponse> {
        handle(request, |call, request| self.list(call, request)).await
    }
}

impl Members {
    async fn enroll(&self, call: Call, request: proto::EnrollMemberRequest) -> Result<Response<proto::Member>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let program = fields.check("program", ProgramName::parse(&request.program));
        let id = store.world().next_id();
        let now = store.world().now();
        let new = fields
            .required("member", request.member.as_ref())
            .and_then(|message| member(&fields.at("member"), id, program, message, now));
        fields.finish()?;
        let new = checked(new)?;
        let joined = request.member.as_ref().is_some_and(|member| member.joined_time.is_some());
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let done = store.submit(scope, EnrollMember { member: new.clone(), joined }).await?;
        Ok(written(store.service(), done, |enrolled: Enrolled| {
            let Enrolled { id, number, joined_at, recorded_at } = enrolled;
            to_member(&Member { id, number, joined_at, recorded_at, ..new })
        }))
    }

    async fn list(
        &self,
        call: Call,
        request: proto::ListMembersRequest,
    ) -> Result<Response<proto::ListMembersResponse>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        let program = match request.program.as_str() {
            "" => None,
            name => fields.check("program", ProgramName::parse(name)).map(|name| name.uuid()),
        };
        let party = match request.party.as_str() {
            "" => None,
            name => fields.check("party", PartyName::parse(name)).map(|name| name.uuid()),
        };
        if request.program.is_empty() && request.party.is_empty() {
            fields.push("party", reason::REQUIRED, "must be given when program is not");
        }
        let size = fields.check("page_size", PageSize::parse(request.page_size));
        fields.finish()?;
        let size = checked(size)?;
        let bound = format!("{}|{}", request.program, request.party);
        let binding = Binding::new(call.tenant(), call.method, &bound, "");
        let after: Option<Uuid> = store.pages().open(&binding, &request.page_token)?;
        let read = list_members(store, call.tenant(), (program, party), after, size.probe()).await?;
        let (page, next_page_token) = cut(store, &binding, size, read, |member| member.id)?;
        let members = page.iter().map(to_member).collect();
        Ok(Response::new(proto::ListMembersResponse { members, next_page_token }))
    }
}
