//! Interactions and cases: every contact with every stakeholder, online and off, kept as facts.
//!
//! An interaction is recorded once and never changed. Each participant is kept under its *origin*: the id of the party
//! that the caller named, or an opaque one for an identifier that stands alone. Origins never change; to whom they belong
//! is a map (`alias`), fed by what the stakeholders service tells of identifiers, and every read goes through it. So a
//! call from a number that nobody knew is found on the timeline of the party that claims the number a year later, and a
//! recycled number never carries one party's past to another (`domain::attribution`).
//!
//! RecordInteraction is the hot write. Unary calls, batches and streams hand the same command to the committer, which
//! writes whatever queued with a handful of statements (`commands::record_interaction`, `store::interaction`).
//!
//! Texts and identifiers are sealed under the key of the origin they belong to; events carry none of them.
//!
//! | room | what |
//! |---|---|
//! | `domain` | rules and values, pure |
//! | `commands` | the writes: record_interaction, open_case, transition_case |
//! | `queries` | the reads: interactions, timeline, cases |
//! | `api` | InteractionService, CaseService |
//! | `store`, `migration` | tables and statements |
//! | `options` | what it can be told, `[service.interactions]` of the configuration |
//! | `events` | what is published, and what is learned of identifiers |
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
mod store;

use rapport_proto::interactions::v1::case_service_server::CaseServiceServer;
use rapport_proto::interactions::v1::interaction_service_server::InteractionServiceServer;
use rapport_server::{Consumers, Context, Module, Section, Services};
use rapport_store::Migrations;

use crate::options::InteractionOptions;

/// The service, for a process to host; with its default options until it is configured.
pub fn module() -> Box<dyn Module> {
    Box::new(InteractionsModule::default())
}

#[derive(Default)]
struct InteractionsModule {
    options: InteractionOptions,
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
    }

    fn consumers(&self, cx: &Context, consumers: &mut Consumers) {
        let context = cx.clone();
        consumers.add(cx, move || events::Identity::new(context.clone()));
    }

    fn needs(&self) -> &'static [&'static str] {
        &["stakeholders"]
    }
}
