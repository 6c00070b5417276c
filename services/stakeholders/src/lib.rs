//! **Stakeholders**: who the tenant deals with, how they are related, and what they allow.
//!
//! A [`Party`](domain::party::Party) is a person, an organisation, a household or a group. It holds any number of roles
//! (customer, supplier, journalist, regulator ...), is known by identifiers, is reached by contact media, and is tied to
//! other parties by relationships. Every feature works for every role.
//!
//! * **Finding.** Claims and contact media stand in one table under their normalised form; a search
//!   ([`domain::resolution`]) ranks those who hold what was asked for and says why. What many share never matches by
//!   itself. One normaliser ([`rapport_identity`]) serves writes and look-ups.
//! * **The graph.** Ties are indexed from both ends, the strongest first; a walk ([`domain::neighbourhood`]) asks for
//!   one ring at a time and never for more ties of a party than its budget allows.
//! * **Consent** is a fold over records that are never changed ([`domain::consent`]): the order in which they arrive
//!   does not matter, and of two that contradict each other the more restrictive wins unless the other is later and as
//!   specific.
//! * **History.** Every version of a party is kept, sealed under the party's own key.
//!
//! Everything this service publishes is in [`events`]; it consumes nothing.
#![forbid(unsafe_code)]

pub mod api;
pub mod commands;
pub mod domain;
pub mod error;
pub mod events;
mod migration;
pub mod options;
pub mod queries;
pub mod store;

use std::sync::Arc;

use rapport_proto::stakeholders::v1::identity_service_server::IdentityServiceServer;
use rapport_proto::stakeholders::v1::party_service_server::PartyServiceServer;
use rapport_proto::stakeholders::v1::privacy_service_server::PrivacyServiceServer;
use rapport_proto::stakeholders::v1::relationship_service_server::RelationshipServiceServer;
use rapport_rpc::sized;
use rapport_server::{Context, Module, Section, Services, Workers};
use rapport_store::Migrations;

use crate::api::{Hands, IdentityApi, PartyApi, PrivacyApi, RelationshipApi, SERVICE};
use crate::options::StakeholderOptions;

/// The service, for a process to host; with its default options until it is configured.
pub fn module() -> Box<dyn Module> {
    Box::new(Stakeholders::default())
}

#[derive(Default)]
struct Stakeholders {
    options: Arc<StakeholderOptions>,
}

impl Module for Stakeholders {
    fn name(&self) -> &'static str {
        SERVICE
    }

    fn configure(&mut self, section: &Section) -> Result<(), String> {
        self.options = Arc::new(StakeholderOptions::read(section)?);
        Ok(())
    }

    fn migrations(&self) -> Migrations {
        migration::migrations()
    }

    fn routes(&self, cx: &Context, routes: &mut Services) {
        let hands = Hands {
            store: cx.store.clone(),
            world: cx.world.clone(),
            feed: cx.feed.clone(),
            options: Arc::clone(&self.options),
        };
        routes
            .add_service(sized!(PartyServiceServer::new(PartyApi::new(hands.clone(), cx))))
            .add_service(sized!(IdentityServiceServer::new(IdentityApi::new(hands.clone()))))
            .add_service(sized!(RelationshipServiceServer::new(RelationshipApi::new(hands.clone()))))
            .add_service(sized!(PrivacyServiceServer::new(PrivacyApi::new(hands))));
    }

    fn workers(&self, _: &Context, workers: &mut Workers) {
        // Reading the numbering plans takes a moment that no caller should wait for.
        workers.add("stakeholders: numbering plans", |cancel| async move {
            if let Err(error) = tokio::task::spawn_blocking(rapport_identity::warm).await {
                tracing::warn!(%error, "the numbering plans are not read ahead: the first caller waits for them");
            }
            cancel.cancelled().await;
        });
    }
}
