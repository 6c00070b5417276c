//! An Asterisk's ARI: `/ari/events` as a websocket and the REST calls, with the answers, codes and events of Asterisk 22.
//!
//! What it is true to: an application is registered while its websocket is open; a channel that is in it when the
//! websocket breaks stays held; events of a channel come while it is in the application or subscribed to; a channel's
//! end ends its subscription; `continue` answers 204, 404 for no such channel and 409 for one that is not in Stasis.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request as Asked, Response as Given};

pub(crate) const USER: &str = "rapport";
pub(crate) const PASSWORD: &str = "open sesame";
const PATIENCE: Duration = Duration::from_secs(20);

/// A channel of the fake.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) number: String,
    pub(crate) exten: String,
    pub(crate) arguments: String,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) in_stasis: bool,
    entered: Instant,
    /// How long it was held, once it goes on.
    pub(crate) held: Option<Duration>,
}

#[derive(Default)]
struct State {
    channels: BTreeMap<String, Channel>,
    gone: BTreeMap<String, Channel>,
    subscribed: BTreeSet<String>,
    socket: Option<mpsc::UnboundedSender<Option<Value>>>,
    /// Every REST call: method, path, status.
    calls: Vec<(String, u16)>,
    /// REST connections are cut instead of answered.
    broken: bool,
    changes: u64,
}

/// The fake. Dropping it closes it.
pub(crate) struct Asterisk {
    address: SocketAddr,
    app: &'static str,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    serving: JoinHandle<()>,
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        self.serving.abort();
        self.cut();
    }
}

impl Asterisk {
    pub(crate) async fn start() -> Asterisk {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state: Arc<Mutex<State>> = Arc::default();
        let changed = watch::Sender::new(0);
        let serving = tokio::spawn(serve(listener, Arc::clone(&state), changed.clone()));
        Asterisk { address, app: "rapport", state, changed, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        changed(&self.state, &self.changed, change)
    }

    /// Waits until something is so.
    pub(crate) async fn until<T>(&self, what: &str, mut found: impl FnMut(&Self) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        let wait = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = found(self) {
                    return found;
                }
                changes.changed().await.expect("the fake lives");
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(found) => found,
            Err(_) => panic!("{what} did not happen; REST calls: {:?}", self.calls()),
        }
    }

    /// Waits until the application is registered.
    pub(crate) async fn registered(&self) {
        self.until("the websocket", |fake| fake.state().socket.is_some().then_some(())).await;
    }

    /// A call comes in and enters the application, as `Stasis(rapport,…)` in a dial plan does.
    pub(crate) fn enter(&self, id: &str, number: &str, arguments: &str) {
        let channel = Channel {
            name: format!("PJSIP/trunk-{:08x}", id.len()),
            state: "Ring",
            number: number.to_owned(),
            exten: "100".to_owned(),
            arguments: arguments.to_owned(),
            variables: BTreeMap::new(),
            in_stasis: true,
            entered: Instant::now(),
            held: None,
        };
        let args: Vec<&str> = arguments.split(',').filter(|part| !part.is_empty()).collect();
        let mut event = json!({"type": "StasisStart", "args": args});
        event["channel"] = snapshot(self.app, id, &channel);
        self.change(|state| {
            state.channels.insert(id.to_owned(), channel);
            state.send(event);
        });
    }

    /// Waits until a call goes on in the dial plan; gives it as it is then.
    pub(crate) async fn passed(&self, id: &str) -> Channel {
        self.until(&format!("the call {id} going on"), |fake| {
            let state = fake.state();
            let channel = state.channels.get(id).or_else(|| state.gone.get(id))?;
            channel.held.map(|_| channel.clone())
        })
        .await
    }

    /// The dial plan rings an agent (no status), or the agent answers (`ANSWER`) or does not (`NOANSWER`).
    pub(crate) fn dial(&self, id: &str, peer: &str, status: &str) {
        self.change(|state| {
            let Some(channel) = state.channels.get_mut(id) else { return };
            if status == "ANSWER" {
                channel.state = "Up";
            }
            let caller = snapshot("", id, channel);
            let rung = Channel { name: peer.to_owned(), number: String::new(), in_stasis: false, ..channel.clone() };
            let peer = snapshot("", &format!("{id}-peer"), &rung);
            if state.subscribed.contains(id) {
                state.send(json!({
                    "type": "Dial", "dialstatus": status, "forward": "", "dialstring": "alice",
                    "caller": caller, "peer": peer,
                }));
            }
        });
    }

    /// The dial plan answers the call itself, as a menu or a queue does.
    pub(crate) fn answer(&self, id: &str) {
        self.change(|state| {
            let Some(channel) = state.channels.get_mut(id) else { return };
            channel.state = "Up";
            let channel = snapshot("", id, channel);
            if state.subscribed.contains(id) {
                state.send(json!({"type": "ChannelStateChange", "channel": channel}));
            }
        });
    }

    /// The call is over.
    pub(crate) fn hang_up(&self, id: &str) {
        let app = self.app;
        self.change(|state| {
            let Some(mut channel) = state.channels.remove(id) else { return };
            let interested = channel.in_stasis || state.subscribed.remove(id);
            if channel.in_stasis {
                state.send(json!({"type": "StasisEnd", "channel": snapshot(app, id, &channel)}));
                channel.in_stasis = false;
            }
            if interested {
                state.send(json!({
                    "type": "ChannelDestroyed", "cause": 16, "cause_txt": "Normal Clearing",
                    "channel": snapshot("", id, &channel),
                }));
            }
            state.gone.insert(id.to_owned(), channel);
        });
    }

    /// Sends an event as it stands.
    pub(crate) fn say(&self, event: Value) {
        self.change(|state| state.send(event));
    }

    /// Cuts the websocket.
    pub(crate) fn cut(&self) {
        self.change(|state| state.socket = None);
    }

    /// From now on REST calls are cut off, or answered again.
    pub(crate) fn break_rest(&self, broken: bool) {
        self.change(|state| state.broken = broken);
    }

    /// Waits until a channel is subscribed to.
    pub(crate) async fn subscribed(&self, id: &str) {
        self.until(&format!("a subscription to {id}"), |fake| fake.state().subscribed.contains(id).then_some(())).await;
    }

    /// The REST calls so far: method and path, and what was answered.
    pub(crate) fn calls(&self) -> Vec<(String, u16)> {
        self.state().calls.clone()
    }
}

fn changed<T>(state: &Mutex<State>, signal: &watch::Sender<u64>, change: impl FnOnce(&mut State) -> T) -> T {
    let (done, changes) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.changes += 1;
        (change(&mut state), state.changes)
    };
    signal.send_replace(changes);
    done
}

impl State {
    fn send(&mut self, mut event: Value) {
        event["timestamp"] = json!(now());
        event["application"] = json!("rapport");
        event["asterisk_id"] = json!("00:00:5e:00:53:01");
        if let Some(socket) = &self.socket {
            let _ = socket.send(Some(event));
        }
    }
}

/// As Asterisk writes it: no colon in the offset.
fn now() -> String {
    let text = rapport_types::World::system().now().to_string();
    let (moment, fraction) = text.trim_end_matches('Z').split_once('.').unwrap_or((&text[..19], "0"));
    format!("{moment}.{:0<3.3}+0000", fraction)
}

fn snapshot(app: &str, id: &str, channel: &Channel) -> Value {
    let arguments = if channel.arguments.is_empty() { String::new() } else { format!(",{}", channel.arguments) };
    let (app_name, app_data) =
        if channel.in_stasis { ("Stasis", format!("{app}{arguments}")) } else { ("Dial", "PJSIP/alice".to_owned()) };
    json!({
        "id": id,
        "name": channel.name,
        "state": channel.state,
        "protocol_id": "call@sip",
        "caller": {"name": "", "number": channel.number},
        "connected": {"name": "", "number": ""},
        "accountcode": "",
        "dialplan": {
            "context": "from-trunk", "exten": channel.exten, "priority": 3, "app_name": app_name, "app_data": app_data,
        },
        "creationtime": now(),
        "language": "en",
    })
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, signal: watch::Sender<u64>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, Arc::clone(&state), signal.clone()));
    }
}

async fn connection(stream: TcpStream, state: Arc<Mutex<State>>, signal: watch::Sender<u64>) {
    let mut head = [0; 512];
    let mut seen = 0;
    while !head[..seen].contains(&b'\n') {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.peek(&mut head).await {
            Ok(0) | Err(_) => return,
            Ok(count) => seen = count,
        }
    }
    if head.starts_with(b"GET /ari/events?") {
        socket(stream, state, signal).await;
        return;
    }
    let answer = service_fn(move |request: Request<Incoming>| {
        let (state, signal) = (Arc::clone(&state), signal.clone());
        async move {
            if state.lock().unwrap_or_else(PoisonError::into_inner).broken {
                return Err("cut");
            }
            Ok(rest(request, &state, &signal).await)
        }
    });
    // A connection that is cut ends with an error.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

fn admitted(headers: &HeaderMap) -> bool {
    let wanted = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    headers.get("authorization").is_some_and(|value| value.as_bytes() == format!("Basic {wanted}").as_bytes())
}

#[allow(clippy::result_large_err)]
async fn socket(stream: TcpStream, state: Arc<Mutex<State>>, signal: watch::Sender<u64>) {
    let check = |asked: &Asked, given: Given| -> Result<Given, ErrorResponse> {
        if !admitted(asked.headers()) {
            let mut answer = ErrorResponse::new(Some("{\"message\":\"Authentication required\"}".to_owned()));
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
            return Err(answer);
        }
        assert_eq!(asked.uri().query(), Some("app=rapport"));
        Ok(given)
    };
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, check).await else { return };
    let (mut send, mut receive) = socket.split();
    let (sender, mut events) = mpsc::unbounded_channel::<Option<Value>>();
    let own = sender.downgrade();
    changed(&state, &signal, |state| {
        if let Some(before) = state.socket.replace(sender) {
            let _ =
                before.send(Some(json!({"type": "ApplicationReplaced", "timestamp": now(), "application": "rapport"})));
        }
    });
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Some(event)) => {
                    if send.send(Message::text(event.to_string())).await.is_err() {
                        break;
                    }
                }
                Some(None) | None => break,
            },
            message = receive.next() => match message {
                Some(Ok(Message::Close(_))) | Some(Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    changed(&state, &signal, |state| {
        if let (Some(socket), Some(own)) = (&state.socket, own.upgrade())
            && socket.same_channel(&own)
        {
            state.socket = None;
        }
    });
}

async fn rest(request: Request<Incoming>, state: &Mutex<State>, signal: &watch::Sender<u64>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let json = head.headers.get("content-type").is_some_and(|kind| kind == "application/json");
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body: Value = if json { serde_json::from_slice(&body).unwrap_or_default() } else { Value::Null };
    let path = percent_encoding::percent_decode_str(head.uri.path()).decode_utf8_lossy().into_owned();
    let query = head.uri.query().unwrap_or_default();
    let parameter = |name: &str| {
        let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).or_else(|| Some(body.get(name)?.as_str()?.to_owned()))
    };
    let (status, answer) = if admitted(&head.headers) {
        changed(state, signal, |state| answered(state, &head.method, &path, parameter))
    } else {
        (401, json!({"message": "Authentication required"}))
    };
    let asked = format!("{} {path}", head.method);
    changed(state, signal, |state| state.calls.push((asked, status)));
    let text = if answer.is_null() { String::new() } else { answer.to_string() };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

fn answered(
    state: &mut State,
    method: &Method,
    path: &str,
    parameter: impl Fn(&str) -> Option<String>,
) -> (u16, Value) {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        (&Method::GET, ["ari", "channels"]) => {
            let all = state.channels.iter().map(|(id, channel)| snapshot("rapport", id, channel)).collect();
            (200, Value::Array(all))
        }
        (&Method::GET, ["ari", "applications", app]) => (200, application(state, app)),
        (&Method::POST, ["ari", "applications", app, "subscription"]) => match parameter("eventSource") {
            None => (400, json!({"message": "Missing parameter."})),
            Some(source) => match source.strip_prefix("channel:").filter(|id| state.channels.contains_key(*id)) {
                Some(id) => {
                    state.subscribed.insert(id.to_owned());
                    (200, application(state, app))
                }
                None => (422, json!({"message": "Event source does not exist."})),
            },
        },
        (&Method::POST, ["ari", "channels", id, what]) => {
            let Some(channel) = state.channels.get_mut(*id) else {
                return (404, json!({"message": "Channel not found"}));
            };
            if !channel.in_stasis {
                return (409, json!({"message": "Channel not in Stasis application"}));
            }
            match *what {
                "variable" => match parameter("variable") {
                    None => (400, json!({"message": "Variable name is required"})),
                    Some(name) => {
                        channel.variables.insert(name, parameter("value").unwrap_or_default());
                        (204, Value::Null)
                    }
                },
                "continue" => {
                    let ended = json!({"type": "StasisEnd", "channel": snapshot("rapport", id, channel)});
                    channel.in_stasis = false;
                    channel.held = Some(channel.entered.elapsed());
                    state.send(ended);
                    (204, Value::Null)
                }
                _ => (404, json!({"message": "Resource not found"})),
            }
        }
        _ => (404, json!({"message": "Resource not found"})),
    }
}

fn application(state: &State, app: &str) -> Value {
    json!({
        "name": app, "channel_ids": state.subscribed, "bridge_ids": [], "endpoint_ids": [], "device_names": [],
        "events_allowed": [], "events_disallowed": [],
    })
}
