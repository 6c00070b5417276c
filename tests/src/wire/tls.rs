//! TLS on the port of the calls: every language over it, and everything that is not it, each told so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::{CreatePartyRequest, GetPartyRequest, Party, PartyKind};
use rapport_rpc::Transport;
use rapport_rpc::tls::{ClientIdentity, ClientTls, Greeting, Pem, ServerIdentity, ServerTls};
use rapport_testkit::asserts::Bearer;
use rapport_testkit::authority::{Authority, Issued};
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::{Code, assert_reason};
use rapport_types::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tonic::Request;

use super::http::{self, Answer};
use super::web;

const TOKEN: &str = "token-of-the-acme-admin";
const PARTIES: &str = "/rapport.stakeholders.v1.PartyService";
/// How long anything may take that the server does by itself, on a machine that runs other tests besides.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client that trusts one authority, and shows a certificate if there is one.
pub(crate) fn client(trusted: &str, shown: Option<&Issued>) -> ClientTls {
    ClientTls::new(&identity(trusted, shown), World::system().now()).expect("a client")
}

pub(crate) fn identity(trusted: &str, shown: Option<&Issued>) -> ClientIdentity {
    ClientIdentity {
        ca: Some(Pem::new("the authority", trusted)),
        certificate: shown.map(|one| (Pem::new("certificate", &*one.certificate), Pem::new("key", &*one.key))),
    }
}

/// A way to an address over TLS, with a token.
pub(crate) fn over(address: SocketAddr, tls: &ClientTls, token: &str) -> Transport {
    Transport::secured(&format!("https://{address}"), tls).expect("an address").with_token(token)
}

pub(crate) fn create(name: &str) -> CreatePartyRequest {
    let party = Party { kind: PartyKind::Individual.into(), display_name: name.into(), ..Default::default() };
    CreatePartyRequest { party: Some(party), ..Default::default() }
}

/// The value of a series of /metrics.
pub(crate) async fn metric(admin: SocketAddr, series: &str) -> Option<f64> {
    let answer = http::http1(admin, "GET", "/metrics", &[], b"").await;
    let text = String::from_utf8(answer.body).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().expect("a number"))
}

/// A request over HTTP/1.1 and TLS.
async fn http1(address: SocketAddr, authority: &Authority, path: &str, kind: &str, body: &[u8]) -> Answer {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).expect("PEM")).expect("an authority");
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(body).await.expect("sent");
    let mut answer = Vec::new();
    let _may_be_cut = stream.read_to_end(&mut answer).await;
    http::parsed(&answer)
}

#[test]
fn the_port_speaks_tls_and_tells_who_does_not() {
    rapport_testkit::block_on(async {
        let authority = Authority::new("ours");
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = authority.issue(&["localhost", "127.0.0.1"]).write(folder.path(), "server");
        let sandbox = Sandbox::builder(rapport::modules)
            .token(TOKEN, "acme", "users/ana", &["admin"])
            .setting("tls.certificate", certificate.display().to_string())
            .setting("tls.key", key.display().to_string())
            .setting("tls.handshake", "500ms")
            .start()
            .await;
        let (address, admin) = (sandbox.address("stakeholders"), sandbox.admin_address("stakeholders"));
        let ours = client(&authority.certificate(), None);

        let mut parties = PartyServiceClient::new(over(address, &ours, TOKEN));
        let party = parties.create_party(create("Ana")).await.expect("created over TLS").into_inner();
        every_language(address, &authority, &party.name).await;
        whoever_stalls_stops_nobody(address, admin, &mut parties, &party.name).await;
        plain_text_is_told(&sandbox, address).await;
        what_is_not_trusted_is_told(address).await;
        let expected = "rapport_tls_not_after_timestamp_seconds{rapport_certificate=\"server\"}";
        // The first of January 2999.
        assert_eq!(metric(admin, expected).await, Some(32_472_144_000.0));
        let handshakes = async |result: &str| {
            metric(admin, &format!("rapport_tls_handshakes_total{{rapport_result=\"{result}\"}}")).await
        };
        assert_eq!(handshakes("done").await, Some(3.0));
        assert!(handshakes("plain").await >= Some(3.0) && handshakes("failed").await >= Some(2.0));

        // TLS to a port that speaks none: probes and metrics stay plain.
        let status = PartyServiceClient::new(over(admin, &ours, TOKEN)).create_party(create("Bo")).await.unwrap_err();
        assert!(status.code() == Code::Unavailable && status.message().contains("does not speak TLS"), "{status}");
        sandbox.stop().await;
        let plain = Sandbox::builder(rapport::modules).start().await;
        let address = plain.address("stakeholders");
        let status = PartyServiceClient::new(over(address, &ours, TOKEN)).create_party(create("Bo")).await.unwrap_err();
        assert!(status.code() == Code::Unavailable && status.message().contains("does not speak TLS"), "{status}");
        let mut parties = PartyServiceClient::new(plain.channel("stakeholders"));
        parties.create_party(create("Bo")).await.expect("the server goes on");
        plain.stop().await;
    });
}

async fn every_language(address: SocketAddr, authority: &Authority, party: &str) {
    let path = format!("{PARTIES}/GetParty");
    let body = format!("{{\"name\": \"{party}\"}}");
    let answer = http1(address, authority, &path, "application/json", body.as_bytes()).await;
    assert_eq!((answer.code, answer.json()["displayName"].as_str()), (200, Some("Ana")), "{answer:?}");
    let body = web::framed(&GetPartyRequest { name: party.to_owned() });
    let answer = http1(address, authority, &path, "application/grpc-web+proto", &body).await;
    let (messages, trailers) = web::frames(&answer.body);
    assert!(messages.len() == 1 && trailers.contains("grpc-status:0"), "{answer:?}");
    let got: Party = prost::Message::decode(messages[0].as_slice()).expect("a party");
    assert_eq!(got.display_name, "Ana");
}

/// Connections that say nothing, or begin a handshake and go silent, keep nobody from being served; the latter are closed.
async fn whoever_stalls_stops_nobody(
    address: SocketAddr,
    admin: SocketAddr,
    parties: &mut PartyServiceClient<Transport>,
    party: &str,
) {
    let late = "rapport_tls_handshakes_total{rapport_result=\"late\"}";
    assert_eq!(metric(admin, late).await, Some(0.0));
    let mut silent = Vec::new();
    let mut begun = Vec::new();
    for _ in 0..16 {
        silent.push(TcpStream::connect(address).await.expect("a connection"));
        let mut one = TcpStream::connect(address).await.expect("a connection");
        // The head of a record that never comes.
        one.write_all(&[22, 3, 1, 2, 0]).await.expect("sent");
        begun.push(one);
    }
    let get = GetPartyRequest { name: party.to_owned() };
    parties.get_party(get).await.expect("the open connection is served");
    for mut one in begun {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, one.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "a handshake that stalls is given up");
    }
    // A system may call a silent connection readable, and its handshake is awaited then.
    assert!((Some(16.0)..=Some(32.0)).contains(&metric(admin, late).await));
    drop(silent);
}

async fn plain_text_is_told(sandbox: &Sandbox, address: SocketAddr) {
    let channel = sandbox.channel("stakeholders");
    let mut parties = PartyServiceClient::with_interceptor(channel, Bearer::new(TOKEN));
    let status = assert_reason!(parties.create_party(create("Bo")).await, Code::FailedPrecondition, "NEEDS_TLS");
    assert!(status.message().contains("https://"), "{status}");
    let path = format!("{PARTIES}/GetParty");
    let answer = http::http1(address, "POST", &path, &[("content-type", "application/json")], b"{}").await;
    assert_eq!((answer.code, answer.reason().as_str()), (400, "NEEDS_TLS"));
    let answer = http::http1(address, "GET", "/", &[], b"").await;
    assert!(answer.code == 400 && String::from_utf8_lossy(&answer.body).contains("speaks TLS"), "{answer:?}");
    for garbage in [b"\x00".as_slice(), b"\xff\xff\xff\xff", b"EHLO there\r\n\r\n", &[22; 4096]] {
        let mut connection = TcpStream::connect(address).await.expect("a connection");
        connection.write_all(garbage).await.expect("sent");
        connection.shutdown().await.expect("ended");
        let mut rest = Vec::new();
        let _may_be_cut = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut rest)).await.expect("it ends");
    }
}

async fn what_is_not_trusted_is_told(address: SocketAddr) {
    let stranger = Authority::new("strangers");
    let get = || Request::new(GetPartyRequest { name: "parties/x".into() });
    let mut parties = PartyServiceClient::new(over(address, &client(&stranger.certificate(), None), TOKEN));
    let status = assert_reason!(parties.get_party(get()).await, Code::Unavailable, "PEER_UNAVAILABLE");
    assert!(status.message().contains("signed by no authority that is trusted here"), "{status}");
    // Public authorities did not sign it either.
    let public = ClientTls::new(&ClientIdentity::default(), World::system().now()).expect("a client");
    let status = PartyServiceClient::new(over(address, &public, TOKEN)).get_party(get()).await.unwrap_err();
    assert!(status.message().contains("signed by no authority"), "{status}");
}

/// A server whose certificate is for another name than its address is not talked to.
#[test]
fn the_servers_name_is_checked() {
    rapport_testkit::block_on(async {
        let authority = Authority::new("ours");
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = authority.issue(&["rapport.example.com"]).write(folder.path(), "server");
        let sandbox = Sandbox::builder(rapport_stakeholders_alone)
            .topology(Topology::OneProcess)
            .setting("tls.certificate", certificate.display().to_string())
            .setting("tls.key", key.display().to_string())
            .start()
            .await;
        let ours = client(&authority.certificate(), None);
        let address = sandbox.address("stakeholders");
        let status = PartyServiceClient::new(over(address, &ours, TOKEN)).create_party(create("A")).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("is not for 127.0.0.1 but for"), "{status}");
        assert!(status.message().contains("rapport.example.com"), "{status}");
        sandbox.stop().await;
    });
}

/// Why a server refused a client's certificate reaches every call that failed with that connection, and none that fails later by
/// something else.
#[test]
fn what_tls_says_is_told_of_its_own_connection() {
    rapport_testkit::block_on(async {
        const NONE: &str = "it asks for a client certificate, and none was shown";
        let authority = Authority::new("ours");
        let folder = tempfile::tempdir().expect("a folder");
        let issued = authority.issue(&["127.0.0.1"]);
        let (certificate, key) = issued.write(folder.path(), "server");
        let ca = rapport_testkit::authority::write(folder.path(), "ca.pem", &authority.certificate());
        let sandbox = Sandbox::builder(rapport_stakeholders_alone)
            .topology(Topology::OneProcess)
            .token(TOKEN, "acme", "users/ana", &["admin"])
            .setting("tls.certificate", certificate.display().to_string())
            .setting("tls.key", key.display().to_string())
            .setting("tls.client_ca", ca.display().to_string())
            .start()
            .await;
        let address = sandbox.address("stakeholders");
        let way = over(address, &client(&authority.certificate(), None), TOKEN);
        let failed = async || {
            let mut parties = PartyServiceClient::new(way.clone());
            let status = parties.get_party(GetPartyRequest { name: "parties/x".into() }).await.unwrap_err();
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            status
        };
        let all = futures::future::join_all((0..8).map(|_| failed())).await;
        assert!(all.iter().all(|status| status.message().contains(NONE)), "{all:#?}");
        // A certificate that it asked for was the matter all the while: whoever shows one is answered.
        let shown = over(address, &client(&authority.certificate(), Some(&authority.issue(&["a.client"]))), TOKEN);
        PartyServiceClient::new(shown).create_party(create("Ana")).await.expect("admitted");
        sandbox.stop().await;

        // In its place something that shakes hands, says a word of HTTP/2 and leaves.
        let listener = tokio::net::TcpListener::bind(address).await.expect("the same port");
        let identity = ServerIdentity {
            certificate: Pem::new("certificate", issued.certificate.into_bytes()),
            key: Pem::new("key", issued.key.into_bytes()),
            client_ca: None,
            client_names: Vec::new(),
        };
        let tls = ServerTls::new(&identity, World::system().now()).expect("a certificate");
        let leaves = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                if let Ok(Greeting::Tls(mut stream)) = tls.accept(stream, PATIENCE).await {
                    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
                    let _said = stream.write_all(&SETTINGS).await;
                    let _left = stream.shutdown().await;
                }
            }
        });
        let asked = async || {
            let mut parties = PartyServiceClient::new(way.clone());
            parties.get_party(GetPartyRequest { name: "parties/x".into() }).await.unwrap_err()
        };
        // The channel may hold an attempt that was made before the server left: the first to ask is told of that one.
        let _before = asked().await;
        let status = asked().await;
        assert!(!format!("{status:?}").contains("client certificate"), "{status:?}");
        leaves.abort();
        let _aborted = leaves.await;
        // And nobody at all.
        let status = failed().await;
        assert!(!format!("{status:?}").contains("client certificate"), "{status:?}");
    });
}

fn rapport_stakeholders_alone() -> Vec<Box<dyn rapport_server::Module>> {
    vec![rapport_stakeholders::module()]
}
