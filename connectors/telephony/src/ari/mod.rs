//! ARI: a dial plan puts a call into `Stasis(rapport)`, Asterisk says so on the websocket, and REST calls set channel
//! variables and let the call go on in the dial plan. Until then Asterisk holds it, whatever becomes of us: so after a
//! connection was lost the channels that are held are looked up and let go.

mod event;
mod hold;
mod rest;
mod socket;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use rapport_types::Timestamp;
use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::event::{Channel, Event};
use self::hold::Holder;
use self::rest::{Rest, RestError};
use crate::backoff::pause;
use crate::call::{End, Told, agent_of_channel};
use crate::connector::Connector;
use crate::options::AsteriskOptions;

/// The shortest and the longest pause before Asterisk is called again.
const FIRST: Duration = Duration::from_millis(250);
const MOST: Duration = Duration::from_secs(10);
/// The pause when another client took the application over: two that fight for it would let calls wait.
const TAKEN: Duration = Duration::from_secs(30);
/// How often Asterisk is pinged, and so how long a dead connection stays unnoticed at most: two of these.
const PING: Duration = Duration::from_secs(10);
/// How long Asterisk may take to close the websocket when we ask for it.
const CLOSING: Duration = Duration::from_secs(1);

/// Why a connection to Asterisk is over.
#[derive(Debug, Error)]
pub(crate) enum AriError {
    /// There is no connection, or none that speaks ARI.
    #[error("{0}")]
    Connect(String),
    /// The websocket ended.
    #[error("the websocket ended: {0}")]
    Socket(String),
    /// Asterisk did not answer a ping.
    #[error("Asterisk did not answer for {} seconds", (PING * 2).as_secs())]
    Silent,
    /// Another client registered the same application.
    #[error("another client took over the application {0}: an application belongs to one connector")]
    Taken(String),
    /// A REST call failed by which calls go on.
    #[error(transparent)]
    Rest(#[from] RestError),
}

/// The channels that Asterisk told us of and that have not ended, so that those which end while we are not connected are
/// noticed.
pub(crate) type Channels = Arc<Mutex<BTreeSet<String>>>;

/// An Asterisk, and the calls in it.
#[derive(Clone)]
pub(crate) struct Ari {
    connector: Connector,
    options: Arc<AsteriskOptions>,
    rest: Rest,
    channels: Channels,
    tasks: TaskTracker,
}

impl Ari {
    /// The Asterisk that the options name.
    ///
    /// # Errors
    /// Its address cannot be used.
    pub(crate) fn new(connector: Connector, options: AsteriskOptions, tasks: TaskTracker) -> Result<Ari, String> {
        let rest = Rest::new(&options)?;
        Ok(Ari { connector, options: Arc::new(options), rest, channels: Channels::default(), tasks })
    }

    /// Keeps a connection until `stop`. The calls that are held then are let go first.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let mut failures = 0_u32;
        while !stop.is_cancelled() {
            let error = match self.connected(&stop, &mut failures).await {
                Ok(()) => return,
                Err(error) => error,
            };
            failures = failures.saturating_add(1);
            let rest = if matches!(error, AriError::Taken(_)) { TAKEN } else { pause(failures, FIRST, MOST) };
            tracing::warn!("no connection to Asterisk, it is called again in {} ms: {error}", rest.as_millis());
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(rest) => {}
            }
        }
    }

    /// One connection, until it ends or `stop`.
    async fn connected(&self, stop: &CancellationToken, failures: &mut u32) -> Result<(), AriError> {
        let socket = tokio::select! {
            socket = socket::open(&self.options) => socket?,
            () = stop.cancelled() => return Ok(()),
        };
        tracing::info!(app = self.options.app, "connected to Asterisk");
        let holder = Holder::new(self);
        let (mut send, mut receive) = socket.split();
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        // What was held before this connection is found out beside what comes in on it.
        let swept = holder.sweep();
        tokio::pin!(swept);
        let mut sweeping = true;
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    // From now on Asterisk puts no call into the application; what it said before is still heard.
                    let _ = send.send(Message::Close(None)).await;
                    let rest = async {
                        while let Some(Ok(message)) = receive.next().await {
                            if let Message::Text(text) = message {
                                self.event(text.as_str(), &holder, Instant::now())?;
                            }
                        }
                        Ok::<_, AriError>(())
                    };
                    // Asterisk need not say goodbye.
                    let _ = timeout(CLOSING, rest).await;
                    // Those that are held go on first, which takes the budget at most.
                    holder.wait().await;
                    return Ok(());
                }
                done = &mut swept, if sweeping => {
                    sweeping = false;
                    done?;
                    // Only now it is known that REST works too.
                    *failures = 0;
                }
                failed = holder.failed() => return Err(failed.into()),
                _ = ping.tick() => {
                    if heard.elapsed() > PING * 2 {
                        return Err(AriError::Silent);
                    }
                    send.send(Message::Ping(bytes::Bytes::new())).await.map_err(|error| AriError::Socket(error.to_string()))?;
                }
                message = receive.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.event(text.as_str(), &holder, heard)?,
                        Some(Ok(Message::Close(frame))) => {
                            let why = frame.map(|frame| frame.to_string()).unwrap_or_else(|| "Asterisk closed it".to_owned());
                            return Err(AriError::Socket(why));
                        }
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Err(AriError::Socket(error.to_string())),
                        None => return Err(AriError::Socket("Asterisk closed it".to_owned())),
                    }
                }
            }
        }
    }

    fn event(&self, text: &str, holder: &Holder, heard: Instant) -> Result<(), AriError> {
        let event: Event = match serde_json::from_str(text) {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, "an event of Asterisk cannot be read, it is passed over");
                return Ok(());
            }
        };
        match event {
            Event::StasisStart { channel, args } => holder.hold(channel, &args, heard),
            Event::Dial { caller: Some(caller), peer, dialstatus } => self.dialled(&caller, &peer, &dialstatus),
            Event::ChannelDestroyed { channel, timestamp } => self.destroyed(&channel, event::time(&timestamp)),
            Event::ApplicationReplaced {} => return Err(AriError::Taken(self.options.app.clone())),
            Event::Dial { caller: None, .. } | Event::Other => {}
        }
        Ok(())
    }

    /// Somebody of ours is rung, or has answered.
    fn dialled(&self, caller: &Channel, peer: &Channel, status: &str) {
        if self.knows(&caller.id) {
            let agent = if status == "ANSWER" { agent_of_channel(&peer.name) } else { "" };
            let call = Told { id: &caller.id, agent, source: "asterisk", ..Told::default() }.message();
            self.connector.answered(&call, status == "ANSWER");
        }
    }

    fn destroyed(&self, channel: &Channel, at: Option<Timestamp>) {
        if self.forget(&channel.id) {
            self.end(&channel.id, channel.state == "Up", at);
        }
    }

    /// A call is over. Whether somebody was reached the dialling says; where nobody was dialled, the channel's state.
    fn end(&self, id: &str, up: bool, at: Option<Timestamp>) {
        let call = Told { id, source: "asterisk", ..Told::default() }.message();
        if self.connector.was_answered(&call).is_none() {
            self.connector.answered(&call, up);
        }
        let at = at.or_else(|| Some(self.connector.now()));
        self.connector.ended(&call, End { at, ..End::default() }, Duration::ZERO);
    }

    fn knows(&self, id: &str) -> bool {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    fn learn(&self, id: &str) {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
    }

    fn forget(&self, id: &str) -> bool {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    fn known(&self) -> Vec<String> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
