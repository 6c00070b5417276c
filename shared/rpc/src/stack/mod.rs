//! The one chain that every call passes, from the network and from inside.
//!
//! Outermost first: protocol, request id, trace context, access log, metrics, catch-panic, deadline, limits,
//! authentication, permission, quota, at-least, handler. The order is a promise: a request id is known before anything is
//! logged, everything that is refused is counted, a panic anywhere below is caught, a call that is shed costs no
//! authentication, nothing is parsed or looked up for a caller without a credential, and whether a resource exists is
//! asked only for callers who may know; a tenant pays only for calls that it may make. Streams stay, so whose they are
//! decides who gets a place: they get theirs with the quota. A test holds the list.
//!
//! Each layer is a struct with one `call`; the chain is composed at compile time and a whole call takes one allocation
//! for its future. What happens once per *stream* rather than once per reply stands in `outlet`.

mod access_log;
mod at_least;
mod catch_panic;
mod deadline;
mod handler;
mod limits;
mod meter;
mod outlet;
mod permission;
mod places;
mod protocol;
mod quota;
mod request_id;
mod trace;
mod verify;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{HeaderValue, Request, Response};
use rapport_events::Cursors;
use rapport_types::error::Error;
use rapport_types::tenant::Principal;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tower::Service;

use crate::access::Access;
use crate::authentication::Authentication;
use crate::method::{Method, Methods};
use crate::metrics::Metrics;
use crate::services::Services;
use crate::{limits as bounds, status};

use places::Place;
pub use quota::QuotaOptions;
pub use trace::Spans;

/// How the stack of a process is set up.
pub struct StackOptions {
    /// How callers are told apart.
    pub authentication: Authentication,
    /// What their roles grant.
    pub access: Access,
    /// Unary calls in work at once; more are shed. Calls between services of this process do not count.
    pub calls: usize,
    /// Streams open at once, those of services not counted; more are shed.
    pub streams: usize,
    /// How many of them one tenant may have; 0 is half.
    pub streams_per_tenant: usize,
    /// The deadline of a unary call whose caller names none.
    pub deadline: Duration,
    /// The longest deadline a caller gets.
    pub deadline_max: Duration,
    /// What each tenant may ask for; `None` is as much as it likes.
    pub quota: Option<QuotaOptions>,
    /// For each hosted service, how far it has applied the feeds of others.
    pub cursors: HashMap<String, Cursors>,
    /// Makes a span for each call; `None` while traces are not exported.
    pub spans: Option<Arc<dyn Spans>>,
    /// Cancelled when the process begins to stop.
    pub stopping: CancellationToken,
    /// Cancelled later, when streams that did not end by themselves are ended by the stack.
    pub ending: CancellationToken,
}

impl fmt::Debug for StackOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackOptions").field("authentication", &self.authentication).finish_non_exhaustive()
    }
}

impl StackOptions {
    /// The default limits, no traces, no cursors.
    pub fn new(authentication: Authentication, access: Access) -> StackOptions {
        StackOptions {
            authentication,
            access,
            calls: 1024,
            streams: 1024,
            streams_per_tenant: 0,
            deadline: bounds::DEADLINE,
            deadline_max: bounds::DEADLINE_MAX,
            quota: None,
            cursors: HashMap::new(),
            spans: None,
            stopping: CancellationToken::new(),
            ending: CancellationToken::new(),
        }
    }
}

/// The stack of a process, as a cloneable tower service.
#[derive(Clone)]
pub struct Stack {
    chain: Arc<dyn Answer>,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("order", &self.order()).finish_non_exhaustive()
    }
}

impl Stack {
    /// Builds the stack: the one place where its order stands.
    pub fn new(methods: Methods, services: &Services, options: StackOptions) -> Stack {
        let metrics = Arc::new(Metrics::new(&methods));
        let handler = handler::Handler::new(&methods, services, options.access.clone());
        let chain = at_least::AtLeast::new(options.cursors, &metrics).over(handler);
        let chain = quota::Quota::new(options.quota, options.streams, options.streams_per_tenant, &metrics).over(chain);
        let chain = permission::Permission::new(options.access).over(chain);
        let chain = verify::Verify::new(options.authentication).over(chain);
        let chain = limits::Limits::new(options.calls, &metrics).over(chain);
        let chain = deadline::Deadline::new(options.deadline, options.deadline_max).over(chain);
        let chain = catch_panic::CatchPanic::new(&metrics).over(chain);
        let chain = meter::Meter::new(&metrics).over(chain);
        let chain = access_log::AccessLog.over(chain);
        let chain = trace::Trace::new(options.spans).over(chain);
        let chain = request_id::RequestId::new().over(chain);
        let chain = protocol::Protocol::new(&metrics).over(chain);
        let tools = Tools { metrics: Arc::clone(&metrics), stopping: options.stopping, ending: options.ending };
        Stack { chain: Arc::new(Whole { methods, tools, chain }), metrics }
    }

    /// The layers, outermost first.
    pub fn order(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        self.chain.names(&mut names);
        names
    }

    /// What the stack counts.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Answers a request. It never fails: errors are gRPC statuses.
    pub fn answer(&self, request: Request<Body>) -> BoxFuture<Response<Body>, Infallible> {
        Arc::clone(&self.chain).answer(request)
    }
}

impl Service<Request<Body>> for Stack {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.answer(request)
    }
}

/// A call from a service of this process, or of a test: put into the request's extensions by a
/// [`Transport`](crate::Transport). It cannot come from outside, as extensions do not cross the network.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    pub(crate) principal: Arc<Principal>,
    /// Nested calls skip admission: waiting for the places their own callers hold, they would starve themselves.
    pub(crate) admitted: bool,
}

/// What the layers tell each other about one call.
pub(crate) struct Flow {
    /// The request itself; the handler takes it. It is here so that it is not moved once per layer.
    pub(crate) request: Request<Body>,
    pub(crate) method: Option<Method>,
    pub(crate) started: Instant,
    pub(crate) inside: Option<Inside>,
    pub(crate) request_id: Option<HeaderValue>,
    pub(crate) traceparent: Option<String>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) principal: Option<Arc<Principal>>,
    /// The place of a stream, held until it ends.
    pub(crate) place: Option<Place>,
    /// Whether the metrics know of this call, so that a stream's end is counted only if its beginning was.
    pub(crate) counted: bool,
}

impl Flow {
    pub(crate) fn is_stream(&self) -> bool {
        self.method.is_some_and(|method| method.streaming)
    }

    /// For logs.
    pub(crate) fn path(&self) -> &'static str {
        self.method.map_or("unknown", |method| method.path)
    }
}

/// One layer.
pub(crate) trait Layer: Sized + Send + Sync + 'static {
    const NAME: &'static str;

    fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N)
    -> impl Future<Output = Response<Body>> + Send + 'a;

    fn over<N: Next>(self, next: N) -> Chain<Self, N> {
        Chain { layer: self, next }
    }
}

/// The rest of the chain below a layer.
pub(crate) trait Next: Send + Sync + 'static {
    fn run<'a>(&'a self, flow: &'a mut Flow) -> impl Future<Output = Response<Body>> + Send + 'a;

    fn names(&self, names: &mut Vec<&'static str>);
}

/// A layer and what lies below it.
pub(crate) struct Chain<L, N> {
    layer: L,
    next: N,
}

impl<L: Layer, N: Next> Next for Chain<L, N> {
    fn run<'a>(&'a self, flow: &'a mut Flow) -> impl Future<Output = Response<Body>> + Send + 'a {
        self.layer.call(flow, &self.next)
    }

    fn names(&self, names: &mut Vec<&'static str>) {
        names.push(L::NAME);
        self.next.names(names);
    }
}

trait Answer: Send + Sync {
    fn answer(self: Arc<Self>, request: Request<Body>) -> BoxFuture<Response<Body>, Infallible>;
    fn names(&self, names: &mut Vec<&'static str>);
}

/// What a stream needs after its handler returned.
struct Tools {
    metrics: Arc<Metrics>,
    stopping: CancellationToken,
    ending: CancellationToken,
}

struct Whole<N> {
    methods: Methods,
    tools: Tools,
    chain: N,
}

impl<N: Next> Answer for Whole<N> {
    fn answer(self: Arc<Self>, mut request: Request<Body>) -> BoxFuture<Response<Body>, Infallible> {
        Box::pin(async move {
            let mut flow = Flow {
                method: self.methods.at(request.uri().path()),
                // The runtime's clock, so that tests can turn it.
                started: tokio::time::Instant::now().into_std(),
                inside: request.extensions_mut().remove::<Inside>(),
                request,
                request_id: None,
                traceparent: None,
                deadline: None,
                principal: None,
                place: None,
                counted: false,
            };
            let response = self.chain.run(&mut flow).await;
            Ok(if flow.counted && flow.is_stream() { outlet::wrap(response, flow, &self.tools) } else { response })
        })
    }

    fn names(&self, names: &mut Vec<&'static str>) {
        self.chain.names(names);
    }
}

/// An error as the answer to a call.
pub(crate) fn refuse(error: Error) -> Response<Body> {
    status(error).into_http()
}

/// The code of an answer as far as its headers tell: a reply whose trailers are still to come counts as OK.
pub(crate) fn code_of(response: &Response<Body>) -> Code {
    match response.headers().get("grpc-status") {
        Some(value) => Code::from_bytes(value.as_bytes()),
        None => Code::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct End;

    impl Next for End {
        async fn run<'a>(&'a self, _: &'a mut Flow) -> Response<Body> {
            tokio::task::yield_now().await;
            Response::new(Body::empty())
        }

        fn names(&self, _: &mut Vec<&'static str>) {}
    }

    /// A call's future is one allocation that is written once per layer: it must not grow unnoticed.
    #[test]
    fn a_layer_adds_little_to_the_future_of_a_call() -> Result<(), crate::UnguardedMethod> {
        let metrics = Arc::new(Metrics::new(&Methods::of_contract()?));
        let chain = limits::Limits::new(1, &metrics).over(End);
        let chain = catch_panic::CatchPanic::new(&metrics).over(chain);
        let chain = meter::Meter::new(&metrics).over(chain);
        let mut flow = Flow {
            request: Request::new(Body::empty()),
            method: None,
            started: Instant::now(),
            inside: None,
            request_id: None,
            traceparent: None,
            deadline: None,
            principal: None,
            place: None,
            counted: false,
        };
        let alone = size_of_val(&End.run(&mut flow));
        let three = size_of_val(&chain.run(&mut flow));
        assert!(three - alone < 3 * 150, "{alone} {three}");
        Ok(())
    }
}
