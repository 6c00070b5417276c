//! JSON as Envoy's grpc_json_transcoder makes it of gRPC, and JSON as we speak it, side by side.
//!
//! Needs an Envoy binary in `RAPPORT_TEST_ENVOY` (`tests/envoy/find` gets one); without it there is nothing to compare
//! with, and the test says so.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message as _;
use prost_reflect::MethodDescriptor;
use rapport_proto::events::v1::{SubscribeRequest, SubscribeResponse};
use rapport_testkit::port::free_port;
use rapport_testkit::sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::http::{self, Answer};
use super::json::{lasting, with_request_id};
use crate::examples::{Cast, example};
use crate::house::{self, House};
use crate::raw;

/// A running Envoy, stopped with this value.
struct Envoy {
    process: Child,
    address: SocketAddr,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

impl Envoy {
    /// In front of a server, translating every service of the contract.
    async fn start(binary: &str, folder: &Path, server: SocketAddr) -> Envoy {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let descriptors = folder.join("contract.binpb");
        // Envoy writes the details of errors only if it knows their types. Sets of descriptors are put together by
        // putting their bytes together.
        let all = [rapport_proto::DESCRIPTORS, tonic_types::pb::FILE_DESCRIPTOR_SET].concat();
        std::fs::write(&descriptors, all).expect("written");
        let file = folder.join("envoy.json");
        std::fs::write(&file, configuration(address, server, &descriptors).to_string()).expect("written");
        let log = std::fs::File::create(folder.join("envoy.log")).expect("a log");
        let process = Command::new(binary)
            .args(["--use-dynamic-base-id", "--disable-hot-restart", "--concurrency", "1", "--log-level", "warn", "-c"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Envoy starts");
        let mut envoy = Envoy { process, address };
        let begun = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let ended = envoy.process.try_wait().expect("a process");
            let log = || std::fs::read_to_string(folder.join("envoy.log")).unwrap_or_default();
            assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(60), "Envoy does not listen: {}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        envoy
    }
}

fn configuration(listen: SocketAddr, server: SocketAddr, descriptors: &Path) -> Value {
    let socket =
        |at: SocketAddr| json!({ "socket_address": { "address": at.ip().to_string(), "port_value": at.port() } });
    let services: std::collections::BTreeSet<&str> =
        rapport_proto::contract::methods().iter().map(|method| method.service.as_str()).collect();
    let extension = |name: &str| format!("type.googleapis.com/envoy.extensions.{name}");
    json!({ "static_resources": {
        "listeners": [{ "address": socket(listen), "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
                "stat_prefix": "in",
                "route_config": { "virtual_hosts": [{
                    "name": "all", "domains": ["*"],
                    "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "rapport", "timeout": "60s" } }],
                }] },
                "http_filters": [
                    { "name": "envoy.filters.http.grpc_json_transcoder", "typed_config": {
                        "@type": extension("filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"),
                        "proto_descriptor": descriptors,
                        "services": services,
                        "auto_mapping": true,
                        "convert_grpc_status": true,
                        "print_options": { "stream_newline_delimited": true },
                    } },
                    { "name": "envoy.filters.http.router", "typed_config": { "@type": extension("filters.http.router.v3.Router") } },
                ],
            },
        }] }] }],
        "clusters": [{
            "name": "rapport",
            "type": "STATIC",
            "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": extension("upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": { "http2_protocol_options": {} },
            } },
            "load_assignment": {
                "cluster_name": "rapport",
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": socket(server) } }] }],
            },
        }],
    } })
}

#[test]
fn json_is_what_envoy_makes_of_grpc() {
    let Ok(binary) = std::env::var("RAPPORT_TEST_ENVOY") else {
        println!("RAPPORT_TEST_ENVOY is not set: nothing was compared with Envoy");
        return;
    };
    rapport_testkit::block_on(async {
        let house = House::open(Sandbox::builder(rapport::modules)).await;
        let cast = house.cast(house::ACME).await;
        let folder = tempfile::tempdir().expect("a folder");
        let server = house.address("stakeholders");
        let envoy = Envoy::start(&binary, folder.path(), server).await;
        let ask = async |address: SocketAddr, path: &str, body: &str| {
            let answer = asked(address, path, None, body).await;
            (answer.code, lasting(answer.json()))
        };
        let (mut compared, mut wrong) = (0, Vec::new());
        for method in raw::methods() {
            if method.is_client_streaming() || method.is_server_streaming() {
                continue;
            }
            let request = with_request_id(&method, &example(method.full_name(), &cast), 9_000 + compared);
            // And, mostly refused, nothing.
            let empty = with_request_id(&method, "{}", 9_500 + compared);
            for body in [request.as_str(), empty.as_str()] {
                let path = raw::path(&method);
                let mut seen = Vec::new();
                let mut same = false;
                // What was read a moment later may know more.
                for _ in 0..5 {
                    seen = vec![ask(server, &path, body).await, ask(envoy.address, &path, body).await];
                    same = seen[0] == seen[1];
                    if same {
                        break;
                    }
                }
                if !same {
                    wrong.push(format!("{} {body}\n  we    {:?}\n  Envoy {:?}", method.full_name(), seen[0], seen[1]));
                }
            }
            compared += 1;
        }
        assert!(wrong.is_empty(), "{} answers of {compared} methods differ:\n{}", wrong.len(), wrong.join("\n"));
        assert!(compared > 55, "{compared}");
        println!("{compared} methods answer in JSON as Envoy translates them");
        streams_are_alike(&house, &cast, server, envoy.address).await;
        drop(envoy);
        house.close().await;
    });
}

async fn asked(address: SocketAddr, path: &str, deadline: Option<Duration>, body: &str) -> Answer {
    let authorization = format!("Bearer {}", house::ACME);
    let mut headers = vec![("content-type", "application/json"), ("authorization", authorization.as_str())];
    let deadline = deadline.map(|deadline| format!("{}m", deadline.as_millis()));
    headers.extend(deadline.as_deref().map(|deadline| ("grpc-timeout", deadline)));
    http::http1(address, "POST", path, &headers, body.as_bytes()).await
}

/// Every stream tells the same facts in the same words over both ways, line by line.
async fn streams_are_alike(house: &House, cast: &Cast, server: SocketAddr, envoy: SocketAddr) {
    let streams =
        raw::methods().into_iter().filter(|method| method.is_server_streaming() && !method.is_client_streaming());
    let compared = futures::future::join_all(streams.map(|method| async move {
        let request = from_the_beginning(house, &method, &example(method.full_name(), cast)).await;
        let path = raw::path(&method);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // What comes of the cast by and by is told by and by, and a busy machine tells less within a second.
        for seconds in [1, 2, 4, 8] {
            let deadline = Some(Duration::from_secs(seconds));
            let (one, other) =
                futures::join!(asked(server, &path, deadline, &request), asked(envoy, &path, deadline, &request));
            assert_eq!((one.code, other.code), (200, 200), "{path} {request}");
            (ours, theirs) = (facts(&one), facts(&other));
            if ours == theirs && !ours.is_empty() {
                break;
            }
        }
        assert!(!ours.is_empty(), "{path} tells nothing of {request}");
        assert_eq!(ours, theirs, "{path} {request}\n  we    {ours:?}\n  Envoy {theirs:?}");
        ours.len()
    }))
    .await;
    assert!(compared.len() >= 5, "{compared:?}");
    println!("{} streams tell {compared:?} facts in JSON as Envoy translates them", compared.len());
}

/// A stream's request, with the cursor of the beginning where there is one: what happened so far is the same for everybody.
async fn from_the_beginning(house: &House, method: &MethodDescriptor, example: &str) -> String {
    let mut request: Value = serde_json::from_str(example).expect("an example");
    if let Some(object) = request.as_object_mut() {
        // Whatever moved.
        object.remove("definitions");
    }
    if !method.name().starts_with("Watch") || method.input().get_field_by_name("cursor").is_none() {
        return request.to_string();
    }
    let source = method.parent_service().package_name().split('.').nth(1).expect("rapport.<service>.v1").to_owned();
    let subscribe = SubscribeRequest { source, batch_size: 1, ..Default::default() };
    let method = raw::methods().into_iter().find(|method| method.name() == "Subscribe").expect("the feed");
    for _ in 0..40 {
        let body = subscribe.encode_to_vec().into();
        let first = raw::call(&house.channel_of(&method), &method, Some(house::ACME), body).await.expect("subscribed");
        let first = SubscribeResponse::decode(first).expect("an answer decodes");
        if first.events.is_empty() {
            continue;
        }
        let place = URL_SAFE_NO_PAD.decode(&first.cursor).expect("a cursor");
        let place = String::from_utf8(place).expect("text");
        let (_, epoch) = place.split_once('@').expect("a position and an epoch");
        request["cursor"] = json!(URL_SAFE_NO_PAD.encode(format!("0@{epoch}")));
        return request.to_string();
    }
    panic!("the feed of {} tells nothing", subscribe.source);
}

/// What the lines of a stream tell, without those that only move the cursor on, and without the deadline that ends it: Envoy has
/// no line for that. Events stand for themselves, whatever batches they came in.
fn facts(answer: &Answer) -> Vec<Value> {
    let text = std::str::from_utf8(&answer.body).expect("text");
    let mut facts = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let mut line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        if let Some(error) = line.get("error") {
            assert_eq!(error["code"], 4, "{error}");
            continue;
        }
        if let Some(Value::Array(events)) = line.get_mut("events").map(Value::take) {
            facts.extend(events.into_iter().map(lasting));
            continue;
        }
        let told = line.as_object().expect("an object").keys();
        if told.into_iter().any(|key| !["cursor", "newestPosition", "sentTime"].contains(&key.as_str())) {
            facts.push(lasting(line));
        }
    }
    facts
}
