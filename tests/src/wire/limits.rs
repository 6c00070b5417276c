//! What one caller may take from the others: quotas of tenants, and the age of connections.

use std::time::{Duration, Instant};

use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::events::v1::event_service_client::EventServiceClient;
use rapport_proto::scoring::v1::ListScoreDefinitionsRequest;
use rapport_proto::scoring::v1::score_service_client::ScoreServiceClient;
use rapport_testkit::asserts::{Bearer, reason};
use rapport_testkit::sandbox::Sandbox;
use rapport_testkit::{Code, assert_reason};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tonic_types::StatusExt as _;

use super::http;
use crate::house::{self, House};

const LIST: &str = "/rapport.scoring.v1.ScoreService/ListScoreDefinitions";

#[test]
fn a_tenant_over_its_quota_leaves_another_unharmed() {
    rapport_testkit::block_on(async {
        let sandbox =
            Sandbox::builder(rapport::modules).setting("quota.requests_per_second", 20).setting("quota.burst", 20);
        let house = House::open(sandbox).await;
        let client = |token: &str| ScoreServiceClient::with_interceptor(house.channel("scoring"), Bearer::new(token));
        // Acme calls at twenty times its quota, as fast as it is answered; globex at half of its own.
        let flood = async {
            let (mut served, mut refused) = (0_u32, 0_u32);
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(1) {
                let calls = (0..40).map(|_| async {
                    client(house::ACME).list_score_definitions(ListScoreDefinitionsRequest::default()).await
                });
                for answer in futures::future::join_all(calls).await {
                    match answer {
                        Ok(_) => served += 1,
                        Err(status) => {
                            let status = assert_reason!(Err::<(), _>(status), Code::ResourceExhausted, "TENANT_QUOTA");
                            let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
                            assert!(wait.is_some_and(|wait| wait > Duration::ZERO && wait <= Duration::from_secs(1)));
                            refused += 1;
                        }
                    }
                }
            }
            (served, refused, begun.elapsed())
        };
        let calm = async {
            let mut pace = tokio::time::interval(Duration::from_millis(100));
            for _ in 0..10 {
                pace.tick().await;
                let answer = client(house::GLOBEX).list_score_definitions(ListScoreDefinitionsRequest::default()).await;
                assert!(answer.is_ok(), "{:?}", reason(&answer.expect_err("refused")));
            }
        };
        let ((served, refused, took), ()) = tokio::join!(flood, calm);
        let most = 20.0 + 20.0 * took.as_secs_f64() + 1.0;
        assert!(f64::from(served) <= most, "{served} served in {took:?}");
        assert!(served >= 20 && refused > served, "{served} served, {refused} refused");
        // In JSON it says so too. What is refused for its permission costs nothing.
        let denied = async || http::json(&mut house.channel("scoring"), LIST, house::NOBODY, "{}").await;
        for _ in 0..30 {
            assert_eq!(denied().await.code, 403, "permission stands before the quota");
        }
        let mut limited = None;
        for _ in 0..200 {
            let answer = http::json(&mut house.channel("scoring"), LIST, house::ACME, "{}").await;
            if answer.code == 429 {
                limited = Some(answer);
                break;
            }
        }
        let limited = limited.expect("the quota is used up");
        assert_eq!((limited.reason().as_str(), limited.header("retry-after")), ("TENANT_QUOTA", Some("1")));
        house.close().await;
    });
}

#[test]
fn a_tenant_takes_its_share_of_the_streams_and_services_hear_each_other_all_the_same() {
    const THIRD: &str = "token-of-initech-admin";
    const SERVICE: &str = "token-of-the-services";
    rapport_testkit::block_on(async {
        let sandbox = Sandbox::builder(rapport::modules)
            .token(THIRD, "initech", "users/io", &["admin"])
            .token(SERVICE, "acme", "services/elsewhere", &["service"])
            .setting("limits.streams", 5);
        let house = House::open(sandbox).await;
        let subscribe = async |token: &str| {
            let mut feed = EventServiceClient::with_interceptor(house.channel("scoring"), Bearer::new(token));
            let request = SubscribeRequest { source: "scoring".into(), ..Default::default() };
            feed.subscribe(request).await.map(tonic::Response::into_inner)
        };
        let mut acme = Vec::new();
        for _ in 0..2 {
            acme.push(subscribe(house::ACME).await.expect("half of five"));
        }
        let status = assert_reason!(subscribe(house::ACME).await, Code::ResourceExhausted, "TENANT_QUOTA");
        assert!(status.get_details_retry_info().is_some_and(|info| info.retry_delay > Some(Duration::ZERO)));
        let mut others = Vec::new();
        for token in [house::GLOBEX, house::GLOBEX, THIRD] {
            others.push(subscribe(token).await.expect("what acme could not take"));
        }
        assert_reason!(subscribe(THIRD).await, Code::ResourceExhausted, "OVERLOADED");
        // Consumers elsewhere read by a service's credential, for acme or for any tenant.
        let mut services = Vec::new();
        for _ in 0..4 {
            services.push(subscribe(SERVICE).await.expect("services hear each other"));
        }
        // Who leaves makes room, and no more than that.
        drop(acme.pop());
        let begun = Instant::now();
        while let Err(status) = subscribe(house::ACME).await.map(|stream| acme.push(stream)) {
            assert_eq!(status.code(), Code::ResourceExhausted);
            assert!(begun.elapsed() < Duration::from_secs(20), "the place is free again");
        }
        assert_reason!(subscribe(house::ACME).await, Code::ResourceExhausted, "OVERLOADED");
        drop((acme, others, services));
        house.close().await;
    });
}

#[test]
fn a_connection_that_is_old_is_ended_and_loses_no_call() {
    rapport_testkit::block_on(async {
        let sandbox = Sandbox::builder(rapport::modules).setting("limits.connection_age", "1s");
        let house = House::open(sandbox).await;
        // Kept open by nobody but the server: it is closed when it is old.
        let mut idle = TcpStream::connect(house.address("scoring")).await.expect("a connection");
        let request = format!(
            "POST {LIST} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\n\
             content-length: 2\r\n\r\n{{}}",
            house::ACME
        );
        tokio::io::AsyncWriteExt::write_all(&mut idle, request.as_bytes()).await.expect("sent");
        let begun = Instant::now();
        let mut text = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), idle.read_to_string(&mut text)).await;
        assert!(read.is_ok_and(|read| read.is_ok()), "closed by the server");
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(begun.elapsed() >= Duration::from_millis(850), "not before its age: {:?}", begun.elapsed());
        // One channel calls on and on across several ages: every call is answered.
        let mut channel = house.channel("scoring");
        let begun = Instant::now();
        let mut calls = 0;
        while begun.elapsed() < Duration::from_secs(3) {
            let answer = http::json(&mut channel, LIST, house::ACME, &json!({ "pageSize": 1 }).to_string()).await;
            assert_eq!(answer.code, 200, "call {calls}: {answer:?}");
            calls += 1;
        }
        assert!(calls > 20, "{calls}");
        house.close().await;
    });
}
