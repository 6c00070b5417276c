//! The running system of one scenario, its callers, and how refusals and streams are looked at.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use rapport_proto::events::v1::event_service_client::EventServiceClient;
use rapport_proto::interactions::v1::case_service_client::CaseServiceClient;
use rapport_proto::interactions::v1::commitment_service_client::CommitmentServiceClient;
use rapport_proto::interactions::v1::desk_service_client::DeskServiceClient;
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::interactions::v1::survey_service_client::SurveyServiceClient;
use rapport_proto::loyalty::v1::advocacy_service_client::AdvocacyServiceClient;
use rapport_proto::loyalty::v1::ledger_service_client::LedgerServiceClient;
use rapport_proto::loyalty::v1::member_service_client::MemberServiceClient;
use rapport_proto::loyalty::v1::program_service_client::ProgramServiceClient;
use rapport_proto::loyalty::v1::tier_service_client::TierServiceClient;
use rapport_proto::operations::v1::operation_service_client::OperationServiceClient;
use rapport_proto::scoring::v1::network_service_client::NetworkServiceClient;
use rapport_proto::scoring::v1::score_service_client::ScoreServiceClient;
use rapport_proto::scoring::v1::value_service_client::ValueServiceClient;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_proto::stakeholders::v1::identity_service_client::IdentityServiceClient;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::privacy_service_client::PrivacyServiceClient;
use rapport_proto::stakeholders::v1::relationship_service_client::RelationshipServiceClient;
use rapport_testkit::Code;
use rapport_testkit::asserts::{Bearer, positions};
use rapport_testkit::sandbox::{Sandbox, SandboxBuilder};
use tonic::{Request, Response, Status, Streaming};
use tonic_types::StatusExt as _;

pub(crate) use crate::house::{ACME, Authorised, GLOBEX, NOBODY, READER, unknown};

/// A second principal of acme, with the role `agent`.
pub(crate) const AGENT: &str = "token-of-acme-agent";

/// How long something that is to come at once may take on a machine that runs other tests besides.
const PATIENCE: Duration = Duration::from_secs(20);

/// Positions of feeds, by service.
pub(crate) type Positions = BTreeMap<String, i64>;

/// A running system in which two tenants have callers of every role.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
}

macro_rules! clients {
    ($($name:ident: $client:ident of $service:literal;)+) => {
        impl Stage {
            $(
                pub(crate) fn $name(&self, token: &str) -> $client<Authorised> {
                    $client::with_interceptor(self.sandbox.shared($service), Bearer::new(token))
                }
            )+
        }
    };
}

clients! {
    parties: PartyServiceClient of "stakeholders";
    identity: IdentityServiceClient of "stakeholders";
    relationships: RelationshipServiceClient of "stakeholders";
    privacy: PrivacyServiceClient of "stakeholders";
    interactions: InteractionServiceClient of "interactions";
    cases: CaseServiceClient of "interactions";
    commitments: CommitmentServiceClient of "interactions";
    desk: DeskServiceClient of "interactions";
    surveys: SurveyServiceClient of "interactions";
    scores: ScoreServiceClient of "scoring";
    values: ValueServiceClient of "scoring";
    operations: OperationServiceClient of "scoring";
    network: NetworkServiceClient of "scoring";
    programs: ProgramServiceClient of "loyalty";
    members: MemberServiceClient of "loyalty";
    tiers: TierServiceClient of "loyalty";
    ledger: LedgerServiceClient of "loyalty";
    advocacy: AdvocacyServiceClient of "loyalty";
}

impl Stage {
    /// Starts it with every token known.
    pub(crate) async fn open(sandbox: SandboxBuilder) -> Stage {
        let sandbox = sandbox
            .token(ACME, "acme", "users/ana", &["admin"])
            .token(AGENT, "acme", "users/abe", &["agent"])
            .token(READER, "acme", "users/rea", &["reader"])
            .token(NOBODY, "acme", "users/nemo", &["outsider"])
            .setting("auth.roles.outsider", Vec::<String>::new())
            // Patience with a machine that runs other tests besides: how soon a database counts as away is asserted
            // where databases are stopped.
            .setting("store.acquire_timeout", "5s")
            .token(GLOBEX, "globex", "users/bo", &["admin"]);
        Stage { sandbox: sandbox.start().await }
    }

    /// The feed of a service, at the process that hosts it.
    pub(crate) fn feed(&self, service: &str, token: &str) -> EventServiceClient<Authorised> {
        EventServiceClient::with_interceptor(self.sandbox.channel(service), Bearer::new(token))
    }

    /// Records a party of acme.
    pub(crate) async fn party(&self, party: stakeholders::Party) -> stakeholders::Party {
        self.party_at(party).await.0
    }

    /// Records a party of acme, and says where its events are.
    pub(crate) async fn party_at(&self, party: stakeholders::Party) -> (stakeholders::Party, Positions) {
        let request = stakeholders::CreatePartyRequest { party: Some(party), ..Default::default() };
        let created = self.parties(ACME).create_party(request).await.expect("a party is created");
        let seen = positions(created.metadata());
        assert!(seen.contains_key("stakeholders"), "a write tells its position: {:?}", created.metadata());
        (created.into_inner(), seen)
    }

    /// Stops everything in order.
    pub(crate) async fn close(self) {
        self.sandbox.stop().await;
    }
}

/// Asserts that a call was refused for exactly these fields and reasons.
#[track_caller]
pub(crate) fn refused<T: Debug>(answer: Result<Response<T>, Status>, expected: &[(&str, &str)]) {
    let status = match answer {
        Ok(reply) => panic!("expected {expected:?}, got {reply:?}"),
        Err(status) => status,
    };
    assert_eq!(status.code(), Code::InvalidArgument, "expected {expected:?}, got {status:?}");
    let mut found: Vec<(String, String)> = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations.into_iter().map(|one| (one.field, one.reason)).collect())
        .unwrap_or_default();
    found.sort();
    let mut expected: Vec<(String, String)> =
        expected.iter().map(|(field, reason)| ((*field).to_owned(), (*reason).to_owned())).collect();
    expected.sort();
    assert_eq!(found, expected, "{}", status.message());
}

/// The next message of a stream.
#[track_caller]
pub(crate) fn next<T>(stream: &mut Streaming<T>) -> impl Future<Output = T> {
    let asked = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, stream.message()).await {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => panic!("{asked}: the stream ended"),
            Ok(Err(status)) => panic!("{asked}: the stream failed: {status:?}"),
            Err(_) => panic!("{asked}: the stream says nothing"),
        }
    }
}

/// How a stream ends: reads and drops what still comes.
pub(crate) async fn end<T>(stream: &mut Streaming<T>) -> Result<(), Status> {
    let rest = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(status) => return Err(status),
            }
        }
    };
    tokio::time::timeout(PATIENCE, rest).await.expect("the stream stays open")
}

/// A request that gives up after a while, as `grpc-timeout` tells the server.
pub(crate) fn within<T>(mut request: Request<T>, limit: Duration) -> Request<T> {
    request.set_timeout(limit);
    request
}

/// A fresh request id.
pub(crate) fn fresh() -> String {
    uuid::Uuid::new_v4().to_string()
}
