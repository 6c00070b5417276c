//! Streams as JSON lines: what they tell, how they end, and how they are left.

use std::time::Duration;

use http_body_util::BodyExt as _;
use rapport_testkit::sandbox::Sandbox;
use serde_json::{Value, json};
use tonic::body::Body;

use super::http;
use crate::examples::example;
use crate::house::{self, House};
use crate::raw;

const PATIENCE: Duration = Duration::from_secs(20);

/// The lines of a body that is still being written.
struct Lines {
    body: Body,
    text: Vec<u8>,
}

impl Lines {
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("a line is JSON"));
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("a stream that goes on or ends");
            match frame {
                Some(frame) => self.text.extend_from_slice(&frame.expect("a frame").into_data().expect("no trailers")),
                None => {
                    assert!(self.text.is_empty(), "the last line is a whole one");
                    return None;
                }
            }
        }
    }
}

async fn subscribe(house: &House, headers: &[(&str, &str)], request: &Value) -> (::http::response::Parts, Lines) {
    let method = method("rapport.events.v1.EventService.Subscribe");
    let authorization = format!("Bearer {}", house::ACME);
    let mut all = vec![("content-type", "application/json"), ("authorization", authorization.as_str())];
    all.extend_from_slice(headers);
    let mut channel = house.channel_of(&method);
    let answer = http::open(&mut channel, "POST", &raw::path(&method), &all, request.to_string()).await;
    let (parts, body) = answer.into_parts();
    (parts, Lines { body, text: Vec::new() })
}

fn method(name: &str) -> prost_reflect::MethodDescriptor {
    raw::methods().into_iter().find(|method| method.full_name() == name).expect("a method of the contract")
}

#[test]
fn streams_are_json_lines() {
    rapport_testkit::block_on(async {
        let house = House::open(Sandbox::builder(rapport::modules)).await;
        let cast = house.cast(house::ACME).await;

        // The whole feed until the caller's own deadline, which is the last line.
        let request = json!({ "source": "stakeholders", "batchSize": 1 });
        let (parts, mut lines) = subscribe(&house, &[("grpc-timeout", "2S")], &request).await;
        assert_eq!(parts.status, 200);
        assert_eq!(parts.headers["content-type"], "application/x-ndjson");
        let mut events = 0;
        let error = loop {
            let line = lines.next().await.expect("the error comes before the end");
            if line.get("error").is_some() {
                break line;
            }
            events += line["events"].as_array().map_or(0, Vec::len);
        };
        assert!(events >= 3, "{events} events of the cast");
        assert_eq!(error["error"]["code"], 4, "{error}");
        assert!(error["error"]["details"][0]["reason"] == "DEADLINE_EXCEEDED", "{error}");
        assert_eq!(lines.next().await, None, "nothing after the error");

        // Refused before it begins: an error as of any call.
        let (parts, mut lines) = subscribe(&house, &[], &json!({ "source": "weather" })).await;
        assert_ne!(parts.status, 200);
        assert_eq!(parts.headers["content-type"], "application/json");
        let whole = lines.body.collect().await.expect("a body").to_bytes();
        lines.body = Body::empty();
        let error: Value = serde_json::from_slice(&whole).expect("JSON");
        assert!(error["code"].is_number() && error["details"].is_array(), "{error}");

        // Every watch opens, and its first line, if there is one, is a message of its type.
        for method in raw::methods().into_iter().filter(|method| method.is_server_streaming()) {
            if method.is_client_streaming() {
                continue;
            }
            let authorization = format!("Bearer {}", house::ACME);
            let headers = [
                ("content-type", "application/json"),
                ("authorization", authorization.as_str()),
                ("grpc-timeout", "700m"),
            ];
            let request = example(method.full_name(), &cast);
            let mut channel = house.channel_of(&method);
            let answer = http::open(&mut channel, "POST", &raw::path(&method), &headers, request).await;
            assert_eq!(answer.status(), 200, "{}", method.full_name());
            let mut lines = Lines { body: answer.into_body(), text: Vec::new() };
            let mut told = 0;
            while let Some(line) = lines.next().await {
                if line.get("error").is_some() {
                    assert_eq!(line["error"]["code"], 4, "{}: {line}", method.full_name());
                    continue;
                }
                let text = line.to_string();
                let mut reader = serde_json::Deserializer::from_str(&text);
                prost_reflect::DynamicMessage::deserialize(method.output(), &mut reader)
                    .expect("a message of its type");
                told += 1;
            }
            assert!(told > 0 || method.name().starts_with("Watch"), "{} tells nothing", method.full_name());
        }
        house.close().await;
    });
}

#[test]
fn a_stream_that_is_left_is_closed() {
    rapport_testkit::block_on(async {
        let house = House::open(Sandbox::builder(rapport::modules).setting("limits.streams", 1)).await;
        let _cast = house.cast(house::ACME).await;
        let request = json!({ "source": "stakeholders", "batchSize": 1 });
        // When the caller leaves, the one place for a stream is free again.
        for round in 0..3 {
            let begun = std::time::Instant::now();
            let (parts, mut lines) = loop {
                let (parts, lines) = subscribe(&house, &[], &request).await;
                if parts.status == 200 || begun.elapsed() > PATIENCE {
                    break (parts, lines);
                }
                tokio::task::yield_now().await;
            };
            assert_eq!(parts.status, 200, "round {round}");
            assert!(lines.next().await.is_some(), "the stream tells");
            let (full, _) = subscribe(&house, &[], &request).await;
            assert_eq!(full.status, 429, "while one is open there is no second");
            drop(lines);
        }
        house.close().await;
    });
}
