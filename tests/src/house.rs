//! A running system with two tenants and callers of every role, and a cast for each tenant.

use std::collections::BTreeMap;

use prost_reflect::MethodDescriptor;
use rapport_proto::interactions::v1 as interactions;
use rapport_proto::interactions::v1::case_service_client::CaseServiceClient;
use rapport_proto::interactions::v1::commitment_service_client::CommitmentServiceClient;
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::interactions::v1::survey_service_client::SurveyServiceClient;
use rapport_proto::loyalty::v1 as loyalty;
use rapport_proto::loyalty::v1::advocacy_service_client::AdvocacyServiceClient;
use rapport_proto::scoring::v1::FitClvModelRequest;
use rapport_proto::scoring::v1::value_service_client::ValueServiceClient;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::relationship_service_client::RelationshipServiceClient;
use rapport_testkit::asserts::{Bearer, positions};
use rapport_testkit::sandbox::{Sandbox, SandboxBuilder};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::club;
use crate::examples::Cast;

/// An administrator of tenant acme.
pub(crate) const ACME: &str = "token-of-acme-admin";
/// An administrator of tenant globex.
pub(crate) const GLOBEX: &str = "token-of-globex-admin";
/// A reader of acme.
pub(crate) const READER: &str = "token-of-acme-reader";
/// An agent of acme, with the role that is built in.
pub(crate) const AGENT: &str = "token-of-acme-agent";
/// A principal of acme whose role grants nothing that exists.
pub(crate) const NOBODY: &str = "token-of-acme-nobody";

/// The same roles in globex.
pub(crate) const GLOBEX_READER: &str = "token-of-globex-reader";
/// An agent of globex.
pub(crate) const GLOBEX_AGENT: &str = "token-of-globex-agent";
/// Nobody of globex.
pub(crate) const GLOBEX_NOBODY: &str = "token-of-globex-nobody";

/// Personal values of acme's cast: none may ever reach globex.
pub(crate) const SENTINELS: [&str; 3] = ["Wilhelmina Sentinel", "+12025550142", "sentinel-body-4711"];
/// Personal values of globex's cast: none may ever reach acme.
pub(crate) const GLOBEX_SENTINELS: [&str; 3] = ["Zebedee Watchword", "+12025550177", "watchword-body-0815"];

/// Methods that answer with an empty result, rather than NOT_FOUND, where a name is not known.
pub(crate) const SAYS_NOTHING: &[&str] = &[
    // Lists what is missing by name.
    "BatchGetParties",
    // Filters by names: nothing passes.
    "WatchParties",
    "WatchInteractions",
    "ListCases",
    "ListCommitments",
    // A participant's party is taken as it is named: interactions may be recorded before the party is known here.
    "RecordInteraction",
    "BatchRecordInteractions",
    "StreamInteractions",
    // Scoring does not know which parties exist: no facts, no evidence, the prior.
    "GetScores",
    "ExplainScore",
    // Nor which of them ever ordered.
    "GetClv",
    "BatchGetScores",
    "ListScoreHistory",
    "WatchScores",
    "GetInfluence",
    "BatchGetInfluence",
    // Filters by a party: nothing passes.
    "ListInvitations",
    "ListMembers",
];

/// A well-formed name that nobody has.
pub(crate) fn unknown(collection: &str) -> String {
    format!("{collection}/018f0000-0000-7000-8000-00000000dead")
}

/// A channel that carries a token.
pub(crate) type Authorised = InterceptedService<Channel, Bearer>;

/// The running system.
pub(crate) struct House {
    sandbox: Sandbox,
}

impl House {
    /// Starts it with every token known.
    pub(crate) async fn open(sandbox: SandboxBuilder) -> House {
        let sandbox = sandbox
            .token(ACME, "acme", "users/ana", &["admin"])
            .token(GLOBEX, "globex", "users/bo", &["admin"])
            .token(READER, "acme", "users/rea", &["reader"])
            .token(AGENT, "acme", "users/abe", &["agent"])
            .token(NOBODY, "acme", "users/nemo", &["outsider"])
            .token(GLOBEX_READER, "globex", "users/ria", &["reader"])
            .token(GLOBEX_AGENT, "globex", "users/gus", &["agent"])
            .token(GLOBEX_NOBODY, "globex", "users/nada", &["outsider"])
            .setting("auth.roles.outsider", Vec::<String>::new());
        House { sandbox: sandbox.start().await }
    }

    /// A channel to the process that serves a method.
    pub(crate) fn channel_of(&self, method: &MethodDescriptor) -> Channel {
        let package = method.parent_service().package_name().to_owned();
        let service = package.split('.').nth(1).expect("rapport.<service>.v1").to_owned();
        // The feed is served by every process; the examples ask interactions for it.
        // So are operations; theirs are of scoring.
        self.sandbox.channel(match service.as_str() {
            "events" => "interactions",
            "operations" => "scoring",
            own => own,
        })
    }

    /// A channel to the process that hosts a service.
    pub(crate) fn channel(&self, service: &str) -> Channel {
        self.sandbox.channel(service)
    }

    /// Where a service listens.
    pub(crate) fn address(&self, service: &str) -> std::net::SocketAddr {
        self.sandbox.address(service)
    }

    fn authorised(&self, service: &str, token: &str) -> (Channel, Bearer) {
        (self.sandbox.shared(service), Bearer::new(token))
    }

    pub(crate) fn parties(&self, token: &str) -> PartyServiceClient<Authorised> {
        let (channel, bearer) = self.authorised("stakeholders", token);
        PartyServiceClient::with_interceptor(channel, bearer)
    }

    pub(crate) fn relationships(&self, token: &str) -> RelationshipServiceClient<Authorised> {
        let (channel, bearer) = self.authorised("stakeholders", token);
        RelationshipServiceClient::with_interceptor(channel, bearer)
    }

    pub(crate) fn interactions(&self, token: &str) -> InteractionServiceClient<Authorised> {
        let (channel, bearer) = self.authorised("interactions", token);
        InteractionServiceClient::with_interceptor(channel, bearer)
    }

    pub(crate) fn cases(&self, token: &str) -> CaseServiceClient<Authorised> {
        let (channel, bearer) = self.authorised("interactions", token);
        CaseServiceClient::with_interceptor(channel, bearer)
    }

    pub(crate) fn surveys(&self, token: &str) -> SurveyServiceClient<Authorised> {
        let (channel, bearer) = self.authorised("interactions", token);
        SurveyServiceClient::with_interceptor(channel, bearer)
    }

    pub(crate) fn advocacy(&self, token: &str) -> AdvocacyServiceClient<Authorised> {
        let (channel, bearer) = self.authorised("loyalty", token);
        AdvocacyServiceClient::with_interceptor(channel, bearer)
    }

    /// Makes a cast through the public API, with personal values that must stay with the tenant.
    pub(crate) async fn cast(&self, token: &str) -> Cast {
        let [display_name, phone, body] = if token == ACME { SENTINELS } else { GLOBEX_SENTINELS };
        let mut parties = self.parties(token);
        let person = stakeholders::Party {
            kind: stakeholders::PartyKind::Individual.into(),
            display_name: display_name.into(),
            contact_media: vec![stakeholders::ContactMedium {
                kind: stakeholders::MediumKind::Phone.into(),
                value: phone.into(),
                ..Default::default()
            }],
            roles: vec![stakeholders::PartyRole { role_type: "customer".into(), ..Default::default() }],
            ..Default::default()
        };
        let created = parties
            .create_party(stakeholders::CreatePartyRequest { party: Some(person), ..Default::default() })
            .await
            .expect("a party is created");
        let seen: BTreeMap<String, i64> = positions(created.metadata());
        assert!(seen.contains_key("stakeholders"), "a write tells its position: {:?}", created.metadata());
        let party = created.into_inner();
        let other = parties
            .create_party(stakeholders::CreatePartyRequest {
                party: Some(stakeholders::Party {
                    kind: stakeholders::PartyKind::Individual.into(),
                    display_name: "Other Example".into(),
                    ..Default::default()
                }),
                ..Default::default()
            })
            .await
            .expect("another party is created")
            .into_inner();
        let relationship = self
            .relationships(token)
            .create_relationship(stakeholders::CreateRelationshipRequest {
                relationship: Some(stakeholders::Relationship {
                    relationship_type: "knows".into(),
                    from_party: party.name.clone(),
                    to_party: other.name.clone(),
                    ..Default::default()
                }),
                ..Default::default()
            })
            .await
            .expect("a relationship is created")
            .into_inner();
        let interaction = self
            .interactions(token)
            .record_interaction(interactions::RecordInteractionRequest {
                interaction: Some(interactions::Interaction {
                    kind: "inquiry".into(),
                    channel: Some(interactions::Channel { medium: interactions::Medium::Phone.into(), online: None }),
                    direction: interactions::Direction::Inbound.into(),
                    participants: vec![interactions::Participant {
                        party: party.name.clone(),
                        function: interactions::Function::Initiator.into(),
                        ..Default::default()
                    }],
                    body: body.into(),
                    occurred_time: Some(prost_types::Timestamp { seconds: 1_760_000_000, nanos: 0 }),
                    ..Default::default()
                }),
                ..Default::default()
            })
            .await
            .expect("an interaction is recorded")
            .into_inner();
        let case = self
            .cases(token)
            .open_case(interactions::OpenCaseRequest {
                case: Some(interactions::Case {
                    party: party.name.clone(),
                    r#type: "inquiry".into(),
                    title: "a question".into(),
                    ..Default::default()
                }),
                ..Default::default()
            })
            .await
            .expect("a case is opened")
            .into_inner();
        let commitment = self.commitment(token, &party.name, body).await;
        let (survey, response) = self.survey(token, &party.name, body).await;
        let (channel, bearer) = self.authorised("scoring", token);
        let operation = ValueServiceClient::with_interceptor(channel, bearer)
            .fit_clv_model(FitClvModelRequest::default())
            .await
            .expect("a fit is begun")
            .into_inner();
        let invitation = self.invitation(token, &party.name, body).await;
        let (channel, bearer) = self.authorised("loyalty", token);
        let club = club::make(channel, bearer, &party.name).await;
        Cast {
            club,
            invitation,
            role: party.roles.first().expect("the party has its role").name.clone(),
            party: party.name,
            other: other.name,
            relationship: relationship.name,
            interaction: interaction.name,
            case: case.name,
            commitment,
            operation: operation.name,
            survey,
            response,
        }
    }

    /// A promise to a party.
    async fn commitment(&self, token: &str, party: &str, description: &str) -> String {
        let commitment = interactions::Commitment {
            party: party.into(),
            side: interactions::CommitmentSide::Ours.into(),
            promise: "an answer".into(),
            description: description.into(),
            due_time: Some(prost_types::Timestamp { seconds: 2_000_000_000, nanos: 0 }),
            ..Default::default()
        };
        let request = interactions::MakeCommitmentRequest { commitment: Some(commitment), ..Default::default() };
        let (channel, bearer) = self.authorised("interactions", token);
        let mut commitments = CommitmentServiceClient::with_interceptor(channel, bearer);
        commitments.make_commitment(request).await.expect("a promise is recorded").into_inner().name
    }

    /// A survey, and what a party answered to it.
    async fn survey(&self, token: &str, party: &str, comment: &str) -> (String, String) {
        let mut surveys = self.surveys(token);
        let survey = interactions::Survey {
            measure: interactions::SurveyMeasure::Nps.into(),
            question: "Would you recommend us?".into(),
            ..Default::default()
        };
        let survey = surveys
            .create_survey(interactions::CreateSurveyRequest { survey: Some(survey), ..Default::default() })
            .await
            .expect("a survey is created")
            .into_inner()
            .name;
        let response = interactions::SurveyResponse {
            party: party.into(),
            score: Some(9),
            comment: comment.into(),
            channel: Some(interactions::Channel { medium: interactions::Medium::Web.into(), online: None }),
            occurred_time: Some(prost_types::Timestamp { seconds: 1_760_000_000, nanos: 0 }),
            ..Default::default()
        };
        let request = interactions::RecordSurveyResponseRequest {
            survey: survey.clone(),
            response: Some(response),
            ..Default::default()
        };
        let response = surveys.record_survey_response(request).await.expect("a response is recorded").into_inner().name;
        (survey, response)
    }

    /// An invitation of a party, made or not.
    async fn invitation(&self, token: &str, party: &str, reason: &str) -> String {
        let request = loyalty::InviteAdvocateRequest {
            party: party.into(),
            channel: "email".into(),
            purpose: "advocacy".into(),
            reason: reason.into(),
            ..Default::default()
        };
        self.advocacy(token).invite_advocate(request).await.expect("an invitation is recorded").into_inner().name
    }

    /// Stops everything in order.
    pub(crate) async fn close(self) {
        self.sandbox.stop().await;
    }
}
