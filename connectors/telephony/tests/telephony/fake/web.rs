//! A PBX that asks a URL, and a cloud that signs what it says.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

/// Sends a request as it stands and reads until the other side closes.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).await.expect("HTTP is answered");
    // What is refused early is closed early.
    let _ = stream.write_all(request).await;
    let mut said = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await.expect("an answer");
    let text = String::from_utf8_lossy(&said);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Answer { status, body: body.to_owned(), took: begun.elapsed() }
}

/// `GET path`.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    raw(address, format!("GET {path} HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\n\r\n").as_bytes()).await
}

/// `POST /webhook`, signed with a secret.
pub(crate) async fn post(address: SocketAddr, secret: &str, body: &str) -> Answer {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(body.as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let head = format!(
        "POST /webhook HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\nContent-Length: {}\r\n\
         X-Rapport-Signature: sha256={signature}\r\n\r\n",
        body.len()
    );
    raw(address, format!("{head}{body}").as_bytes()).await
}
