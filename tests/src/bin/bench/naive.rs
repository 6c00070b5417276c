//! The baseline: the same contract behind the same stack into the same tables, one transaction per request.
//!
//! It is kinder to itself than an honest service could be: it checks nothing, seals nothing and numbers nothing.

use std::path::Path;
use std::time::Duration;

use rapport_proto::interactions::v1 as pb;
use rapport_proto::interactions::v1::interaction_service_server::{InteractionService, InteractionServiceServer};
use rapport_server::{Context, Module, Section, Services};
use rapport_store::sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, TransactionTrait as _, Value,
};
use rapport_store::{Migrations, Sql};
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

/// The service `interactions` as a textbook would write it.
pub(crate) struct Naive {
    database: DatabaseConnection,
}

impl Naive {
    /// Its connection.
    pub(crate) fn connection(&self) -> &DatabaseConnection {
        &self.database
    }

    /// Connects to where the tables will be: a file as durable as ours with one writer, or a pool of sessions.
    pub(crate) async fn new(data: &Path, url: &str) -> Naive {
        Naive { database: connect(data, url, "interactions").await }
    }
}

/// Connects to where a service's tables will be: a file as durable as ours with one writer, or a pool of sessions.
pub(crate) async fn connect(data: &Path, url: &str, service: &str) -> DatabaseConnection {
    if url == "sqlite" {
        let file = data.join(format!("{service}.db"));
        let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", file.display()));
        options.max_connections(1).sqlx_logging(false).acquire_timeout(Duration::from_secs(30));
        let database = Database::connect(options).await.unwrap();
        for pragma in ["journal_mode = WAL", "synchronous = FULL", "busy_timeout = 10000"] {
            database.execute_unprepared(&format!("PRAGMA {pragma}")).await.unwrap();
        }
        return database;
    }
    let mut options = ConnectOptions::new(url);
    options.max_connections(32).sqlx_logging(false).acquire_timeout(Duration::from_secs(30));
    options.set_schema_search_path(service);
    Database::connect(options).await.unwrap()
}

/// Notes that a request was answered.
pub(crate) async fn note(
    tx: &impl ConnectionTrait,
    request_id: Uuid,
    subject: Uuid,
    now: i64,
) -> Result<(), rapport_store::sea_orm::DbErr> {
    Sql::new(
        tx,
        "INSERT INTO idempotency (tenant, request_id, asker, fingerprint, subject, reply, created_at) VALUES (",
    )
    .bind("local")
    .text(", ")
    .bind(request_id)
    .text(", ")
    .bind(7_i64)
    .text(", ")
    .bind(vec![0_u8; 32])
    .text(", ")
    .bind(subject)
    .text(", ")
    .bind(vec![0_u8; 120])
    .text(", ")
    .bind(now)
    .text(")")
    .execute(tx)
    .await?;
    Ok(())
}

impl Module for Naive {
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
        services.add_service(InteractionServiceServer::new(Api { database: self.database.clone() }));
    }
}

#[derive(Clone)]
struct Api {
    database: DatabaseConnection,
}

fn failed(error: impl std::fmt::Display) -> Status {
    Status::new(Code::Internal, error.to_string())
}

impl Api {
    async fn record(
        &self,
        request: pb::RecordInteractionRequest,
    ) -> Result<pb::Interaction, Box<dyn std::error::Error + Send + Sync>> {
        let mut interaction = request.interaction.unwrap_or_default();
        let request_id: Uuid = request.request_id.parse()?;
        let id = Uuid::now_v7();
        let origin: Uuid = interaction.participants[0].party.trim_start_matches("parties/").parse()?;
        let occurred = interaction.occurred_time.map_or(0, |time| time.seconds * 1_000_000);
        let tx = self.database.begin().await?;
        let reply = prost::Message::encode_to_vec(&interaction);
        Sql::new(
            &tx,
            "INSERT INTO idempotency (tenant, request_id, asker, fingerprint, subject, reply, created_at) VALUES (",
        )
        .bind("local")
        .text(", ")
        .bind(request_id)
        .text(", ")
        .bind(7_i64)
        .text(", ")
        .bind(vec![0_u8; 32])
        .text(", ")
        .bind(origin)
        .text(", ")
        .bind(reply.clone())
        .text(", ")
        .bind(occurred)
        .text(")")
        .execute(&tx)
        .await?;
        Sql::new(&tx, "INSERT INTO interaction (tenant, id, version, kind, medium, online, direction, occurred_at, recorded_at, subject, detail, sealed) VALUES (")
            .bind("local").text(", ").bind(id).text(", 1, ").bind(interaction.kind.clone()).text(", ").bind(Value::SmallInt(Some(1)))
            .text(", ").bind(false).text(", ").bind(Value::SmallInt(Some(1))).text(", ").bind(occurred).text(", ").bind(occurred)
            .text(", ").bind(origin).text(", ").bind(vec![0_u8; 48]).text(", ").bind(reply.clone())
            .text(")").execute(&tx).await?;
        Sql::new(&tx, "INSERT INTO interaction_participant (tenant, origin, occurred_at, interaction_id, ordinal, recorded_at, role_type, function) VALUES (")
            .bind("local").text(", ").bind(origin).text(", ").bind(occurred).text(", ").bind(id).text(", ").bind(Value::SmallInt(Some(0)))
            .text(", ").bind(occurred).text(", ").bind("customer").text(", ").bind(Value::SmallInt(Some(1)))
            .text(")").execute(&tx).await?;
        let batch: i64 = Sql::new(&tx, "INSERT INTO feed_batch (events, recorded_at) VALUES (1, ")
            .bind(occurred)
            .text(") RETURNING batch")
            .one(&tx)
            .await?
            .ok_or("no row")?
            .try_get_by_index(0)?;
        Sql::new(
            &tx,
            "INSERT INTO outbox (batch, place, tenant, kind, aggregate, version, occurred_at, payload) VALUES (",
        )
        .bind(batch)
        .text(", ")
        .bind(0_i64)
        .text(", ")
        .bind("local")
        .text(", ")
        .bind("rapport.interactions.v1.InteractionRecorded")
        .text(", ")
        .bind(format!("interactions/{id}"))
        .text(", ")
        .bind(1_i64)
        .text(", ")
        .bind(occurred)
        .text(", ")
        .bind(reply)
        .text(")")
        .execute(&tx)
        .await?;
        tx.commit().await?;
        interaction.name = format!("interactions/{id}");
        Ok(interaction)
    }
}

type Reply<T> = Result<Response<T>, Status>;

fn absent<T>() -> Reply<T> {
    Err(Status::new(Code::Unimplemented, "the baseline only records"))
}

#[tonic::async_trait]
impl InteractionService for Api {
    type StreamInteractionsStream = tokio_stream::Empty<Result<pb::StreamInteractionsResponse, Status>>;
    type WatchInteractionsStream = tokio_stream::Empty<Result<pb::WatchInteractionsResponse, Status>>;

    async fn record_interaction(&self, request: Request<pb::RecordInteractionRequest>) -> Reply<pb::Interaction> {
        self.record(request.into_inner()).await.map(Response::new).map_err(failed)
    }

    async fn batch_record_interactions(
        &self,
        _: Request<pb::BatchRecordInteractionsRequest>,
    ) -> Reply<pb::BatchRecordInteractionsResponse> {
        absent()
    }

    async fn stream_interactions(
        &self,
        _: Request<Streaming<pb::StreamInteractionsRequest>>,
    ) -> Reply<Self::StreamInteractionsStream> {
        absent()
    }

    async fn amend_interaction(&self, _: Request<pb::AmendInteractionRequest>) -> Reply<pb::Interaction> {
        absent()
    }

    async fn retract_interaction(&self, _: Request<pb::RetractInteractionRequest>) -> Reply<pb::Interaction> {
        absent()
    }

    async fn reassign_interaction(&self, _: Request<pb::ReassignInteractionRequest>) -> Reply<pb::Interaction> {
        absent()
    }

    async fn get_interaction(&self, _: Request<pb::GetInteractionRequest>) -> Reply<pb::Interaction> {
        absent()
    }

    async fn list_interactions(&self, _: Request<pb::ListInteractionsRequest>) -> Reply<pb::ListInteractionsResponse> {
        absent()
    }

    async fn get_timeline(&self, _: Request<pb::GetTimelineRequest>) -> Reply<pb::GetTimelineResponse> {
        absent()
    }

    async fn watch_interactions(
        &self,
        _: Request<pb::WatchInteractionsRequest>,
    ) -> Reply<Self::WatchInteractionsStream> {
        absent()
    }
}
