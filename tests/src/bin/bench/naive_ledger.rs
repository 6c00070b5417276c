//! The baseline of the ledger: the same contract behind the same stack into the same tables, by the transaction of the
//! textbook: lock the member's account, write the entry and the lot, move both balances, note the request.
//!
//! It is kinder to itself than an honest service could be: it checks nothing, counts no sequence and tells nobody.

use std::path::Path;

use rapport_proto::loyalty::v1 as pb;
use rapport_proto::loyalty::v1::ledger_service_server::{LedgerService, LedgerServiceServer};
use rapport_server::{Context, Module, Section, Services};
use rapport_store::sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, TransactionTrait as _, Value};
use rapport_store::{Migrations, Rows, Sql};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use crate::naive;

/// The service `loyalty` as a textbook would write it.
pub(crate) struct NaiveLedger {
    database: DatabaseConnection,
}

impl NaiveLedger {
    /// Connects to where the tables will be.
    pub(crate) async fn new(data: &Path, url: &str) -> NaiveLedger {
        NaiveLedger { database: naive::connect(data, url, "loyalty").await }
    }

    /// Makes the accounts: one for each member, and the one that issues.
    pub(crate) async fn seed(database: &DatabaseConnection) {
        for some in (0..MEMBERS).collect::<Vec<_>>().chunks(500) {
            let mut rows = Rows::new("account", &["tenant", "member_id", "unit_type_id", "balance"]);
            for n in some {
                rows.push(["local".into(), member(*n).into(), UNIT.into(), 0_i64.into()]);
            }
            rows.insert(database).await.unwrap();
        }
        let mut issuance = Rows::new("account", &["tenant", "member_id", "unit_type_id", "balance"]);
        issuance.push(["local".into(), Uuid::nil().into(), UNIT.into(), 0_i64.into()]);
        issuance.insert(database).await.unwrap();
    }

    /// Its connection.
    pub(crate) fn connection(&self) -> &DatabaseConnection {
        &self.database
    }
}

/// How many members there are.
pub(crate) const MEMBERS: usize = 10_000;
/// What is posted.
pub(crate) const UNIT: Uuid = Uuid::from_u128(7);

/// The id of a member of the baseline.
pub(crate) fn member(n: usize) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001 + n as u128)
}

impl Module for NaiveLedger {
    fn name(&self) -> &'static str {
        "loyalty"
    }

    fn configure(&mut self, _: &Section) -> Result<(), String> {
        Ok(())
    }

    fn migrations(&self) -> Migrations {
        rapport::modules().into_iter().find(|module| module.name() == "loyalty").unwrap().migrations()
    }

    fn routes(&self, _: &Context, services: &mut Services) {
        services.add_service(LedgerServiceServer::new(Api { database: self.database.clone() }));
    }
}

#[derive(Clone)]
struct Api {
    database: DatabaseConnection,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Api {
    async fn post(&self, request: pb::PostAccrualRequest) -> Result<pb::Transaction, Failure> {
        let member: Uuid = request.member.rsplit('/').next().unwrap_or_default().parse()?;
        let request_id: Uuid = request.request_id.parse()?;
        let id = Uuid::now_v7();
        let now = request.occurred_time.map_or(0, |time| time.seconds * 1_000_000);
        let tx = self.database.begin().await?;
        let mut select = Sql::new(&tx, "SELECT balance FROM account WHERE tenant = ")
            .bind("local")
            .text(" AND member_id = ")
            .bind(member)
            .text(" AND unit_type_id = ")
            .bind(UNIT);
        if tx.get_database_backend() == DbBackend::Postgres {
            select = select.text(" FOR UPDATE");
        }
        let previous: i64 = select.one(&tx).await?.ok_or("no account")?.try_get_by_index(0)?;
        let next = previous + request.amount;
        let mut entry = Rows::new(
            "entry",
            &[
                "tenant",
                "member_id",
                "sequence",
                "unit_type_id",
                "kind",
                "transaction_id",
                "giver",
                "taker",
                "amount",
                "previous_balance",
                "new_balance",
                "source",
                "effective_at",
                "recorded_at",
                "principal",
            ],
        );
        entry.push([
            "local".into(),
            member.into(),
            // The balance grows by one with each posting here, so it counts them.
            next.into(),
            UNIT.into(),
            Value::SmallInt(Some(1)),
            id.into(),
            Value::SmallInt(Some(2)),
            Value::SmallInt(Some(1)),
            request.amount.into(),
            previous.into(),
            next.into(),
            request.source.as_str().into(),
            now.into(),
            now.into(),
            "users/ana".into(),
        ]);
        entry.insert(&tx).await?;
        let mut lot = Rows::new(
            "lot",
            &[
                "tenant",
                "member_id",
                "expires_at",
                "earned_at",
                "id",
                "unit_type_id",
                "available_at",
                "amount",
                "remaining",
                "expired",
                "recorded_at",
            ],
        );
        lot.push([
            "local".into(),
            member.into(),
            i64::MAX.into(),
            now.into(),
            id.into(),
            UNIT.into(),
            now.into(),
            request.amount.into(),
            request.amount.into(),
            0_i64.into(),
            now.into(),
        ]);
        lot.insert(&tx).await?;
        for account in [member, Uuid::nil()] {
            Sql::new(&tx, "UPDATE account SET balance = balance + ")
                .bind(request.amount)
                .text(" WHERE tenant = ")
                .bind("local")
                .text(" AND member_id = ")
                .bind(account)
                .text(" AND unit_type_id = ")
                .bind(UNIT)
                .execute(&tx)
                .await?;
        }
        naive::note(&tx, request_id, member, now).await?;
        tx.commit().await?;
        Ok(pb::Transaction { name: format!("transactions/{id}"), amount: request.amount, ..Default::default() })
    }
}

type Reply<T> = Result<Response<T>, Status>;

fn absent<T>() -> Reply<T> {
    Err(Status::new(Code::Unimplemented, "the baseline only posts"))
}

#[tonic::async_trait]
impl LedgerService for Api {
    async fn post_accrual(&self, request: Request<pb::PostAccrualRequest>) -> Reply<pb::Transaction> {
        self.post(request.into_inner())
            .await
            .map(Response::new)
            .map_err(|error| Status::new(Code::Internal, error.to_string()))
    }

    async fn adjust_balance(&self, _: Request<pb::AdjustBalanceRequest>) -> Reply<pb::Transaction> {
        absent()
    }

    async fn get_balances(&self, _: Request<pb::GetBalancesRequest>) -> Reply<pb::GetBalancesResponse> {
        absent()
    }

    async fn list_entries(&self, _: Request<pb::ListEntriesRequest>) -> Reply<pb::ListEntriesResponse> {
        absent()
    }

    async fn list_lots(&self, _: Request<pb::ListLotsRequest>) -> Reply<pb::ListLotsResponse> {
        absent()
    }
}
