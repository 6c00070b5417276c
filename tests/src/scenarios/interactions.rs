//! Interactions: recorded one by one and in batches, read, listed and watched.

use futures::future::join_all;
use rapport_proto::interactions::v1::record_result::Result as Outcome;
use rapport_proto::interactions::v1::watch_interactions_response::Change;
use rapport_proto::interactions::v1::*;
use rapport_proto::types::v1::{Money, Provenance};
use rapport_testkit::asserts::{error_metadata, is_replayed, position, positions};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use tonic::Streaming;

use super::messages::{DAY, after, at, by_number, by_party, contact, micros, now, person, record};
use super::stage::{ACME, GLOBEX, Stage, fresh, next, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn interactions_are_recorded_listed_and_watched(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        an_interaction_comes_back_as_it_was_understood(&stage).await;
        everything_wrong_is_told_at_once(&stage).await;
        a_retry_records_nothing_twice(&stage).await;
        a_bad_item_of_a_batch_fails_alone(&stage).await;
        filters_choose_and_pages_hold(&stage).await;
        a_watch_tells_what_is_wanted(&stage).await;
        stage.close().await;
    }
}

pub(super) async fn recorded(stage: &Stage, interaction: Interaction) -> Interaction {
    stage.interactions(ACME).record_interaction(record(interaction)).await.expect("recorded").into_inner()
}

async fn get(stage: &Stage, name: &str) -> Interaction {
    let request = GetInteractionRequest { name: name.to_owned(), version: 0 };
    stage.interactions(ACME).get_interaction(request).await.expect("it is there").into_inner()
}

fn valence(value: f64, confidence: Option<f64>) -> Option<Valence> {
    Some(Valence { value, method: ValenceMethod::Stated.into(), confidence })
}

async fn an_interaction_comes_back_as_it_was_understood(stage: &Stage) {
    let party = stage.party(person("Ana")).await;
    let agent =
        Participant { role_type: "employee".into(), function: Function::Agent.into(), ..by_party(&unknown("parties")) };
    let wanted = Interaction {
        channel: Some(Channel { medium: Medium::Email.into(), online: None }),
        participants: vec![
            Participant {
                identifier_used: Some(Identifier { scheme: "email".into(), value: "Ana@Example.com".into() }),
                role_type: "customer".into(),
                ..by_party(&party.name)
            },
            agent,
        ],
        topics: vec!["delivery".into(), "price".into()],
        subject_line: "Too late — again".into(),
        body: "It came\n\tthree days late.".into(),
        valence: valence(-0.75, None),
        effort: Some(7),
        amount: Some(Amount {
            kind: AmountKind::Order.into(),
            money: Some(Money { units: 12, nanos: 340_000_000, currency_code: "EUR".into() }),
        }),
        provenance: Some(Provenance { source_system: "mail".into(), actor: "bot".into(), ..Default::default() }),
        ..contact("complaint", by_party(&party.name), at("2026-01-05T10:00:00.123456789Z"))
    };
    let answer = stage.interactions(ACME).record_interaction(record(wanted.clone())).await.expect("recorded");
    assert!(position(answer.metadata(), "interactions") > 0 && !is_replayed(answer.metadata()));
    let made = answer.into_inner();
    assert!(made.name.starts_with("interactions/"));
    assert_eq!((made.version, made.supersedes.as_str()), (1, ""));
    assert_eq!(made.channel, Some(Channel { medium: Medium::Email.into(), online: Some(true) }), "the medium decides");
    assert_eq!(made.valence.map(|valence| (valence.value, valence.confidence)), Some((-0.75, Some(1.0))));
    assert_eq!(made.occurred_time, Some(at("2026-01-05T10:00:00.123456Z")), "kept to the microsecond");
    let recorded_at = micros(made.recorded_time.expect("a time"));
    assert!((recorded_at - micros(now())).abs() < 60_000_000, "recorded now");
    let who = &made.participants[0];
    assert_eq!((&who.party, who.attribution()), (&party.name, Attribution::Named));
    assert_eq!(format!("parties/{}", who.origin), party.name, "the party's id is the origin");
    assert_eq!(made.participants[1].function(), Function::Agent);
    for (field, same) in [
        ("kind", made.kind == wanted.kind),
        ("direction", made.direction == wanted.direction),
        ("topics", made.topics == wanted.topics),
        ("subject_line", made.subject_line == wanted.subject_line),
        ("body", made.body == wanted.body),
        ("effort", made.effort == wanted.effort),
        ("amount", made.amount == wanted.amount),
        ("provenance", made.provenance == wanted.provenance),
        ("identifier_used", who.identifier_used == wanted.participants[0].identifier_used),
        ("role_type", who.role_type == "customer"),
    ] {
        assert!(same, "{field}: {made:?}");
    }
    assert_eq!(get(stage, &made.name).await, made, "read as it was answered");
    let offline = Some(Channel { medium: Medium::Chat.into(), online: Some(false) });
    let made =
        recorded(stage, Interaction { channel: offline, ..contact("visit", by_party(&party.name), now()) }).await;
    assert_eq!(made.channel, offline, "unless the caller says so");

    let foreign =
        stage.interactions(GLOBEX).get_interaction(GetInteractionRequest { name: made.name.clone(), version: 0 }).await;
    let status = assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    assert_eq!(error_metadata(&status)["name"], made.name);
    let junk =
        stage.interactions(ACME).get_interaction(GetInteractionRequest { name: "cases/7".into(), version: 0 }).await;
    refused(junk, &[("name", "MALFORMED_NAME")]);
}

async fn everything_wrong_is_told_at_once(stage: &Stage) {
    let mut interactions = stage.interactions(ACME);
    refused(interactions.record_interaction(RecordInteractionRequest::default()).await, &[("interaction", "REQUIRED")]);
    refused(
        interactions.record_interaction(record(Interaction::default())).await,
        &[
            ("interaction.kind", "REQUIRED"),
            ("interaction.channel", "REQUIRED"),
            ("interaction.direction", "REQUIRED"),
            ("interaction.participants", "REQUIRED"),
            ("interaction.occurred_time", "REQUIRED"),
        ],
    );
    let party = unknown("parties");
    let wrong = Interaction {
        kind: "Not A Slug".into(),
        channel: Some(Channel { medium: 99, online: None }),
        direction: 99,
        participants: vec![
            Participant { function: Function::Initiator.into(), ..Default::default() },
            Participant {
                identifier_used: Some(Identifier { scheme: "tel".into(), value: "\0".into() }),
                ..by_party("parties/7")
            },
            by_party(&party),
            by_party(&party),
        ],
        topics: vec!["price".into(), "price".into()],
        subject_line: "two\nlines".into(),
        body: "b".repeat(20_001),
        valence: Some(Valence { value: f64::NAN, method: 0, confidence: Some(1.5) }),
        effort: Some(8),
        amount: Some(Amount { kind: 0, money: Some(Money { units: 1, nanos: -1, currency_code: "EUR".into() }) }),
        occurred_time: Some(after(now(), DAY + 3600)),
        ..Default::default()
    };
    let request = RecordInteractionRequest { interaction: Some(wrong), request_id: "call-17".into() };
    refused(
        interactions.record_interaction(request).await,
        &[
            ("interaction.kind", "MALFORMED"),
            ("interaction.channel.medium", "UNKNOWN_ENUM_VALUE"),
            ("interaction.direction", "UNKNOWN_ENUM_VALUE"),
            ("interaction.participants[0].party", "REQUIRED"),
            ("interaction.participants[1].party", "MALFORMED_NAME"),
            ("interaction.participants[1].identifier_used.value", "CONTROL_CHARACTER"),
            ("interaction.participants[3]", "DUPLICATE"),
            ("interaction.topics[1]", "DUPLICATE"),
            ("interaction.subject_line", "CONTROL_CHARACTER"),
            ("interaction.body", "TOO_LONG"),
            ("interaction.valence.value", "NOT_FINITE"),
            ("interaction.valence.method", "REQUIRED"),
            ("interaction.valence.confidence", "OUT_OF_RANGE"),
            ("interaction.effort", "OUT_OF_RANGE"),
            ("interaction.amount.kind", "REQUIRED"),
            ("interaction.amount.money", "SIGN_MISMATCH"),
            ("interaction.occurred_time", "IN_FUTURE"),
            ("request_id", "INVALID_REQUEST_ID"),
        ],
    );
    let crowd = Interaction {
        participants: (0..33).map(|n| by_number(&format!("+12025550{n:03}"))).collect(),
        ..contact("meeting", by_party(&party), now())
    };
    refused(interactions.record_interaction(record(crowd)).await, &[("interaction.participants", "TOO_MANY")]);
}

async fn a_retry_records_nothing_twice(stage: &Stage) {
    let mut interactions = stage.interactions(ACME);
    let party = stage.party(person("Retry")).await;
    let request =
        RecordInteractionRequest { request_id: fresh(), ..record(contact("visit", by_party(&party.name), now())) };
    let calls = (0..8).map(|_| {
        let (mut interactions, request) = (stage.interactions(ACME), request.clone());
        async move { interactions.record_interaction(request).await.expect("answered") }
    });
    let answers = join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| !is_replayed(answer.metadata())).count(), 1);
    let first = answers[0].get_ref();
    assert!(answers.iter().all(|answer| answer.get_ref() == first));
    let other = RecordInteractionRequest {
        interaction: Some(contact("call", by_party(&party.name), now())),
        ..request.clone()
    };
    assert_reason!(interactions.record_interaction(other).await, Code::AlreadyExists, "REQUEST_ID_REUSED");
    // The same id may come by batch: it is the same record.
    let item = RecordItem { interaction: request.interaction.clone(), request_id: request.request_id.clone() };
    let batch = BatchRecordInteractionsRequest { items: vec![item], ..Default::default() };
    let results = interactions.batch_record_interactions(batch).await.expect("answered").into_inner().results;
    let Some(Outcome::Receipt(receipt)) = &results[0].result else { panic!("{results:?}") };
    assert_eq!((&receipt.name, receipt.replayed, receipt.recorded_time), (&first.name, true, first.recorded_time));
    let timeline = GetTimelineRequest { party: party.name, ..Default::default() };
    let there = interactions.get_timeline(timeline).await.expect("read").into_inner().interactions;
    assert_eq!(there, std::slice::from_ref(first));
}

async fn a_bad_item_of_a_batch_fails_alone(stage: &Stage) {
    let mut interactions = stage.interactions(ACME);
    let party = stage.party(person("Batch")).await;
    let good = |day: i64| contact("order", by_party(&party.name), after(at("2026-01-01T12:00:00Z"), day * DAY));
    let item =
        |interaction, request_id: &str| RecordItem { interaction: Some(interaction), request_id: request_id.into() };
    let (one, two) = (fresh(), fresh());
    let items = vec![
        item(good(1), &one),
        item(Interaction { kind: "Not A Slug".into(), ..good(2) }, &two),
        item(good(3), &one), // another body under the id of the first item
        RecordItem::default(),
        item(good(4), "junk"),
        item(good(5), ""),
        item(good(1), &one), // the first item again
    ];
    let answer = interactions
        .batch_record_interactions(BatchRecordInteractionsRequest { items, ..Default::default() })
        .await
        .expect("answered");
    assert!(position(answer.metadata(), "interactions") > 0);
    let results: Vec<Outcome> =
        answer.into_inner().results.into_iter().map(|result| result.result.expect("a result")).collect();
    assert_eq!(results.len(), 7);
    let receipt = |at: usize| match &results[at] {
        Outcome::Receipt(receipt) => receipt.clone(),
        Outcome::Error(error) => panic!("item {at}: {error:?}"),
    };
    let error = |at: usize| match &results[at] {
        Outcome::Error(error) => error.clone(),
        Outcome::Receipt(receipt) => panic!("item {at}: {receipt:?}"),
    };
    assert_eq!(receipt(0).parties, std::slice::from_ref(&party.name));
    assert!(!receipt(0).replayed && !receipt(5).replayed);
    assert_eq!((receipt(6).name, receipt(6).replayed), (receipt(0).name, true));
    for (place, code, reason, violation) in [
        (1, Code::InvalidArgument, "INVALID_FIELDS", Some(("items[1].interaction.kind", "MALFORMED"))),
        (2, Code::AlreadyExists, "REQUEST_ID_REUSED", None),
        (3, Code::InvalidArgument, "INVALID_FIELDS", Some(("items[3].interaction", "REQUIRED"))),
        (4, Code::InvalidArgument, "INVALID_REQUEST_ID", Some(("items[4].request_id", "INVALID_REQUEST_ID"))),
    ] {
        let error = error(place);
        assert_eq!((error.code, error.reason.as_str()), (i32::from(code), reason), "{error:?}");
        let told: Vec<_> = error.violations.iter().map(|one| (one.field.as_str(), one.reason.as_str())).collect();
        assert_eq!(told, violation.into_iter().collect::<Vec<_>>());
    }
    let timeline = GetTimelineRequest { party: party.name.clone(), ..Default::default() };
    let there = interactions.get_timeline(timeline).await.expect("read").into_inner().interactions;
    let names: Vec<&String> = there.iter().map(|one| &one.name).collect();
    assert_eq!(names, [&receipt(5).name, &receipt(0).name], "the good ones, newest first");

    let all = BatchRecordInteractionsRequest {
        items: (0..500).map(|n| item(good(n % 10), "")).collect(),
        ..Default::default()
    };
    let results = interactions.batch_record_interactions(all).await.expect("answered").into_inner().results;
    assert!(results.iter().all(|result| matches!(result.result, Some(Outcome::Receipt(_)))));
    refused(
        interactions.batch_record_interactions(BatchRecordInteractionsRequest::default()).await,
        &[("items", "REQUIRED")],
    );
    let many = BatchRecordInteractionsRequest { items: vec![RecordItem::default(); 501], ..Default::default() };
    refused(interactions.batch_record_interactions(many).await, &[("items", "TOO_MANY")]);
    let hopeless = BatchRecordInteractionsRequest { items: vec![RecordItem::default(); 2], ..Default::default() };
    let answer = interactions.batch_record_interactions(hopeless).await.expect("answered");
    assert!(positions(answer.metadata()).is_empty(), "nothing was written");
}

async fn filters_choose_and_pages_hold(stage: &Stage) {
    let mut interactions = stage.interactions(ACME);
    let party = stage.party(person("Listed")).await;
    let start = at("2001-01-01T00:00:00Z");
    let with = |medium: Medium, direction: Direction, interaction: Interaction| Interaction {
        channel: Some(Channel { medium: medium.into(), online: None }),
        direction: direction.into(),
        ..interaction
    };
    let day = |n: i64, kind: &str| contact(kind, by_party(&party.name), after(start, n * DAY));
    let made = [
        with(
            Medium::Phone,
            Direction::Inbound,
            Interaction { valence: valence(-0.5, None), effort: Some(6), ..day(0, "complaint") },
        ),
        with(Medium::Email, Direction::Outbound, Interaction { effort: Some(2), ..day(1, "offer") }),
        with(Medium::Web, Direction::Inbound, day(2, "order")),
        with(Medium::Press, Direction::ThirdParty, Interaction { valence: valence(0.5, None), ..day(3, "article") }),
        with(Medium::InPerson, Direction::Mutual, day(4, "visit")),
    ];
    let mut names = Vec::new();
    for one in made {
        names.push(recorded(stage, one).await.name);
    }
    let mut list = async |filter: &str, order_by: &str| -> Vec<usize> {
        let filter = format!(r#"occurred_time < timestamp("2001-02-01T00:00:00Z") && ({filter})"#);
        let request = ListInteractionsRequest { filter, order_by: order_by.into(), ..Default::default() };
        let found = interactions.list_interactions(request).await.expect("listed").into_inner();
        found
            .interactions
            .iter()
            .map(|one| names.iter().position(|name| *name == one.name).expect("one of them"))
            .collect()
    };
    for (filter, expected) in [
        ("true", &[4, 3, 2, 1, 0][..]),
        (r#"kind == "complaint" && valence < 0.0"#, &[0]),
        (r#"kind == "complaint" || effort <= 3"#, &[1, 0]),
        ("has(valence)", &[3, 0]),
        ("!(effort >= 3)", &[4, 3, 2, 1]),
        ("online", &[2, 1]),
        (r#"medium in ["phone", "press"]"#, &[3, 0]),
        (r#"direction == "third_party" || direction == "mutual""#, &[4, 3]),
        (r#"occurred_time >= timestamp("2001-01-03T00:00:00Z")"#, &[4, 3, 2]),
        (r#"recorded_time < timestamp("2020-01-01T00:00:00Z")"#, &[]),
    ] {
        assert_eq!(list(filter, "").await, expected, "{filter}");
    }
    assert_eq!(list("true", "occurred_time asc").await, [0, 1, 2, 3, 4]);
    assert_eq!(list("true", "occurred_time desc").await, [4, 3, 2, 1, 0]);
    for (request, reason) in [
        (ListInteractionsRequest { filter: "body == \"x\"".into(), ..Default::default() }, "INVALID_FILTER"),
        (ListInteractionsRequest { filter: "direction == \"INBOUND\"".into(), ..Default::default() }, "INVALID_FILTER"),
        (ListInteractionsRequest { order_by: "kind".into(), ..Default::default() }, "INVALID_ORDER_BY"),
        (ListInteractionsRequest { page_token: "junk".into(), ..Default::default() }, "INVALID_PAGE_TOKEN"),
    ] {
        assert_reason!(stage.interactions(ACME).list_interactions(request).await, Code::InvalidArgument, reason);
    }
    let negative = ListInteractionsRequest { page_size: -1, ..Default::default() };
    refused(stage.interactions(ACME).list_interactions(negative).await, &[("page_size", "OUT_OF_RANGE")]);
    // Pages of one, with newer and older ones coming in between: each of the five once, in order.
    let filter = r#"occurred_time < timestamp("2001-02-01T00:00:00Z")"#.to_owned();
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            ListInteractionsRequest { filter: filter.clone(), page_size: 1, page_token, ..Default::default() };
        let page = stage.interactions(ACME).list_interactions(request).await.expect("listed").into_inner();
        found.extend(page.interactions.into_iter().map(|one| one.name));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
        recorded(stage, day(20, "call")).await;
    }
    assert_eq!(found, names.into_iter().rev().collect::<Vec<_>>());
}

/// The next message with a change; those that only move the cursor are passed over.
pub(super) async fn change(stream: &mut Streaming<WatchInteractionsResponse>) -> (String, Change) {
    loop {
        let message = next(stream).await;
        assert!(!message.cursor.is_empty());
        if let Some(change) = message.change {
            return (message.cursor, change);
        }
    }
}

async fn a_watch_tells_what_is_wanted(stage: &Stage) {
    let (ana, bo) = (stage.party(person("Ana")).await, stage.party(person("Bo")).await);
    let watch = async |token: &str, request: WatchInteractionsRequest| {
        stage.interactions(token).watch_interactions(request).await.expect("a watch").into_inner()
    };
    let mut all = watch(ACME, WatchInteractionsRequest::default()).await;
    let mut globex = watch(GLOBEX, WatchInteractionsRequest::default()).await;
    let first = next(&mut all).await;
    assert!(first.change.is_none() && !first.cursor.is_empty());
    next(&mut globex).await;
    let by_mail = |who: &str, kind: &str| Interaction {
        channel: Some(Channel { medium: Medium::Email.into(), online: None }),
        direction: Direction::Outbound.into(),
        ..contact(kind, by_party(who), now())
    };
    let made = [
        recorded(stage, contact("call", by_party(&ana.name), now())).await,
        recorded(stage, contact("complaint", by_party(&bo.name), now())).await,
        recorded(stage, by_mail(&ana.name, "offer")).await,
    ];
    let mut told = Vec::new();
    for expected in &made {
        let (cursor, change) = change(&mut all).await;
        assert_eq!(change, Change::Recorded(expected.clone()));
        told.push(cursor);
    }
    let from = |cursor: &str| WatchInteractionsRequest { cursor: cursor.into(), ..Default::default() };
    for (request, expected) in [
        (from(&told[0]), &made[1]),
        (from(&told[1]), &made[2]),
        (WatchInteractionsRequest { parties: vec![bo.name.clone()], ..from(&first.cursor) }, &made[1]),
        (WatchInteractionsRequest { kinds: vec!["offer".into()], ..from(&first.cursor) }, &made[2]),
        (WatchInteractionsRequest { media: vec![Medium::Email.into()], ..from(&first.cursor) }, &made[2]),
        (WatchInteractionsRequest { directions: vec![Direction::Inbound.into()], ..from(&told[0]) }, &made[1]),
    ] {
        let mut stream = watch(ACME, request.clone()).await;
        assert_eq!(change(&mut stream).await.1, Change::Recorded(expected.clone()), "{request:?}");
    }
    let theirs = record(contact("visit", by_party(&unknown("parties")), now()));
    let theirs = stage.interactions(GLOBEX).record_interaction(theirs).await.expect("recorded").into_inner();
    assert_eq!(change(&mut globex).await.1, Change::Recorded(theirs), "nothing of acme was told");

    let mut interactions = stage.interactions(ACME);
    let junk = interactions.watch_interactions(from("junk")).await;
    assert_reason!(junk, Code::InvalidArgument, "INVALID_CURSOR");
    let wrong = WatchInteractionsRequest {
        parties: vec!["parties/7".into()],
        kinds: vec!["A B".into()],
        media: vec![0],
        directions: vec![99],
        cursor: String::new(),
    };
    refused(
        interactions.watch_interactions(wrong).await,
        &[
            ("parties[0]", "MALFORMED_NAME"),
            ("kinds[0]", "MALFORMED"),
            ("media[0]", "REQUIRED"),
            ("directions[0]", "UNKNOWN_ENUM_VALUE"),
        ],
    );
}
