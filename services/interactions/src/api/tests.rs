#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use futures::{StreamExt, stream};
use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::case_service_server::CaseService;
use rapport_proto::interactions::v1::interaction_service_server::InteractionService;
use rapport_proto::interactions::v1::record_result::Result as Outcome;
use rapport_proto::interactions::v1::watch_interactions_response::Change;
use rapport_server::Context;
use rapport_testkit::asserts::violated_fields;
use rapport_testkit::place::StorePlace;
use rapport_testkit::{Code, assert_reason, each_store};
use rapport_types::reason;

use super::{Cases, Interactions, stream::acknowledgements};
use crate::fixture::{by_party, by_tel, call, complaint, context, order, party, request, request_id};
use crate::options::InteractionOptions;

fn record(interaction: proto::Interaction, id: u128) -> proto::RecordInteractionRequest {
    let request_id = if id == 0 { String::new() } else { request_id(id) };
    proto::RecordInteractionRequest { interaction: Some(interaction), request_id }
}

async fn timeline(api: &Interactions, tenant: &str, message: proto::GetTimelineRequest) -> proto::GetTimelineResponse {
    api.get_timeline(request(tenant, message)).await.unwrap().into_inner()
}

fn of(id: u128) -> proto::GetTimelineRequest {
    proto::GetTimelineRequest { party: party(id), ..proto::GetTimelineRequest::default() }
}

each_store! {
    async fn what_is_recorded_is_read_back_whole(place: StorePlace) {
        let cx = context(&place).await;
        let api = Interactions::new(cx.clone(), InteractionOptions::default());
        let mut given = complaint(by_tel("+351 912 345 678"), 0);
        given.participants.push(proto::Participant {
            function: proto::Function::Agent.into(),
            role_type: "employee".to_owned(),
            ..by_party(9)
        });
        given.amount = order(by_party(1), 0, 7).amount;
        given.provenance = Some(rapport_proto::types::v1::Provenance {
            source_system: "pbx".to_owned(),
            source_record_id: "c-17".to_owned(),
            actor: "maria".to_owned(),
            reason: "call".to_owned(),
        });
        let reply = api.record_interaction(request("acme", record(given.clone(), 1))).await.unwrap();
        assert_eq!(reply.metadata().get("rapport-position").unwrap(), "interactions@1");
        let told = reply.into_inner();
        let read = api
            .get_interaction(request("acme", proto::GetInteractionRequest { name: told.name.clone(), version: 0 }))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(read, told);
        assert_eq!((told.subject_line, told.body), (given.subject_line, given.body));
        assert_eq!((told.valence.unwrap().confidence, told.effort), (Some(1.0), Some(5)));
        assert_eq!((told.amount, told.provenance), (given.amount, given.provenance));
        assert_eq!(told.channel.unwrap().online, Some(false));
        assert_eq!(told.participants[0].identifier_used.as_ref().unwrap().value, "+351 912 345 678");
        assert_eq!(told.participants[0].attribution(), proto::Attribution::Unattributed);
        assert_eq!(told.participants[1].attribution(), proto::Attribution::Named);
        let other = api.get_interaction(request("other", proto::GetInteractionRequest { name: told.name, version: 0 })).await;
        assert_reason!(other, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        cx.store.close().await;
    }

    async fn a_request_id_has_one_effect_by_whichever_way_it_comes(place: StorePlace) {
        let cx = context(&place).await;
        let api = Interactions::new(cx.clone(), InteractionOptions::default());
        let send = |interaction: proto::Interaction| api.record_interaction(request("acme", record(interaction, 5)));
        let first = send(complaint(by_party(1), 0)).await.unwrap().into_inner();
        let again = send(complaint(by_party(1), 0)).await.unwrap();
        assert_eq!(again.metadata().get("rapport-replayed").unwrap(), "true");
        assert_eq!(again.into_inner(), first);
        assert_reason!(send(complaint(by_party(1), 1)).await, Code::AlreadyExists, reason::REQUEST_ID_REUSED);
        let item = proto::RecordItem { interaction: Some(complaint(by_party(1), 0)), request_id: request_id(5) };
        let batch = proto::BatchRecordInteractionsRequest { items: vec![item.clone(), item], ..Default::default() };
        let batch = api.batch_record_interactions(request("acme", batch)).await.unwrap().into_inner();
        for result in batch.results {
            let Some(Outcome::Receipt(receipt)) = result.result else { panic!("no receipt") };
            assert_eq!((receipt.name.as_str(), receipt.replayed), (first.name.as_str(), true));
        }
        assert_eq!(timeline(&api, "acme", of(1)).await.interactions.len(), 1);
        cx.store.close().await;
    }

    async fn a_bad_item_of_a_batch_fails_alone(place: StorePlace) {
        let cx = context(&place).await;
        let api = Interactions::new(cx.clone(), InteractionOptions::default());
        let mut bad = complaint(by_tel(""), 0);
        bad.kind = "No Slug".to_owned();
        let item = |interaction| proto::RecordItem { interaction: Some(interaction), request_id: String::new() };
        let items = vec![item(complaint(by_party(1), 0)), item(complaint(by_party(1), 1)), item(bad)];
        let reply = api
            .batch_record_interactions(request("acme", proto::BatchRecordInteractionsRequest { items, ..Default::default() }))
            .await
            .unwrap();
        assert_eq!(reply.metadata().get("rapport-position").unwrap(), "interactions@2");
        let results = reply.into_inner().results;
        assert!(matches!(results[1].result, Some(Outcome::Receipt(_))));
        let Some(Outcome::Error(error)) = &results[2].result else { panic!("no error") };
        let fields: Vec<&str> = error.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(
            fields,
            ["items[2].interaction.kind", "items[2].interaction.participants[0].identifier_used.value"]
        );
        let empty = proto::BatchRecordInteractionsRequest { items: vec![], ..Default::default() };
        let refused = api.batch_record_interactions(request("acme", empty)).await;
        assert_reason!(refused, Code::InvalidArgument, reason::INVALID_FIELDS);
        cx.store.close().await;
    }

    async fn a_timeline_is_newest_first_page_by_page(place: StorePlace) {
        let cx = context(&place).await;
        let api = Interactions::new(cx.clone(), InteractionOptions::default());
        for seconds in [30, 10, 50, 20, 40, 10] {
            let interaction = if seconds % 20 == 0 { order(by_party(1), seconds, seconds) } else { complaint(by_party(1), seconds) };
            api.record_interaction(request("acme", record(interaction, 0))).await.unwrap();
        }
        api.record_interaction(request("acme", record(complaint(by_party(2), 5), 0))).await.unwrap();
        let mut seen = Vec::new();
        let mut page_token = String::new();
        loop {
            let page = timeline(&api, "acme", proto::GetTimelineRequest { page_size: 2, page_token, ..of(1) }).await;
            seen.extend(page.interactions.iter().map(|i| i.occurred_time.as_ref().unwrap().seconds - 1_700_000_000));
            page_token = page.next_page_token;
            if page_token.is_empty() { break; }
            let foreign = proto::GetTimelineRequest { page_token: page_token.clone(), ..of(2) };
            let refused = api.get_timeline(request("acme", foreign)).await;
            assert_reason!(refused, Code::InvalidArgument, reason::INVALID_PAGE_TOKEN);
        }
        assert_eq!(seen, [50, 40, 30, 20, 10, 10]);
        let filtered = proto::GetTimelineRequest {
            filter: r#"kind == "order" && medium == "web" && party_function == "initiator" && role_type == "customer""#.to_owned(),
            ..of(1)
        };
        assert_eq!(timeline(&api, "acme", filtered).await.interactions.len(), 2);
        let unhappy = proto::GetTimelineRequest { filter: "valence < -0.5".to_owned(), ..of(1) };
        assert_eq!(timeline(&api, "acme", unhappy).await.interactions.len(), 4);
        let content = proto::GetTimelineRequest { filter: "!(valence < -0.5)".to_owned(), ..of(1) };
        assert_eq!(timeline(&api, "acme", content).await.interactions.len(), 2);
        let early = prost_types::Timestamp { seconds: 1_700_000_020, nanos: 0 };
        let as_of = proto::GetTimelineRequest { as_of: Some(early), ..of(1) };
        assert_eq!(timeline(&api, "acme", as_of).await.interactions.len(), 3);
        let as_known_at = proto::GetTimelineRequest { as_known_at: Some(early), ..of(1) };
        assert_eq!(timeline(&api, "acme", as_known_at).await.interactions.len(), 0);
        assert_eq!(timeline(&api, "other", of(1)).await.interactions.len(), 0);
        cx.store.close().await;
    }

    async fn a_list_goes_both_ways_and_forgets_nobody(place: StorePlace) {
        let cx = context(&place).await;
        let api = Interactions::new(cx.clone(), InteractionOptions::default());
        for number in 0..7 {
            let interaction = complaint(by_party(number), (number as i64) % 3);
            api.record_interaction(request("acme", record(interaction, 0))).await.unwrap();
        }
        let list = async |order_by: &str, page_token: String| {
            let message = proto::ListInteractionsRequest {
                page_size: 3,
                order_by: order_by.to_owned(),
                filter: r#"direction in ["inbound"] && !online && occurred_time >= timestamp("2020-01-01T00:00:00Z")"#.to_owned(),
                page_token,
                include_retracted: false,
            };
            api.list_interactions(request("acme", message)).await.unwrap().into_inner()
        };
        let mut ways = Vec::new();
        for order_by in ["occurred_time asc", "occurred_time desc"] {
            let mut names = Vec::new();
            let mut token = String::new();
            loop {
                let page = list(order_by, token).await;
                names.extend(page.interactions.into_iter().map(|interaction| interaction.name));
                token = page.next_page_token;
                if token.is_empty() { break; }
            }
            ways.push(names);
        }
        ways[1].reverse();
        assert_eq!(ways[0].len(), 7);
        assert_eq!(ways[0], ways[1]);
        cx.store.close().await;
    }

    async fn a_stream_acknowledges_what_is_durable_or_told(place: StorePlace) {
        let cx = context(&place).await;
        let item = |sequence: i64, interaction| proto::StreamItem {
            sequence,
            interaction: Some(interaction),
            request_id: request_id(sequence as u128),
        };
        let mut messages = Vec::new();
        let mut sequence = 0;
        for size in [1usize, 3, 700, 1_000, 1] {
            let items = (0..size).map(|_| {
                sequence += 2;
                let mut interaction = complaint(by_party(1), sequence);
                if sequence % 100 == 0 { interaction.participants.clear(); }
                item(sequence, interaction)
            });
            messages.push(Ok(proto::StreamInteractionsRequest { items: items.collect(), receipts: size == 3 }));
        }
        let total = sequence;
        let acknowledged: Vec<_> = acknowledgements(cx.clone(), call("acme"), 1_000, stream::iter(messages)).collect().await;
        let mut through = 0;
        let mut errors = Vec::new();
        let mut receipts = Vec::new();
        for message in acknowledged {
            let message = message.unwrap();
            assert!(message.committed_through >= through);
            through = message.committed_through;
            assert!(message.errors.iter().all(|error| error.sequence <= through));
            errors.extend(message.errors.into_iter().map(|error| error.sequence));
            receipts.extend(message.receipts.into_iter().map(|receipt| receipt.sequence));
        }
        assert_eq!(through, total);
        assert_eq!(errors, (1..=total).filter(|sequence| sequence % 100 == 0).collect::<Vec<_>>());
        assert_eq!(receipts, [4, 6, 8]);
        assert_eq!(*cx.store.position().borrow(), total / 2 - errors.len() as i64);
        cx.store.close().await;
    }

    async fn a_stream_ends_as_it_should(place: StorePlace) {
        let cx = context(&place).await;
        let message = |sequences: &[i64]| {
            let items = sequences.iter().map(|sequence| proto::StreamItem {
                sequence: *sequence,
                interaction: Some(complaint(by_party(1), 0)),
                request_id: String::new(),
            });
            Ok(proto::StreamInteractionsRequest { items: items.collect(), receipts: false })
        };
        let answers = async |cx: &Context, messages: Vec<_>, open: bool| -> Vec<_> {
            let inbound = stream::iter(messages).chain(if open { stream::pending().left_stream() } else { stream::empty().right_stream() });
            acknowledgements(cx.clone(), call("acme"), 1_000, inbound).collect().await
        };
        // Out of order: what came before is told, then the error.
        let told = answers(&cx, vec![message(&[5, 6]), message(&[7, 7, 8])], true).await;
        let error = told.last().unwrap().as_ref().unwrap_err();
        assert_eq!(error.reason, reason::STREAM_OUT_OF_ORDER);
        assert_eq!(told[told.len() - 2].as_ref().unwrap().committed_through, 7);
        // Too many at once.
        let many: Vec<i64> = (1..=1_001).collect();
        let told = answers(&cx, vec![message(&many)], true).await;
        assert_eq!(told.last().unwrap().as_ref().unwrap_err().reason, reason::INVALID_FIELDS);
        // An empty message asks for an answer.
        let told = answers(&cx, vec![message(&[])], false).await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].as_ref().unwrap().committed_through, 0);
        // The server stops.
        let stopping = cx.stopping.clone();
        let (told, ()) = tokio::join!(answers(&cx, vec![message(&[1])], true), async {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            stopping.cancel();
        });
        let last = told.last().unwrap().as_ref().unwrap();
        assert!(last.draining);
        assert_eq!(last.committed_through, 1);
        cx.store.close().await;
    }

    async fn a_watcher_sees_each_wanted_change_once(place: StorePlace) {
        let cx = context(&place).await;
        let api = Interactions::new(cx.clone(), InteractionOptions::default());
        let watch = async |cursor: String| {
            let message = proto::WatchInteractionsRequest {
                cursor,
                parties: vec![party(1)],
                kinds: vec!["complaint".to_owned()],
                ..proto::WatchInteractionsRequest::default()
            };
            api.watch_interactions(request("acme", message)).await.unwrap().into_inner()
        };
        let mut changes = watch(String::new()).await;
        let first = changes.next().await.unwrap().unwrap();
        assert_eq!(first.change, None);
        for (tenant, interaction) in [
            ("acme", complaint(by_party(1), 1)),
            ("acme", order(by_party(1), 2, 5)),
            ("other", complaint(by_party(1), 3)),
            ("acme", complaint(by_party(2), 4)),
            ("acme", complaint(by_party(1), 5)),
        ] {
            api.record_interaction(request(tenant, record(interaction, 0))).await.unwrap();
        }
        for mut changes in [changes, watch(first.cursor).await] {
            let mut seen = Vec::new();
            while seen.len() < 2 {
                let Some(Change::Recorded(interaction)) = changes.next().await.unwrap().unwrap().change else { continue };
                assert_eq!(interaction.body, "The vase was in two pieces.\nAgain.");
                seen.push(interaction.occurred_time.unwrap().seconds - 1_700_000_000);
            }
            assert_eq!(seen, [1, 5]);
        }
        cx.store.close().await;
    }

    async fn a_case_goes_its_way(place: StorePlace) {
        let cx = context(&place).await;
        let interactions = Interactions::new(cx.clone(), InteractionOptions::default());
        let cases = Cases::new(cx.clone());
        let told = interactions.record_interaction(request("acme", record(complaint(by_party(1), 0), 0))).await.unwrap().into_inner();
        let open = |interaction: &str, id: u128| proto::OpenCaseRequest {
            case: Some(proto::Case {
                party: party(1),
                r#type: "complaint".to_owned(),
                title: "Broken vase".to_owned(),
                description: "Twice.".to_owned(),
                interactions: vec![interaction.to_owned()],
                ..proto::Case::default()
            }),
            request_id: request_id(id),
        };
        let case = cases.open_case(request("acme", open(&told.name, 1))).await.unwrap().into_inner();
        assert_eq!((case.status(), case.priority()), (proto::CaseStatus::New, proto::CasePriority::Normal));
        assert_eq!((case.title.as_str(), case.interactions.as_slice()), ("Broken vase", &[told.name.clone()][..]));
        let missing = format!("interactions/{}", rapport_types::Uuid::from_u128(77));
        assert_reason!(cases.open_case(request("acme", open(&missing, 2))).await, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        assert_reason!(cases.open_case(request("other", open(&told.name, 3))).await, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        let transition = |status: proto::CaseStatus, etag: &str, id: u128| proto::TransitionCaseRequest {
            name: case.name.clone(),
            status: status.into(),
            note: "because".to_owned(),
            etag: etag.to_owned(),
            request_id: request_id(id),
            ..proto::TransitionCaseRequest::default()
        };
        let wrong = cases.transition_case(request("acme", transition(proto::CaseStatus::Closed, "", 4))).await;
        let status = assert_reason!(wrong, Code::FailedPrecondition, reason::INVALID_TRANSITION);
        assert_eq!(rapport_testkit::asserts::error_metadata(&status)["allowed"], "in_progress,waiting,resolved");
        let moved = cases.transition_case(request("acme", transition(proto::CaseStatus::Resolved, &case.etag, 5))).await.unwrap().into_inner();
        assert_eq!(moved.status(), proto::CaseStatus::Resolved);
        assert!(moved.resolved_time.is_some() && moved.first_response_time.is_some() && moved.etag != case.etag);
        let stale = cases.transition_case(request("acme", transition(proto::CaseStatus::Closed, &case.etag, 6))).await;
        assert_reason!(stale, Code::Aborted, reason::ETAG_MISMATCH);
        cases.transition_case(request("acme", transition(proto::CaseStatus::Closed, "", 7))).await.unwrap();
        let replayed = cases.transition_case(request("acme", transition(proto::CaseStatus::Resolved, &case.etag, 5))).await.unwrap();
        assert_eq!(replayed.into_inner(), moved);
        let read = cases.get_case(request("acme", proto::GetCaseRequest { name: case.name.clone() })).await.unwrap().into_inner();
        assert_eq!((read.status(), read.description.as_str()), (proto::CaseStatus::Closed, "Twice."));
        assert_reason!(cases.get_case(request("other", proto::GetCaseRequest { name: case.name.clone() })).await, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        let list = async |tenant: &str, of: &str, filter: &str| {
            let message = proto::ListCasesRequest { party: of.to_owned(), filter: filter.to_owned(), ..proto::ListCasesRequest::default() };
            cases.list_cases(request(tenant, message)).await.unwrap().into_inner().cases.len()
        };
        assert_eq!(list("acme", "", "").await, 1);
        assert_eq!(list("acme", &party(1), r#"status == "closed" && priority != "urgent""#).await, 1);
        assert_eq!(list("acme", &party(1), r#"status in ["new", "waiting"]"#).await, 0);
        assert_eq!(list("acme", &party(2), "").await, 0);
        assert_eq!(list("other", "", "").await, 0);
        cx.store.close().await;
    }

    async fn everything_that_is_wrong_is_said_at_once(place: StorePlace) {
        let cx = context(&place).await;
        let api = Interactions::new(cx.clone(), InteractionOptions::default());
        let interaction = proto::Interaction {
            kind: "BAD".to_owned(),
            channel: Some(proto::Channel { medium: 99, online: None }),
            direction: 0,
            participants: vec![
                proto::Participant::default(),
                proto::Participant { party: "parties/7".to_owned(), ..by_tel("a\u{0}b") },
            ],
            topics: vec!["a".to_owned(), "a".to_owned()],
            subject_line: "two\nlines".to_owned(),
            body: "x".repeat(20_001),
            valence: Some(proto::Valence { value: f64::NAN, method: 0, confidence: Some(f64::INFINITY) }),
            effort: Some(8),
            amount: Some(proto::Amount { kind: 1, money: Some(rapport_proto::types::v1::Money { units: -1, nanos: 0, currency_code: "EUR".to_owned() }) }),
            occurred_time: Some(prost_types::Timestamp { seconds: 33_000_000_000, nanos: 0 }),
            ..proto::Interaction::default()
        };
        let message = proto::RecordInteractionRequest { interaction: Some(interaction), request_id: "no".to_owned() };
        let refused = api.record_interaction(request("acme", message)).await;
        let status = assert_reason!(refused, Code::InvalidArgument, reason::INVALID_FIELDS);
        assert_eq!(violated_fields(&status), [
            "interaction.amount.money",
            "interaction.body",
            "interaction.channel.medium",
            "interaction.direction",
            "interaction.effort",
            "interaction.kind",
            "interaction.occurred_time",
            "interaction.participants[0].function",
            "interaction.participants[0].party",
            "interaction.participants[1].identifier_used.value",
            "interaction.participants[1].party",
            "interaction.subject_line",
            "interaction.topics[1]",
            "interaction.valence.confidence",
            "interaction.valence.method",
            "interaction.valence.value",
            "request_id",
        ]);
        let bare = api.record_interaction(request("acme", proto::RecordInteractionRequest::default())).await;
        assert_reason!(bare, Code::InvalidArgument, reason::INVALID_FIELDS);
        cx.store.close().await;
    }
}
