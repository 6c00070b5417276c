//! JSON as Envoy's grpc_json_transcoder makes it of gRPC, and JSON as we speak it, side by side.
//!
//! Needs an Envoy binary in `RAPPORT_TEST_ENVOY` (`tests/envoy/find` gets one); without it there is nothing to compare
//! with, and the test says so.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rapport_testkit::port::free_port;
use rapport_testkit::sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::http;
use super::json::{lasting, with_request_id};
use crate::examples::example;
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
        let authorization = format!("Bearer {}", house::ACME);
        let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
        let ask = async |address: SocketAddr, path: &str, body: &str| {
            let answer = http::http1(address, "POST", path, &headers, body.as_bytes()).await;
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
        drop(envoy);
        house.close().await;
    });
}
