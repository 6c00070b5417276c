//! gRPC-Web, and what web pages of other origins may do.

use std::time::{Duration, Instant};

use prost::Message as _;
use prost_reflect::DynamicMessage;
use rapport_proto::events::v1::{SubscribeRequest, SubscribeResponse};
use rapport_proto::stakeholders::v1::{CreatePartyRequest, GetPartyRequest, Party, PartyKind};
use rapport_testkit::sandbox::Sandbox;

use super::http::{self, Answer};
use super::json::lasting;
use crate::house::{self, House};
use crate::raw;

const PARTIES: &str = "/rapport.stakeholders.v1.PartyService";
const FEED: &str = "/rapport.events.v1.EventService/Subscribe";

pub(super) fn framed(message: &impl prost::Message) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&u32::try_from(message.encoded_len()).expect("small").to_be_bytes());
    bytes.extend_from_slice(&message.encode_to_vec());
    bytes
}

/// The messages of a gRPC-Web body, and its trailers as text.
pub(super) fn frames(mut body: &[u8]) -> (Vec<Vec<u8>>, String) {
    let (mut messages, mut trailers) = (Vec::new(), String::new());
    while body.len() >= 5 {
        let length = u32::from_be_bytes(body[1..5].try_into().expect("four bytes")) as usize;
        let frame = &body[5..5 + length];
        if body[0] & 0x80 == 0 {
            messages.push(frame.to_vec());
        } else {
            trailers = String::from_utf8(frame.to_vec()).expect("trailers are text");
        }
        body = &body[5 + length..];
    }
    assert!(body.is_empty(), "whole frames");
    (messages, trailers)
}

async fn call(house: &House, version: u8, kind: &str, path: &str, body: &[u8]) -> Answer {
    let authorization = format!("Bearer {}", house::ACME);
    let headers = [
        ("content-type", kind),
        ("authorization", authorization.as_str()),
        ("x-grpc-web", "1"),
        ("grpc-timeout", "3S"),
    ];
    match version {
        1 => http::http1(house.address("stakeholders"), "POST", path, &headers, body).await,
        _ => http::http2(&mut house.channel("stakeholders"), "POST", path, &headers, body.to_vec()).await,
    }
}

#[test]
fn grpc_web_is_spoken() {
    rapport_testkit::block_on(async {
        let house = House::open(Sandbox::builder(rapport::modules)).await;
        let party =
            Party { kind: PartyKind::Individual.into(), display_name: "Noa Example".into(), ..Default::default() };
        let create = framed(&CreatePartyRequest { party: Some(party), ..Default::default() });
        let mut names = Vec::new();
        for (version, kind) in [(1, "application/grpc-web+proto"), (2, "application/grpc-web")] {
            let answer = call(&house, version, kind, &format!("{PARTIES}/CreateParty"), &create).await;
            assert_eq!(answer.code, 200, "{answer:?}");
            assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/grpc-web")));
            assert!(answer.header("rapport-position").is_some(), "{answer:?}");
            let (messages, trailers) = frames(&answer.body);
            assert_eq!(messages.len(), 1);
            assert!(trailers.contains("grpc-status:0"), "{trailers:?}");
            let created = Party::decode(messages[0].as_slice()).expect("a party");
            assert_eq!(created.display_name, "Noa Example");
            names.push(created.name);
        }
        // The text form, for browsers that cannot read bytes as they come.
        let get = framed(&GetPartyRequest { name: names[0].clone() });
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &get);
        let answer =
            call(&house, 1, "application/grpc-web-text", &format!("{PARTIES}/GetParty"), text.as_bytes()).await;
        assert_eq!(answer.code, 200, "{answer:?}");

        // An error is a status, in the headers or in the last frame.
        let get = framed(&GetPartyRequest { name: house::unknown("parties") });
        let answer = call(&house, 2, "application/grpc-web", &format!("{PARTIES}/GetParty"), &get).await;
        let (_, trailers) = frames(&answer.body);
        let status = answer.header("grpc-status").map(str::to_owned);
        assert!(status.as_deref() == Some("5") || trailers.contains("grpc-status:5"), "{answer:?} {trailers}");
        for garbage in [b"".as_slice(), b"\x00\x00\x00\x00\x05ab", b"\xff\xff\xff\xff\xff\xff"] {
            let answer = call(&house, 1, "application/grpc-web", &format!("{PARTIES}/GetParty"), garbage).await;
            assert_eq!(answer.header("grpc-status"), Some("3"), "{garbage:?}: {answer:?}");
        }
        let answer = call(&house, 1, "application/grpc-web-text", &format!("{PARTIES}/GetParty"), b"!!!!").await;
        assert_eq!(answer.header("grpc-status"), Some("3"), "{answer:?}");

        // A stream from the server, until the caller's own deadline.
        let subscribe =
            framed(&SubscribeRequest { source: "stakeholders".into(), batch_size: 1, ..Default::default() });
        for version in [1, 2] {
            let answer = call(&house, version, "application/grpc-web+proto", FEED, &subscribe).await;
            let (messages, trailers) = frames(&answer.body);
            let events: usize =
                messages.iter().map(|m| SubscribeResponse::decode(m.as_slice()).expect("a batch").events.len()).sum();
            assert!(events >= 2, "{events} events in {} messages", messages.len());
            assert!(trailers.contains("grpc-status:4"), "{trailers:?}");
        }
        house.close().await;
    });
}

/// Its second answer is written from memory, without a message that anybody encodes.
#[test]
fn a_context_told_again_reads_alike_in_grpc_and_grpc_web_and_json() {
    const TIMES: usize = 6;
    rapport_testkit::block_on(async {
        let house = House::open(Sandbox::builder(rapport::modules)).await;
        let party =
            Party { kind: PartyKind::Individual.into(), display_name: "Noa Example".into(), ..Default::default() };
        let create = CreatePartyRequest { party: Some(party), ..Default::default() };
        let party = house.parties(house::ACME).create_party(create).await.expect("created").into_inner().name;

        let named = "rapport.interactions.v1.DeskService.GetAgentContext";
        let method = raw::methods().into_iter().find(|method| method.full_name() == named).expect("a method");
        let request = serde_json::json!({ "party": party, "budgetMs": 5_000 }).to_string();
        let (channel, path) = (house.channel_of(&method), raw::path(&method));
        let read = |bytes: &[u8]| {
            let message = DynamicMessage::decode(method.output(), bytes).expect("an answer decodes");
            lasting(serde_json::to_value(&message).expect("proto3 JSON"))
        };
        let (started, mut alike) = (Instant::now(), 0);
        while alike < TIMES {
            let body = raw::encode(&method, &request);
            let grpc = raw::call(&channel, &method, Some(house::ACME), body).await.expect("a context");
            let grpc = read(&grpc);
            let framed = framed(&raw::dynamic(&method, &request));
            let web = call(&house, 2, "application/grpc-web", &path, &framed).await;
            let (messages, trailers) = frames(&web.body);
            assert!(trailers.contains("grpc-status:0") && messages.len() == 1, "{web:?}");
            let web = read(&messages[0]);
            let json = http::json(&mut channel.clone(), &path, house::ACME, &request).await;
            assert_eq!(json.header("content-type"), Some("application/json"), "{json:?}");
            let json = lasting(json.json());

            let known = grpc["card"]["displayName"] == "Noa Example" && grpc["party"] == party.as_str();
            alike = if known && grpc == web && grpc == json { alike + 1 } else { 0 };
            let late = started.elapsed() > Duration::from_secs(30);
            assert!(!late, "they differ:\n  gRPC {grpc}\n  gRPC-Web {web}\n  JSON {json}");
        }
        house.close().await;
    });
}

#[test]
fn pages_of_named_origins_may_read_and_no_others() {
    rapport_testkit::block_on(async {
        let ours = "https://desk.example.com";
        let sandbox = Sandbox::builder(rapport::modules).setting("web.cors_origins", vec![ours.to_owned()]);
        let house = House::open(sandbox).await;
        let path = format!("{PARTIES}/GetParty");
        let preflight = async |origin: &str| {
            let headers = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
                (
                    "access-control-request-headers",
                    "authorization,content-type,grpc-timeout,x-grpc-web,rapport-at-least",
                ),
            ];
            http::http1(house.address("stakeholders"), "OPTIONS", &path, &headers, b"").await
        };
        let asked = preflight(ours).await;
        assert_eq!((asked.code, asked.header("access-control-allow-origin")), (200, Some(ours)), "{asked:?}");
        let allowed = asked.header("access-control-allow-headers").expect("headers").to_lowercase();
        for name in ["authorization", "content-type", "grpc-timeout", "x-grpc-web", "rapport-at-least"] {
            assert!(allowed.contains(name), "{allowed}");
        }
        assert!(asked.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
        assert_eq!(preflight("https://evil.example").await.header("access-control-allow-origin"), None);

        // The answer itself says who may read it, and which headers.
        let call = async |origin: &str, kind: &str, body: &[u8]| {
            let headers = [("content-type", kind), ("authorization", "Bearer nobody"), ("origin", origin)];
            http::http2(&mut house.channel("stakeholders"), "POST", &path, &headers, body.to_vec()).await
        };
        for (kind, code) in [("application/json", 401), ("application/grpc-web", 200)] {
            let answer = call(ours, kind, b"{}").await;
            assert_eq!((answer.code, answer.header("access-control-allow-origin")), (code, Some(ours)), "{answer:?}");
            let exposed = answer.header("access-control-expose-headers").expect("headers").to_lowercase();
            for name in ["grpc-status", "grpc-message", "grpc-status-details-bin", "rapport-position", "x-request-id"] {
                assert!(exposed.contains(name), "{exposed}");
            }
            assert_eq!(call("https://evil.example", kind, b"{}").await.header("access-control-allow-origin"), None);
        }
        house.close().await;

        // Without an origin in the configuration nothing is allowed, and OPTIONS is no call.
        let house = House::open(Sandbox::builder(rapport::modules)).await;
        let headers = [("origin", ours), ("access-control-request-method", "POST")];
        let asked = http::http1(house.address("stakeholders"), "OPTIONS", &path, &headers, b"").await;
        assert_eq!((asked.code, asked.header("access-control-allow-origin")), (405, None));
        house.close().await;
    });
}
