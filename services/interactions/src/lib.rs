//! Interactions and cases: every contact with every stakeholder, online and off, kept as facts.
//!
//! An interaction is a fact. Each participant is kept under its *origin*: the id of the party
//! that the caller named, or an opaque one for an identifier that stands alone. Origins never change; to whom they belong
//! is a map (`alias`), fed by what the stakeholders service tells of identifiers, and every read goes through it. So a
//! call from a number that nobody knew is found on the timeline of the party that claims the number a year later, and a
//! recycled number never carries one party's past to another (`domain::attribution`).
//!
//! What was recorded stays: an amendment is a new version and a retraction the last one. `interaction` and its index hold
//! what is in force, `interaction_version` and `participant_version` what was, with the time for which the service knew
//! it so; that is how a timeline answers `as_known_at` (`commands::revision`, `store::version`, `store::timeline`).
//!
//! An answer to a survey is an interaction too, written in the same transaction: `survey_response` keeps the score, the
//! interaction everything that is said about a person. Figures come with their intervals (`domain::survey_stats`).
//!
//! RecordInteraction is the hot write. Unary calls, batches and streams hand the same command to the committer, which
//! writes whatever queued with a handful of statements (`commands::record_interaction`, `store::interaction`).
//!
//! At the desk a call begins, is looked up, is handed on and ends. Its legs are one conversation with one id, that of the
//! interaction they become and the lock under which anything is told of them (`commands::talks`, `commands::settle`). Who calls is found in the own index of identifiers, else asked for;
//! an agent's context is read from the desk's projection, rows that consumers of the other services' feeds keep; only what was
//! never kept, or is known to be behind, is asked for within the budget (`queries::held`, `queries::heard`, `events::desk_*`,
//! `workers::refresh_sections`). What this service says itself lies there too, and holds while the own feed names nobody of it
//! (`queries::own`, `queries::touched`). What the others' feeds speak of is heard before it is applied (`workers::overhear`); rows read lately are in memory (`queries::shelf`), and so are
//! contexts told lately, as they are sent (`queries::ready`). It can be made anew from the feeds (`rebuild`).
//!
//! A commitment is late as a function of the moment; a sweep tells so once, in the transaction that books that it did
//! (`domain::commitment`, `commands::book_due`, `workers::due_commitments`).
//!
//! Texts and identifiers are sealed under the key of the origin they belong to; events carry none of them.
//!
//! | room | what |
//! |---|---|
//! | `domain` | rules and values, pure |
//! | `commands` | the writes, one file each |
//! | `queries` | the reads |
//! | `api` | one file per service of the contract |
//! | `store`, `migration` | tables and statements |
//! | `options` | what it can be told, `[service.interactions]` of the configuration |
//! | `events` | what is published, and what is learned of identifiers and for the desk |
//! | `workers` | keeps what was said beside the calls, and asks for what is behind; tells of commitments that fall due |
#![forbid(unsafe_code)]

mod api;
mod commands;
mod domain;
mod error;
mod events;
#[cfg(test)]
mod fixture;
mod migration;
mod options;
mod queries;
mod rebuild;
mod store;
mod workers;

use std::time::Duration;

use rapport_proto::interactions::v1::case_service_server::CaseServiceServer;
use rapport_proto::interactions::v1::commitment_service_server::CommitmentServiceServer;
use rapport_proto::interactions::v1::desk_service_server::DeskServiceServer;
use rapport_proto::interactions::v1::interaction_service_server::InteractionServiceServer;
use rapport_proto::interactions::v1::survey_service_server::SurveyServiceServer;
use rapport_server::{Consumers, Context, Module, Section, Services, Workers};
use rapport_store::Migrations;

use crate::options::InteractionOptions;
pub use crate::rebuild::{desk_progress, forget_desk};

/// The service, for a process to host; with its default options until it is configured.
pub fn module() -> Box<dyn Module> {
    Box::new(InteractionsModule::default())
}

#[derive(Default)]
struct InteractionsModule {
    options: InteractionOptions,
    memory: workers::Memory,
}

impl Module for InteractionsModule {
    fn name(&self) -> &'static str {
        "interactions"
    }

    fn configure(&mut self, section: &Section) -> Result<(), String> {
        self.options = InteractionOptions::read(section)?;
        Ok(())
    }

    fn migrations(&self) -> Migrations {
        migration::migrations()
    }

    fn routes(&self, cx: &Context, routes: &mut Services) {
        let interactions = api::Interactions::new(cx.clone(), self.options.clone());
        // Chunks of a stream may be larger than ordinary requests.
        routes.add_service(rapport_rpc::bulk!(InteractionServiceServer::new(interactions)));
        routes.add_service(rapport_rpc::sized!(CaseServiceServer::new(api::Cases::new(cx.clone()))));
        let commitments = api::Commitments::new(cx.clone());
        routes.add_service(rapport_rpc::sized!(CommitmentServiceServer::new(commitments)));
        let desk = api::Desk::new(cx.clone(), self.options.clone(), self.memory.clone());
        routes.add_service(rapport_rpc::sized!(DeskServiceServer::new(desk)));
        routes.add_service(rapport_rpc::sized!(SurveyServiceServer::new(api::Surveys::new(cx.clone()))));
    }

    fn consumers(&self, cx: &Context, consumers: &mut Consumers) {
        let context = cx.clone();
        consumers.add(cx, move || events::Identity::new(context.clone()));
        let (context, purposes) = (cx.clone(), self.options.consent_purposes.clone());
        consumers.add(cx, move || events::DeskParties::new(context.clone(), purposes.clone()));
        let context = cx.clone();
        consumers.add(cx, move || events::DeskScores::new(context.clone()));
        let context = cx.clone();
        consumers.add(cx, move || events::DeskLoyalty::new(context.clone()));
    }

    fn workers(&self, cx: &Context, workers: &mut Workers) {
        // Reading the numbering plans takes a moment that no caller should wait for.
        workers.add("interactions: numbering plans", |cancel| async move {
            if let Err(error) = tokio::task::spawn_blocking(rapport_identity::warm).await {
                tracing::warn!(%error, "the numbering plans are not read ahead: the first caller waits for them");
            }
            cancel.cancelled().await;
        });
        let (store, every) = (cx.store.clone(), Duration::from_secs(u64::from(self.options.due_seconds)));
        workers.add_endless("interactions: commitments that fall due", move || {
            let store = store.clone();
            async move { workers::due_commitments(&store, every).await }
        });
        let (context, purposes) = (cx.clone(), self.options.consent_purposes.clone());
        workers.add_endless("interactions: sections that are behind", move || {
            let (cx, purposes) = (context.clone(), purposes.clone());
            async move { workers::refresh_sections(&cx, &purposes).await }
        });
        let (context, touched) = (cx.clone(), self.memory.touched.clone());
        workers.add_endless("interactions: whom the own feed speaks of", move || {
            let (cx, touched) = (context.clone(), touched.clone());
            async move { workers::follow_own(&cx, &touched).await }
        });
        let memory = &self.memory;
        for (source, touched) in
            [("stakeholders", &memory.stakeholders), ("scoring", &memory.scoring), ("loyalty", &memory.loyalty)]
        {
            let (context, touched) = (cx.clone(), touched.clone());
            workers.add_endless(&format!("interactions: whom {source} speaks of"), move || {
                let (cx, touched) = (context.clone(), touched.clone());
                async move { workers::overhear(&cx, source, &touched).await }
            });
        }
        let lag = self.memory.lag.clone();
        workers.add_endless("interactions: how late it is", move || {
            let lag = lag.clone();
            async move { lag.watch().await }
        });
        let (keeper, store) = (self.memory.keeper.clone(), cx.store.clone());
        workers.add_endless("interactions: keeper of sections", move || {
            let (keeper, store) = (keeper.clone(), store.clone());
            async move { keeper.run(&store).await }
        });
    }

    fn needs(&self) -> &'static [&'static str] {
        &queries::SOURCES
    }
}
