use std::sync::Arc;

use rapport_proto::loyalty::v1 as proto;
use rapport_proto::loyalty::v1::tier_service_server::TierService;
use rapport_rpc::{Call, Reply, handle, wire, written};
use rapport_server::Context;
use rapport_store::Committed;
use rapport_types::Uuid;
use rapport_types::error::{Collector, Error};
use tonic::{Request, Response};

use super::convert::programs::{tier, to_status, to_tier};
use super::paging::cut;
use super::program_service::{Parts, checked};
use crate::commands::{Change, ChangeProgram, Receipt};
use crate::domain::{MemberName, ProgramName, Tier};
use crate::queries::{find_catalog, standing};
use crate::store::Catalogs;

/// `rapport.loyalty.v1.TierService`.
#[derive(Clone)]
pub(crate) struct Tiers {
    cx: Context,
    catalogs: Arc<Catalogs>,
}

impl Tiers {
    /// The service over its parts.
    pub(crate) fn new(cx: Context, catalogs: Arc<Catalogs>) -> Tiers {
        Tiers { cx, catalogs }
    }
}

#[tonic::async_trait]
impl TierService for Tiers {
    async fn create_tier(&self, request: Request<proto::CreateTierRequest>) -> Reply<proto::Tier> {
        handle(request, |call, request| self.add(call, request)).await
    }

    async fn list_tiers(&self, request: Request<proto::ListTiersRequest>) -> Reply<proto::ListTiersResponse> {
        handle(request, |call, request| self.list(call, request)).await
    }

    async fn get_tier_status(&self, request: Request<proto::GetTierStatusRequest>) -> Reply<proto::TierStatus> {
        handle(request, |call, request| async move {
            let fields = Collector::new();
            let name = fields.check("name", MemberName::parse(&request.name));
            let as_of = request.as_of.as_ref().and_then(|time| fields.check("as_of", wire::timestamp(time)));
            fields.finish()?;
            let name = checked(name)?;
            let (at, catalog, standing) = standing(&self.cx.store, &self.catalogs, call.tenant(), name, as_of).await?;
            Ok(Response::new(to_status(name, &catalog, &standing, at)))
        })
        .await
    }
}

impl Tiers {
    async fn add(&self, call: Call, request: proto::CreateTierRequest) -> Result<Response<proto::Tier>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let program = fields.check("program", ProgramName::parse(&request.program));
        let id = store.world().next_id();
        let new = fields
            .required("tier", request.tier.as_ref())
            .and_then(|message| tier(&fields.at("tier"), id, program, message));
        fields.finish()?;
        let new = checked(new)?;
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let command = ChangeProgram { program: new.program, change: Change::AddTier(new.clone()) };
        let done: Committed<Receipt> = store.submit(scope, command).await?;
        Ok(written(store.service(), done, |receipt| {
            to_tier(&Tier { id: receipt.id, recorded_at: receipt.recorded_at, ..new })
        }))
    }

    async fn list(
        &self,
        call: Call,
        request: proto::ListTiersRequest,
    ) -> Result<Response<proto::ListTiersResponse>, Error> {
        let store = &self.cx.store;
        let parts = Parts::of(&request.program, request.page_size)?;
        let binding = parts.binding(&call);
        let after: Option<(i64, Uuid)> = store.pages().open(&binding, &request.page_token)?;
        let catalog = find_catalog(store, call.tenant(), parts.program.uuid()).await?;
        let place = |tier: &Tier| (tier.entry, tier.id);
        let rest = catalog.ladder.tiers().iter().filter(|tier| after.is_none_or(|after| place(tier) > after));
        let read: Vec<Tier> = rest.take(parts.size.probe()).cloned().collect();
        let (page, next_page_token) = cut(store, &binding, parts.size, read, place)?;
        let tiers = page.iter().map(to_tier).collect();
        Ok(Response::new(proto::ListTiersResponse { tiers, next_page_token }))
    }
}
