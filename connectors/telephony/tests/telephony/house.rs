//! A Rapport with the services that calls need, in the test's process, and connectors in front of it.

use std::time::Duration;

use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::events::v1::event_service_client::EventServiceClient;
use rapport_proto::interactions::v1::desk_service_client::DeskServiceClient;
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::interactions::v1::{BeginCallRequest, Call, Direction, Interaction, ListInteractionsRequest};
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::{ContactMedium, CreatePartyRequest, MediumKind, Party, PartyKind};
use rapport_server::{Module, Secret, Span};
use rapport_telephony::{AgiOptions, AsteriskOptions, HttpOptions, Running, TelephonyOptions};
use rapport_testkit::asserts::Bearer;
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::Sandbox;
use rapport_types::World;

use crate::fake::asterisk::{Asterisk, PASSWORD, USER};

const ADMIN: &str = "token-of-the-administrator";
const TELEPHONY: &str = "token-of-the-telephony";
pub(crate) const SECRET: &str = "secret-of-the-webhook";

fn modules() -> Vec<Box<dyn Module>> {
    vec![rapport_stakeholders::module(), rapport_interactions::module()]
}

/// The Rapport.
pub(crate) struct House {
    pub(crate) sandbox: Sandbox,
}

impl House {
    pub(crate) async fn open(place: StorePlace) -> House {
        let sandbox = Sandbox::builder(modules)
            .place(place)
            .token(ADMIN, "acme", "users/ana", &["admin"])
            .token(TELEPHONY, "acme", "services/telephony", &["telephony"])
            // What the README says that the connector needs.
            .setting(
                "auth.roles.telephony",
                vec![
                    "interactions.calls.write",
                    "interactions.contexts.read",
                    "stakeholders.*.read",
                    "scoring.*.read",
                    "loyalty.*.read",
                ],
            )
            .start()
            .await;
        House { sandbox }
    }

    /// What a connector in front of it is told.
    pub(crate) fn options(&self) -> TelephonyOptions {
        TelephonyOptions {
            rapport: format!("http://{}", self.sandbox.address("interactions")),
            token: Secret::new(TELEPHONY),
            // Long enough for a machine that runs other tests besides: how long a call is held is asserted where
            // Rapport is away.
            budget: Span::millis(5_000),
            ..quiet()
        }
    }

    /// Somebody with a number.
    pub(crate) async fn party(&self, name: &str, number: &str) -> String {
        let channel = self.sandbox.channel("stakeholders");
        let party = Party {
            kind: PartyKind::Individual.into(),
            display_name: name.into(),
            contact_media: vec![ContactMedium {
                kind: MediumKind::Phone.into(),
                value: number.into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let request = CreatePartyRequest { party: Some(party), ..Default::default() };
        let mut client = PartyServiceClient::with_interceptor(channel, Bearer::new(ADMIN));
        client.create_party(request).await.expect("a party is created").into_inner().name
    }

    /// A call as Rapport keeps it: telling it again gives it as it is.
    pub(crate) async fn call(&self, id: &str) -> Call {
        let call = Call { call_id: id.into(), direction: Direction::Inbound.into(), ..Default::default() };
        let request = BeginCallRequest { call: Some(call), ..Default::default() };
        let channel = self.sandbox.channel("interactions");
        let mut client = DeskServiceClient::with_interceptor(channel, Bearer::new(ADMIN));
        client.begin_call(request).await.expect("a call").into_inner()
    }

    /// Every interaction there is.
    pub(crate) async fn interactions(&self) -> Vec<Interaction> {
        let channel = self.sandbox.channel("interactions");
        let mut client = InteractionServiceClient::with_interceptor(channel, Bearer::new(ADMIN));
        let request = ListInteractionsRequest { page_size: 100, ..Default::default() };
        client.list_interactions(request).await.expect("listed").into_inner().interactions
    }

    /// Waits until so many interactions have been recorded.
    pub(crate) async fn recorded(&self, count: usize) {
        let request = SubscribeRequest {
            source: "interactions".into(),
            types: vec!["rapport.interactions.v1.InteractionRecorded".into()],
            ..Default::default()
        };
        let channel = self.sandbox.channel("interactions");
        let mut client = EventServiceClient::with_interceptor(channel, Bearer::new(ADMIN));
        let mut feed = client.subscribe(request).await.expect("subscribed").into_inner();
        let mut seen = 0;
        while seen < count {
            let next = tokio::time::timeout(Duration::from_secs(40), feed.message()).await;
            seen += next.expect("an interaction is recorded").expect("no error").expect("no end").events.len();
        }
    }
}

/// A connector that listens on free ports and calls nobody.
pub(crate) fn quiet() -> TelephonyOptions {
    TelephonyOptions {
        http: HttpOptions {
            listen: "127.0.0.1:0".into(),
            webhook_secret: Secret::new(SECRET),
            ..HttpOptions::default()
        },
        agi: AgiOptions { listen: "127.0.0.1:0".into(), ..AgiOptions::default() },
        ..TelephonyOptions::default()
    }
}

/// Starts a connector.
pub(crate) async fn started(options: TelephonyOptions) -> Running {
    rapport_telephony::start(options, World::system()).await.expect("it starts")
}

/// The same options, with ARI on a fake.
pub(crate) fn with(options: TelephonyOptions, asterisk: &Asterisk) -> TelephonyOptions {
    let asterisk = AsteriskOptions {
        url: asterisk.url(),
        user: USER.into(),
        password: Secret::new(PASSWORD),
        ..AsteriskOptions::default()
    };
    TelephonyOptions { asterisk, ..options }
}
