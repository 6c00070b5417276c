//! Every method in JSON says what it says in gRPC.

use prost_reflect::{DynamicMessage, MethodDescriptor};
use rapport_testkit::sandbox::Sandbox;
use serde_json::{Value, json};
use tonic::Status;

use super::http::{self, Answer};
use crate::examples::example;
use crate::house::{self, House};
use crate::raw;

/// Fields that say when the answer was given, or how long it took: they differ from call to call.
const OF_THE_MOMENT: &[&str] = &["asOf", "asOfTime", "spentMs", "age", "replayed"];

#[test]
fn every_method_says_in_json_what_it_says_in_grpc() {
    rapport_testkit::block_on(async {
        let house = House::open(Sandbox::builder(rapport::modules)).await;
        let cast = house.cast(house::ACME).await;
        let (mut compared, mut refused, mut wrong) = (0, 0, Vec::new());
        for method in raw::methods().into_iter().filter(|method| !method.is_server_streaming()) {
            if method.is_client_streaming() {
                continue;
            }
            let request = with_request_id(&method, &example(method.full_name(), &cast), compared);
            // The same request_id: what was written in JSON is answered again in gRPC.
            let told = in_json(&house, &method, &request).await;
            let mut same = Err(String::new());
            for _ in 0..5 {
                let expected = in_grpc(&house, &method, &request).await;
                same = compare(&told, expected);
                if same.is_ok() {
                    break;
                }
            }
            compared += 1;
            refused += usize::from(told.code != 200);
            wrong.extend(same.err().map(|why| format!("{}: {why}", method.full_name())));
            // The read after the write knows it, and the header goes both ways.
            if method.name() == "CreateParty" {
                let position = told.header("rapport-position").expect("a write tells its position").to_owned();
                assert!(position.starts_with("stakeholders@"), "{position}");
            }
            assert!(told.header("x-request-id").is_some(), "{}", method.full_name());
            assert!(!told.headers.keys().any(|name| name.as_str().starts_with("grpc-")), "{:?}", told.headers);
        }
        assert!(wrong.is_empty(), "{} methods differ:\n{}", wrong.len(), wrong.join("\n"));
        assert!(compared > 55 && refused < compared / 4, "compared {compared}, of which {refused} were refused");
        house.close().await;
    });
}

/// The example with a request_id of its own, where the method takes one.
pub(super) fn with_request_id(method: &MethodDescriptor, example: &str, number: usize) -> String {
    let mut request: Value = serde_json::from_str(example).expect("an example");
    if method.input().get_field_by_name("request_id").is_some() {
        request["requestId"] = json!(format!("018f0000-0000-7000-8000-{number:012x}"));
    }
    // Batches carry one per item.
    for list in ["items", "requests"] {
        let items = request.get_mut(list).and_then(Value::as_array_mut);
        for item in items.into_iter().flatten() {
            item["requestId"] = json!(format!("018f0000-0000-7000-8000-{number:012x}"));
        }
    }
    request.to_string()
}

async fn in_json(house: &House, method: &MethodDescriptor, request: &str) -> Answer {
    http::json(&mut house.channel_of(method), &raw::path(method), house::ACME, request).await
}

async fn in_grpc(house: &House, method: &MethodDescriptor, request: &str) -> Result<Value, Status> {
    let body = raw::encode(method, request);
    let bytes = raw::call(&house.channel_of(method), method, Some(house::ACME), body).await?;
    let message = DynamicMessage::decode(method.output(), bytes).expect("an answer decodes");
    Ok(serde_json::to_value(&message).expect("proto3 JSON"))
}

fn compare(told: &Answer, expected: Result<Value, Status>) -> Result<(), String> {
    match expected {
        Ok(expected) => {
            if (told.code, told.header("content-type")) != (200, Some("application/json")) {
                return Err(format!("{} {:?} {}", told.code, told.headers, told.json()));
            }
            let (told, expected) = (lasting(told.json()), lasting(expected));
            if told == expected { Ok(()) } else { Err(format!("\n  JSON {told}\n  gRPC {expected}")) }
        }
        Err(status) => {
            let error = told.json();
            let same = error["code"] == status.code() as i32 && error["message"] == status.message();
            if same { Ok(()) } else { Err(format!("\n  JSON {error}\n  gRPC {status:?}")) }
        }
    }
}

/// A value without what is only so at this moment, its numbers in one form.
pub(super) fn lasting(mut value: Value) -> Value {
    match &mut value {
        Value::Object(object) => {
            for name in OF_THE_MOMENT {
                object.remove(*name);
            }
            // Sealed anew each time: only whether there is one counts.
            if let Some(token) = object.get_mut("nextPageToken") {
                *token = json!(!token.as_str().unwrap_or_default().is_empty());
            }
            for inner in object.values_mut() {
                *inner = lasting(inner.take());
            }
        }
        Value::Array(items) => {
            for inner in items {
                *inner = lasting(inner.take());
            }
        }
        // 1 and 1.0 are the same number, and the last digit is a matter of who writes it; numbers of 64 bits are texts.
        Value::Number(number) => value = json!(format!("{:.12e}", number.as_f64().unwrap_or(f64::NAN))),
        _ => {}
    }
    value
}
