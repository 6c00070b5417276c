use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rapport_types::Timestamp;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsConnector, rustls};
use tonic::codegen::{BoxFuture, StdError};
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use super::der::{self, Validity};
use super::fault::{Fault, Noted, words};
use super::server::mismatched;
use super::{Pem, TlsError, provider};

/// How long the connection itself may take.
const CONNECT: Duration = Duration::from_secs(1);
/// How long the handshake may take after it.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// The port of an address that names none.
const HTTPS: u16 = 443;

/// Whom a client trusts, and what it shows.
#[derive(Clone, Debug, Default)]
pub struct ClientIdentity {
    /// The authorities that sign servers' certificates; `None` means those that browsers trust.
    pub ca: Option<Pem>,
    /// The certificate to show to servers that ask for one, and its key.
    pub certificate: Option<(Pem, Pem)>,
}

/// The client's side of TLS. Cheap to clone; all clones, and the channels made with them, change together.
#[derive(Clone)]
pub struct ClientTls {
    held: Arc<RwLock<Held>>,
}

#[derive(Clone)]
struct Held {
    config: Arc<ClientConfig>,
    validity: Option<Validity>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("shows", &self.validity()).finish_non_exhaustive()
    }
}

/// What a server showed in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// From when to when its certificate holds, if it can be read.
    pub validity: Option<Validity>,
}

impl ClientTls {
    /// From authorities, certificate and key; `now` says whether the certificate is in force.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn new(identity: &ClientIdentity, now: Timestamp) -> Result<ClientTls, TlsError> {
        Ok(ClientTls { held: Arc::new(RwLock::new(prepared(identity, now)?)) })
    }

    /// From now on new connections use these; those that are open go on.
    ///
    /// # Errors
    /// What is wrong with which file; what was used stays in use.
    pub fn replace(&self, identity: &ClientIdentity, now: Timestamp) -> Result<(), TlsError> {
        let new = prepared(identity, now)?;
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From when to when the certificate that is shown holds, if there is one.
    pub fn validity(&self) -> Option<Validity> {
        self.held().validity
    }

    /// Makes one connection to an address such as `https://rapport:50051`, and closes it.
    ///
    /// # Errors
    /// Why there is no connection over TLS.
    pub async fn handshake(&self, address: &str) -> Result<Shown, TlsError> {
        let place = Place::of(address)?;
        let mut connector = self.connector(&place, Fault::default());
        let uri = place.plain().map_err(|_| TlsError::of(address, "is no address"))?;
        let failed = |error: StdError| TlsError(words(error.as_ref()).unwrap_or_else(|| error.to_string()));
        std::future::poll_fn(|cx| connector.poll_ready(cx)).await.map_err(failed)?;
        let stream = connector.call(uri).await.map_err(failed)?.into_inner().stream;
        let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        Ok(Shown { validity: leaf.and_then(|leaf| der::validity(leaf)) })
    }

    /// A channel to an address such as `https://collector:4317`, for a client that is none of ours: what TLS says against
    /// a connection is told to nobody, the call fails as with any broken connection.
    ///
    /// # Errors
    /// The address is no URL that begins with `https://`, or its host can stand in no certificate.
    pub fn channel(&self, address: &str) -> Result<Channel, TlsError> {
        Ok(Channelled::to(address, self, |endpoint| endpoint)?.channel)
    }

    fn connector(&self, place: &Place, fault: Fault) -> Connector {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        Connector { http, name: place.name.clone(), tls: self.clone(), fault }
    }
}

/// A channel over TLS, and what TLS says against it.
pub(crate) struct Channelled {
    pub(crate) channel: Channel,
    pub(crate) fault: Fault,
}

impl Channelled {
    /// To an address that begins with `https://`; `set` is what every channel has besides.
    pub(crate) fn to(
        address: &str,
        tls: &ClientTls,
        set: impl FnOnce(Endpoint) -> Endpoint,
    ) -> Result<Channelled, TlsError> {
        let place = Place::of(address)?;
        let no_address = |_| TlsError::of(address, "is no address such as https://rapport:50051");
        // The connector speaks TLS, so the channel below it needs to know nothing of it.
        let below = place.plain().map_err(no_address)?;
        let origin = place.uri(Scheme::HTTPS).map_err(no_address)?;
        let endpoint = set(Endpoint::from(below)).origin(origin);
        let fault = Fault::default();
        let channel = endpoint.connect_with_connector_lazy(tls.connector(&place, fault.clone()));
        Ok(Channelled { channel, fault })
    }
}

/// Where a server is, and by what name it must be known.
struct Place {
    authority: Authority,
    name: ServerName<'static>,
}

impl Place {
    fn of(address: &str) -> Result<Place, TlsError> {
        let wrong = || TlsError::of(address, "is no address such as https://rapport:50051");
        let uri: Uri = address.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTPS)).ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err(wrong());
        }
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| wrong())?;
        let port = authority.port_u16().unwrap_or(HTTPS);
        let authority = format!("{host}:{port}").parse().map_err(|_| wrong())?;
        Ok(Place { authority, name })
    }

    fn uri(&self, scheme: Scheme) -> Result<Uri, http::Error> {
        Uri::builder().scheme(scheme).authority(self.authority.clone()).path_and_query("/").build()
    }

    fn plain(&self) -> Result<Uri, http::Error> {
        self.uri(Scheme::HTTP)
    }
}

/// Connects, then shakes hands with what is held at that moment.
#[derive(Clone)]
struct Connector {
    http: HttpConnector,
    name: ServerName<'static>,
    tls: ClientTls,
    fault: Fault,
}

type Stream = Noted<TlsStream<TcpStream>>;

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = StdError;
    type Future = BoxFuture<TokioIo<Stream>, StdError>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.http.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.http.call(uri);
        let (name, fault) = (self.name.clone(), self.fault.clone());
        let connector = TlsConnector::from(self.tls.held().config);
        Box::pin(async move {
            match shaken(connecting, connector, name).await {
                Ok(stream) => Ok(TokioIo::new(Noted { stream, fault, heard: false })),
                Err(error) => {
                    // This error has its own words.
                    fault.forget();
                    Err(error)
                }
            }
        })
    }
}

/// Connects, and shakes hands.
async fn shaken(
    connecting: impl Future<Output = Result<TokioIo<TcpStream>, impl Into<StdError>>>,
    connector: TlsConnector,
    name: ServerName<'static>,
) -> Result<TlsStream<TcpStream>, StdError> {
    let stream = connecting.await.map_err(Into::into)?.into_inner();
    let stream = match timeout(HANDSHAKE, connector.connect(name, stream)).await {
        Ok(done) => done?,
        Err(_) => return Err("the TLS handshake took too long".into()),
    };
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err("the server speaks TLS, but no HTTP/2 over it (ALPN h2)".into());
    }
    Ok(stream)
}

fn prepared(identity: &ClientIdentity, now: Timestamp) -> Result<Held, TlsError> {
    let roots = match &identity.ca {
        Some(authorities) => authorities.authorities()?,
        None => RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(error.to_string()))?
        .with_root_certificates(roots);
    let (mut config, validity) = match &identity.certificate {
        None => (builder.with_no_client_auth(), None),
        Some((certificate, key)) => {
            let (chain, validity) = certificate.chain(now)?;
            let config = builder.with_client_auth_cert(chain, key.key()?);
            (config.map_err(|error| mismatched(&error, certificate, key))?, Some(validity))
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Held { config: Arc::new(config), validity })
}
