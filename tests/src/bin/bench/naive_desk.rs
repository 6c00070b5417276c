//! The baselines of the desk behind the same stack, over the tables of the product: an answer that is only sent back, one
//! point select of a row that was put together before, and five statements one after the other.
//!
//! They are kinder to themselves than an honest service could be: nothing is sealed, checked or evaluated.

use std::path::Path;

use rapport_proto::interactions::v1 as pb;
use rapport_proto::interactions::v1::desk_service_server::{DeskService, DeskServiceServer};
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_server::{Context, Module, Section, Services};
use rapport_store::sea_orm::{DatabaseConnection, TransactionTrait as _, Value};
use rapport_store::{Migrations, Rows, Sql};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use crate::naive;

/// The bytes of a context that was put together before.
const READY: usize = 1_500;

/// The desk as a textbook would write it.
pub(crate) struct NaiveDesk {
    database: DatabaseConnection,
}

impl NaiveDesk {
    /// Connects to where the tables will be.
    pub(crate) async fn new(data: &Path, url: &str) -> NaiveDesk {
        NaiveDesk { database: naive::connect(data, url, "interactions").await }
    }

    /// Makes rows of so many parties, and of so many interactions of each.
    pub(crate) async fn fill(&self, parties: usize, each: usize) {
        let all: Vec<usize> = (0..parties).collect();
        for some in all.chunks(500) {
            let columns = &["tenant", "party", "kind", "facet", "position", "as_of", "sealed"];
            let mut rows = Rows::new("desk_section", columns);
            for n in some {
                for (kind, bytes) in [(1_i16, READY), (2, 200), (4, 200)] {
                    rows.push([
                        "local".into(),
                        party(*n).into(),
                        kind.into(),
                        "".into(),
                        0_i64.into(),
                        0_i64.into(),
                        vec![b'x'; bytes].into(),
                    ]);
                }
            }
            rows.insert(&self.database).await.unwrap();
        }
        for turn in 0..each {
            for some in all.chunks(500) {
                self.interactions(some, turn).await;
            }
        }
    }

    async fn interactions(&self, parties: &[usize], turn: usize) {
        let columns = &[
            "tenant",
            "id",
            "version",
            "kind",
            "medium",
            "online",
            "direction",
            "occurred_at",
            "recorded_at",
            "subject",
            "detail",
            "sealed",
        ];
        let mut facts = Rows::new("interaction", columns);
        let columns =
            &["tenant", "origin", "occurred_at", "interaction_id", "ordinal", "recorded_at", "role_type", "function"];
        let mut index = Rows::new("interaction_participant", columns);
        for n in parties {
            let (id, at) = (Uuid::now_v7(), turn as i64);
            facts.push([
                "local".into(),
                id.into(),
                1_i64.into(),
                "inquiry".into(),
                Value::SmallInt(Some(1)),
                false.into(),
                Value::SmallInt(Some(1)),
                at.into(),
                at.into(),
                party(*n).into(),
                vec![7_u8; 48].into(),
                vec![7_u8; 120].into(),
            ]);
            index.push([
                "local".into(),
                party(*n).into(),
                at.into(),
                id.into(),
                Value::SmallInt(Some(0)),
                at.into(),
                "customer".into(),
                Value::SmallInt(Some(1)),
            ]);
        }
        facts.insert(&self.database).await.unwrap();
        index.insert(&self.database).await.unwrap();
    }
}

/// The id of a party of the baseline.
pub(crate) fn party(n: usize) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + n as u128)
}

impl Module for NaiveDesk {
    fn name(&self) -> &'static str {
        "interactions"
    }

    fn configure(&mut self, _: &Section) -> Result<(), String> {
        Ok(())
    }

    fn migrations(&self) -> Migrations {
        rapport::modules().into_iter().find(|module| module.name() == "interactions").unwrap().migrations()
    }

    fn routes(&self, _: &Context, services: &mut Services) {
        services.add_service(DeskServiceServer::new(Api { database: self.database.clone() }));
    }
}

#[derive(Clone)]
struct Api {
    database: DatabaseConnection,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Reply<T> = Result<Response<T>, Status>;

fn failed(error: impl std::fmt::Display) -> Status {
    Status::new(Code::Internal, error.to_string())
}

fn ready(bytes: Vec<u8>) -> pb::AgentContext {
    let card = pb::CardSection { display_name: String::from_utf8(bytes).unwrap_or_default(), ..Default::default() };
    pb::AgentContext { card: Some(card), ..Default::default() }
}

impl Api {
    async fn section(&self, party: Uuid, kind: i16) -> Result<Vec<u8>, Failure> {
        let row = Sql::new(&self.database, "SELECT sealed FROM desk_section WHERE tenant = ")
            .bind("local")
            .text(" AND party = ")
            .bind(party)
            .text(" AND kind = ")
            .bind(kind)
            .one(&self.database)
            .await?;
        Ok(row.ok_or("no row")?.try_get_by_index(0)?)
    }

    /// Profile, last interactions, cases, scores, balance.
    async fn five(&self, party: Uuid) -> Result<pb::AgentContext, Failure> {
        let mut bytes = self.section(party, 1).await?;
        let db = &self.database;
        let text = "SELECT i.id, i.kind, i.detail, i.sealed FROM interaction_participant AS p JOIN interaction AS i \
                    ON i.tenant = p.tenant AND i.id = p.interaction_id WHERE p.tenant = ";
        let last = Sql::new(db, text)
            .bind("local")
            .text(" AND p.origin = ")
            .bind(party)
            .text(" ORDER BY p.occurred_at DESC, p.interaction_id DESC LIMIT 20")
            .all(db)
            .await?;
        let interactions = last.iter().map(|row| {
            let id: Uuid = row.try_get_by_index(0)?;
            Ok::<_, Failure>(pb::Interaction {
                name: format!("interactions/{id}"),
                kind: row.try_get_by_index(1)?,
                ..Default::default()
            })
        });
        let interactions = interactions.collect::<Result<Vec<_>, _>>()?;
        let _cases = Sql::new(db, "SELECT id, kind, sealed FROM case_file WHERE tenant = ")
            .bind("local")
            .text(" AND origin = ")
            .bind(party)
            .text(" ORDER BY opened_at DESC LIMIT 10")
            .all(db)
            .await?;
        bytes.truncate(400);
        bytes.extend(self.section(party, 2).await?);
        bytes.extend(self.section(party, 4).await?);
        let history = pb::HistorySection { status: None, interactions };
        Ok(pb::AgentContext { history: Some(history), ..ready(bytes) })
    }

    async fn context(&self, request: pb::GetAgentContextRequest) -> Result<pb::AgentContext, Failure> {
        let Some(About::Identifier(about)) = request.about else {
            return Err("an identifier says what is wanted".into());
        };
        let party: Uuid = about.value.parse()?;
        match about.scheme.as_str() {
            "echo" => Ok(ready(vec![b'x'; READY])),
            "point" => Ok(ready(self.section(party, 1).await?)),
            _ => self.five(party).await,
        }
    }

    /// One point select and one insert, in a transaction.
    async fn begin(&self, call: pb::Call) -> Result<pb::Call, Failure> {
        let party: Uuid = call.identifier_used.as_ref().ok_or("no identifier")?.value.parse()?;
        let tx = self.database.begin().await?;
        let text = "SELECT position FROM desk_section WHERE kind = 1 AND tenant = ";
        Sql::new(&tx, text).bind("local").text(" AND party = ").bind(party).one(&tx).await?.ok_or("no row")?;
        let columns = &["tenant", "id", "state", "origin", "subject", "recorded_at", "detail", "sealed"];
        let mut rows = Rows::new("call_leg", columns);
        let id = Uuid::now_v7();
        rows.push([
            "local".into(),
            id.into(),
            Value::SmallInt(Some(1)),
            party.into(),
            party.into(),
            0_i64.into(),
            vec![7_u8; 120].into(),
            vec![7_u8; 120].into(),
        ]);
        rows.insert(&tx).await?;
        tx.commit().await?;
        Ok(pb::Call { name: format!("calls/{id}"), ..call })
    }
}

fn absent<T>() -> Reply<T> {
    Err(Status::new(Code::Unimplemented, "the baseline only looks up and begins"))
}

#[tonic::async_trait]
impl DeskService for Api {
    type WatchAgentContextStream = tokio_stream::Empty<Result<pb::WatchAgentContextResponse, Status>>;

    async fn get_agent_context(&self, request: Request<pb::GetAgentContextRequest>) -> Reply<pb::AgentContext> {
        self.context(request.into_inner()).await.map(Response::new).map_err(failed)
    }

    async fn begin_call(&self, request: Request<pb::BeginCallRequest>) -> Reply<pb::Call> {
        self.begin(request.into_inner().call.unwrap_or_default()).await.map(Response::new).map_err(failed)
    }

    async fn watch_agent_context(
        &self,
        _: Request<pb::WatchAgentContextRequest>,
    ) -> Reply<Self::WatchAgentContextStream> {
        absent()
    }

    async fn transfer_call(&self, _: Request<pb::TransferCallRequest>) -> Reply<pb::Call> {
        absent()
    }

    async fn end_call(&self, _: Request<pb::EndCallRequest>) -> Reply<pb::Call> {
        absent()
    }
}
