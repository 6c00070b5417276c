//! Traces: a call's spans reach an OTLP collector under the trace of whoever called.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::{
    BeginCallRequest, Call, CallDisposition, Direction, EndCallRequest, GetAgentContextRequest, Identifier,
};
use rapport_proto::scoring::v1::GetScoresRequest;
use rapport_proto::stakeholders::v1::GetPartyRequest;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_rpc::tls::{Greeting, Pem, ServerIdentity, ServerTls};
use rapport_testkit::Code;
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::authority::{Authority, write};
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_types::id::World;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::messages::{now, person, phone};
use super::stage::{ACME, Positions, Stage, unknown};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A collector that hands on what it is sent.
struct Collector(mpsc::UnboundedSender<Span>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            for scope in resource.scope_spans {
                for span in scope.spans {
                    self.0.send(span).map_err(|_| Status::unavailable("the test is over"))?;
                }
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector on a port of its own, and the spans it is sent.
async fn collector() -> (SocketAddr, mpsc::UnboundedReceiver<Span>) {
    collector_at("127.0.0.1:0".parse().expect("an address")).await
}

async fn collector_at(address: SocketAddr) -> (SocketAddr, mpsc::UnboundedReceiver<Span>) {
    let (sender, spans) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind(address).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(
        Server::builder()
            .add_service(TraceServiceServer::new(Collector(sender)))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    (address, spans)
}

/// What ends TLS before a collector: connections whose handshake succeeds are carried on to it, of others nothing is.
async fn secured(authority: &Authority, collector: SocketAddr) -> SocketAddr {
    let issued = authority.issue(&["127.0.0.1"]);
    let identity = ServerIdentity {
        certificate: Pem::new("certificate", issued.certificate.into_bytes()),
        key: Pem::new("key", issued.key.into_bytes()),
        client_ca: None,
        client_names: Vec::new(),
    };
    let tls = ServerTls::new(&identity, World::system().now()).expect("a certificate");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let greeting = tls.accept(stream, Duration::from_secs(10)).await;
                let Ok(Greeting::Tls(mut outer)) = greeting else { return };
                let mut inner = TcpStream::connect(collector).await.expect("the collector listens");
                let _either_ended = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    address
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn spans_reach_a_collector_under_the_callers_trace() {
    rapport_testkit::block_on(async {
        let (address, mut spans) = collector().await;
        // Over TLS; the other test does without.
        let authority = Authority::new("whom the collector has");
        let folder = tempfile::tempdir().expect("a folder");
        let trusted = write(folder.path(), "ca.pem", &authority.certificate());
        let address = secured(&authority, address).await;
        let sandbox = Sandbox::builder(rapport::modules)
            .topology(Topology::Child)
            .setting("telemetry.otlp_endpoint", format!("https://{address}"))
            .setting("telemetry.otlp_ca", trusted.display().to_string())
            .start()
            .await;
        let mut parties = PartyServiceClient::new(sandbox.channel("stakeholders"));
        let mut request = Request::new(GetPartyRequest { name: unknown("parties") });
        let traceparent = format!("00-{TRACE}-{CALLER}-01").parse().expect("a header");
        request.metadata_mut().insert("traceparent", traceparent);
        let refused = parties.get_party(request).await.expect_err("nobody of that name");
        assert_eq!(refused.code(), Code::NotFound);
        // What is left is exported when the process stops.
        sandbox.stop().await;
        let span = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let span = spans.recv().await.expect("spans come");
                if span.name == "rapport.stakeholders.v1.PartyService/GetParty" {
                    return span;
                }
            }
        })
        .await
        .expect("the call's span reaches the collector");
        assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.to_owned(), CALLER.to_owned()));
        let code = span.attributes.iter().find(|attribute| attribute.key == "rpc.grpc.status_code");
        let code = code.and_then(|attribute| attribute.value.clone()?.value);
        let not_found = opentelemetry_proto::tonic::common::v1::any_value::Value::IntValue(Code::NotFound as i64);
        assert_eq!(code, Some(not_found));
    });
}

/// The text of a span's attribute; empty if it has none.
fn text(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        _ => String::new(),
    }
}

fn traced<T>(message: T, seen: &Positions) -> Request<T> {
    let mut request = at_least(message, seen);
    let traceparent = format!("00-{TRACE}-{CALLER}-01").parse().expect("a header");
    request.metadata_mut().insert("traceparent", traceparent);
    request
}

/// From a call's beginning over the events to the score that moved and the desk that shows it: one trace, over processes.
#[test]
fn a_call_is_one_trace_to_the_score_it_moved() {
    rapport_testkit::block_on(async {
        let (address, mut spans) = collector().await;
        let sandbox = Sandbox::builder(rapport::modules)
            .topology(Topology::Processes)
            .setting("telemetry.otlp_endpoint", format!("http://{address}"));
        let stage = Stage::open(sandbox).await;
        let mut caller = person("Traced");
        caller.contact_media = vec![phone("+12025550191")];
        let (party, mut seen) = stage.party_at(caller).await;
        let call = Call {
            call_id: "traced-1".into(),
            direction: Direction::Inbound.into(),
            identifier_used: Some(Identifier { scheme: "tel".into(), value: "+12025550191".into() }),
            agent: "users/ana".into(),
            started_time: Some(now()),
            ..Default::default()
        };
        let begin = BeginCallRequest { call: Some(call), budget_ms: 5_000, ..Default::default() };
        let begun = stage.desk(ACME).begin_call(traced(begin, &seen)).await.expect("begins");
        seen.extend(positions(begun.metadata()));
        let end = EndCallRequest {
            call: Some(Call { call_id: "traced-1".into(), ..Default::default() }),
            disposition: CallDisposition::Handled.into(),
            ..Default::default()
        };
        let ended = stage.desk(ACME).end_call(traced(end, &seen)).await.expect("ends");
        seen.extend(positions(ended.metadata()));
        let request = GetScoresRequest { party: party.name.clone(), ..Default::default() };
        let scores = stage.scores(ACME).get_scores(at_least(request, &seen)).await.expect("read");
        assert!(!scores.get_ref().scores.is_empty(), "{scores:?}");
        // The desk shows what scoring told of it.
        let newest = newest(&stage, "scoring").await;
        assert!(newest > 0, "the score moved");
        seen.insert("scoring".into(), newest);
        let about = Some(About::Party(party.name));
        let request = GetAgentContextRequest { about, budget_ms: 5_000, ..Default::default() };
        let shown = stage.desk(ACME).get_agent_context(at_least(request, &seen)).await.expect("shown");
        assert!(shown.metadata().get("rapport-stale").is_none());
        stage.close().await;

        let mut missing = BTreeSet::from([
            "rapport.interactions.v1.DeskService/BeginCall".to_owned(),
            "rapport.interactions.v1.DeskService/EndCall".to_owned(),
            "scoring.contributions applies rapport.interactions.v1.InteractionRecorded".to_owned(),
            "interactions.desk applies rapport.scoring.v1.ScoreMoved".to_owned(),
        ]);
        let found = tokio::time::timeout(Duration::from_secs(20), async {
            while !missing.is_empty() {
                let span = spans.recv().await.expect("spans come");
                if hex(&span.trace_id) != TRACE {
                    continue;
                }
                missing.remove(&span.name);
                let group = text(&span, "messaging.consumer.group.name");
                missing.remove(&format!("{group} applies {}", text(&span, "rapport.event.kind")));
            }
        });
        let told = found.await;
        assert!(told.is_ok(), "not in the caller's trace: {missing:?}");
    });
}

/// Said once when it begins and once when it ends, and counted; calls are answered all the while.
#[test]
fn a_collector_that_is_away_is_told_of() {
    rapport_testkit::block_on(async {
        let away = SocketAddr::from(([127, 0, 0, 1], rapport_testkit::port::free_port()));
        let sandbox = Sandbox::builder(rapport::modules)
            .topology(Topology::Child)
            .setting("telemetry.otlp_endpoint", format!("http://{away}"))
            .start()
            .await;
        let failing = exports(&sandbox, |text| text.contains("\nrapport_trace_export_failing 1\n")).await;
        assert!(!failing.contains("rapport_trace_spans_total{rapport_result=\"failed\"} 0\n"), "{failing}");
        let (_, _spans) = collector_at(away).await;
        let works = exports(&sandbox, |text| text.contains("\nrapport_trace_export_failing 0\n")).await;
        assert!(!works.contains("rapport_trace_spans_total{rapport_result=\"done\"} 0\n"), "{works}");
        let log = sandbox.log("stakeholders");
        for told in ["traces do not reach the collector", "traces reach the collector again"] {
            assert_eq!(log.matches(told).count(), 1, "{told}: {log}");
        }
        sandbox.stop().await;
    });
}

/// Calls until /metrics says so: a batch of spans goes out once it is full. Gives what it says.
async fn exports(sandbox: &Sandbox, said: impl Fn(&str) -> bool) -> String {
    let parties = PartyServiceClient::new(sandbox.channel("stakeholders"));
    let begun = std::time::Instant::now();
    loop {
        let calls = (0..64).map(|_| {
            let mut parties = parties.clone();
            async move { parties.get_party(GetPartyRequest { name: unknown("parties") }).await }
        });
        for answer in futures::future::join_all(calls).await {
            assert_eq!(answer.expect_err("nobody of that name").code(), Code::NotFound);
        }
        let (_, _, text) = super::ports::http(sandbox.admin_address("stakeholders"), "GET /metrics").await;
        if said(&text) {
            return text;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{text}");
    }
}

/// The newest position of a service's feed.
async fn newest(stage: &Stage, service: &str) -> i64 {
    let (_, _, metrics) = super::ports::http(stage.sandbox.admin_address(service), "GET /metrics").await;
    let name = format!("rapport_feed_position{{rapport_service=\"{service}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name)).expect("told");
    line.parse().expect("a number")
}
