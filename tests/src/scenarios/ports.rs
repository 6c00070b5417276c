//! What is on the ports beside the services: health, reflection, probes, metrics, and answers to what is no gRPC.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use rapport_proto::stakeholders::v1::GetPartyRequest;
use rapport_testkit::asserts::Bearer;
use rapport_testkit::sandbox::{SandboxBuilder, Topology};
use rapport_testkit::{Code, assert_reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::messages::person;
use super::stage::{ACME, Stage, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn ports_answer_probes_tools_and_strangers(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        health_is_told_without_a_credential(&stage).await;
        reflection_lists_what_is_hosted(&stage).await;
        probes_and_metrics_are_on_the_admin_port(&stage).await;
        what_is_no_grpc_is_told_so(&stage).await;
        what_is_hosted_elsewhere_is_not_here(&stage).await;
        stage.close().await;
    }
}

/// The public services of the process that hosts a service: all that the contract has of those it hosts, and the two that every
/// process serves for what it hosts.
fn hosted(stage: &Stage, service: &str) -> BTreeSet<String> {
    let here: Vec<String> = match stage.sandbox.topology() {
        Topology::Processes => vec![service.to_owned()],
        Topology::OneProcess | Topology::Child => stage.sandbox.services(),
    };
    let every = ["events".to_owned(), "operations".to_owned()];
    here.iter()
        .chain(&every)
        .flat_map(|service| {
            let package = format!("rapport.{service}.v1.");
            let methods = rapport_proto::contract::methods().iter();
            let of_it: BTreeSet<String> = methods
                .filter(|method| method.service.starts_with(&package))
                .map(|method| method.service.clone())
                .collect();
            assert!(!of_it.is_empty(), "{service} has a contract");
            of_it
        })
        .collect()
}

async fn health_is_told_without_a_credential(stage: &Stage) {
    for service in stage.sandbox.services() {
        let mut health = HealthClient::new(stage.sandbox.channel(&service));
        let mut check = async |service: &str| {
            let request = HealthCheckRequest { service: service.to_owned() };
            health.check(request).await.map(tonic::Response::into_inner)
        };
        let serving = HealthCheckResponse { status: ServingStatus::Serving.into() };
        assert_eq!(check("").await.expect("told"), serving);
        for name in hosted(stage, &service) {
            assert_eq!(check(&name).await.expect(&name), serving);
        }
        assert_eq!(check("rapport.weather.v1.ForecastService").await.expect_err("unknown").code(), Code::NotFound);
    }
}

/// The names that one version of reflection lists.
macro_rules! listed {
    ($version:ident, $channel:expr, $token:expr) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
        let ask = |what| ServerReflectionRequest { host: String::new(), message_request: Some(what) };
        let questions = vec![
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol("rapport.events.v1.EventService".into())),
        ];
        let mut client = ServerReflectionClient::with_interceptor($channel, Bearer::new($token));
        let answer = client.server_reflection_info(tokio_stream::iter(questions)).await;
        match answer {
            Err(status) => Err(status),
            Ok(answer) => {
                let mut answers = answer.into_inner();
                let first = answers.message().await.expect("an answer").expect("an answer").message_response;
                let Some(MessageResponse::ListServicesResponse(list)) = first else { panic!("{first:?}") };
                let second = answers.message().await.expect("an answer").expect("an answer").message_response;
                let Some(MessageResponse::FileDescriptorResponse(files)) = second else { panic!("{second:?}") };
                assert!(!files.file_descriptor_proto.is_empty());
                Ok(list.service.into_iter().map(|one| one.name).collect::<BTreeSet<String>>())
            }
        }
    }};
}

async fn reflection_lists_what_is_hosted(stage: &Stage) {
    for service in stage.sandbox.services() {
        let channel = || stage.sandbox.channel(&service);
        let mut expected = hosted(stage, &service);
        expected.insert("grpc.health.v1.Health".to_owned());
        for listed in [listed!(v1, channel(), ACME), listed!(v1alpha, channel(), ACME)] {
            let listed = listed.expect("listed");
            assert!(expected.is_subset(&listed), "{listed:?} lacks some of {expected:?}");
            let ours: BTreeSet<String> = listed.into_iter().filter(|name| name.starts_with("rapport.")).collect();
            assert_eq!(ours, hosted(stage, &service), "what is not hosted is not listed");
        }
        let stranger = listed!(v1, channel(), "not-a-token");
        assert_reason!(stranger, Code::Unauthenticated, "UNAUTHENTICATED");
    }
}

/// One request over HTTP/1.1: the status line's code, the headers and the body.
pub(super) async fn http(address: SocketAddr, request: &str) -> (u16, String, String) {
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    let head = format!("{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    connection.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.expect("answered");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
    let code =
        head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no code in {head:?}"));
    (code, head.to_lowercase(), body.to_owned())
}

async fn probes_and_metrics_are_on_the_admin_port(stage: &Stage) {
    stage.party(person("Counted")).await;
    let nobody = GetPartyRequest { name: unknown("parties") };
    assert_reason!(stage.parties(ACME).get_party(nobody).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    for service in stage.sandbox.services() {
        let admin = stage.sandbox.admin_address(&service);
        for probe in ["/livez", "/readyz", "/startupz"] {
            let (code, _, body) = http(admin, &format!("GET {probe}")).await;
            assert_eq!((code, body.trim()), (200, "ok"), "{probe} of {service}");
        }
        assert_eq!(http(admin, "GET /nothing").await.0, 404);
        assert_eq!(http(admin, "POST /livez").await.0, 405);
        let (code, head, body) = http(admin, "GET /metrics").await;
        assert_eq!(code, 200);
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        assert!(body.contains("\nrapport_panics_total 0\n"), "{body}");
        assert!(!body.contains("Counted") && !body.contains("token-of"), "nothing personal and no secret");
    }
    let (_, _, body) = http(stage.sandbox.admin_address("stakeholders"), "GET /metrics").await;
    for (method, status) in [("CreateParty", "OK"), ("GetParty", "NOT_FOUND")] {
        let line = body.lines().find(|line| {
            line.starts_with("rpc_server_call_duration_seconds_count{")
                && line.contains(method)
                && line.contains(&format!("\"{status}\""))
        });
        let count = line.and_then(|line| line.rsplit(' ').next()).and_then(|count| count.parse::<u64>().ok());
        assert!(count.is_some_and(|count| count >= 1), "{method} {status}: {line:?} in {body}");
    }
}

/// One request over HTTP/2 as it is written here.
async fn raw(channel: &mut Channel, method: &str, content_type: Option<&str>) -> http::Response<Body> {
    let mut request = http::Request::builder().method(method).uri("/rapport.stakeholders.v1.PartyService/GetParty");
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let request = request.header("authorization", format!("Bearer {ACME}")).body(Body::empty()).expect("a request");
    futures::future::poll_fn(|cx| channel.poll_ready(cx)).await.expect("a connection");
    channel.call(request).await.expect("an answer")
}

async fn what_is_no_grpc_is_told_so(stage: &Stage) {
    let mut channel = stage.sandbox.channel("stakeholders");
    for (method, content_type, code) in [
        ("GET", Some("application/grpc"), 405),
        ("GET", None, 405),
        ("PUT", Some("application/grpc"), 405),
        ("POST", Some("application/grpc+json"), 415),
        ("POST", Some("application/x-www-form-urlencoded"), 415),
        ("POST", Some("text/plain"), 415),
        ("POST", None, 415),
    ] {
        let answer = raw(&mut channel, method, content_type).await;
        assert_eq!(answer.status(), code, "{method} {content_type:?}");
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        assert_eq!(header("grpc-status").as_deref(), Some("3"), "and INVALID_ARGUMENT for whoever reads that");
        assert_eq!(header("allow").as_deref(), (code == 405).then_some("POST"));
        assert!(header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
        let status = tonic::Status::from_header_map(answer.headers()).expect("a status");
        assert_reason!(Err::<(), _>(status), Code::InvalidArgument, "WRONG_CONTENT_TYPE");
    }
    // So is a browser, which speaks HTTP/1.1, and a gRPC client that came over it.
    let (code, _, body) = http(stage.sandbox.address("stakeholders"), "GET /").await;
    assert_eq!(code, 405);
    assert!(body.contains("gRPC and JSON"), "{body}");
    // The port is none the worse for it.
    stage.party(person("Afterwards")).await;
}

async fn what_is_hosted_elsewhere_is_not_here(stage: &Stage) {
    let mut scores = rapport_proto::scoring::v1::score_service_client::ScoreServiceClient::with_interceptor(
        stage.sandbox.channel("stakeholders"),
        Bearer::new(ACME),
    );
    let answer =
        scores.list_score_definitions(rapport_proto::scoring::v1::ListScoreDefinitionsRequest::default()).await;
    match stage.sandbox.topology() {
        Topology::Processes => drop(assert_reason!(answer, Code::Unimplemented, "UNKNOWN_METHOD")),
        Topology::OneProcess | Topology::Child => {
            assert_eq!(answer.expect("hosted").into_inner().score_definitions.len(), 2)
        }
    }
}
