//! The websocket on which Asterisk says what happens. While it is open, the application is registered.

use std::time::Duration;

use http::{Request, Uri};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as Broken, http as ws};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::AriError;
use super::rest::authorization;
use crate::options::AsteriskOptions;

/// How long Asterisk may take to accept the websocket.
const OPENING: Duration = Duration::from_secs(5);
/// The most bytes of an event.
const MOST_EVENT: usize = 1 << 20;

/// Opens it.
pub(super) async fn open(options: &AsteriskOptions) -> Result<WebSocketStream<TcpStream>, AriError> {
    timeout(OPENING, opened(options))
        .await
        .unwrap_or_else(|_| Err(AriError::Connect(format!("Asterisk did not answer in {} seconds", OPENING.as_secs()))))
}

async fn opened(options: &AsteriskOptions) -> Result<WebSocketStream<TcpStream>, AriError> {
    let wrong = |why: String| AriError::Connect(why);
    let uri: Uri = options.url.parse().map_err(|_| wrong("telephony.asterisk.url is no address".to_owned()))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(80);
    let request = request(options, &uri).map_err(|error| wrong(error.to_string()))?;
    let stream = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(|error| wrong(format!("{host}:{port} does not accept a connection: {error}")))?;
    // Pings are small packets.
    let _ = stream.set_nodelay(true);
    let config = WebSocketConfig::default().max_message_size(Some(MOST_EVENT)).max_frame_size(Some(MOST_EVENT));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(Broken::Http(answer)) => Err(wrong(match answer.status().as_u16() {
            401 => "Asterisk refuses the user and password of telephony.asterisk (401): see ari.conf".to_owned(),
            403 => "Asterisk refuses this address or this user (403): see ari.conf".to_owned(),
            404 => {
                "there is no ARI at telephony.asterisk.url (404): see http.conf for its prefix and ari.conf for enabled"
                    .to_owned()
            }
            code => format!("Asterisk does not open the websocket: it answers {code}"),
        })),
        Err(error) => Err(wrong(format!("Asterisk does not open the websocket: {error}"))),
    }
}

fn request(options: &AsteriskOptions, uri: &Uri) -> Result<ws::Request<()>, Broken> {
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let prefix = uri.path().trim_end_matches('/');
    let mut request: Request<()> =
        format!("ws://{authority}{prefix}/ari/events?app={}", options.app).into_client_request()?;
    if let Some(value) = authorization(options) {
        request.headers_mut().insert(http::header::AUTHORIZATION, value);
    }
    Ok(request)
}
