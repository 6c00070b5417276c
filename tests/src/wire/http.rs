//! Requests over HTTP as they are written here: over HTTP/1.1 through a bare socket, over HTTP/2 through a channel.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::transport::Channel;

/// An answer, whichever way it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The reason that an error names.
    #[track_caller]
    pub(crate) fn reason(&self) -> String {
        let error = self.json();
        let details = error["details"].as_array().unwrap_or_else(|| panic!("no details in {error}"));
        let info = details.iter().find(|detail| detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo");
        info.and_then(|info| info["reason"].as_str()).unwrap_or_else(|| panic!("no reason in {error}")).to_owned()
    }
}

/// One request over HTTP/1.1.
pub(crate) async fn http1(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    connection.write_all(head.as_bytes()).await.expect("sent");
    // A server that has seen enough may answer and close before all is sent.
    let _may_fail = connection.write_all(body).await;
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer).await;
    assert!(!answer.is_empty(), "no answer from {address} to {method} {path}: {read:?}");
    parsed(&answer)
}

pub(super) fn parsed(answer: &[u8]) -> Answer {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(answer)));
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let code = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let mut headers = http::HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line}"));
        let name: http::HeaderName = name.parse().expect("a name");
        headers.append(name, value.parse().expect("a value"));
    }
    let mut body = answer[end + 4..].to_vec();
    if headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
        body = unchunked(&body);
    }
    Answer { code: code.unwrap_or_else(|| panic!("no code in {head:?}")), headers, body }
}

/// The pieces of a chunked body, put together.
pub(crate) fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).expect("hex").trim(), 16).expect("hex");
        let Some(chunk) = rest.get(end + 2..end + 2 + length) else { break };
        body.extend_from_slice(chunk);
        rest = rest.get(end + 2 + length + 2..).unwrap_or_default();
        if length == 0 {
            break;
        }
    }
    body
}

/// One request over HTTP/2, whose answer may still be on its way.
pub(crate) async fn open(
    channel: &mut Channel,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<bytes::Bytes>,
) -> http::Response<Body> {
    let body: bytes::Bytes = body.into();
    let mut tries = 0;
    loop {
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::new(Full::new(body.clone()))).expect("a request");
        futures::future::poll_fn(|cx| channel.poll_ready(cx)).await.expect("a connection");
        tries += 1;
        match channel.call(request).await {
            Ok(answer) => return answer,
            // The connection was ended, in order, before the request was taken from it: a client asks anew.
            Err(error)
                if tries < 3 && ["Canceled", "NO_ERROR"].iter().any(|end| format!("{error:?}").contains(end)) => {}
            Err(error) => panic!("no answer: {error:?}"),
        }
    }
}

/// One request over HTTP/2.
pub(crate) async fn http2(
    channel: &mut Channel,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<bytes::Bytes>,
) -> Answer {
    let (parts, body) = open(channel, method, path, headers, body).await.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes().to_vec();
    Answer { code: parts.status.as_u16(), headers: parts.headers, body }
}

/// A call in JSON over HTTP/2.
pub(crate) async fn json(channel: &mut Channel, path: &str, token: &str, text: &str) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
    http2(channel, "POST", path, &headers, text.to_owned()).await
}
