use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rapport_types::Timestamp;
use rustls::{InconsistentKeys, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;
use tokio_rustls::server::TlsStream;

use super::der::Validity;
use super::{Pem, TlsError, names, provider};

/// The first byte of every TLS connection: the type of a handshake record.
const HANDSHAKE: u8 = 22;
/// How long a client that was refused may take to read why.
const LINGER: Duration = Duration::from_secs(1);

/// What a server shows, and what it wants to be shown.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    /// Its certificate, then those of the authorities between it and one that clients trust.
    pub certificate: Pem,
    /// The private key of the first certificate.
    pub key: Pem,
    /// The authorities of which one must have signed the certificate of each client; `None` asks for no certificate.
    pub client_ca: Option<Pem>,
    /// The names of which each client's certificate must bear one; any if empty.
    pub client_names: Vec<String>,
}

/// The server's side of TLS. Cheap to clone; all clones change together.
#[derive(Clone, Debug)]
pub struct ServerTls {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    held: RwLock<Held>,
    counts: Counts,
}

#[derive(Clone, Debug)]
struct Held {
    config: Arc<ServerConfig>,
    validity: Validity,
}

#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    failed: AtomicU64,
    late: AtomicU64,
    plain: AtomicU64,
}

/// How many connections ended their handshake how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// They went on over TLS.
    pub done: u64,
    /// They broke off, or were refused.
    pub failed: u64,
    /// They took too long.
    pub late: u64,
    /// They spoke no TLS.
    pub plain: u64,
}

/// How a connection began.
#[derive(Debug)]
pub enum Greeting {
    /// With a handshake that succeeded.
    Tls(Box<TlsStream<TcpStream>>),
    /// With something that is no TLS; nothing of it was read.
    Plain(TcpStream),
}

/// Why there is no connection.
#[derive(Debug)]
pub enum HandshakeError {
    /// The handshake was not done in time.
    Late,
    /// It failed.
    Failed(io::Error),
}

impl std::fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HandshakeError::Late => f.write_str("the handshake took too long"),
            HandshakeError::Failed(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for HandshakeError {}

impl ServerTls {
    /// From certificate and key; `now` says whether the certificate is in force.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn new(identity: &ServerIdentity, now: Timestamp) -> Result<ServerTls, TlsError> {
        let held = RwLock::new(prepared(identity, now)?);
        Ok(ServerTls { inner: Arc::new(Inner { held, counts: Counts::default() }) })
    }

    /// From now on handshakes use these; connections that are open go on.
    ///
    /// # Errors
    /// What is wrong with which file; what was used stays in use.
    pub fn replace(&self, identity: &ServerIdentity, now: Timestamp) -> Result<(), TlsError> {
        let new = prepared(identity, now)?;
        *self.inner.held.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn held(&self) -> Held {
        self.inner.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From when to when the certificate in use holds.
    pub fn validity(&self) -> Validity {
        self.held().validity
    }

    /// How the handshakes so far ended.
    pub fn handshakes(&self) -> Handshakes {
        let counts = &self.inner.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Handshakes {
            done: read(&counts.done),
            failed: read(&counts.failed),
            late: read(&counts.late),
            plain: read(&counts.plain),
        }
    }

    /// The handshake of one connection, for up to `limit`.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn accept(&self, stream: TcpStream, limit: Duration) -> Result<Greeting, HandshakeError> {
        let counts = &self.inner.counts;
        let greeting = self.greet(stream, limit).await;
        let count = match &greeting {
            Ok(Greeting::Tls(_)) => &counts.done,
            Ok(Greeting::Plain(_)) => &counts.plain,
            Err(HandshakeError::Late) => &counts.late,
            Err(HandshakeError::Failed(_)) => &counts.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        greeting
    }

    async fn greet(&self, stream: TcpStream, limit: Duration) -> Result<Greeting, HandshakeError> {
        let until = Instant::now() + limit;
        let mut first = [0];
        match timeout_at(until, stream.peek(&mut first)).await {
            Ok(Ok(1)) if first[0] != HANDSHAKE => return Ok(Greeting::Plain(stream)),
            Ok(Ok(1)) => {}
            Ok(Ok(_)) => return Err(HandshakeError::Failed(io::ErrorKind::UnexpectedEof.into())),
            Ok(Err(error)) => return Err(HandshakeError::Failed(error)),
            Err(_) => return Err(HandshakeError::Late),
        }
        let accepting = TlsAcceptor::from(self.held().config).accept(stream).into_fallible();
        match timeout_at(until, accepting).await {
            Ok(Ok(stream)) => Ok(Greeting::Tls(Box::new(stream))),
            Ok(Err((error, stream))) => {
                linger(stream).await;
                Err(HandshakeError::Failed(error))
            }
            Err(_) => Err(HandshakeError::Late),
        }
    }
}

/// Closes so that the alert, which says why, arrives: a socket that is closed with unread bytes takes back what it sent.
async fn linger(mut stream: TcpStream) {
    let mut unread = [0; 1024];
    let rest = async {
        stream.shutdown().await?;
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    let _gone = timeout(LINGER, rest).await;
}

fn prepared(identity: &ServerIdentity, now: Timestamp) -> Result<Held, TlsError> {
    let (chain, validity) = identity.certificate.chain(now)?;
    let key = identity.key.key()?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| identity.certificate.wrong(error))?;
    let builder = match &identity.client_ca {
        None => builder.with_no_client_auth(),
        Some(authorities) => builder.with_client_cert_verifier(names::verifier(authorities, &identity.client_names)?),
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|error| mismatched(&error, &identity.certificate, &identity.key))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Held { config: Arc::new(config), validity })
}

/// What is wrong with a certificate and a key together.
pub(super) fn mismatched(error: &rustls::Error, certificate: &Pem, key: &Pem) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            key.wrong("the private key is not that of the certificate beside it")
        }
        rustls::Error::InvalidCertificate(_) => certificate.wrong("its first certificate is no X.509 certificate"),
        _ => key.wrong("the private key is none that can be used: RSA, ECDSA (P-256, P-384) or Ed25519"),
    }
}
