//! The demo's only way to the services: generated clients, over the network or within a process.
//!
//! Every write's position is remembered, and every read sends what was written so far as `rapport-at-least`, so that it
//! sees this run's writes without waiting by the clock. Refusals that a retry may cure are retried under the same
//! request id.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rapport_proto::interactions::v1::case_service_client::CaseServiceClient;
use rapport_proto::interactions::v1::desk_service_client::DeskServiceClient;
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::interactions::v1::survey_service_client::SurveyServiceClient;
use rapport_proto::loyalty::v1::advocacy_service_client::AdvocacyServiceClient;
use rapport_proto::loyalty::v1::ledger_service_client::LedgerServiceClient;
use rapport_proto::loyalty::v1::member_service_client::MemberServiceClient;
use rapport_proto::loyalty::v1::program_service_client::ProgramServiceClient;
use rapport_proto::loyalty::v1::tier_service_client::TierServiceClient;
use rapport_proto::operations::v1::operation_service_client::OperationServiceClient;
use rapport_proto::scoring::v1::score_service_client::ScoreServiceClient;
use rapport_proto::scoring::v1::value_service_client::ValueServiceClient;
use rapport_proto::stakeholders::v1::identity_service_client::IdentityServiceClient;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::privacy_service_client::PrivacyServiceClient;
use rapport_proto::stakeholders::v1::relationship_service_client::RelationshipServiceClient;
use rapport_rpc::{Transport, header};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use super::trouble::Trouble;
use crate::patience::tried;

/// How long one unary call may take.
const CALL: Duration = Duration::from_secs(20);
/// How long a read may lag behind the writes before the demo gives up, over all its tries.
const PATIENCE: Duration = Duration::from_secs(120);

/// Clients of the four services, sharing one memory of what has been written.
#[derive(Clone, Debug)]
pub struct Clients {
    ways: Ways,
    written: Arc<Mutex<BTreeMap<String, i64>>>,
}

/// How each service is reached.
#[derive(Clone, Debug)]
pub struct Ways {
    /// The way to stakeholders.
    pub stakeholders: Transport,
    /// The way to interactions.
    pub interactions: Transport,
    /// The way to scoring.
    pub scoring: Transport,
    /// The way to loyalty.
    pub loyalty: Transport,
}

impl Clients {
    /// Clients of services that may live in different processes.
    #[must_use]
    pub fn new(ways: Ways) -> Self {
        Self { ways, written: Arc::default() }
    }

    /// Clients of one process that hosts all services.
    #[must_use]
    pub fn of_one(transport: Transport) -> Self {
        Self::new(Ways {
            stakeholders: transport.clone(),
            interactions: transport.clone(),
            scoring: transport.clone(),
            loyalty: transport,
        })
    }

    /// The same clients with a credential. A token that cannot be a header is left out: the services then answer
    /// UNAUTHENTICATED.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        let ways = Ways {
            stakeholders: self.ways.stakeholders.with_token(token),
            interactions: self.ways.interactions.with_token(token),
            scoring: self.ways.scoring.with_token(token),
            loyalty: self.ways.loyalty.with_token(token),
        };
        Self { ways, written: self.written }
    }

    /// Parties.
    #[must_use]
    pub fn parties(&self) -> PartyServiceClient<Transport> {
        PartyServiceClient::new(self.ways.stakeholders.clone())
    }

    /// Identities.
    #[must_use]
    pub fn identities(&self) -> IdentityServiceClient<Transport> {
        IdentityServiceClient::new(self.ways.stakeholders.clone())
    }

    /// Relationships.
    #[must_use]
    pub fn relationships(&self) -> RelationshipServiceClient<Transport> {
        RelationshipServiceClient::new(self.ways.stakeholders.clone())
    }

    /// Consents.
    #[must_use]
    pub fn privacy(&self) -> PrivacyServiceClient<Transport> {
        PrivacyServiceClient::new(self.ways.stakeholders.clone())
    }

    /// Interactions.
    #[must_use]
    pub fn interactions(&self) -> InteractionServiceClient<Transport> {
        InteractionServiceClient::new(self.ways.interactions.clone())
    }

    /// Cases.
    #[must_use]
    pub fn cases(&self) -> CaseServiceClient<Transport> {
        CaseServiceClient::new(self.ways.interactions.clone())
    }

    /// Scores.
    #[must_use]
    pub fn scores(&self) -> ScoreServiceClient<Transport> {
        ScoreServiceClient::new(self.ways.scoring.clone())
    }

    /// Calls and agent contexts.
    #[must_use]
    pub fn desk(&self) -> DeskServiceClient<Transport> {
        DeskServiceClient::new(self.ways.interactions.clone())
    }

    /// Surveys.
    #[must_use]
    pub fn surveys(&self) -> SurveyServiceClient<Transport> {
        SurveyServiceClient::new(self.ways.interactions.clone())
    }

    /// Lifetime values.
    #[must_use]
    pub fn values(&self) -> ValueServiceClient<Transport> {
        ValueServiceClient::new(self.ways.scoring.clone())
    }

    /// Long jobs of scoring.
    #[must_use]
    pub fn operations(&self) -> OperationServiceClient<Transport> {
        OperationServiceClient::new(self.ways.scoring.clone())
    }

    /// Loyalty programmes.
    #[must_use]
    pub fn programs(&self) -> ProgramServiceClient<Transport> {
        ProgramServiceClient::new(self.ways.loyalty.clone())
    }

    /// Their members.
    #[must_use]
    pub fn members(&self) -> MemberServiceClient<Transport> {
        MemberServiceClient::new(self.ways.loyalty.clone())
    }

    /// Their points.
    #[must_use]
    pub fn ledger(&self) -> LedgerServiceClient<Transport> {
        LedgerServiceClient::new(self.ways.loyalty.clone())
    }

    /// Their tiers.
    #[must_use]
    pub fn tiers(&self) -> TierServiceClient<Transport> {
        TierServiceClient::new(self.ways.loyalty.clone())
    }

    /// Advocates.
    #[must_use]
    pub fn advocacy(&self) -> AdvocacyServiceClient<Transport> {
        AdvocacyServiceClient::new(self.ways.loyalty.clone())
    }

    /// Remembers a position such as `interactions@57` for the reads to come.
    pub fn remember(&self, position: &str) {
        let Some((service, n)) = position.rsplit_once('@') else {
            return;
        };
        let Ok(n) = n.parse::<i64>() else { return };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = written.entry(service.to_owned()).or_insert(n);
        *newest = n.max(*newest);
    }

    /// A request with a deadline and everything written so far as what the answer must know of.
    fn fresh<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(CALL);
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let at_least: Vec<String> = written.iter().map(|(service, n)| format!("{service}@{n}")).collect();
        if let Ok(value) = MetadataValue::try_from(at_least.join(","))
            && !at_least.is_empty()
        {
            request.metadata_mut().insert(header::AT_LEAST, value);
        }
        request
    }

    /// Writes: one call, retried under the same request id where that may help; its position is remembered.
    ///
    /// # Errors
    /// The refusal, once retries are used up or could not help.
    pub async fn write<Q, P, F>(&self, method: &'static str, message: Q, call: F) -> Result<P, Trouble>
    where
        Q: Clone,
        F: AsyncFn(Request<Q>) -> Result<Response<P>, Status>,
    {
        let answered = tried(async || {
            let mut request = Request::new(message.clone());
            request.set_timeout(CALL);
            call(request).await
        });
        let response = answered.await.map_err(Trouble::refused(method))?;
        if let Some(position) = text(&response, header::POSITION) {
            self.remember(&position);
        }
        Ok(response.into_inner())
    }

    /// Reads what knows at least of everything written so far. An answer that the service marks as stale is asked for
    /// again: the service itself waits for its feed, up to the call's deadline.
    ///
    /// # Errors
    /// The refusal, or that the service does not catch up.
    pub async fn read<Q, P, F>(&self, method: &'static str, message: Q, call: F) -> Result<P, Trouble>
    where
        Q: Clone,
        F: AsyncFn(Request<Q>) -> Result<Response<P>, Status>,
    {
        let begun = Instant::now();
        loop {
            let answered = tried(async || call(self.fresh(message.clone())).await);
            let response = answered.await.map_err(Trouble::refused(method))?;
            match text(&response, header::STALE) {
                None => return Ok(response.into_inner()),
                Some(reached) if begun.elapsed() > PATIENCE => {
                    return Err(Trouble::Behind { method, reached });
                }
                Some(_) => {}
            }
        }
    }
}

/// A header of a response as text.
fn text<P>(response: &Response<P>, name: &str) -> Option<String> {
    response.metadata().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
