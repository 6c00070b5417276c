//! What is refused in JSON, and how precisely it is said.

use rapport_testkit::sandbox::{Sandbox, Topology};
use serde_json::{Value, json};

use super::http::{self, Answer};
use crate::house::{self, House};
use crate::raw;

const CREATE: &str = "/rapport.stakeholders.v1.PartyService/CreateParty";
const GET: &str = "/rapport.stakeholders.v1.PartyService/GetParty";

fn violation(answer: &Answer) -> (String, String, String) {
    let error = answer.json();
    let details = error["details"].as_array().cloned().unwrap_or_default();
    let bad = details.iter().find(|detail| detail["@type"] == "type.googleapis.com/google.rpc.BadRequest");
    let first = &bad.unwrap_or_else(|| panic!("no violations in {error}"))["fieldViolations"][0];
    let text = |name: &str| first[name].as_str().unwrap_or_default().to_owned();
    (text("field"), text("reason"), text("description"))
}

#[test]
fn what_is_wrong_is_said_in_json() {
    rapport_testkit::block_on(async {
        let house = House::open(Sandbox::builder(rapport::modules)).await;
        let address = house.address("stakeholders");
        let mut channel = house.channel("stakeholders");
        let bearer = |token: &str| format!("Bearer {token}");
        let post = async |path: &str, token: &str, body: &[u8]| {
            let authorization = bearer(token);
            let headers =
                [("content-type", "application/json; charset=utf-8"), ("authorization", authorization.as_str())];
            http::http1(address, "POST", path, &headers, body).await
        };

        // Fields that do not exist or hold what they cannot: by path, with line and column.
        for (body, field, reason, says) in [
            (r#"{"party": {"displayNam": "x"}}"#, "party.displayNam", "UNKNOWN_FIELD", "displayName"),
            ("{\n\"party\": {\"displayName\": 5}}", "party.displayName", "MALFORMED", "line 2 column"),
            (r#"{"party": {"kind": "PARTY_KIND_ROBOT"}}"#, "party.kind", "UNKNOWN_ENUM_VALUE", "line 1"),
            (r#"{"party": {"names": [{}, {"x": 1}]}}"#, "party.names[1].x", "UNKNOWN_FIELD", "fullName"),
        ] {
            let answer = post(CREATE, house::ACME, body.as_bytes()).await;
            assert_eq!((answer.code, answer.reason().as_str()), (400, "INVALID_FIELDS"), "{body}: {answer:?}");
            let (at, why, text) = violation(&answer);
            assert_eq!((at.as_str(), why.as_str()), (field, reason), "{body}: {text}");
            assert!(text.contains(says), "{body}: {text}");
        }
        // The service's own violations come the same way.
        let answer = post(CREATE, house::ACME, b"{}").await;
        assert_eq!((answer.code, answer.json()["code"].as_i64()), (400, Some(3)));
        assert!(!violation(&answer).0.is_empty());

        // What is no JSON, and bodies that are too much.
        for garbage in
            [b"".as_slice(), b"{", b"[]", b"nul", b"\xff\xfe", b"{\"party\": }", b"{} {}", b"\x00\x00\x00\x00\x05hello"]
        {
            let answer = post(CREATE, house::ACME, garbage).await;
            assert_eq!(
                (answer.code, answer.reason().as_str()),
                (400, "UNDECODABLE_MESSAGE"),
                "{garbage:?}: {answer:?}"
            );
        }
        let answer = post(CREATE, house::ACME, b"{\n  \"party\": {,}}").await;
        let details = answer.json()["details"][0]["metadata"].clone();
        assert_eq!(details, json!({ "line": "2", "column": "13" }), "{answer:?}");
        let deep = format!("{{\"party\": {}", "[".repeat(200_000));
        assert_eq!(post(CREATE, house::ACME, deep.as_bytes()).await.code, 400);
        let large = format!("{{\"party\": {{\"displayName\": \"{}\"}}}}", "x".repeat(1 << 20));
        let answer = http::json(&mut channel, CREATE, house::ACME, &large).await;
        assert_eq!((answer.code, answer.reason().as_str()), (429, "MESSAGE_TOO_LARGE"));

        // Who asks is looked at before what is asked.
        for (token, body) in [("not-a-token", "{"), ("not-a-token", "{}")] {
            let answer = post(CREATE, token, body.as_bytes()).await;
            assert_eq!((answer.code, answer.reason().as_str()), (401, "UNAUTHENTICATED"));
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        let answer = post(CREATE, house::READER, b"{").await;
        assert_eq!((answer.code, answer.reason().as_str()), (403, "PERMISSION_DENIED"));
        let answer = post("/rapport.stakeholders.v1.PartyService/Nothing", house::ACME, b"{}").await;
        assert_eq!((answer.code, answer.reason().as_str()), (501, "UNKNOWN_METHOD"));
        let nobody = json!({ "name": house::unknown("parties") }).to_string();
        let answer = post(GET, house::ACME, nobody.as_bytes()).await;
        assert_eq!((answer.code, answer.reason().as_str()), (404, "RESOURCE_NOT_FOUND"));
        assert_eq!(answer.json()["code"], 5);

        // Streams from the client, and what is gRPC's own, have no form in JSON.
        let streaming = raw::methods().into_iter().filter(prost_reflect::MethodDescriptor::is_client_streaming);
        let streaming: Vec<String> = streaming.map(|method| raw::path(&method)).collect();
        assert!(!streaming.is_empty());
        for path in streaming.iter().map(String::as_str).chain(["/grpc.health.v1.Health/Check"]) {
            let answer = post(path, house::ACME, b"{}").await;
            assert_eq!((answer.code, answer.reason().as_str()), (501, "NEEDS_GRPC"), "{path}");
        }
        let authorization = bearer(house::ACME);
        let packed = [
            ("content-type", "application/json"),
            ("authorization", authorization.as_str()),
            ("content-encoding", "gzip"),
        ];
        let answer = http::http1(address, "POST", GET, &packed, b"\x1f\x8b").await;
        assert_eq!((answer.code, answer.reason().as_str()), (400, "UNDECODABLE_MESSAGE"));

        // Headers that the stack reads are read of JSON too.
        for (name, value) in [("grpc-timeout", "soon"), ("rapport-at-least", "nowhere")] {
            let headers =
                [("content-type", "application/json"), ("authorization", authorization.as_str()), (name, value)];
            let answer = http::http1(address, "POST", GET, &headers, b"{}").await;
            assert_eq!((answer.code, violation(&answer).0.as_str()), (400, name));
        }
        // The port is none the worse for any of it.
        let body = json!({ "party": { "kind": "PARTY_KIND_INDIVIDUAL", "displayName": "Afterwards" } }).to_string();
        let answer = post(CREATE, house::ACME, body.as_bytes()).await;
        assert_eq!(answer.code, 200, "{answer:?}");
        // Written over HTTP/1.1 and read over HTTP/2, at least as new as the write.
        let created: Value = answer.json();
        let position = answer.header("rapport-position").expect("a position").to_owned();
        let headers = [
            ("content-type", "application/json"),
            ("authorization", authorization.as_str()),
            ("rapport-at-least", position.as_str()),
            ("x-request-id", "json-1"),
        ];
        let body = json!({ "name": created["name"] }).to_string();
        let read = http::http2(&mut channel, "POST", GET, &headers, body).await;
        assert_eq!((read.code, read.header("x-request-id")), (200, Some("json-1")));
        assert_eq!(read.json(), created);
        house.close().await;
    });
}

#[test]
fn garbage_is_never_our_fault() {
    rapport_testkit::block_on(async {
        let house = House::open(Sandbox::builder(rapport::modules)).await;
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let pieces =
            ["{", "}", "[", "]", "\"", ":", ",", "null", "1e999", "-1", "\"name\"", "\"party\"", "{}", "\u{0}", "true"];
        for method in raw::methods() {
            for _ in 0..rapport_testkit::size::pick(6, 500) {
                let count = next() % 12;
                let text: String = (0..count).map(|_| pieces[(next() % pieces.len() as u64) as usize]).collect();
                let headers_of = format!("Bearer {}", house::ACME);
                let headers = [
                    ("content-type", "application/json"),
                    ("authorization", headers_of.as_str()),
                    ("grpc-timeout", "300m"),
                ];
                let mut channel = house.channel_of(&method);
                let answer = http::http2(&mut channel, "POST", &raw::path(&method), &headers, text.clone()).await;
                assert!(
                    [200, 400, 404, 501, 504].contains(&answer.code),
                    "{} with {text:?}: {answer:?}",
                    method.full_name()
                );
            }
        }
        house.close().await;
    });
}

#[test]
fn a_service_that_is_elsewhere_is_not_here_in_json_either() {
    rapport_testkit::block_on(async {
        let house = House::open(Sandbox::builder(rapport::modules).topology(Topology::Processes)).await;
        let mut channel = house.channel("stakeholders");
        let answer =
            http::json(&mut channel, "/rapport.scoring.v1.ScoreService/ListScoreDefinitions", house::ACME, "{}").await;
        assert_eq!((answer.code, answer.reason().as_str()), (501, "UNKNOWN_METHOD"));
        let document = http::http1(house.address("stakeholders"), "GET", "/openapi.json", &[], b"").await.json();
        let paths: Vec<&String> = document["paths"].as_object().expect("paths").keys().collect();
        assert!(paths.iter().any(|path| path.starts_with("/rapport.stakeholders.v1.")), "{paths:?}");
        assert!(!paths.iter().any(|path| path.starts_with("/rapport.scoring.v1.")), "{paths:?}");
        house.close().await;
    });
}
