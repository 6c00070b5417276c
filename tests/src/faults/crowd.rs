//! Two thousand connections that do nothing and readers that do not read: a good client does not notice them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rapport_proto::events::v1::event_service_client::EventServiceClient;
use rapport_proto::events::v1::{SubscribeRequest, SubscribeResponse};
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::interactions::v1::{GetTimelineRequest, WatchInteractionsRequest, WatchInteractionsResponse};
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::{BatchCreatePartiesRequest, CreatePartyRequest};
use rapport_server::system;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::size;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use super::load;
use crate::scenarios::messages::person;
use crate::wire::http;

/// Connections that do nothing.
const IDLE: usize = 2_000;
/// Connections beyond those, until the server takes no more.
const MORE: usize = 20;
/// Streams at once on one connection, as the server allows them.
const STREAMS: usize = 64;
/// What the crowd may cost: each connection is a task with a header table and some buffers, each unread stream what its
/// window holds.
const MEMORY: u64 = 192 << 20;

/// Connections whose readers do not read, and each one's streams.
fn slow() -> usize {
    size::pick(3, 12)
}

#[test]
fn fault_a_crowd_that_does_nothing_or_does_not_read_slows_nobody() {
    assert!(system::raise_file_limit().is_none_or(|limit| limit > 2 * IDLE as u64), "too few files for this test");
    rapport_testkit::block_on(async {
        let sandbox = Sandbox::builder(rapport::modules)
            .topology(Topology::Child)
            .setting("limits.connections", i64::try_from(IDLE + MORE).expect("small"))
            .start()
            .await;
        let address = sandbox.address("interactions");
        let good = Good::new(&sandbox).await;
        let alone = good.p99().await;
        let before = memory(&sandbox);

        let crowd: Vec<_> = stream::iter(0..IDLE).map(|_| idle(address)).buffered(16).collect().await;
        let mut readers = Vec::new();
        for _ in 0..slow() {
            readers.push(Slow::new(address).await);
        }
        let crowded = good.p99().await;
        let costs = memory(&sandbox).saturating_sub(before);
        println!("p99 {alone:?} alone, {crowded:?} in the crowd, which costs {} MiB", costs >> 20);
        assert!(crowded <= alone * 2 + grace(), "p99 was {alone:?} and is {crowded:?}");
        assert!(costs < MEMORY, "the crowd costs {costs} bytes");
        assert!(crowd.iter().all(|one| !one.is_finished()), "who does nothing wrong stays");

        readers[0].holds_as_many_streams_as_it_may().await;
        no_more_are_let_in(address).await;
        good.write(1).await;
        for one in crowd {
            one.abort();
        }
        drop(readers);
        sandbox.stop().await;
    });
}

/// What noise may add: a test of the small size takes few samples, unoptimised, on a machine that is not its own.
fn grace() -> Duration {
    size::pick(Duration::from_millis(30), Duration::ZERO)
}

/// What the server's process holds, in bytes.
fn memory(sandbox: &Sandbox) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", sandbox.pid("interactions"))).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") << 10
}

/// A client that behaves, with something to read.
struct Good {
    channel: Channel,
    party: String,
}

impl Good {
    async fn new(sandbox: &Sandbox) -> Good {
        let good = Good { channel: sandbox.channel("interactions"), party: load::party() };
        let requests = (0..500).map(|n| CreatePartyRequest {
            party: Some(person(&format!("Somebody with a name that fills a page {n}"))),
            ..Default::default()
        });
        let request = BatchCreatePartiesRequest { requests: requests.collect(), ..Default::default() };
        PartyServiceClient::new(good.channel.clone()).batch_create_parties(request).await.expect("recorded");
        for _ in 0..size::pick(5, 50) {
            good.write(20).await;
        }
        good
    }

    async fn write(&self, count: usize) {
        let writes = (0..count).map(|_| async {
            let request = load::request(&self.party, uuid::Uuid::now_v7());
            InteractionServiceClient::new(self.channel.clone()).record_interaction(request).await.expect("recorded");
        });
        futures::future::join_all(writes).await;
    }

    /// How long its reads take at the most, but for one in a hundred; it writes besides, for those who watch.
    async fn p99(&self) -> Duration {
        let mut client = InteractionServiceClient::new(self.channel.clone());
        let mut times = Vec::new();
        for n in 0..size::pick(300, 10_000) {
            let request = GetTimelineRequest { party: self.party.clone(), page_size: 10, ..Default::default() };
            let asked = Instant::now();
            client.get_timeline(request).await.expect("read");
            times.push(asked.elapsed());
            if n % 50 == 0 {
                self.write(1).await;
            }
        }
        times.sort_unstable();
        times[times.len() * 99 / 100]
    }
}

/// A connection that is ready for calls, answers when it is asked whether it lives, and calls nothing.
async fn idle(address: SocketAddr) -> JoinHandle<()> {
    let stream = TcpStream::connect(address).await.expect("connected");
    let (calls, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .handshake::<_, Empty<bytes::Bytes>>(TokioIo::new(stream))
        .await
        .expect("the server speaks HTTP/2");
    tokio::spawn(async move {
        let _ends = connection.await;
        drop(calls);
    })
}

/// As many connections as there may be are there; further ones are closed at once, and those that are there stay.
async fn no_more_are_let_in(address: SocketAddr) {
    let mut refused = 0;
    let mut held = Vec::new();
    // Those that are let in, and as many again.
    for _ in 0..2 * MORE {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let mut byte = [0];
        match tokio::time::timeout(Duration::from_millis(20), stream.read(&mut byte)).await {
            // Closed by the server, who had said nothing.
            Ok(Ok(0) | Err(_)) => refused += 1,
            Ok(Ok(_)) => panic!("the server speaks first"),
            Err(_) => held.push(stream),
        }
    }
    assert!(refused >= MORE, "{refused} of {} connections too many were refused", 2 * MORE);
}

/// A connection with streams that nobody reads, and with long answers of which a few bytes are taken at a time.
struct Slow {
    channel: Channel,
    feeds: Vec<Streaming<SubscribeResponse>>,
    watches: Vec<Streaming<WatchInteractionsResponse>>,
    pages: Vec<JoinHandle<()>>,
}

impl Slow {
    async fn new(address: SocketAddr) -> Slow {
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .expect("a loopback address")
            .initial_stream_window_size(16)
            .connect()
            .await
            .expect("connected");
        let (mut feeds, mut watches, mut pages) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..8 {
            let request = SubscribeRequest { source: "interactions".into(), ..Default::default() };
            let feed = EventServiceClient::new(channel.clone()).subscribe(request).await.expect("subscribed");
            feeds.push(feed.into_inner());
            let request = WatchInteractionsRequest::default();
            let watch = InteractionServiceClient::new(channel.clone()).watch_interactions(request).await;
            watches.push(watch.expect("watched").into_inner());
        }
        for _ in 0..8 {
            pages.push(page(channel.clone()).await);
        }
        Slow { channel, feeds, watches, pages }
    }

    /// What it may have open at once, and no more: what comes then waits until another one ends.
    async fn holds_as_many_streams_as_it_may(&mut self) {
        let subscribe = async |channel: Channel| {
            let request = SubscribeRequest { source: "interactions".into(), ..Default::default() };
            EventServiceClient::new(channel).subscribe(request).await.expect("subscribed").into_inner()
        };
        for page in self.pages.drain(..) {
            page.abort();
        }
        while self.feeds.len() + self.watches.len() < STREAMS {
            self.feeds.push(subscribe(self.channel.clone()).await);
        }
        let waiting = tokio::spawn(subscribe(self.channel.clone()));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!waiting.is_finished(), "a connection has more than {STREAMS} streams");
        self.feeds.truncate(1);
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("there is room").expect("no panic");
    }
}

/// A page of five hundred parties, taken a few bytes at a time.
async fn page(mut channel: Channel) -> JoinHandle<()> {
    let path = "/rapport.stakeholders.v1.PartyService/ListParties";
    let headers = [("content-type", "application/json")];
    let answer = http::open(&mut channel, "POST", path, &headers, r#"{"pageSize": 500}"#).await;
    assert_eq!(answer.status().as_u16(), 200);
    let mut body = answer.into_body();
    tokio::spawn(async move {
        while let Some(Ok(_)) = body.frame().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
}
