//! Connections that never come to their first request: they are closed in time, and hold nobody up for longer than that.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rapport_rpc::Transport;
use rapport_rpc::tls::{ClientIdentity, ClientTls, Pem};
use rapport_server::Span;
use rapport_types::id::World;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::{options, started, write};

/// How long a connection may take to begin, in these tests.
const BEGIN: Duration = Duration::from_secs(3);
/// How long what the server does by itself may take, on a machine that runs other tests besides.
const PATIENCE: Duration = Duration::from_secs(30);
/// What somebody says who never comes to a request.
const BEGINNINGS: [&[u8]; 6] = [
    b"",
    b"P",
    b"PRI * HTTP/2.0\r\n",
    PREFACE,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x06\x04\x00\x00",
    b"POST /rapport.stakeholders.v1.PartyService/GetParty HTTP/1.1\r\nhost: x\r\n",
];
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A frame without settings, which are those of the protocol then.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7];
const PONG: &[u8] = &[0, 0, 8, 6, 1, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7];
/// A request that anybody may make, and that leaves the connection open.
const REQUEST: &[u8] = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A port, and how it is spoken to.
struct Port {
    address: SocketAddr,
    tls: Option<CertifiedKey<KeyPair>>,
}

impl Port {
    /// Makes a certificate that vouches for itself, and writes it.
    fn certified(folder: &Path) -> CertifiedKey<KeyPair> {
        let made = generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        std::fs::write(folder.join("server.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("server.key"), made.signing_key.serialize_pem()).unwrap();
        made
    }

    async fn shaken(&self, made: &CertifiedKey<KeyPair>, protocol: &str) -> impl Stream + 'static {
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    /// A client that behaves.
    fn client(&self) -> Transport {
        let Some(made) = &self.tls else {
            return Transport::network(&format!("http://{}", self.address)).unwrap();
        };
        let identity = ClientIdentity { ca: Some(Pem::new("ca", made.cert.pem())), certificate: None };
        let tls = ClientTls::new(&identity, World::system().now()).unwrap();
        Transport::secured(&format!("https://localhost:{}", self.address.port()), &tls).unwrap()
    }

    /// A connection, its handshake done, on which something was said.
    async fn saying(&self, protocol: &str, said: &[u8]) -> Box<dyn Stream> {
        let mut stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(TcpStream::connect(self.address).await.unwrap()),
            Some(made) => Box::new(self.shaken(made, protocol).await),
        };
        stream.write_all(said).await.expect("sent");
        stream.flush().await.expect("sent");
        stream
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_comes_to_a_request_is_closed_and_others_get_in() {
    tokio::join!(closed_in_time(false), closed_in_time(true));
}

async fn closed_in_time(secured: bool) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir);
    // Each beginning twice, two who did not come to a handshake, and two who do everything right.
    options.limits.connections = 2 * BEGINNINGS.len() + 2 + 2;
    options.limits.connection_begin = Span::millis(3000);
    let tls = secured.then(|| Port::certified(dir.path()));
    if secured {
        options.tls.certificate = dir.path().join("server.pem");
        options.tls.key = dir.path().join("server.key");
    }
    let running = started(options).await;
    let port = Port { address: running.addr(), tls };

    let mut ready = port.saying("h2", &[PREFACE, SETTINGS].concat()).await;
    let mut resting = port.saying("http/1.1", REQUEST).await;
    until(&mut resting, b"\"openapi\"").await;
    let begun = Instant::now();
    let mut held: Vec<Box<dyn Stream>> = Vec::new();
    for said in BEGINNINGS.into_iter().chain(BEGINNINGS) {
        held.push(port.saying("h2", said).await);
    }
    // The first byte of a handshake; on a plain port that would be no request, and refused.
    let first: &[u8] = if secured { b"\x16" } else { b"" };
    for said in [b"", first] {
        let mut stream = TcpStream::connect(port.address).await.expect("a connection");
        stream.write_all(said).await.expect("sent");
        held.push(Box::new(stream));
    }
    // As many are open as may be: one more is closed before it can say anything.
    let mut more = TcpStream::connect(port.address).await.expect("connected");
    assert!(matches!(more.read(&mut [0]).await, Ok(0) | Err(_)), "one too many");
    let crowded = begun.elapsed();
    assert!(crowded < BEGIN, "vacuous: filling the places took {crowded:?}");

    let closing = held.into_iter().enumerate().map(|(at, mut stream)| async move {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "connection {at} is still open after {PATIENCE:?}");
        begun.elapsed()
    });
    let took = futures::future::join_all(closing).await;
    assert!(took.iter().all(|took| *took >= BEGIN), "nobody is closed before its time: {took:?}");

    write(port.client()).await;
    // Who was ready before, or had asked before, was not closed.
    ready.write_all(PING).await.expect("sent");
    ready.flush().await.expect("sent");
    until(&mut ready, PONG).await;
    resting.write_all(REQUEST).await.expect("sent");
    resting.flush().await.expect("sent");
    until(&mut resting, b"HTTP/1.1 200").await;
    drop((ready, resting));
    running.stop().await;
}

/// Reads until something was said.
async fn until(stream: &mut (impl AsyncRead + Unpin), wanted: &[u8]) {
    let mut heard = Vec::new();
    let reading = async {
        while !heard.windows(wanted.len()).any(|part| part == wanted) {
            assert!(stream.read_buf(&mut heard).await.expect("open") > 0, "closed");
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("in time");
}
