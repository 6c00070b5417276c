//! What this crate's tests stand on: a store in an empty place, and the service over it without its peers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rapport_events::{Cursors, Feed};
use rapport_proto::interactions::v1 as proto;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_proto::stakeholders::v1::privacy_service_server::{PrivacyService, PrivacyServiceServer};
use rapport_rpc::{Access, Call, Local, Methods, Peers, Transport, wire};
use rapport_server::Context;
use rapport_store::{Outbox, Scope, Store, StoreError, Tx, Work};
use rapport_testkit::place::StorePlace;
use rapport_types::tenant::{Principal, TenantId};
use rapport_types::{Uuid, World};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Server, TcpIncoming};
use tonic::{Request, Response, Status};

use crate::store::{Known, SectionKey, Tie, TieKey, sealing, section_put, tie_change};

/// The service over a new store. Peers answer UNAVAILABLE.
pub(crate) async fn context(place: &StorePlace) -> Context {
    context_among(place, BTreeMap::new()).await
}

/// The service over a new store, with ways to some of its peers. The others answer UNAVAILABLE.
pub(crate) async fn context_among(place: &StorePlace, peers: BTreeMap<String, Transport>) -> Context {
    context_in(place, peers, World::system()).await
}

/// The service over a new store, in a world whose clock the test moves.
pub(crate) async fn context_at(place: &StorePlace, world: &World) -> Context {
    context_in(place, BTreeMap::new(), world.clone()).await
}

async fn context_in(place: &StorePlace, peers: BTreeMap<String, Transport>, world: World) -> Context {
    let store =
        Store::open(&place.options(), "interactions", crate::migration::migrations(), world.clone()).await.unwrap();
    Context {
        world,
        peers: Peers::new("interactions", Local::default(), [], peers),
        cursors: Cursors::new(store.clone()),
        feed: Feed::new(store.clone()),
        stopping: CancellationToken::new(),
        traced: false,
        store,
    }
}

/// What is answered to a question for a consent.
type Checked = Result<stakeholders::CheckConsentResponse, Status>;

/// A stakeholders service that knows of consents alone.
struct Privacy<F>(F);

#[tonic::async_trait]
impl<F: Fn(&str) -> Checked + Send + Sync + 'static> PrivacyService for Privacy<F> {
    async fn record_consent(
        &self,
        _: Request<stakeholders::RecordConsentRequest>,
    ) -> Result<Response<stakeholders::Consent>, Status> {
        Err(Status::unimplemented("it is not asked"))
    }

    async fn list_consents(
        &self,
        _: Request<stakeholders::ListConsentsRequest>,
    ) -> Result<Response<stakeholders::ListConsentsResponse>, Status> {
        Err(Status::unimplemented("it is not asked"))
    }

    async fn check_consent(
        &self,
        request: Request<stakeholders::CheckConsentRequest>,
    ) -> Result<Response<stakeholders::CheckConsentResponse>, Status> {
        (self.0)(&request.get_ref().party).map(Response::new)
    }
}

/// A way to a stakeholders service that answers for the consents of a party, by its name.
pub(crate) fn consents(answer: impl Fn(&str) -> Checked + Send + Sync + 'static) -> BTreeMap<String, Transport> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}", incoming.local_addr().unwrap());
    let service = PrivacyServiceServer::new(Privacy(answer));
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    [("stakeholders".to_owned(), Transport::network(&address).unwrap())].into()
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// A call of somebody of a tenant.
pub(crate) fn call(tenant: &str) -> Call {
    let principal = Principal {
        tenant: TenantId::parse(tenant).unwrap(),
        name: "users/ana".to_owned(),
        roles: vec!["agent".to_owned()],
        service: false,
    };
    let access = Access::new(&Methods::of_contract().unwrap(), &BTreeMap::new());
    let deadline = Instant::now() + Duration::from_secs(60);
    Call::new(Arc::new(principal), access, deadline, "/rapport.interactions.v1.InteractionService/Test")
}

/// A request of somebody of a tenant, as the stack hands it on.
pub(crate) fn request<T>(tenant: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.extensions_mut().insert(call(tenant));
    request
}

pub(crate) fn scope(tenant: &str) -> Scope {
    call(tenant).scope("test", "", &()).unwrap()
}

pub(crate) fn party(id: u128) -> String {
    format!("parties/{}", Uuid::from_u128(id))
}

/// A participant who is named by a party.
pub(crate) fn by_party(id: u128) -> proto::Participant {
    proto::Participant {
        party: party(id),
        role_type: "customer".to_owned(),
        function: proto::Function::Initiator.into(),
        ..proto::Participant::default()
    }
}

/// A participant who is named by a number alone.
pub(crate) fn by_tel(number: &str) -> proto::Participant {
    proto::Participant {
        identifier_used: Some(proto::Identifier { scheme: "tel".to_owned(), value: number.to_owned() }),
        role_type: "customer".to_owned(),
        function: proto::Function::Initiator.into(),
        ..proto::Participant::default()
    }
}

/// A complaint by telephone that occurred some seconds after a fixed moment of the past.
pub(crate) fn complaint(participant: proto::Participant, seconds: i64) -> proto::Interaction {
    proto::Interaction {
        kind: "complaint".to_owned(),
        channel: Some(proto::Channel { medium: proto::Medium::Phone.into(), online: None }),
        direction: proto::Direction::Inbound.into(),
        participants: vec![participant],
        topics: vec!["delivery".to_owned()],
        subject_line: "Parcel came broken".to_owned(),
        body: "The vase was in two pieces.\nAgain.".to_owned(),
        valence: Some(proto::Valence { value: -0.8, method: proto::ValenceMethod::Stated.into(), confidence: None }),
        effort: Some(5),
        occurred_time: Some(prost_types::Timestamp { seconds: 1_700_000_000 + seconds, nanos: 0 }),
        ..proto::Interaction::default()
    }
}

/// An order of so many euros.
pub(crate) fn order(participant: proto::Participant, seconds: i64, euros: i64) -> proto::Interaction {
    let currency = rapport_types::Currency::parse("EUR").unwrap();
    let money = rapport_types::Money::new(euros, 0, currency).unwrap();
    proto::Interaction {
        kind: "order".to_owned(),
        channel: Some(proto::Channel { medium: proto::Medium::Web.into(), online: None }),
        direction: proto::Direction::Inbound.into(),
        participants: vec![participant],
        amount: Some(proto::Amount { kind: proto::AmountKind::Order.into(), money: Some(wire::to_money(money)) }),
        occurred_time: Some(prost_types::Timestamp { seconds: 1_700_000_000 + seconds, nanos: 0 }),
        ..proto::Interaction::default()
    }
}

pub(crate) fn request_id(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

/// What the desk keeps of other services.
#[derive(Default)]
pub(crate) struct Keep {
    pub(crate) sections: BTreeMap<SectionKey, Known>,
    pub(crate) ties: BTreeMap<TieKey, Option<Tie>>,
}

#[async_trait]
impl Work for Keep {
    type Output = ();

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<(), StoreError> {
        section_put(tx, &self.sections).await?;
        tie_change(tx, &self.ties).await?;
        Ok(())
    }
}

/// Keeps it.
pub(crate) async fn keep(cx: &Context, kept: Keep) {
    cx.store.run(kept).await.unwrap();
}

struct Erase(TenantId, Uuid);

#[async_trait]
impl Work for Erase {
    type Output = ();

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<(), StoreError> {
        tx.destroy_keys(&[sealing::subject(&self.0, self.1)]).await
    }
}

/// Destroys the key of an origin.
pub(crate) async fn erase(cx: &Context, tenant: &str, origin: Uuid) {
    cx.store.run(Erase(TenantId::parse(tenant).unwrap(), origin)).await.unwrap();
}
