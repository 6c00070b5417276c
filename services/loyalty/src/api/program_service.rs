use rapport_proto::loyalty::v1 as proto;
use rapport_proto::loyalty::v1::program_service_server::ProgramService;
use rapport_rpc::{Call, Reply, handle, wire, written};
use rapport_server::Context;
use rapport_store::{Binding, Committed};
use rapport_types::Uuid;
use rapport_types::error::{Collector, Error};
use rapport_types::page::PageSize;
use tonic::{Request, Response};

use super::convert::programs::{program, rule, to_program, to_rule, to_unit_type, unit_type};
use super::paging::cut;
use crate::commands::{Change, ChangeProgram, Receipt};
use crate::domain::{Program, ProgramName, ProgramState, Rule, UnitType};
use crate::queries::{find_catalog, list_programs};

/// `rapport.loyalty.v1.ProgramService`.
#[derive(Clone)]
pub(crate) struct Programs {
    cx: Context,
}

impl Programs {
    /// The service over its parts.
    pub(crate) fn new(cx: Context) -> Programs {
        Programs { cx }
    }
}

/// What a collector without violations has let through.
pub(super) fn checked<T>(value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error::bug("a field is neither there nor wrong"))
}

#[tonic::async_trait]
impl ProgramService for Programs {
    async fn create_program(&self, request: Request<proto::CreateProgramRequest>) -> Reply<proto::Program> {
        handle(request, |call, request| self.create(call, request)).await
    }

    async fn get_program(&self, request: Request<proto::GetProgramRequest>) -> Reply<proto::Program> {
        handle(request, |call, request| async move {
            let name = ProgramName::parse(&request.name).map_err(|error| error.at("name"))?;
            let catalog = find_catalog(&self.cx.store, call.tenant(), name.uuid()).await?;
            Ok(Response::new(to_program(&catalog.program)))
        })
        .await
    }

    async fn list_programs(&self, request: Request<proto::ListProgramsRequest>) -> Reply<proto::ListProgramsResponse> {
        handle(request, |call, request| self.list(call, request)).await
    }

    async fn publish_program(&self, request: Request<proto::PublishProgramRequest>) -> Reply<proto::Program> {
        handle(request, |call, request| self.publish(call, request)).await
    }

    async fn create_unit_type(&self, request: Request<proto::CreateUnitTypeRequest>) -> Reply<proto::UnitType> {
        handle(request, |call, request| self.add_unit(call, request)).await
    }

    async fn list_unit_types(
        &self,
        request: Request<proto::ListUnitTypesRequest>,
    ) -> Reply<proto::ListUnitTypesResponse> {
        handle(request, |call, request| async move {
            let parts = Parts::of(&request.program, request.page_size)?;
            let binding = parts.binding(&call);
            let after: Option<Uuid> = self.cx.store.pages().open(&binding, &request.page_token)?;
            let catalog = find_catalog(&self.cx.store, call.tenant(), parts.program.uuid()).await?;
            let rest = catalog.units.into_values().filter(|unit| after.is_none_or(|after| unit.id > after));
            let read: Vec<UnitType> = rest.take(parts.size.probe()).collect();
            let (page, next_page_token) = cut(&self.cx.store, &binding, parts.size, read, |unit| unit.id)?;
            let unit_types = page.iter().map(to_unit_type).collect();
            Ok(Response::new(proto::ListUnitTypesResponse { unit_types, next_page_token }))
        })
        .await
    }

    async fn create_earning_rule(
        &self,
        request: Request<proto::CreateEarningRuleRequest>,
    ) -> Reply<proto::EarningRule> {
        handle(request, |call, request| self.add_rule(call, request)).await
    }

    async fn list_earning_rules(
        &self,
        request: Request<proto::ListEarningRulesRequest>,
    ) -> Reply<proto::ListEarningRulesResponse> {
        handle(request, |call, request| async move {
            let parts = Parts::of(&request.program, request.page_size)?;
            let binding = parts.binding(&call);
            let after: Option<Uuid> = self.cx.store.pages().open(&binding, &request.page_token)?;
            let catalog = find_catalog(&self.cx.store, call.tenant(), parts.program.uuid()).await?;
            let rest = catalog.rules.into_values().filter(|rule| after.is_none_or(|after| rule.id > after));
            let read: Vec<Rule> = rest.take(parts.size.probe()).collect();
            let (page, next_page_token) = cut(&self.cx.store, &binding, parts.size, read, |rule| rule.id)?;
            let earning_rules = page.iter().map(to_rule).collect();
            Ok(Response::new(proto::ListEarningRulesResponse { earning_rules, next_page_token }))
        })
        .await
    }
}

/// A list of what belongs to a programme.
pub(super) struct Parts {
    pub(super) program: ProgramName,
    pub(super) size: PageSize,
}

impl Parts {
    /// Reads what every such request holds.
    pub(super) fn of(program: &str, size: i32) -> Result<Parts, Error> {
        let fields = Collector::new();
        let program = fields.check("program", ProgramName::parse(program));
        let size = fields.check("page_size", PageSize::parse(size));
        fields.finish()?;
        Ok(Parts { program: checked(program)?, size: checked(size)? })
    }

    /// What a page token of the list belongs to.
    pub(super) fn binding(&self, call: &Call) -> Binding {
        Binding::new(call.tenant(), call.method, &self.program.to_string(), "")
    }
}

impl Programs {
    async fn create(
        &self,
        call: Call,
        request: proto::CreateProgramRequest,
    ) -> Result<Response<proto::Program>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let id = store.world().next_id();
        let new = fields
            .required("program", request.program.as_ref())
            .and_then(|message| program(&fields.at("program"), id, message));
        fields.finish()?;
        let new = checked(new)?;
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let command = ChangeProgram { program: id, change: Change::Create(new.clone()) };
        let done = store.submit(scope, command).await?;
        Ok(written(store.service(), done, |receipt: Receipt| {
            to_program(&Program { id: receipt.id, recorded_at: receipt.recorded_at, ..new })
        }))
    }

    async fn list(
        &self,
        call: Call,
        request: proto::ListProgramsRequest,
    ) -> Result<Response<proto::ListProgramsResponse>, Error> {
        let store = &self.cx.store;
        let size = PageSize::parse(request.page_size).map_err(|error| error.at("page_size"))?;
        let binding = Binding::new(call.tenant(), call.method, "", "");
        let after: Option<Uuid> = store.pages().open(&binding, &request.page_token)?;
        let read = list_programs(store, call.tenant(), after, size.probe()).await?;
        let (page, next_page_token) = cut(store, &binding, size, read, |program| program.id)?;
        let programs = page.iter().map(to_program).collect();
        Ok(Response::new(proto::ListProgramsResponse { programs, next_page_token }))
    }

    async fn publish(
        &self,
        call: Call,
        request: proto::PublishProgramRequest,
    ) -> Result<Response<proto::Program>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let name = fields.check("name", ProgramName::parse(&request.name));
        fields.finish()?;
        let name = checked(name)?;
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let change = Change::Publish { etag: request.etag, validate_only: request.validate_only };
        let done = store.submit(scope, ChangeProgram { program: name.uuid(), change }).await?;
        let program = find_catalog(store, call.tenant(), name.uuid()).await?.program;
        Ok(written(store.service(), done, |receipt: Receipt| {
            // As the write left it, whatever came since.
            let state = if receipt.published { ProgramState::Published } else { ProgramState::Draft };
            let published_at = receipt.published.then_some(receipt.recorded_at);
            to_program(&Program { state, published_at, version: receipt.version, ..program })
        }))
    }

    async fn add_unit(
        &self,
        call: Call,
        request: proto::CreateUnitTypeRequest,
    ) -> Result<Response<proto::UnitType>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let program = fields.check("program", ProgramName::parse(&request.program));
        let id = store.world().next_id();
        let new = fields
            .required("unit_type", request.unit_type.as_ref())
            .and_then(|message| unit_type(&fields.at("unit_type"), id, program, message));
        fields.finish()?;
        let new = checked(new)?;
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let command = ChangeProgram { program: new.program, change: Change::AddUnit(new.clone()) };
        let done: Committed<Receipt> = store.submit(scope, command).await?;
        Ok(written(store.service(), done, |receipt| {
            to_unit_type(&UnitType { id: receipt.id, recorded_at: receipt.recorded_at, ..new })
        }))
    }

    async fn add_rule(
        &self,
        call: Call,
        request: proto::CreateEarningRuleRequest,
    ) -> Result<Response<proto::EarningRule>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let program = fields.check("program", ProgramName::parse(&request.program));
        let id = store.world().next_id();
        let new = fields
            .required("earning_rule", request.earning_rule.as_ref())
            .and_then(|message| rule(&fields.at("earning_rule"), id, program, message));
        fields.finish()?;
        let new = checked(new)?;
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let command = ChangeProgram { program: new.program, change: Change::AddRule(new.clone()) };
        let done: Committed<Receipt> = store.submit(scope, command).await?;
        Ok(written(store.service(), done, |receipt| {
            to_rule(&Rule { id: receipt.id, recorded_at: receipt.recorded_at, ..new })
        }))
    }
}
