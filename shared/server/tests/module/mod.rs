//! Two small services for tests of the process: `stakeholders` writes an event for every CheckConsent it is asked,
//! `scoring` consumes them and answers GetScores with nothing. They are written against tonic itself rather than the
//! generated traits, so that a new RPC of the contract does not concern them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as Poller, Poll};
use std::time::Duration;

use rapport_events::{Consumer, Event};
use rapport_proto::codec::Codec;
use rapport_proto::scoring::v1::{GetScoresRequest, GetScoresResponse};
use rapport_proto::stakeholders::v1::{CheckConsentRequest, CheckConsentResponse};
use rapport_rpc::{Reply, handle, written};
use rapport_server::{Consumers, Context, Module, Section, Services, read_section};
use rapport_store::{Command, Item, Migrations, Outbox, StoreError, Tx};
use rapport_types::error::Error;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, async_trait};
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response};
use tower::{Service, service_fn};

/// Writes nothing but an event.
struct Note;

#[async_trait]
impl Command for Note {
    type State = ();
    type Reply = ();

    async fn load(_: &Tx, _: &[Item<Self>]) -> Result<(), StoreError> {
        Ok(())
    }

    fn decide(item: &Item<Self>, (): &mut (), out: &mut Outbox) -> Result<(), Error> {
        out.event(&item.scope.tenant, "parties/1", 1, item.now, &CheckConsentResponse::default());
        Ok(())
    }

    async fn apply(_: &Tx, (): ()) -> Result<(), StoreError> {
        Ok(())
    }
}

pub(crate) struct Stakeholders;

impl Module for Stakeholders {
    fn name(&self) -> &'static str {
        "stakeholders"
    }

    fn configure(&mut self, _: &Section) -> Result<(), String> {
        Ok(())
    }

    fn migrations(&self) -> Migrations {
        Vec::new()
    }

    fn routes(&self, cx: &Context, routes: &mut Services) {
        routes.add_service(Notes { cx: cx.clone() });
    }
}

#[derive(Clone)]
struct Notes {
    cx: Context,
}

impl NamedService for Notes {
    const NAME: &'static str = "rapport.stakeholders.v1.PrivacyService";
}

impl Notes {
    async fn answer(self, request: Request<CheckConsentRequest>) -> Reply<CheckConsentResponse> {
        handle(request, async |call, request: CheckConsentRequest| {
            if request.party == "slow" {
                tokio::time::sleep(Duration::from_millis(600)).await;
            }
            let scope = call.scope(call.method, "", &request)?;
            let committed = self.cx.store.submit(scope, Note).await?;
            Ok(written("stakeholders", committed, |()| CheckConsentResponse { allowed: true, ..Default::default() }))
        })
        .await
    }
}

impl Service<http::Request<Body>> for Notes {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Poller<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let answer = service_fn(move |request| this.clone().answer(request));
            Ok(Grpc::new(Codec::<CheckConsentResponse, CheckConsentRequest>::default()).unary(answer, request).await)
        })
    }
}

#[derive(Clone, Default)]
pub(crate) struct Scoring {
    pub(crate) seen: Arc<AtomicU64>,
    /// The option as it was configured.
    pub(crate) log_limit: Arc<AtomicU64>,
}

impl Module for Scoring {
    fn name(&self) -> &'static str {
        "scoring"
    }

    fn configure(&mut self, section: &Section) -> Result<(), String> {
        // The real service has more of them.
        #[derive(serde::Deserialize)]
        struct ScoringOptions {
            log_limit: u64,
        }
        let ScoringOptions { log_limit } = read_section(section)?;
        if log_limit == 0 {
            return Err("log_limit is 0, it must be at least 1".to_owned());
        }
        self.log_limit.store(log_limit, Ordering::SeqCst);
        Ok(())
    }

    fn migrations(&self) -> Migrations {
        Vec::new()
    }

    fn routes(&self, _: &Context, routes: &mut Services) {
        routes.add_service(self.clone());
    }

    fn consumers(&self, cx: &Context, consumers: &mut Consumers) {
        let seen = Arc::clone(&self.seen);
        consumers.add(cx, move || Seen(Arc::clone(&seen)));
    }

    fn needs(&self) -> &'static [&'static str] {
        &["stakeholders"]
    }
}

struct Seen(Arc<AtomicU64>);

#[async_trait]
impl Consumer for Seen {
    type Gathered = ();

    fn name(&self) -> &'static str {
        "seen"
    }

    fn source(&self) -> &'static str {
        "stakeholders"
    }

    async fn gather(&self, _: &[Event]) -> Result<(), Error> {
        Ok(())
    }

    async fn apply(&self, _: &Tx, events: &[Event], (): &(), _: &mut Outbox) -> Result<(), StoreError> {
        self.0.fetch_add(events.len() as u64, Ordering::SeqCst);
        Ok(())
    }
}

impl NamedService for Scoring {
    const NAME: &'static str = "rapport.scoring.v1.ScoreService";
}

async fn scores(request: Request<GetScoresRequest>) -> Reply<GetScoresResponse> {
    handle(request, async |_, _| Ok(Response::new(GetScoresResponse::default()))).await
}

impl Service<http::Request<Body>> for Scoring {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Poller<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            Ok(Grpc::new(Codec::<GetScoresResponse, GetScoresRequest>::default())
                .unary(service_fn(scores), request)
                .await)
        })
    }
}
