//! What other services say of a party, as the desk shows it. Each question is one call, or a few side by side, and
//! takes no longer than it is told to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rapport_proto::interactions::v1 as proto;
use rapport_proto::loyalty::v1 as loyalty;
use rapport_proto::loyalty::v1::ledger_service_client::LedgerServiceClient;
use rapport_proto::loyalty::v1::member_service_client::MemberServiceClient;
use rapport_proto::loyalty::v1::tier_service_client::TierServiceClient;
use rapport_proto::scoring::v1 as scoring;
use rapport_proto::scoring::v1::network_service_client::NetworkServiceClient;
use rapport_proto::scoring::v1::score_service_client::ScoreServiceClient;
use rapport_proto::scoring::v1::value_service_client::ValueServiceClient;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_proto::stakeholders::v1::identity_service_client::IdentityServiceClient;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::privacy_service_client::PrivacyServiceClient;
use rapport_proto::stakeholders::v1::relationship_service_client::RelationshipServiceClient;
use rapport_rpc::{error_of, header, outgoing, wire};
use rapport_server::Context;
use rapport_store::read_error;
use rapport_types::error::{Error, Kind};
use rapport_types::{TenantId, Uuid, reason};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Response, Status};

use super::influence::InfluenceSection;
use super::said;
use crate::domain::PartyName;
use crate::store::tie_turn;

/// How many parties one question names: the answer has to fit into one message, however much is known of them.
const PARTIES: usize = 50;
/// How many memberships of a party are shown.
const MEMBERS: usize = 5;
/// How far a score's change looks back.
const CHANGE_DAYS: i64 = 30;
/// How far expiry looks ahead.
const EXPIRY_DAYS: i64 = 90;
/// How many reasons of a score are shown.
const REASONS: i32 = 3;
/// How many of the strongest ties are looked at.
pub(crate) const TIES: usize = 50;
/// How old influence may be that is asked for: it moves with any relationship of the tenant, and little by each.
const INFLUENCE_SECONDS: i64 = 3_600;
/// The score that says how a relationship fares.
pub(crate) const HEALTH: &str = "scoreDefinitions/relationship-health";
const DAY: i64 = 86_400;

/// Asks other services for one tenant.
pub(crate) struct Asking<'a> {
    cx: &'a Context,
    tenant: &'a TenantId,
    timeout: Duration,
    traceparent: Option<&'a str>,
    at_least: Option<MetadataValue<Ascii>>,
    /// An answer said of itself that it has not seen everything that was asked for.
    behind: AtomicBool,
}

impl<'a> Asking<'a> {
    /// Questions that may take so long each.
    pub(crate) fn new(
        cx: &'a Context,
        tenant: &'a TenantId,
        timeout: Duration,
        traceparent: Option<&'a str>,
    ) -> Asking<'a> {
        Asking { cx, tenant, timeout, traceparent, at_least: None, behind: AtomicBool::new(false) }
    }

    /// The same, of services that have seen so much of each other's feeds.
    pub(crate) fn at_least(mut self, positions: Option<MetadataValue<Ascii>>) -> Asking<'a> {
        self.at_least = positions;
        self
    }

    /// Whether an answer came from a service that had not seen what it should have.
    pub(crate) fn behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = outgoing(self.tenant, self.timeout, self.traceparent, message);
        if let Some(positions) = &self.at_least {
            request.metadata_mut().insert(header::AT_LEAST, positions.clone());
        }
        request
    }

    fn answer<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, Error> {
        let answer = answer.map_err(error_of)?;
        if answer.metadata().contains_key(header::STALE) {
            self.behind.store(true, Ordering::Relaxed);
        }
        Ok(answer.into_inner())
    }

    /// The cards of parties; those that do not exist are left out.
    pub(crate) async fn cards(&self, parties: &[Uuid]) -> Result<HashMap<Uuid, proto::CardSection>, Error> {
        let client = PartyServiceClient::new(self.cx.peers.transport("stakeholders"));
        let mut found = HashMap::with_capacity(parties.len());
        for some in parties.chunks(PARTIES) {
            let names = some.iter().map(|party| PartyName::new(*party).to_string()).collect();
            let request = self.request(stakeholders::BatchGetPartiesRequest { names });
            let answer = self.answer(client.clone().batch_get_parties(request).await)?;
            let now = self.cx.world.now();
            for party in answer.parties {
                if let Ok(name) = PartyName::parse(&party.name) {
                    found.insert(name.uuid(), said::card(party, now));
                }
            }
        }
        Ok(found)
    }

    /// The scores of parties; `detailed` with their change and what moved them.
    pub(crate) async fn scores(
        &self,
        parties: &[Uuid],
        detailed: bool,
    ) -> Result<HashMap<Uuid, proto::ScoreSection>, Error> {
        let client = ScoreServiceClient::new(self.cx.peers.transport("scoring"));
        let change = prost_types::Duration { seconds: CHANGE_DAYS * DAY, nanos: 0 };
        let mut found = HashMap::with_capacity(parties.len());
        for some in parties.chunks(500) {
            let request = self.request(scoring::BatchGetScoresRequest {
                parties: some.iter().map(|party| PartyName::new(*party).to_string()).collect(),
                change_window: detailed.then_some(change),
                reason_limit: if detailed { REASONS } else { 0 },
                ..scoring::BatchGetScoresRequest::default()
            });
            let answer = self.answer(client.clone().batch_get_scores(request).await)?;
            for scores in answer.parties {
                if let Ok(name) = PartyName::parse(&scores.party) {
                    found.insert(name.uuid(), said::scores(scores));
                }
            }
        }
        Ok(found)
    }

    /// What a party is likely to be worth; a sentence in place of it where there is nothing to say.
    pub(crate) async fn value(&self, party: Uuid) -> Result<Result<proto::ValueSection, &'static str>, Error> {
        let mut client = ValueServiceClient::new(self.cx.peers.transport("scoring"));
        let request =
            scoring::GetClvRequest { party: PartyName::new(party).to_string(), ..scoring::GetClvRequest::default() };
        let clv = self.answer(client.get_clv(self.request(request)).await)?;
        Ok(said::value(clv))
    }

    /// A party's memberships, with tier and balances.
    pub(crate) async fn loyalty(&self, party: Uuid) -> Result<proto::LoyaltySection, Error> {
        let mut client = MemberServiceClient::new(self.cx.peers.transport("loyalty"));
        let request = loyalty::ListMembersRequest {
            party: PartyName::new(party).to_string(),
            page_size: MEMBERS as i32,
            ..loyalty::ListMembersRequest::default()
        };
        let members = self.answer(client.list_members(self.request(request)).await)?.members;
        let mut asked = Vec::with_capacity(MEMBERS);
        for member in members.into_iter().take(MEMBERS) {
            asked.push(self.member(member.name));
        }
        let members = futures::future::try_join_all(asked).await?;
        Ok(proto::LoyaltySection { status: None, members })
    }

    async fn member(&self, name: String) -> Result<proto::ContextMember, Error> {
        let transport = self.cx.peers.transport("loyalty");
        let (mut tiers, mut ledger) = (TierServiceClient::new(transport.clone()), LedgerServiceClient::new(transport));
        let status = self.request(loyalty::GetTierStatusRequest { name: name.clone(), as_of: None });
        let balances = self.request(loyalty::GetBalancesRequest {
            name: name.clone(),
            as_of: None,
            expiring_within: Some(prost_types::Duration { seconds: EXPIRY_DAYS * DAY, nanos: 0 }),
        });
        let (status, balances) =
            futures::future::join(tiers.get_tier_status(status), ledger.get_balances(balances)).await;
        // A programme may have no tiers at all.
        let status = match self.answer(status) {
            Ok(status) => Some(status),
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Precondition) => None,
            Err(error) => return Err(error),
        };
        Ok(said::member(name, status, self.answer(balances)?))
    }

    /// For what a party may be addressed on a channel.
    pub(crate) async fn consents(
        &self,
        party: Uuid,
        channel: &str,
        purposes: &[String],
    ) -> Result<proto::ConsentSection, Error> {
        let mut asked = Vec::with_capacity(purposes.len());
        for purpose in purposes {
            asked.push(self.consent(party, channel, purpose));
        }
        let (consents, changes): (Vec<_>, Vec<_>) = futures::future::try_join_all(asked).await?.into_iter().unzip();
        let status = said::told_change(changes.into_iter().flatten());
        Ok(proto::ConsentSection { status, consents })
    }

    /// A consent, and when it may change by itself.
    async fn consent(
        &self,
        party: Uuid,
        channel: &str,
        purpose: &str,
    ) -> Result<(proto::ContextConsent, Option<prost_types::Timestamp>), Error> {
        let mut client = PrivacyServiceClient::new(self.cx.peers.transport("stakeholders"));
        let request = self.request(stakeholders::CheckConsentRequest {
            party: PartyName::new(party).to_string(),
            purpose: purpose.to_owned(),
            channel: channel.to_owned(),
            ..stakeholders::CheckConsentRequest::default()
        });
        let checked = self.answer(client.check_consent(request).await)?;
        Ok((said::consent(purpose, channel, &checked), checked.next_change_time))
    }

    /// Who is near a party, the strongest ties first, whether there are more, and when that changes by itself.
    pub(crate) async fn near(&self, party: Uuid) -> Result<proto::NetworkSection, Error> {
        let now = self.cx.world.now();
        let mut client = RelationshipServiceClient::new(self.cx.peers.transport("stakeholders"));
        let most = TIES as i32;
        let request = stakeholders::GetNeighborhoodRequest {
            party: PartyName::new(party).to_string(),
            depth: 1,
            max_nodes: most + 1,
            max_edges: 2 * most,
            max_edges_per_node: most,
            ..stakeholders::GetNeighborhoodRequest::default()
        };
        let answer = self.answer(client.get_neighborhood(self.request(request)).await)?;
        let (neighbors, truncated) = said::near(party, answer);
        // The feed told of every tie with its dates, also of those that do not hold yet.
        let turn = tie_turn(self.cx.store.reader(), self.tenant, party, now).await.map_err(read_error)?;
        let status = said::next_change(turn.map(wire::to_timestamp), now);
        Ok(proto::NetworkSection { status, neighbors, truncated, ..proto::NetworkSection::default() })
    }

    /// How influential parties are; a sentence in place of it where there is nothing to say.
    pub(crate) async fn influence(&self, parties: &[Uuid]) -> Result<Result<InfluenceSection, &'static str>, Error> {
        if parties.is_empty() {
            return Ok(Err("nobody is near"));
        }
        let mut client = NetworkServiceClient::new(self.cx.peers.transport("scoring"));
        // Whoever has seen a relationship wants it counted.
        let max_age = prost_types::Duration { seconds: INFLUENCE_SECONDS, nanos: 0 };
        let request = scoring::BatchGetInfluenceRequest {
            parties: parties.iter().map(|party| PartyName::new(*party).to_string()).collect(),
            max_age: self.at_least.is_none().then_some(max_age),
        };
        match self.answer(client.batch_get_influence(self.request(request)).await) {
            Ok(answer) => Ok(Ok(InfluenceSection::of(parties, answer))),
            // More relationships than scoring computes over: nothing that asking again would change.
            Err(error) if error.reason == reason::BUDGET_EXCEEDED => Ok(Err("there are too many relationships to say")),
            Err(error) => Err(error),
        }
    }

    /// Who holds an identifier.
    pub(crate) async fn resolve(
        &self,
        scheme: &str,
        value: &str,
        country_code: &str,
    ) -> Result<stakeholders::ResolvePartyResponse, Error> {
        let mut client = IdentityServiceClient::new(self.cx.peers.transport("stakeholders"));
        let identifier = stakeholders::IdentifierQuery {
            scheme: scheme.to_owned(),
            value: value.to_owned(),
            country_code: country_code.to_owned(),
            shared: false,
        };
        let request = stakeholders::ResolvePartyRequest {
            identifiers: vec![identifier],
            max_candidates: crate::domain::MAX_CANDIDATES as i32,
            ..stakeholders::ResolvePartyRequest::default()
        };
        self.answer(client.resolve_party(self.request(request)).await)
    }
}
