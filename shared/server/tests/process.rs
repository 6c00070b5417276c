//! A process from start to stop, over the network and from inside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod module;
mod silence;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use module::{Scoring, Stakeholders};
use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::events::v1::event_service_client::EventServiceClient;
use rapport_proto::scoring::v1::GetScoresRequest;
use rapport_proto::scoring::v1::score_service_client::ScoreServiceClient;
use rapport_proto::stakeholders::v1::CheckConsentRequest;
use rapport_proto::stakeholders::v1::privacy_service_client::PrivacyServiceClient;
use rapport_rpc::{Transport, error_of, header};
use rapport_server::{Module, Options, Running, Secret, Section, Sources, Span, StartError, TokenOptions, start};
use rapport_types::id::World;
use rapport_types::reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const USER: &str = "user-0123456789abcdef";
const SERVICE: &str = "service-0123456789abcdef";

fn options(dir: &tempfile::TempDir) -> Options {
    let mut options = Options::defaults().unwrap();
    options.listen = "127.0.0.1:0".into();
    options.admin.listen = "127.0.0.1:0".into();
    options.data = dir.path().join("data");
    options.stop.grace = Span::millis(2000);
    options
}

fn with_tokens(mut options: Options) -> Options {
    let token = |token: &str, tenant: &str, role: &str| TokenOptions {
        token: Secret::new(token),
        tenant: tenant.into(),
        principal: format!("users/{role}"),
        roles: vec![role.into()],
    };
    options.auth.tokens = vec![token(USER, "acme", "agent"), token(SERVICE, "acme", "service")];
    options.peers.token = Secret::new(SERVICE);
    options
}

fn both() -> Vec<Box<dyn Module>> {
    vec![Box::new(Stakeholders), Box::new(Scoring::default())]
}

async fn started(options: Options) -> Running {
    start(options, both(), World::system()).await.unwrap()
}

fn network(running: &Running) -> Transport {
    Transport::network(&format!("http://{}", running.addr())).unwrap()
}

/// Writes one event and returns `stakeholders@n`.
async fn write(transport: Transport) -> String {
    let response = PrivacyServiceClient::new(transport).check_consent(CheckConsentRequest::default()).await.unwrap();
    response.metadata().get(header::POSITION).unwrap().to_str().unwrap().to_owned()
}

/// A request to the admin port, or any HTTP/1 request.
async fn http1(addr: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn it_serves_inside_and_outside_with_health_reflection_and_probes() {
    let dir = tempfile::tempdir().unwrap();
    let running = started(options(&dir)).await;
    assert_eq!(write(running.transport()).await, "stakeholders@1");
    assert_eq!(write(network(&running)).await, "stakeholders@2");

    let mut health = HealthClient::new(network(&running));
    for service in ["", "rapport.stakeholders.v1.PrivacyService", "rapport.events.v1.EventService"] {
        let reply = health.check(HealthCheckRequest { service: service.into() }).await.unwrap().into_inner();
        assert_eq!(reply.status, 1, "{service}");
    }

    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut replies = ServerReflectionClient::new(network(&running))
        .server_reflection_info(tokio_stream::once(asked))
        .await
        .unwrap()
        .into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = replies.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list");
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["rapport.stakeholders.v1.PrivacyService", "rapport.events.v1.EventService", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("reflection")), "{names:?}");
    assert!(!names.contains(&"rapport.stakeholders.v1.PartyService"), "{names:?}");

    let admin = running.admin_addr().unwrap();
    for path in ["/livez", "/readyz", "/startupz"] {
        assert!(http1(admin, path).await.starts_with("HTTP/1.1 200"), "{path}");
    }
    let metrics = http1(admin, "/metrics").await;
    for line in [
        "rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\",\
         rpc_method=\"rapport.stakeholders.v1.PrivacyService/CheckConsent\",rpc_response_status_code=\"OK\"} 2",
        "rapport_feed_position{rapport_service=\"stakeholders\"} 2",
        "rapport_consumer_position{rapport_service=\"scoring\",rapport_consumer=\"seen\",rapport_source=\"stakeholders\"}",
    ] {
        assert!(metrics.contains(line), "{line} not in {metrics}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_browser_is_told_what_this_port_is() {
    let dir = tempfile::tempdir().unwrap();
    let running = started(options(&dir)).await;
    let text = http1(running.addr(), "/").await;
    assert!(text.starts_with("HTTP/1.1 405"), "{text}");
    assert!(text.contains("this port speaks gRPC"), "{text}");
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let running = started(options(&dir)).await;

    let other = tempfile::tempdir().unwrap();
    let mut taken = options(&other);
    taken.listen = running.addr().to_string();
    let error = start(taken, both(), World::system()).await.unwrap_err();
    assert!(error.to_string().contains("is in use by another process"), "{error}");
    assert!(!other.path().join("data").exists(), "a database was touched");

    let mut taken = options(&other);
    taken.admin.listen = running.addr().to_string();
    let error = start(taken, both(), World::system()).await.unwrap_err();
    assert!(error.to_string().contains("admin.listen"), "{error}");

    let mut bare = options(&other);
    bare.listen = "0.0.0.0:0".into();
    let error = start(bare.clone(), both(), World::system()).await.unwrap_err();
    assert!(
        matches!(error, StartError::Unprotected { .. }) && error.to_string().contains("--insecure-bind"),
        "{error}"
    );
    bare.insecure_bind = true;
    start(bare, both(), World::system()).await.unwrap().stop().await;
    let mut guarded = with_tokens(options(&other));
    guarded.listen = "0.0.0.0:0".into();
    let error = start(guarded.clone(), both(), World::system()).await.unwrap_err();
    assert!(
        matches!(error, StartError::Unprotected { without_tokens: false, .. })
            && error.to_string().contains("without TLS")
            && error.to_string().contains("tls.offloaded"),
        "{error}"
    );
    guarded.tls.offloaded = true;
    start(guarded, both(), World::system()).await.unwrap().stop().await;

    let mut unknown = options(&other);
    unknown.services = vec!["loyality".into()];
    let error = start(unknown, both(), World::system()).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no service \"loyality\": there are stakeholders, scoring");

    let mut wrong = options(&other);
    wrong.limits.calls = 0;
    assert!(matches!(start(wrong, both(), World::system()).await.unwrap_err(), StartError::Options(_)));
    running.stop().await;
}

#[tokio::test]
async fn a_reader_sees_its_own_tenant_and_a_service_sees_all() {
    let dir = tempfile::tempdir().unwrap();
    let running = started(with_tokens(options(&dir))).await;
    write(network(&running).with_token(USER)).await;
    let first = |token: &'static str| {
        let mut client = EventServiceClient::new(network(&running).with_token(token));
        async move {
            let request = SubscribeRequest { source: "stakeholders".into(), ..Default::default() };
            client.subscribe(request).await.unwrap().into_inner().message().await.unwrap().unwrap()
        }
    };
    let seen = first(USER).await;
    assert_eq!((seen.events[0].tenant.as_str(), seen.events[0].position, seen.newest_position), ("", 1, 1));
    assert_eq!(
        seen.events[0].data.as_ref().unwrap().type_url,
        "type.googleapis.com/rapport.stakeholders.v1.CheckConsentResponse"
    );
    assert_eq!(first(SERVICE).await.events[0].tenant, "acme");

    let mut client = EventServiceClient::new(network(&running).with_token(USER));
    let elsewhere = SubscribeRequest { source: "loyalty".into(), ..Default::default() };
    assert_eq!(error_of(client.subscribe(elsewhere).await.unwrap_err()).reason, reason::SERVICE_NOT_HOSTED);
    let status = EventServiceClient::new(network(&running)).subscribe(SubscribeRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    // Health is open to probes.
    assert!(HealthClient::new(network(&running)).check(HealthCheckRequest::default()).await.is_ok());
    running.stop().await;
}

async fn scores(transport: Transport, at_least: &str, timeout: Duration) -> Option<String> {
    let mut request = Request::new(GetScoresRequest::default());
    request.set_timeout(timeout);
    request.metadata_mut().insert(header::AT_LEAST, at_least.parse().unwrap());
    let response = ScoreServiceClient::new(transport).get_scores(request).await.unwrap();
    response.metadata().get(header::STALE).map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_write_is_read_across_services_in_one_process_and_in_two() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let running = started(options(&one)).await;
    for _ in 0..20 {
        let position = write(network(&running)).await;
        assert_eq!(scores(network(&running), &position, Duration::from_secs(5)).await, None);
    }
    running.stop().await;

    // The same, with the consumer started first and the services apart, behind tokens.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut alone = with_tokens(options(&two));
    alone.services = vec!["scoring".into()];
    alone.peers.addresses.insert("stakeholders".into(), format!("http://{free}"));
    let scoring = Scoring::default();
    let reader = start(alone, vec![Box::new(Stakeholders), Box::new(scoring.clone())], World::system()).await.unwrap();
    let from_reader = network(&reader).with_token(USER);
    assert_eq!(
        scores(from_reader.clone(), "stakeholders@21", Duration::from_millis(300)).await.unwrap(),
        "stakeholders@0"
    );

    let mut source = with_tokens(options(&one));
    source.services = vec!["stakeholders".into()];
    source.listen = free.to_string();
    let writer = started(source).await;
    let position = write(network(&writer).with_token(USER)).await;
    assert_eq!(position, "stakeholders@21");
    assert_eq!(scores(from_reader.clone(), &position, Duration::from_secs(20)).await, None);
    assert_eq!(scoring.seen.load(Ordering::SeqCst), 21);
    // Its own service, and one that it does not consume, are never waited for.
    let own = "scoring@999,interactions@999";
    assert_eq!(scores(from_reader, own, Duration::from_secs(20)).await, None);
    writer.stop().await;
    reader.stop().await;
    assert_eq!(Arc::strong_count(&scoring.seen), 1, "a stopped process holds nothing");
}

#[tokio::test]
async fn stopping_answers_what_is_in_flight_ends_streams_and_lets_go_of_everything() {
    let dir = tempfile::tempdir().unwrap();
    let running = started(options(&dir)).await;
    let (addr, admin) = (running.addr(), running.admin_addr().unwrap());
    write(network(&running)).await;
    let mut feed = EventServiceClient::new(network(&running))
        .subscribe(SubscribeRequest { source: "stakeholders".into(), ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    let cursor = feed.message().await.unwrap().unwrap().cursor;
    let mut watch =
        HealthClient::new(network(&running)).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    let transport = network(&running);
    let slow = tokio::spawn(async move {
        let request = CheckConsentRequest { party: "slow".into(), ..Default::default() };
        PrivacyServiceClient::new(transport).check_consent(request).await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;

    let inside = running.transport();
    let stopped = tokio::spawn(running.stop());
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2, "health says so first");
    let end = loop {
        match feed.message().await {
            Ok(Some(message)) => assert!(!message.cursor.is_empty()),
            other => break other,
        }
    };
    assert!(matches!(end, Ok(None)), "{end:?}");
    assert!(slow.await.unwrap().is_ok(), "a call in flight was cut");
    let waited = Instant::now();
    stopped.await.unwrap();
    assert!(waited.elapsed() < Duration::from_secs(1));
    assert!(TcpStream::connect(addr).await.is_err());
    assert!(TcpStream::connect(admin).await.is_err());
    let error =
        error_of(PrivacyServiceClient::new(inside).check_consent(CheckConsentRequest::default()).await.unwrap_err());
    assert_eq!(error.reason, reason::SHUTTING_DOWN);

    // The same folder again, and the stream goes on from its cursor.
    let running = started(options(&dir)).await;
    assert_eq!(write(running.transport()).await, "stakeholders@3");
    let mut feed = EventServiceClient::new(running.transport())
        .subscribe(SubscribeRequest { source: "stakeholders".into(), cursor, ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(feed.message().await.unwrap().unwrap().events[0].position, 2);
    drop(feed);
    running.stop().await;
}

#[tokio::test]
async fn a_service_gets_its_options_before_anything_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let told = |value: &str| {
        let env = vec![("RAPPORT__SERVICE__SCORING__LOG_LIMIT".to_owned(), value.to_owned())];
        let told = Options::load(&Sources { env, ..Sources::default() }).unwrap();
        let mut options = options(&dir);
        options.service = told.service;
        options
    };
    for (value, problem) in [
        ("0", "service.scoring.log_limit is 0, it must be at least 1"),
        ("many", "service.scoring.log_limit: invalid type: found string \"many\", expected u64"),
    ] {
        let Err(StartError::Options(error)) = start(told(value), both(), World::system()).await else {
            panic!("{value} was taken");
        };
        assert_eq!(error.problems, [problem]);
        assert!(!dir.path().join("data").exists(), "nothing was opened");
    }
    let mut unknown = options(&dir);
    unknown.service.insert("billing".into(), Section::new());
    let error = start(unknown, both(), World::system()).await.err().unwrap().to_string();
    assert!(error.contains("service.billing"), "{error}");

    let scoring = Scoring::default();
    let modules: Vec<Box<dyn Module>> = vec![Box::new(scoring.clone())];
    let running = start(told("7"), modules, World::system()).await.unwrap();
    assert_eq!(scoring.log_limit.load(Ordering::SeqCst), 7);
    running.stop().await;
}

#[tokio::test]
async fn a_stop_is_bounded_though_a_client_holds_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir);
    options.stop.grace = Span::millis(300);
    let running = started(options).await;
    let transport = network(&running);
    let slow = tokio::spawn(async move {
        let request = CheckConsentRequest { party: "slow".into(), ..Default::default() };
        PrivacyServiceClient::new(transport).check_consent(request).await
    });
    // And one that connected and says nothing.
    let _silent = TcpStream::connect(running.addr()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    running.stop().await;
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    assert!(slow.await.unwrap().is_err());
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused_and_the_connection_limit_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir);
    options.limits.connections = 2;
    let running = started(options).await;
    let mut request = Request::new(CheckConsentRequest::default());
    request.metadata_mut().insert("x-large", "x".repeat(20_000).parse().unwrap());
    assert!(PrivacyServiceClient::new(network(&running)).check_consent(request).await.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let held = [TcpStream::connect(running.addr()).await.unwrap(), TcpStream::connect(running.addr()).await.unwrap()];
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut third = TcpStream::connect(running.addr()).await.unwrap();
    let mut buffer = [0; 1];
    assert_eq!(third.read(&mut buffer).await.unwrap_or(0), 0, "closed at once");
    drop(held);
    tokio::time::sleep(Duration::from_millis(100)).await;
    write(network(&running)).await;
    running.stop().await;
}
