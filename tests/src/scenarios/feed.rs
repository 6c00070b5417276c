//! The feed: every event once, in order, resumable anywhere, and each tenant sees its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use rapport_proto::events::v1::{Event, SubscribeRequest, SubscribeResponse};
use rapport_proto::interactions::v1::{Amount, AmountKind, Interaction, InteractionRecorded};
use rapport_proto::scoring::v1::{MoveCause, ScoreMoved};
use rapport_proto::stakeholders::v1::{CreatePartyRequest, Party, PartyCreated, PartyKind};
use rapport_testkit::asserts::{error_metadata, position};
use rapport_testkit::sandbox::{SERVICE_TOKEN, SandboxBuilder, Topology};
use rapport_testkit::{Code, assert_reason};
use tonic::{Status, Streaming};

use super::interactions::recorded;
use super::messages::{at, by_number, by_party, contact, micros, now, person, phone};
use super::stage::{ACME, GLOBEX, NOBODY, Stage, end, next, refused};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn the_feed_is_complete_ordered_and_each_tenants_own(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        let newest = life(&stage).await;
        a_service_sees_everything_without_a_gap(&stage, newest).await;
        a_tenant_sees_its_own(&stage, newest).await;
        a_reader_goes_on_where_it_stopped(&stage, newest).await;
        an_event_says_what_happened(&stage).await;
        versions_never_go_back_whoever_tells(&stage).await;
        a_reader_may_start_at_the_end(&stage).await;
        wrong_subscriptions_are_refused(&stage).await;
        stage.close().await;
    }
}

fn all(source: &str) -> SubscribeRequest {
    SubscribeRequest { source: source.into(), ..Default::default() }
}

async fn subscribe(
    stage: &Stage,
    token: &str,
    request: SubscribeRequest,
) -> Result<Streaming<SubscribeResponse>, Status> {
    // Every process serves what it hosts: ask the one that hosts the source.
    let services = stage.sandbox.services();
    let host = if services.contains(&request.source) { request.source.clone() } else { services[0].clone() };
    Ok(stage.feed(&host, token).subscribe(request).await?.into_inner())
}

/// What a new reader is given until it has the event at a position.
async fn read(stage: &Stage, token: &str, request: SubscribeRequest, until: i64) -> Vec<Event> {
    batches(stage, token, request, until).await.into_iter().flat_map(|batch| batch.events).collect()
}

async fn batches(stage: &Stage, token: &str, request: SubscribeRequest, until: i64) -> Vec<SubscribeResponse> {
    let mut stream = subscribe(stage, token, request).await.expect("subscribed");
    let mut batches: Vec<SubscribeResponse> = Vec::new();
    let reading = async {
        while !batches.iter().flat_map(|batch| &batch.events).any(|event| event.position >= until) {
            batches.push(next(&mut stream).await);
        }
    };
    // Heartbeats alone would go on for ever.
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the event comes");
    batches
}

/// The next event of a stream that is not a heartbeat alone.
async fn event(stream: &mut Streaming<SubscribeResponse>) -> Event {
    loop {
        if let Some(event) = next(stream).await.events.into_iter().next() {
            return event;
        }
    }
}

/// Two tenants write at once, twenty parties each. Gives the newest position of both.
async fn life(stage: &Stage) -> i64 {
    let create = |token: &'static str, n: usize| {
        let mut parties = stage.parties(token);
        async move {
            let party = rapport_proto::stakeholders::v1::Party {
                contact_media: vec![phone(&format!("+120255501{n:02}"))],
                roles: vec![super::messages::role("customer")],
                ..person("Sentinel Surname")
            };
            let answer = parties.create_party(CreatePartyRequest { party: Some(party), ..Default::default() }).await;
            position(answer.expect("created").metadata(), "stakeholders")
        }
    };
    let ours = join_all((0..20).map(|n| create(ACME, n)));
    let theirs = join_all((20..40).map(|n| create(GLOBEX, n)));
    let (ours, theirs) = futures::join!(ours, theirs);
    // The last word is acme's, so that a reader of either tenant knows when it has seen all of acme's.
    let last = create(ACME, 41).await;
    assert!(ours.iter().chain(&theirs).all(|place| *place < last));
    last
}

fn check(events: &[Event]) {
    assert!(events.iter().is_sorted_by(|one, next| one.position < next.position), "in order, each once");
    let mut versions: BTreeMap<&str, i64> = BTreeMap::new();
    for event in events {
        assert_eq!(event.source, "stakeholders");
        assert_eq!(event.name, format!("events/stakeholders-{}-{}", event.epoch, event.position));
        let before = versions.insert(&event.aggregate, event.version).unwrap_or(0);
        assert!(event.version > before, "versions of {} never go back", event.aggregate);
        let data = event.data.as_ref().expect("data");
        assert_eq!(data.type_url, format!("type.googleapis.com/{}", event.r#type));
        assert!(!format!("{event:?}").contains("Sentinel"), "no personal data");
        assert!((micros(event.recorded_time.expect("a time")) - micros(now())).abs() < 120_000_000);
    }
}

async fn a_service_sees_everything_without_a_gap(stage: &Stage, newest: i64) {
    let events = read(stage, SERVICE_TOKEN, all("stakeholders"), newest).await;
    check(&events);
    let positions: Vec<i64> = events.iter().map(|event| event.position).collect();
    assert_eq!(positions, (1..=newest).collect::<Vec<_>>(), "dense from the first on");
    let tenants: BTreeSet<&str> = events.iter().map(|event| event.tenant.as_str()).collect();
    assert_eq!(tenants, BTreeSet::from(["acme", "globex"]));
}

async fn a_tenant_sees_its_own(stage: &Stage, newest: i64) {
    let everything = read(stage, SERVICE_TOKEN, all("stakeholders"), newest).await;
    let ours = read(stage, ACME, all("stakeholders"), newest).await;
    check(&ours);
    assert!(ours.iter().all(|event| event.tenant.is_empty()), "the tenant is not told");
    let expected: Vec<Event> = everything
        .into_iter()
        .filter(|event| event.tenant == "acme")
        .map(|event| Event { tenant: String::new(), ..event })
        .collect();
    assert_eq!(ours, expected, "all of it and nothing else");
    let created =
        SubscribeRequest { types: vec!["rapport.stakeholders.v1.PartyCreated".into()], ..all("stakeholders") };
    let expected: Vec<Event> = expected.into_iter().filter(|event| event.r#type.ends_with(".PartyCreated")).collect();
    assert_eq!(expected.len(), 21, "one for each party");
    let last = expected.last().expect("a party").position;
    assert_eq!(read(stage, ACME, created, last).await, expected);
}

async fn a_reader_goes_on_where_it_stopped(stage: &Stage, newest: i64) {
    let small = SubscribeRequest { batch_size: 3, ..all("stakeholders") };
    let batches = batches(stage, ACME, small, newest).await;
    let whole: Vec<Event> = batches.iter().flat_map(|batch| batch.events.clone()).collect();
    check(&whole);
    assert!(whole.len() >= 42, "a party and a role for each: {}", whole.len());
    for batch in &batches {
        assert!(batch.events.len() <= 3 && !batch.cursor.is_empty() && batch.newest_position >= newest);
    }
    // From the cursor of every few batches, in batches of another size: exactly what followed.
    let (mut behind, mut resumed) = (0, 0);
    for (place, batch) in batches.iter().enumerate() {
        behind += batch.events.len();
        if place % 3 == 0 && behind < whole.len() {
            let request = SubscribeRequest { cursor: batch.cursor.clone(), batch_size: 5, ..all("stakeholders") };
            assert_eq!(read(stage, ACME, request, newest).await, whole[behind..]);
            resumed += 1;
        }
    }
    assert!(resumed >= 4, "{resumed}");
}

async fn an_event_says_what_happened(stage: &Stage) {
    let events = read(stage, ACME, all("stakeholders"), 1).await;
    let first = events.iter().find(|event| event.r#type == "rapport.stakeholders.v1.PartyCreated").expect("a party");
    let data = &first.data.as_ref().expect("data").value;
    let created: PartyCreated = prost::Message::decode(data.as_slice()).expect("as its type says");
    assert_eq!((created.party.as_str(), created.kind()), (first.aggregate.as_str(), PartyKind::Individual));
    assert_eq!(first.version, 1);
    // One interaction is an event of interactions, and moves scores, each of which is an event of scoring.
    let party = stage.party(person("Evented")).await.name;
    let when = at("2026-01-05T10:00:00Z");
    let made = recorded(stage, contact("praise", by_party(&party), when)).await;
    let types = vec!["rapport.interactions.v1.InteractionRecorded".into()];
    let mut stream =
        subscribe(stage, ACME, SubscribeRequest { types, ..all("interactions") }).await.expect("subscribed");
    let event = event(&mut stream).await;
    assert_eq!((event.r#type.as_str(), &event.aggregate), ("rapport.interactions.v1.InteractionRecorded", &made.name));
    assert_eq!((event.version, event.occurred_time, event.recorded_time), (1, Some(when), made.recorded_time));
    let told: InteractionRecorded =
        prost::Message::decode(event.data.expect("data").value.as_slice()).expect("as its type says");
    assert_eq!((&told.interaction, told.kind.as_str(), &told.participants[0].party), (&made.name, "praise", &party));
    let singly = SubscribeRequest { batch_size: 1, ..all("scoring") };
    let mut stream = subscribe(stage, ACME, singly).await.expect("subscribed");
    for slug in ["engagement", "relationship-health"] {
        let event = self::event(&mut stream).await;
        let moved: ScoreMoved =
            prost::Message::decode(event.data.expect("data").value.as_slice()).expect("as its type says");
        assert_eq!((moved.score.clone(), moved.cause()), (format!("{party}/scores/{slug}"), MoveCause::Recorded));
        assert_eq!((&moved.party, &moved.interaction), (&party, &made.name));
    }
}

/// Somebody orders by a number that is somebody's only later: two consumers tell of the party's value, each at its pace.
async fn versions_never_go_back_whoever_tells(stage: &Stage) {
    let money = rapport_proto::types::v1::Money { units: 12, nanos: 0, currency_code: "EUR".into() };
    let amount = Amount { kind: AmountKind::Order.into(), money: Some(money) };
    let order = |who| Interaction { amount: Some(amount.clone()), ..contact("order", who, now()) };
    for _ in 0..3 {
        recorded(stage, order(by_number("+12025550177"))).await;
    }
    let buyer = Party { contact_media: vec![phone("+12025550177")], ..person("Orders First") };
    let buyer = stage.party(buyer).await.name;
    recorded(stage, order(by_party(&buyer))).await;
    let wanted = [format!("{buyer}/value"), format!("{buyer}/attribution")];
    let mut stream = subscribe(stage, ACME, all("scoring")).await.expect("subscribed");
    let mut versions: BTreeMap<String, i64> = BTreeMap::new();
    let reading = async {
        while !wanted.iter().all(|aggregate| versions.contains_key(aggregate)) {
            for event in next(&mut stream).await.events {
                let before = versions.insert(event.aggregate.clone(), event.version).unwrap_or(0);
                assert!(event.version > before, "{}: {} after {before}", event.aggregate, event.version);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("both tell of it");
}

async fn a_reader_may_start_at_the_end(stage: &Stage) {
    let mut stream = subscribe(stage, ACME, SubscribeRequest { start_at_end: true, ..all("stakeholders") })
        .await
        .expect("subscribed");
    let party = stage.party(person("News")).await.name;
    let first = event(&mut stream).await;
    assert_eq!(first.aggregate, party, "nothing of what was before");
}

async fn wrong_subscriptions_are_refused(stage: &Stage) {
    let own = next(&mut subscribe(stage, ACME, all("stakeholders")).await.expect("subscribed")).await.cursor;
    let wrong = SubscribeRequest { types: vec!["no name".into(); 1], batch_size: -1, ..SubscribeRequest::default() };
    refused(
        subscribe(stage, ACME, wrong).await.map(tonic::Response::new),
        &[("source", "REQUIRED"), ("types[0]", "MALFORMED"), ("batch_size", "OUT_OF_RANGE")],
    );
    let many = SubscribeRequest { types: vec!["a.B".into(); 51], ..all("stakeholders") };
    refused(subscribe(stage, ACME, many).await.map(tonic::Response::new), &[("types", "TOO_MANY")]);
    let both = SubscribeRequest { cursor: own.clone(), start_at_end: true, ..all("stakeholders") };
    refused(subscribe(stage, ACME, both).await.map(tonic::Response::new), &[("start_at_end", "CONFLICTING_FIELDS")]);
    for junk in ["junk", "!", "AAAA"] {
        let request = SubscribeRequest { cursor: junk.into(), ..all("stakeholders") };
        assert_reason!(subscribe(stage, ACME, request).await, Code::InvalidArgument, "INVALID_CURSOR");
    }
    // A cursor of another feed is of another epoch: what followed it cannot be known here.
    let foreign = SubscribeRequest { cursor: own, ..all("interactions") };
    let answer = match subscribe(stage, ACME, foreign).await {
        Ok(mut stream) => end(&mut stream).await,
        Err(status) => Err(status),
    };
    let status = assert_reason!(answer, Code::OutOfRange, "CURSOR_EXPIRED");
    assert_eq!(error_metadata(&status)["source"], "interactions");
    let nowhere = subscribe(stage, ACME, all("billing")).await;
    let status = assert_reason!(nowhere, Code::NotFound, "SERVICE_NOT_HOSTED");
    assert_eq!(error_metadata(&status)["source"], "billing");
    let elsewhere = stage.feed("interactions", ACME).subscribe(all("scoring")).await;
    match stage.sandbox.topology() {
        Topology::Processes => drop(assert_reason!(elsewhere, Code::NotFound, "SERVICE_NOT_HOSTED")),
        Topology::OneProcess | Topology::Child => drop(elsewhere.expect("one process hosts all")),
    }
    assert_reason!(subscribe(stage, NOBODY, all("stakeholders")).await, Code::PermissionDenied, "PERMISSION_DENIED");
}
