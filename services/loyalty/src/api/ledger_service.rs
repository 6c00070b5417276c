use std::sync::Arc;
use std::time::Duration;

use rapport_proto::loyalty::v1 as proto;
use rapport_proto::loyalty::v1::ledger_service_server::LedgerService;
use rapport_rpc::{Call, Reply, handle, wire, written};
use rapport_server::Context;
use rapport_store::{Binding, Committed, Scope};
use rapport_types::Uuid;
use rapport_types::error::{Collector, Error};
use rapport_types::page::PageSize;
use tonic::{Request, Response};

use super::convert::ledger::{Asked, accrual, adjustment, to_balance, to_entry, to_lot, to_transaction};
use super::convert::programs::unit_type_of;
use super::paging::cut;
use super::program_service::checked;
use crate::commands::{Post, Posted};
use crate::domain::{Lot, MemberName};
use crate::queries::{balances, journal, lots};
use crate::store::{Catalogs, LotPage, LotPlace, catalogs_warm};

/// How far `expiring` looks ahead when nothing is said.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// `rapport.loyalty.v1.LedgerService`.
#[derive(Clone)]
pub(crate) struct Ledger {
    cx: Context,
    catalogs: Arc<Catalogs>,
}

impl Ledger {
    /// The service over its parts.
    pub(crate) fn new(cx: Context, catalogs: Arc<Catalogs>) -> Ledger {
        Ledger { cx, catalogs }
    }
}

#[tonic::async_trait]
impl LedgerService for Ledger {
    async fn post_accrual(&self, request: Request<proto::PostAccrualRequest>) -> Reply<proto::Transaction> {
        handle(request, |call, request| async move {
            let fields = Collector::new();
            let asked = accrual(&fields, &request, self.cx.store.world().now());
            fields.finish()?;
            let scope = call.scope(call.method, &request.request_id, &request)?;
            self.post(scope, checked(asked)?, "").await
        })
        .await
    }

    async fn adjust_balance(&self, request: Request<proto::AdjustBalanceRequest>) -> Reply<proto::Transaction> {
        handle(request, |call, request| async move {
            let fields = Collector::new();
            let asked = adjustment(&fields, &request);
            fields.finish()?;
            let scope = call.scope(call.method, &request.request_id, &request)?;
            self.post(scope, checked(asked)?, &request.reason).await
        })
        .await
    }

    async fn get_balances(&self, request: Request<proto::GetBalancesRequest>) -> Reply<proto::GetBalancesResponse> {
        handle(request, |call, request| async move {
            let fields = Collector::new();
            let name = fields.check("name", MemberName::parse(&request.name));
            let as_of = request.as_of.as_ref().and_then(|time| fields.check("as_of", wire::timestamp(time)));
            let soon =
                request.expiring_within.as_ref().and_then(|span| fields.check("expiring_within", wire::duration(span)));
            fields.finish()?;
            let name = checked(name)?;
            let store = &self.cx.store;
            let (at, found) = balances(store, &self.catalogs, call.tenant(), name, as_of, soon.unwrap_or(SOON)).await?;
            let balances = found.iter().map(|(unit, balance)| to_balance(name.parent(), *unit, balance)).collect();
            Ok(Response::new(proto::GetBalancesResponse { balances, as_of: Some(wire::to_timestamp(at)) }))
        })
        .await
    }

    async fn list_entries(&self, request: Request<proto::ListEntriesRequest>) -> Reply<proto::ListEntriesResponse> {
        handle(request, |call, request| async move {
            let store = &self.cx.store;
            let list = List::of(&request.member, &request.unit_type, request.page_size)?;
            let binding = list.binding(&call, "");
            let before: Option<i64> = store.pages().open(&binding, &request.page_token)?;
            let read = journal(store, call.tenant(), list.member, list.unit_type, before, list.size.probe()).await?;
            let (page, next_page_token) = cut(store, &binding, list.size, read, |(row, _)| row.entry.sequence)?;
            let entries = page.into_iter().map(|(row, grounds)| to_entry(list.member, &row.entry, grounds)).collect();
            Ok(Response::new(proto::ListEntriesResponse { entries, next_page_token }))
        })
        .await
    }

    async fn list_lots(&self, request: Request<proto::ListLotsRequest>) -> Reply<proto::ListLotsResponse> {
        handle(request, |call, request| async move {
            let store = &self.cx.store;
            let list = List::of(&request.member, &request.unit_type, request.page_size)?;
            let binding = list.binding(&call, if request.show_closed { "all" } else { "open" });
            let after: Option<LotPlace> = store.pages().open(&binding, &request.page_token)?;
            let now = store.world().now();
            let open_at = (!request.show_closed).then_some(now);
            let page = LotPage { unit_type: list.unit_type, open_at, after, limit: list.size.probe() };
            let read = lots(store, call.tenant(), list.member, &page).await?;
            let place = |lot: &Lot| -> LotPlace { (lot.expires_at.as_micros(), lot.earned_at.as_micros(), lot.id) };
            let (page, next_page_token) = cut(store, &binding, list.size, read, place)?;
            let lots = page.iter().map(|lot| to_lot(list.member, lot, now)).collect();
            Ok(Response::new(proto::ListLotsResponse { lots, next_page_token }))
        })
        .await
    }
}

/// A list of what belongs to a member.
struct List {
    member: MemberName,
    unit_type: Option<Uuid>,
    size: PageSize,
}

impl List {
    fn of(member: &str, unit_type: &str, size: i32) -> Result<List, Error> {
        let fields = Collector::new();
        let member = fields.check("member", MemberName::parse(member));
        let unit_type = match unit_type {
            "" => None,
            name => unit_type_of(&fields, "unit_type", name, member.map(|member| member.parent())),
        };
        let size = fields.check("page_size", PageSize::parse(size));
        fields.finish()?;
        Ok(List { member: checked(member)?, unit_type, size: checked(size)? })
    }

    fn binding(&self, call: &Call, which: &str) -> Binding {
        let bound = format!("{}|{:?}|{which}", self.member, self.unit_type);
        Binding::new(call.tenant(), call.method, &bound, "")
    }
}

impl Ledger {
    async fn post(&self, scope: Scope, asked: Asked, grounds: &str) -> Result<Response<proto::Transaction>, Error> {
        let store = &self.cx.store;
        let Asked { member, what, source, occurred_at } = asked;
        let command = Post {
            transaction: store.world().next_id(),
            lot: store.world().next_id(),
            member,
            what,
            source,
            occurred_at,
            catalogs: self.catalogs.clone(),
        };
        let done: Committed<Posted> = store.submit(scope, command).await?;
        catalogs_warm(store, &self.catalogs).await;
        Ok(written(store.service(), done, |posted| to_transaction(member, &posted, grounds)))
    }
}
