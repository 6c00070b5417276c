//! Loyalty: programmes, members, tiers, and a ledger of units that always adds up.
//!
//! A *programme* says what can be earned and how. A *member* is a party in a programme, in any role. What a member earns
//! is a row of a double-entry **journal**: units go from the issuance account to the member's, in integers, and each row
//! has one account that gives and one that takes, so that all accounts together hold nothing at every moment. Units
//! that are earned together are a **lot**: it becomes available, and expires, by the calendar of the programme's zone.
//! A debit uses lots by earliest expiry, then earliest earned, then id, and keeps which.
//!
//! Whether a lot is pending, available or expired is a function of the time asked about: nothing waits for a job. The
//! worker that books expiries only writes down what was true already, and a write to an account books what expired
//! before it; late, or twice, gives the same rows.
//!
//! One lock per member puts all that is done to its units in one line; the committer writes whatever queued, of however
//! many members, with a fixed number of statements. Issuance has no row to fight over: its balance is the sum of what it
//! gave.
//!
//! Tiers are a fold over the qualifying units earned per window, never over the balance.
//!
//! An *invitation* asks a party to speak for the tenant. Whether it goes out is decided at that moment by gates that have an
//! order (`domain::gate`): what stakeholders says is asked before the transaction, what this service knows is read inside
//! it, while nobody else decides about the same party. What was not sent is kept with the gate that forbade it.
//!
//! | room | what |
//! |---|---|
//! | `domain` | rules and values, pure: `book` is the ledger's arithmetic |
//! | `commands` | the writes; `earn` is how consumers post by rule |
//! | `queries` | the reads: programmes, members, balances, journal, lots, tier status |
//! | `events` | what is published, and what is learned from others |
//! | `api` | ProgramService, MemberService, TierService, LedgerService, AdvocacyService |
//! | `store`, `migration` | tables and statements |
//! | `workers` | booking expiries and tiers that fell; invitations that are due |
//! | `stakeholders` | what is asked of that service |
//! | `options` | what it can be told, `[service.loyalty]` of the configuration |
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
mod stakeholders;
mod store;
mod workers;

use std::sync::Arc;

use rapport_proto::loyalty::v1::advocacy_service_server::AdvocacyServiceServer;
use rapport_proto::loyalty::v1::ledger_service_server::LedgerServiceServer;
use rapport_proto::loyalty::v1::member_service_server::MemberServiceServer;
use rapport_proto::loyalty::v1::program_service_server::ProgramServiceServer;
use rapport_proto::loyalty::v1::tier_service_server::TierServiceServer;
use rapport_server::{Consumers, Context, Module, Section, Services, Workers};
use rapport_store::Migrations;

use crate::domain::InvitationRules;
use crate::options::LoyaltyOptions;
use crate::store::Catalogs;

/// The service, for a process to host; with its default options until it is configured.
pub fn module() -> Box<dyn Module> {
    Box::new(Loyalty::default())
}

#[derive(Default)]
struct Loyalty {
    options: LoyaltyOptions,
    /// What the options say of invitations.
    rules: Arc<InvitationRules>,
    /// Programmes as they are known, by everything here.
    catalogs: Arc<Catalogs>,
}

impl Loyalty {
    fn advocates(&self, cx: &Context) -> queries::Advocates {
        queries::Advocates::new(cx.clone(), Arc::clone(&self.rules), Arc::clone(&self.catalogs))
    }
}

impl Module for Loyalty {
    fn name(&self) -> &'static str {
        "loyalty"
    }

    fn configure(&mut self, section: &Section) -> Result<(), String> {
        self.options = LoyaltyOptions::read(section)?;
        self.rules = Arc::new(self.options.advocacy.rules()?);
        Ok(())
    }

    fn migrations(&self) -> Migrations {
        migration::migrations()
    }

    fn routes(&self, cx: &Context, routes: &mut Services) {
        routes.add_service(rapport_rpc::sized!(ProgramServiceServer::new(api::Programs::new(cx.clone()))));
        routes.add_service(rapport_rpc::sized!(MemberServiceServer::new(api::Members::new(cx.clone()))));
        let catalogs = || Arc::clone(&self.catalogs);
        routes.add_service(rapport_rpc::sized!(TierServiceServer::new(api::Tiers::new(cx.clone(), catalogs()))));
        routes.add_service(rapport_rpc::sized!(LedgerServiceServer::new(api::Ledger::new(cx.clone(), catalogs()))));
        routes.add_service(rapport_rpc::sized!(AdvocacyServiceServer::new(api::Advocacy::new(self.advocates(cx)))));
    }

    fn consumers(&self, cx: &Context, consumers: &mut Consumers) {
        let (store, catalogs) = (cx.store.clone(), Arc::clone(&self.catalogs));
        consumers.add(cx, move || events::Accruals::new(store.clone(), Arc::clone(&catalogs)));
        let advocates = self.advocates(cx);
        consumers.add(cx, move || events::Promotion::new(advocates.clone()));
    }

    fn workers(&self, cx: &Context, workers: &mut Workers) {
        workers::add(cx, &self.options, &self.catalogs, workers);
        let advocates = self.advocates(cx);
        workers.add("loyalty: invitations", move |cancel| workers::due_invitations(advocates.clone(), cancel));
    }

    fn needs(&self) -> &'static [&'static str] {
        &["stakeholders", "interactions"]
    }
}
