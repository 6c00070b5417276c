//! # Scoring
//!
//! *Your relationship is the sum of your interactions, good ones and bad ones.* Scoring keeps that sum, exactly.
//!
//! Each interaction that a party began, received or was spoken about in leaves a **contribution** in an append-only log:
//! a weight (how much it says) and a satisfaction (what it says). A **score** is a transform of the log at a moment: the
//! weighted mean of the satisfactions, each weight halving with every half-life since the interaction, shrunk towards a
//! prior that stands for not knowing. [`rapport_scoring_models::decayed`] holds the arithmetic: integers only, so that
//! any order of arrival gives the same bits and an explanation adds up to the value it explains.
//!
//! Two ways lead to a value, and they agree bit by bit. *Sums*, kept per origin, definition and era of the half-life,
//! answer as of now with two point reads. The *log* answers as of the past, and explains.
//!
//! A fact may be amended or retracted: the log then gets a taking back beside what was put in, and each row says since when
//! it is known, so that the score as it was known on a day can be told as well.
//!
//! **Influence** is the other thing asked of scoring: how a party stands among all that have relationships. It is computed
//! over all of a tenant's relationships at a moment (see [`rapport_scoring_graph`]) and kept while they hold.
//!
//! **Worth** is the third. A consumer of its own keeps the *order history*: what each interaction says about an order or a
//! return, and the sums of each day, exact in whatever order facts are recorded, amended and retracted. A fit of a model of
//! customer lifetime value is a long job over it (see `workers`); what a model says of one party is computed when asked, from
//! the days of all its origins.
//!
//! Everything arrives through the feed of the interactions service (see `events`); a batch of events becomes a few
//! set-based statements in the transaction that also moves the cursor. Facts keep the **origin** they came by; a map
//! says which party an origin belongs to now, so that claiming an identifier moves a party's score without touching a
//! fact.
//!
//! | room | what |
//! |---|---|
//! | `domain` | definitions, facts, what a batch does to log and sums, from rows to a value |
//! | `commands` | recording contributions, relationships and orders; beginning a fit and keeping what came out |
//! | `queries` | scores, their explanations and history; influence; models and what they say |
//! | `events` | the consumers of `interactions` and `stakeholders`, `ScoreMoved`, `ValueMoved`, `ClvModelFitted` |
//! | `api` | `ScoreService`, `NetworkService`, `ValueService` |
//! | `workers` | fitting models |
//! | `store`, `migration` | tables and statements |
//! | `options` | what it can be told, `[service.scoring]` of the configuration |
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
mod workers;

use std::sync::Arc;

use rapport_server::{Consumers, Context, Module, Section, Services, Workers};
use rapport_store::Migrations;

use crate::options::ScoringOptions;

/// Scoring, for a process to host; with its default options until it is configured.
pub fn module() -> Box<dyn Module> {
    Box::new(Scoring::default())
}

#[derive(Default)]
struct Scoring {
    options: ScoringOptions,
}

impl Module for Scoring {
    fn name(&self) -> &'static str {
        "scoring"
    }

    fn configure(&mut self, section: &Section) -> Result<(), String> {
        self.options = ScoringOptions::read(section)?;
        Ok(())
    }

    fn migrations(&self) -> Migrations {
        migration::migrations()
    }

    fn routes(&self, cx: &Context, routes: &mut Services) {
        routes.add_service(api::ScoreApi::server(cx, self.options.clone()));
        routes.add_service(api::ValueApi::server(&cx.store, &self.options));
        routes.add_service(api::NetworkApi::server(&cx.store, self.options.clone()));
    }

    fn consumers(&self, cx: &Context, consumers: &mut Consumers) {
        consumers.add(cx, || events::Interactions);
        consumers.add(cx, || events::Relationships);
        let zone = self.options.zone();
        consumers.add(cx, move || events::Orders { zone: zone.clone() });
    }

    fn workers(&self, cx: &Context, workers: &mut Workers) {
        workers.add_jobs(cx, vec![Arc::new(workers::FitJob::new(cx.store.clone()))]);
    }

    fn needs(&self) -> &'static [&'static str] {
        &["interactions", "stakeholders"]
    }
}
