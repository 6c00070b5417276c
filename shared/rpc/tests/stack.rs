//! The stack as callers see it: its order, and what each layer answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fake::{Fake, Feed, post, request};
use http::{Method, StatusCode, Version};
use http_body_util::BodyExt;
use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::events::v1::event_service_client::EventServiceClient;
use rapport_proto::stakeholders::v1::privacy_service_client::PrivacyServiceClient;
use rapport_rpc::{
    Access, Authentication, Local, Methods, Peers, Services, Stack, StackOptions, Token, Transport, error_of, header,
};
use rapport_types::reason;
use rapport_types::tenant::{Principal, TenantId};
use tonic::{Code, Request, Response};

const TOKEN: &str = "0123456789abcdef";

fn principal(role: &str) -> Principal {
    Principal { tenant: TenantId::local(), name: "users/local".into(), roles: vec![role.into()], service: false }
}

fn access() -> Access {
    Access::new(&Methods::of_contract().unwrap(), &BTreeMap::new())
}

fn open() -> StackOptions {
    StackOptions::new(Authentication::open(principal("admin")), access())
}

fn guarded(role: &str) -> StackOptions {
    let token = Token {
        token: TOKEN.into(),
        tenant: TenantId::parse("acme").unwrap(),
        principal: "users/ana".into(),
        roles: vec![role.into()],
    };
    StackOptions::new(Authentication::tokens(vec![token]), access())
}

fn stack(options: StackOptions) -> Stack {
    let mut services = Services::default();
    services.add_service(Fake).add_service(Feed);
    Stack::new(Methods::of_contract().unwrap(), &services, options)
}

fn over(stack: Stack) -> Transport {
    let local = Local::default();
    local.open(stack);
    Transport::local(local)
}

async fn call(
    transport: Transport,
    what: &str,
) -> Result<tonic::Response<rapport_proto::stakeholders::v1::CheckConsentResponse>, tonic::Status> {
    PrivacyServiceClient::new(transport).check_consent(request(what)).await
}

#[test]
fn the_order_is_a_promise() {
    assert_eq!(
        stack(open()).order(),
        [
            "protocol",
            "request id",
            "trace context",
            "access log",
            "metrics",
            "catch-panic",
            "deadline",
            "limits",
            "authentication",
            "permission",
            "quota",
            "at-least",
            "handler",
        ]
    );
}

#[tokio::test]
async fn a_call_goes_through_and_is_counted() {
    let stack = stack(open());
    let response = call(over(stack.clone()), "ok").await.unwrap();
    assert!(response.metadata().contains_key(header::REQUEST_ID));
    assert!(response.into_inner().allowed);
    let counts = stack.metrics().methods();
    assert_eq!(counts.len(), 1);
    assert_eq!(ended(&counts[0]), [(Code::Ok, 1)]);
    assert_eq!(counts[0].in_flight, 0);
}

#[tokio::test]
async fn a_request_id_is_echoed_if_it_is_plain() {
    for (given, echoed) in [("call-17.a_B", true), ("no spaces please", false), ("", false)] {
        let mut request = request("ok");
        request.metadata_mut().insert(header::REQUEST_ID, given.parse().unwrap());
        let response = PrivacyServiceClient::new(over(stack(open()))).check_consent(request).await.unwrap();
        let id = response.metadata().get(header::REQUEST_ID).unwrap();
        assert_eq!(id == given, echoed, "{given}");
    }
}

#[tokio::test]
async fn what_is_not_grpc_is_refused_in_http() {
    let stack = stack(open());
    let of = |request: http::Request<tonic::body::Body>| {
        let stack = stack.clone();
        async move { stack.answer(request).await.unwrap() }
    };
    let mut get = post(&[]);
    *get.method_mut() = Method::GET;
    let mut json = post(&[]);
    json.headers_mut().insert("content-type", "application/json".parse().unwrap());
    let mut old = post(&[]);
    *old.version_mut() = Version::HTTP_11;
    for (request, status) in [
        (get, StatusCode::METHOD_NOT_ALLOWED),
        (json, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (old, StatusCode::HTTP_VERSION_NOT_SUPPORTED),
    ] {
        let response = of(request).await;
        assert_eq!(response.status(), status);
        let refused = tonic::Status::from_header_map(response.headers()).unwrap();
        assert_eq!((refused.code(), error_of(refused).reason), (Code::InvalidArgument, reason::WRONG_CONTENT_TYPE));
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(text.starts_with(b"this port speaks gRPC"), "{text:?}");
    }
    assert_eq!(stack.metrics().refused(), 3);
}

#[tokio::test]
async fn garbage_is_the_callers_fault() {
    let stack = stack(open());
    // Not a message; a flag that does not exist; a length beyond the body; a length beyond the limit; nothing.
    for (body, reason) in [
        (&[0, 0, 0, 0, 3, 0xff, 0xff, 0xff][..], reason::UNDECODABLE_MESSAGE),
        (&[7, 0, 0, 0, 0][..], reason::UNDECODABLE_MESSAGE),
        (&[1, 0, 0, 0, 1, 0][..], reason::UNDECODABLE_MESSAGE),
        (&[0, 0, 0, 0, 9, 1][..], reason::UNDECODABLE_MESSAGE),
        (&[0, 0x7f, 0, 0, 0, 1][..], reason::MESSAGE_TOO_LARGE),
        (&[][..], reason::UNDECODABLE_MESSAGE),
    ] {
        let response = stack.answer(post(body)).await.unwrap();
        let status = tonic::Status::from_header_map(response.headers()).unwrap();
        assert_ne!(status.code(), Code::Internal, "{body:?}: {status:?}");
        assert_eq!(error_of(status).reason, reason, "{body:?}");
    }
}

#[tokio::test]
async fn unknown_methods_are_unimplemented_but_only_for_callers_with_a_credential() {
    let mut unknown = post(&[0, 0, 0, 0, 0]);
    *unknown.uri_mut() = "/rapport.stakeholders.v1.PrivacyService/Nothing".parse().unwrap();
    let response = stack(open()).answer(unknown).await.unwrap();
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!((status.code(), error_of(status).reason), (Code::Unimplemented, reason::UNKNOWN_METHOD));

    let mut unknown = post(&[0, 0, 0, 0, 0]);
    *unknown.uri_mut() = "/rapport.stakeholders.v1.PrivacyService/Nothing".parse().unwrap();
    let response = stack(guarded("admin")).answer(unknown).await.unwrap();
    assert_eq!(tonic::Status::from_header_map(response.headers()).unwrap().code(), Code::Unauthenticated);

    // Of the contract, but not hosted here.
    let mut elsewhere = post(&[0, 0, 0, 0, 0]);
    *elsewhere.uri_mut() = "/rapport.stakeholders.v1.PartyService/GetParty".parse().unwrap();
    let response = stack(open()).answer(elsewhere).await.unwrap();
    assert_eq!(tonic::Status::from_header_map(response.headers()).unwrap().code(), Code::Unimplemented);
}

#[tokio::test]
async fn every_bad_credential_has_the_same_answer_before_anything_is_looked_at() {
    let stack = stack(guarded("admin"));
    let mut answers = Vec::new();
    for token in [None, Some(""), Some("0123456789abcdeX"), Some("0123456789abcdef0")] {
        let transport = match token {
            None => over(stack.clone()),
            Some(token) => over(stack.clone()).with_token(token),
        };
        // A request that would fail in the handler, and one that does not exist.
        for what in ["ok", "panic"] {
            let status = call(transport.clone(), what).await.unwrap_err();
            answers.push((status.code(), status.message().to_owned(), status.details().to_vec()));
        }
    }
    // Bytes that are no message are not even read.
    let response = stack.answer(post(&[9, 9, 9])).await.unwrap();
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    answers.push((status.code(), status.message().to_owned(), status.details().to_vec()));
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].0, Code::Unauthenticated);
    assert!(call(over(stack).with_token(TOKEN), "ok").await.is_ok());
}

#[tokio::test]
async fn a_role_reaches_only_what_it_grants() {
    let reader = over(stack(guarded("reader"))).with_token(TOKEN);
    assert!(call(reader.clone(), "ok").await.is_ok());
    let status = PrivacyServiceClient::new(reader).record_consent(Request::new(Default::default())).await.unwrap_err();
    let error = error_of(status);
    assert_eq!(error.reason, reason::PERMISSION_DENIED);
    assert!(error.metadata["permission"].ends_with(".write"), "{error:?}");
}

#[tokio::test]
async fn only_a_service_may_name_the_tenant() {
    let ask = |transport: Transport| async move {
        let mut request = request("tenant");
        request.metadata_mut().insert(header::TENANT, "other".parse().unwrap());
        PrivacyServiceClient::new(transport).check_consent(request).await.unwrap_err().message().to_owned()
    };
    let user = over(stack(guarded("admin"))).with_token(TOKEN);
    assert_eq!(ask(user).await, "tenant acme of users/ana");
    let service = over(stack(guarded("service"))).with_token(TOKEN);
    assert_eq!(ask(service).await, "tenant other of users/ana");
}

#[tokio::test]
async fn a_panic_is_internal_with_an_id_and_the_next_call_works() {
    let stack = stack(open());
    let status = call(over(stack.clone()), "panic").await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"));
    assert!(status.metadata().contains_key(header::ERROR_ID));
    assert!(status.metadata().contains_key(header::REQUEST_ID));
    assert_eq!(stack.metrics().panics(), 1);
    assert!(call(over(stack), "ok").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn every_unary_call_has_an_end() {
    let ends_after = |timeout: Option<Duration>| async move {
        let started = tokio::time::Instant::now();
        let mut request = request("slow");
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        let status = PrivacyServiceClient::new(over(stack(open()))).check_consent(request).await.unwrap_err();
        assert_eq!((status.code(), error_of(status).reason), (Code::DeadlineExceeded, reason::DEADLINE_EXCEEDED));
        started.elapsed()
    };
    let near = |took: Duration, wanted: u64| took.abs_diff(Duration::from_secs(wanted)) < Duration::from_millis(300);
    assert!(near(ends_after(None).await, 10));
    assert!(near(ends_after(Some(Duration::from_secs(2))).await, 2));
    assert!(near(ends_after(Some(Duration::from_secs(3600))).await, 30));
    assert!(near(ends_after(Some(Duration::ZERO)).await, 0));
}

#[tokio::test]
async fn a_deadline_that_cannot_be_read_is_refused() {
    let mut request = post(&[0, 0, 0, 0, 0]);
    request.headers_mut().insert(header::GRPC_TIMEOUT, "soon".parse().unwrap());
    let response = stack(open()).answer(request).await.unwrap();
    let error = error_of(tonic::Status::from_header_map(response.headers()).unwrap());
    assert_eq!(error.violations[0].field, header::GRPC_TIMEOUT);
}

#[tokio::test]
async fn too_much_is_shed_except_between_services() {
    let mut options = open();
    options.calls = 1;
    let stack = stack(options);
    let local = Local::default();
    local.open(stack.clone());
    let outside = Transport::local(local.clone());
    let busy = tokio::spawn(call(outside.clone(), "half a second"));
    while stack.metrics().methods().iter().all(|counts| counts.in_flight == 0) {
        tokio::task::yield_now().await;
    }
    let error = error_of(call(outside.clone(), "ok").await.unwrap_err());
    assert_eq!(error.reason, reason::OVERLOADED);
    assert!(error.retry_after.is_some());
    assert_eq!(stack.metrics().shed(), 1);
    let peers = Peers::new("scoring", local, ["stakeholders".to_owned()], BTreeMap::new());
    assert!(call(peers.transport("stakeholders"), "ok").await.is_ok());
    busy.await.unwrap().unwrap();
    assert!(call(outside, "ok").await.is_ok());
}

#[tokio::test]
async fn a_caller_who_leaves_is_counted_as_cancelled() {
    let stack = stack(open());
    let left = tokio::time::timeout(Duration::from_millis(50), call(over(stack.clone()), "slow")).await;
    assert!(left.is_err());
    let counts = stack.metrics().methods();
    assert_eq!((counts[0].in_flight, ended(&counts[0])), (0, vec![(Code::Cancelled, 1)]));
}

/// How many calls of a method ended with which code.
fn ended(counts: &rapport_rpc::MethodCounts) -> Vec<(Code, u64)> {
    counts.codes.iter().map(|(code, durations)| (*code, durations.count)).collect()
}

async fn subscribe(
    stack: &Stack,
    source: &str,
    timeout: Option<Duration>,
) -> tonic::Streaming<rapport_proto::events::v1::SubscribeResponse> {
    let mut request = Request::new(SubscribeRequest { source: source.into(), ..Default::default() });
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    EventServiceClient::new(over(stack.clone())).subscribe(request).await.unwrap().into_inner()
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_the_unary_deadline_but_not_its_own() {
    let stack = stack(open());
    let mut stream = subscribe(&stack, "forever", None).await;
    let started = tokio::time::Instant::now();
    while started.elapsed() < Duration::from_secs(120) {
        stream.message().await.unwrap().unwrap();
    }
    let mut stream = subscribe(&stack, "forever", Some(Duration::from_secs(5))).await;
    let status = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some()),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn streams_are_counted_at_their_end_and_hold_a_place() {
    let mut options = open();
    options.streams = 1;
    let stack = stack(options);
    let mut first = subscribe(&stack, "two", None).await;
    let second = EventServiceClient::new(over(stack.clone())).subscribe(SubscribeRequest::default()).await;
    assert_eq!(error_of(second.unwrap_err()).reason, reason::OVERLOADED);
    assert_eq!(stack.metrics().methods()[0].in_flight, 1);
    while first.message().await.unwrap().is_some() {}
    let counts = stack.metrics().methods();
    assert_eq!(counts[0].in_flight, 0);
    assert!(ended(&counts[0]).contains(&(Code::Ok, 1)), "{counts:?}");
    assert!(ended(&counts[0]).contains(&(Code::ResourceExhausted, 1)), "{counts:?}");
    drop(first);
    drop(subscribe(&stack, "forever", None).await);
    let counts = stack.metrics().methods();
    assert!(ended(&counts[0]).contains(&(Code::Cancelled, 1)), "{counts:?}");
}

#[tokio::test]
async fn one_tenant_takes_half_of_the_streams_and_services_take_none() {
    let token = |token: &str, tenant: &str, role: &str| Token {
        token: token.into(),
        tenant: TenantId::parse(tenant).unwrap(),
        principal: format!("users/{token}"),
        roles: vec![role.into()],
    };
    let tokens = vec![token("a", "acme", "admin"), token("g", "globex", "admin"), token("s", "acme", "service")];
    let mut options = StackOptions::new(Authentication::tokens(tokens), access());
    options.streams = 4;
    let stack = stack(options);
    let open = async |token: &str| {
        let transport = over(stack.clone()).with_token(token);
        let request = SubscribeRequest { source: "silent".into(), ..Default::default() };
        EventServiceClient::new(transport).subscribe(request).await.map(Response::into_inner)
    };
    let held = [open("a").await.unwrap(), open("a").await.unwrap()];
    let error = error_of(open("a").await.unwrap_err());
    assert_eq!(error.reason, reason::TENANT_QUOTA);
    assert!(error.retry_after.is_some());
    let services = [open("s").await.unwrap(), open("s").await.unwrap(), open("s").await.unwrap()];
    assert_eq!(stack.metrics().streams().used, 2, "those of services are not counted");
    let others = [open("g").await.unwrap(), open("g").await.unwrap()];
    assert_eq!(error_of(open("g").await.unwrap_err()).reason, reason::OVERLOADED);
    assert_eq!(stack.metrics().shed(), 2);
    let _heard = open("s").await.unwrap();
    drop((held, services));
    let _room = open("a").await.unwrap();
    drop(others);
    assert_eq!(stack.metrics().streams().used, 1);
}

#[tokio::test]
async fn a_panic_in_a_stream_is_internal() {
    let stack = stack(open());
    let mut stream = subscribe(&stack, "panic", None).await;
    let status = stream.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"));
    assert_eq!(stack.metrics().panics(), 1);
}

#[tokio::test]
async fn a_stream_that_does_not_end_by_itself_is_ended_when_the_process_stops() {
    let options = open();
    let (stopping, ending) = (options.stopping.clone(), options.ending.clone());
    let stack = stack(options);
    let mut stream = subscribe(&stack, "silent", None).await;
    stopping.cancel();
    assert!(tokio::time::timeout(Duration::from_millis(50), stream.message()).await.is_err());
    ending.cancel();
    let error = error_of(stream.message().await.unwrap_err());
    assert_eq!(error.reason, reason::SHUTTING_DOWN);
}

#[tokio::test]
async fn a_service_that_is_nowhere_or_gone_is_unavailable() {
    let peers = Peers::new("scoring", Local::default(), ["interactions".to_owned()], BTreeMap::new());
    let error = error_of(call(peers.transport("stakeholders"), "ok").await.unwrap_err());
    assert_eq!((error.reason, error.metadata["service"].as_str()), (reason::PEER_UNAVAILABLE, "stakeholders"));
    let error = error_of(call(peers.transport("interactions"), "ok").await.unwrap_err());
    assert_eq!(error.reason, reason::SHUTTING_DOWN);
    // Nobody listens on port 9 of this machine.
    let gone = Transport::network("http://127.0.0.1:9").unwrap();
    let started = Instant::now();
    let error = error_of(call(gone, "ok").await.unwrap_err());
    assert_eq!(error.reason, reason::PEER_UNAVAILABLE);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_caller_in_process_can_be_anybody_for_tests() {
    let stack = stack(guarded("admin"));
    let as_reader = over(stack).with_principal(principal("reader"));
    assert!(call(as_reader.clone(), "ok").await.is_ok());
    let status =
        PrivacyServiceClient::new(as_reader).record_consent(Request::new(Default::default())).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn trace_context_reaches_the_handler_if_it_is_well_formed() {
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (sent, seen) in [(given, given), ("junk", "none")] {
        let mut request = request("trace");
        request.metadata_mut().insert(header::TRACEPARENT, sent.parse().unwrap());
        let status = PrivacyServiceClient::new(over(stack(open()))).check_consent(request).await.unwrap_err();
        assert_eq!(status.message(), format!("trace {seen}"));
    }
}

#[tokio::test]
async fn junk_in_at_least_is_refused() {
    let mut request = request("ok");
    request.metadata_mut().insert(header::AT_LEAST, "stakeholders".parse().unwrap());
    let status = PrivacyServiceClient::new(over(stack(open()))).check_consent(request).await.unwrap_err();
    assert_eq!(error_of(status).violations[0].field, header::AT_LEAST);
}
