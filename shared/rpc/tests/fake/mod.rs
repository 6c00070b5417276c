//! Two servers that do as they are told. They are written against tonic itself rather than the generated traits, so
//! that a new RPC of the contract does not concern them.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use rapport_proto::codec::Codec;
use rapport_proto::events::v1::{SubscribeRequest, SubscribeResponse};
use rapport_proto::stakeholders::v1::{CheckConsentRequest, CheckConsentResponse};
use rapport_rpc::{Reply, handle, limits, reply_stream};
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, BoxStream};
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response};
use tower::{Service, service_fn};

/// Answers every method of PrivacyService by the text in `party`.
#[derive(Clone)]
pub(crate) struct Fake;

impl NamedService for Fake {
    const NAME: &'static str = "rapport.stakeholders.v1.PrivacyService";
}

/// A call that asks the fake for something.
pub(crate) fn request(what: &str) -> Request<CheckConsentRequest> {
    Request::new(CheckConsentRequest { party: what.into(), ..Default::default() })
}

/// A raw gRPC request with these bytes as its body.
pub(crate) fn post(body: &[u8]) -> http::Request<Body> {
    http::Request::post("/rapport.stakeholders.v1.PrivacyService/CheckConsent")
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(http_body_util::Full::from(body.to_vec())))
        .unwrap()
}

async fn answer(request: Request<CheckConsentRequest>) -> Reply<CheckConsentResponse> {
    handle(request, async |call, request: CheckConsentRequest| {
        let say = |text: String| Error::new(Kind::Precondition, reason::INVALID_TRANSITION, text);
        match request.party.as_str() {
            "panic" => panic!("as asked"),
            "slow" => std::future::pending::<()>().await,
            "half a second" => tokio::time::sleep(Duration::from_millis(500)).await,
            "tenant" => {
                return Err(say(format!("tenant {} of {}", call.tenant(), call.principal.name)));
            }
            "trace" => {
                return Err(say(format!("trace {}", call.traceparent.as_deref().unwrap_or("none"))));
            }
            _ => {}
        }
        Ok(Response::new(CheckConsentResponse { allowed: true, ..Default::default() }))
    })
    .await
}

impl Service<http::Request<Body>> for Fake {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let codec = Codec::<CheckConsentResponse, CheckConsentRequest>::default();
            let mut grpc =
                Grpc::new(codec).apply_max_message_size_config(Some(limits::MESSAGE_BYTES), Some(limits::REPLY_BYTES));
            Ok(grpc.unary(service_fn(answer), request).await)
        })
    }
}

/// Answers EventService/Subscribe by the text in `source`.
#[derive(Clone)]
pub(crate) struct Feed;

impl NamedService for Feed {
    const NAME: &'static str = "rapport.events.v1.EventService";
}

async fn feed(request: Request<SubscribeRequest>) -> Reply<BoxStream<SubscribeResponse>> {
    handle(request, async |_, request: SubscribeRequest| {
        let message = || Ok(SubscribeResponse::default());
        let stream = match request.source.as_str() {
            "two" => stream::iter([message(), message()]).boxed(),
            "panic" => stream::once(async { panic!("as asked") }).boxed(),
            "silent" => stream::pending().boxed(),
            _ => stream::unfold((), move |()| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Some((message(), ()))
            })
            .boxed(),
        };
        Ok(Response::new(reply_stream(stream)))
    })
    .await
}

impl Service<http::Request<Body>> for Feed {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(Codec::<SubscribeResponse, SubscribeRequest>::default());
            Ok(grpc.server_streaming(service_fn(feed), request).await)
        })
    }
}
