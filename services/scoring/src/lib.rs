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
//! Everything arrives through the feed of the interactions service (see `events`); a batch of events becomes a few
//! set-based statements in the transaction that also moves the cursor. Facts keep the **origin** they came by; a map
//! says which party an origin belongs to now, so that claiming an identifier moves a party's score without touching a
//! fact.
//!
//! | room | what |
//! |---|---|
//! | `domain` | definitions, facts, what a batch does to log and sums, from rows to a value |
//! | `commands` | recording contributions |
//! | `queries` | scores and explanations |
//! | `events` | the consumer of `interactions`, and `ScoreMoved` |
//! | `api` | `ScoreService` |
//! | `store`, `migration` | tables and statements |
//! | `options` | what it can be told, `[service.scoring]` of the configuration |
#![forbid(unsafe_code)]

mod api;
mod commands;
mod domain;
mod error;
mod events;
mod migration;
mod options;
mod queries;
mod store;

use rapport_server::{Consumers, Context, Module, Section, Services};
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
        routes.add_service(api::ScoreApi::server(&cx.store, self.options.clone()));
    }

    fn consumers(&self, cx: &Context, consumers: &mut Consumers) {
        consumers.add(cx, || events::Interactions);
    }

    fn needs(&self) -> &'static [&'static str] {
        &["interactions"]
    }
}
