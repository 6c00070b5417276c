//! The REST calls of ARI.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::json;
use thiserror::Error;
use tokio::time::timeout;

use super::event::{Application, Channel};
use crate::options::AsteriskOptions;

/// How long one REST call may take.
const LIMIT: Duration = Duration::from_secs(2);
/// How long a list of channels may take, and the most bytes of it: a large Asterisk has thousands.
const LIST_LIMIT: Duration = Duration::from_secs(10);
const MOST_LIST: usize = 64 << 20;

/// What stays as it is in a part of a path or a query.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a REST call failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum RestError {
    /// Asterisk did not answer.
    #[error("{call} was not answered: {why}")]
    NoAnswer { call: &'static str, why: String },
    /// Asterisk answered something else than what belongs there.
    #[error("{call} was answered with {status}: {said}")]
    Refused { call: &'static str, status: StatusCode, said: String },
}

/// What became of a channel that a call was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channeled {
    /// It was done (204, or 200 for a subscription).
    Done,
    /// The channel has hung up (404) or is not held by us any more (409, 412, 422): there is nothing left to do.
    Gone,
}

/// Asterisk's REST interface.
#[derive(Clone)]
pub(crate) struct Rest {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    app: String,
    authorization: HeaderValue,
}

/// The header that carries user and password.
pub(super) fn authorization(options: &AsteriskOptions) -> Option<HeaderValue> {
    let credential = STANDARD.encode(format!("{}:{}", options.user, options.password.expose()));
    let mut value = HeaderValue::try_from(format!("Basic {credential}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Rest {
    pub(super) fn new(options: &AsteriskOptions) -> Result<Rest, String> {
        let wrong = || "telephony.asterisk.url is no address".to_owned();
        let uri: Uri = options.url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(Duration::from_secs(1)));
        // A call is held for the length of these small packets.
        http.set_nodelay(true);
        Ok(Rest {
            client: Client::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_secs(10)).build(http),
            base: format!("http://{authority}{}/ari", uri.path().trim_end_matches('/')),
            app: options.app.clone(),
            authorization: authorization(options).ok_or_else(wrong)?,
        })
    }

    /// Sets a channel variable.
    pub(super) async fn set(&self, channel: &str, name: &str, value: &str) -> Result<Channeled, RestError> {
        let path = format!("/channels/{}/variable", part(channel));
        let body = json!({"variable": name, "value": value});
        self.about_channel("POST /channels/{id}/variable", &path, Some(body)).await
    }

    /// Lets a channel go on with the next priority of its dial plan.
    pub(super) async fn go_on(&self, channel: &str) -> Result<Channeled, RestError> {
        let path = format!("/channels/{}/continue", part(channel));
        self.about_channel("POST /channels/{id}/continue", &path, None).await
    }

    /// Asks for the events of a channel for its whole life, not only while it is held.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<Channeled, RestError> {
        let path = format!(
            "/applications/{}/subscription?eventSource={}",
            part(&self.app),
            part(&format!("channel:{channel}"))
        );
        self.about_channel("POST /applications/{app}/subscription", &path, None).await
    }

    /// Every channel that there is.
    pub(super) async fn channels(&self) -> Result<Vec<Channel>, RestError> {
        self.list("GET /channels", "/channels").await
    }

    /// What our application is subscribed to: of the time before this connection too.
    pub(super) async fn application(&self) -> Result<Application, RestError> {
        self.list("GET /applications/{app}", &format!("/applications/{}", part(&self.app))).await
    }

    async fn about_channel(
        &self,
        call: &'static str,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<Channeled, RestError> {
        let (status, said) = self.call(call, Method::POST, path, body, LIMIT).await?;
        match status.as_u16() {
            200..=299 => Ok(Channeled::Done),
            404 | 409 | 412 | 422 => Ok(Channeled::Gone),
            _ => Err(refused(call, status, &said)),
        }
    }

    async fn list<T: DeserializeOwned>(&self, call: &'static str, path: &str) -> Result<T, RestError> {
        let (status, said) = self.call(call, Method::GET, path, None, LIST_LIMIT).await?;
        if status != StatusCode::OK {
            return Err(refused(call, status, &said));
        }
        serde_json::from_slice(&said)
            .map_err(|error| RestError::NoAnswer { call, why: format!("it is no list of ARI: {error}") })
    }

    async fn call(
        &self,
        call: &'static str,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
        limit: Duration,
    ) -> Result<(StatusCode, Bytes), RestError> {
        let failed = |why: String| RestError::NoAnswer { call, why };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, self.authorization.clone());
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(body)).map_err(|error| failed(error.to_string()))?;
        let answered = async {
            let answer = self.client.request(request).await.map_err(|error| failed(causes(&error)))?;
            let status = answer.status();
            let said = Limited::new(answer.into_body(), MOST_LIST).collect().await;
            Ok((status, said.map_err(|error| failed(error.to_string()))?.to_bytes()))
        };
        timeout(limit, answered)
            .await
            .unwrap_or_else(|_| Err(failed(format!("{} seconds have passed", limit.as_secs()))))
    }
}

fn part(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

fn refused(call: &'static str, status: StatusCode, said: &[u8]) -> RestError {
    let said: String = String::from_utf8_lossy(said).chars().take(200).collect();
    RestError::Refused { call, status, said: said.escape_default().to_string() }
}

/// An error with what caused it: hyper says nothing itself.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_server::Secret;

    use super::*;

    #[test]
    fn addresses_are_put_together() {
        let options = AsteriskOptions {
            url: "ws://pbx:8088/asterisk/".into(),
            user: "Aladdin".into(),
            password: Secret::new("open sesame"),
            ..AsteriskOptions::default()
        };
        let rest = Rest::new(&options).unwrap();
        assert_eq!(rest.base, "http://pbx:8088/asterisk/ari");
        assert_eq!(rest.authorization, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(part("a/b c?1.2-x"), "a%2Fb%20c%3F1.2-x");
    }
}
