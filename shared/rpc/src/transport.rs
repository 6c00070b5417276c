use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::tenant::Principal;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, StdError};
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use crate::header;
use crate::stack::{Inside, Stack, refuse};
use crate::tls::{Channelled, ClientTls, Fault, TlsError, words};

/// How long a caller waits before it calls a peer again with which TLS failed: certificates are mended by people.
const RETRY: Duration = Duration::from_secs(5);

/// What a generated client runs over: a network channel, or the stack of this very process. Both pass the same layers
/// and encode the same errors, so a client cannot tell which it has.
///
/// `PartyServiceClient::new(transport)`
#[derive(Clone)]
pub struct Transport {
    way: Way,
    authorization: Option<HeaderValue>,
    inside: Option<Inside>,
}

#[derive(Clone)]
enum Way {
    Network(Channel),
    /// With what TLS last said against the connection.
    Secured(Channel, Fault),
    Local(Local),
    /// No address is configured for this service.
    Nowhere(Arc<str>),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.way {
            Way::Network(_) => "Transport::Network",
            Way::Secured(..) => "Transport::Secured",
            Way::Local(_) => "Transport::Local",
            Way::Nowhere(_) => "Transport::Nowhere",
        })
    }
}

/// The stack of this process as its own services see it: they are built before it and hold it only through this, so
/// that a stopped process lets go of everything.
#[derive(Clone, Debug, Default)]
pub struct Local {
    stack: Arc<RwLock<Option<Stack>>>,
}

impl Local {
    /// From now on calls reach the stack.
    pub fn open(&self, stack: Stack) {
        *self.stack.write().unwrap_or_else(PoisonError::into_inner) = Some(stack);
    }

    /// From now on calls are answered with UNAVAILABLE.
    pub fn close(&self) {
        *self.stack.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn get(&self) -> Option<Stack> {
        self.stack.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Transport {
    /// A channel to an address such as `http://127.0.0.1:50051`. It connects when it is first used and again whenever
    /// the connection is lost, so processes may start in any order. Needs a tokio runtime.
    ///
    /// # Errors
    /// The address is no URL.
    pub fn network(address: &str) -> Result<Transport, tonic::transport::Error> {
        let endpoint = set(Endpoint::from_shared(address.to_owned())?);
        let endpoint = endpoint.connect_timeout(Duration::from_secs(1)).tcp_nodelay(true);
        Ok(Transport::channel(endpoint.connect_lazy()))
    }

    /// A channel over TLS to an address such as `https://rapport:50051`: the server's certificate must be signed by an
    /// authority that `tls` trusts and be for the host of the address. It connects as [`Transport::network`] does, each
    /// time with what `tls` holds then.
    ///
    /// # Errors
    /// The address is no URL that begins with `https://`, or its host can stand in no certificate.
    pub fn secured(address: &str, tls: &ClientTls) -> Result<Transport, TlsError> {
        let Channelled { channel, fault } = Channelled::to(address, tls, set)?;
        Ok(Transport { way: Way::Secured(channel, fault), authorization: None, inside: None })
    }

    /// A channel that somebody else set up.
    pub fn channel(channel: Channel) -> Transport {
        Transport { way: Way::Network(channel), authorization: None, inside: None }
    }

    /// The stack of this process, as a caller from outside would reach it.
    pub fn local(local: Local) -> Transport {
        Transport { way: Way::Local(local), authorization: None, inside: None }
    }

    pub(crate) fn nowhere(service: &str) -> Transport {
        Transport { way: Way::Nowhere(service.into()), authorization: None, inside: None }
    }

    /// The same transport, with a bearer token on every call. A token that cannot stand in a header is left out, and
    /// the calls are refused.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Transport {
        self.authorization = HeaderValue::try_from(format!("Bearer {token}")).ok().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        self
    }

    /// The same transport as another caller, without a credential. In process only: over the network it has no effect.
    #[must_use]
    pub fn with_principal(mut self, principal: Principal) -> Transport {
        self.inside = Some(Inside { principal: Arc::new(principal), admitted: false });
        self
    }

    pub(crate) fn with_service(mut self, principal: Arc<Principal>) -> Transport {
        self.inside = Some(Inside { principal, admitted: true });
        self
    }
}

/// What every channel of ours has.
fn set(endpoint: Endpoint) -> Endpoint {
    endpoint
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<Response<Body>, StdError>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        match &mut self.way {
            Way::Network(channel) => channel.poll_ready(cx).map_err(Into::into),
            Way::Secured(channel, _) => channel.poll_ready(cx).map_err(Into::into),
            Way::Local(_) | Way::Nowhere(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(value) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, value.clone());
        }
        match &mut self.way {
            Way::Network(channel) => {
                let response = channel.call(request);
                Box::pin(async move { Ok(response.await?) })
            }
            Way::Secured(channel, fault) => {
                let (response, fault) = (channel.call(request), fault.clone());
                Box::pin(async move {
                    match response.await {
                        Ok(response) => Ok(response),
                        Err(error) => match words(&error).or_else(|| fault.told()) {
                            Some(words) => Ok(refuse(
                                Error::new(
                                    Kind::Unavailable,
                                    reason::PEER_UNAVAILABLE,
                                    format!("no connection over TLS to the server: {words}"),
                                )
                                .retry(RETRY),
                            )),
                            None => Err(error.into()),
                        },
                    }
                })
            }
            Way::Local(local) => {
                let Some(stack) = local.get() else {
                    return Box::pin(std::future::ready(Ok(refuse(
                        Error::new(Kind::Unavailable, reason::SHUTTING_DOWN, "the process is starting or stopping")
                            .retry(Duration::from_millis(500)),
                    ))));
                };
                if let Some(inside) = &self.inside {
                    request.extensions_mut().insert(inside.clone());
                }
                Box::pin(async move {
                    match stack.answer(request).await {
                        Ok(response) => Ok(response),
                        Err(never) => match never {},
                    }
                })
            }
            Way::Nowhere(service) => Box::pin(std::future::ready(Ok(refuse(
                Error::new(
                    Kind::Unavailable,
                    reason::PEER_UNAVAILABLE,
                    format!("no address of the {service} service is configured: set peers.{service}"),
                )
                .with("service", service)
                .retry(Duration::from_secs(5)),
            )))),
        }
    }
}
