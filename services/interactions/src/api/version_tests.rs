#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use prost_types::FieldMask;
use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::interaction_service_server::InteractionService;
use rapport_server::Context;
use rapport_store::Sql;
use rapport_testkit::place::StorePlace;
use rapport_testkit::{Code, assert_reason, each_store};
use rapport_types::{Uuid, reason};

use super::Interactions;
use crate::fixture::{by_party, by_tel, complaint, context, erase, order, party, request, request_id};
use crate::options::InteractionOptions;

struct House {
    cx: Context,
    api: Interactions,
}

impl House {
    async fn open(place: &StorePlace) -> House {
        let cx = context(place).await;
        House { api: Interactions::new(cx.clone(), InteractionOptions::default()), cx }
    }

    async fn record(&self, interaction: proto::Interaction) -> proto::Interaction {
        let message = proto::RecordInteractionRequest { interaction: Some(interaction), request_id: String::new() };
        self.api.record_interaction(request("acme", message)).await.unwrap().into_inner()
    }

    async fn amend(&self, message: proto::AmendInteractionRequest) -> Result<proto::Interaction, tonic::Status> {
        self.api.amend_interaction(request("acme", message)).await.map(tonic::Response::into_inner)
    }

    async fn retract(&self, name: &str) -> Result<proto::Interaction, tonic::Status> {
        let message = proto::RetractInteractionRequest {
            name: name.to_owned(),
            reason: "entered-twice".to_owned(),
            ..proto::RetractInteractionRequest::default()
        };
        self.api.retract_interaction(request("acme", message)).await.map(tonic::Response::into_inner)
    }

    async fn get(&self, name: &str, version: i64) -> Result<proto::Interaction, tonic::Status> {
        let message = proto::GetInteractionRequest { name: name.to_owned(), version };
        self.api.get_interaction(request("acme", message)).await.map(tonic::Response::into_inner)
    }

    /// What stands on the timeline of party 1: when it occurred, its version, newest first.
    async fn timeline(&self, message: proto::GetTimelineRequest) -> Vec<(i64, i64)> {
        let message = proto::GetTimelineRequest { party: party(1), ..message };
        let page = self.api.get_timeline(request("acme", message)).await.unwrap().into_inner();
        let seconds = |one: &proto::Interaction| one.occurred_time.as_ref().unwrap().seconds - 1_700_000_000;
        page.interactions.iter().map(|one| (seconds(one), one.version)).collect()
    }
}

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: 1_700_000_000 + seconds, nanos: 0 })
}

fn amend(interaction: proto::Interaction, paths: &[&str]) -> proto::AmendInteractionRequest {
    proto::AmendInteractionRequest {
        interaction: Some(interaction),
        update_mask: Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
        reason: "corrected".to_owned(),
        ..proto::AmendInteractionRequest::default()
    }
}

/// The moment right after an interaction was recorded, as it is asked about.
fn known(one: &proto::Interaction) -> proto::GetTimelineRequest {
    proto::GetTimelineRequest { as_known_at: one.recorded_time, ..proto::GetTimelineRequest::default() }
}

each_store! {
    async fn an_amendment_changes_what_it_names_and_nothing_else(place: StorePlace) {
        let house = House::open(&place).await;
        let first = house.record(complaint(by_party(1), 0)).await;
        let wanted = proto::Interaction {
            name: first.name.clone(),
            valence: Some(proto::Valence { value: 0.5, method: proto::ValenceMethod::Agent.into(), confidence: Some(0.5) }),
            effort: Some(1),
            body: "It was whole.".to_owned(),
            // Not named: not looked at.
            kind: "A KIND THAT IS WRONG".to_owned(),
            ..proto::Interaction::default()
        };
        let second = house.amend(amend(wanted.clone(), &["valence", "body"])).await.unwrap();
        let expected = proto::Interaction {
            version: 2,
            valence: wanted.valence,
            body: wanted.body.clone(),
            etag: second.etag.clone(),
            version_reason: "corrected".to_owned(),
            recorded_time: second.recorded_time,
            ..first.clone()
        };
        assert_eq!(second, expected);
        assert_ne!(second.etag, first.etag);
        assert_eq!(house.get(&first.name, 0).await.unwrap(), second);
        assert_eq!(house.get(&first.name, 2).await.unwrap(), second);
        // The version before stays as it was, texts and all.
        assert_eq!(house.get(&first.name, 1).await.unwrap(), first);
        assert_reason!(house.get(&first.name, 3).await, Code::NotFound, reason::RESOURCE_NOT_FOUND);

        // Everything that may be cleared, cleared; where it comes from, said anew.
        let mut all = amend(proto::Interaction { kind: "call".to_owned(), ..proto::Interaction {
            name: first.name.clone(), channel: Some(proto::Channel { medium: proto::Medium::Chat.into(), online: None }),
            direction: proto::Direction::Mutual.into(), occurred_time: at(60), ..proto::Interaction::default()
        } }, &["*"]);
        all.provenance = Some(rapport_proto::types::v1::Provenance {
            source_system: "desk".to_owned(), actor: "maria".to_owned(), ..Default::default()
        });
        let third = house.amend(all.clone()).await.unwrap();
        assert_eq!((third.version, third.kind.as_str(), third.direction()), (3, "call", proto::Direction::Mutual));
        assert_eq!((third.valence, third.effort, third.amount.clone()), (None, None, None));
        assert_eq!((third.subject_line.as_str(), third.body.as_str(), third.topics.len()), ("", "", 0));
        assert_eq!((third.channel.unwrap().online, third.occurred_time), (Some(true), at(60)));
        assert_eq!((&third.provenance, &third.participants), (&all.provenance, &first.participants));
        let amount = order(by_party(1), 0, 7).amount;
        let fourth = house
            .amend(amend(proto::Interaction { name: first.name.clone(), amount: amount.clone(), ..Default::default() }, &["amount"]))
            .await
            .unwrap();
        assert_eq!((fourth.amount, fourth.provenance, fourth.version), (amount, third.provenance, 4));
        house.cx.store.close().await;
    }

    async fn the_timeline_follows_and_remembers_what_was_known(place: StorePlace) {
        let house = House::open(&place).await;
        let first = house.record(complaint(by_tel("+351912345678"), 10)).await;
        // Under an origin of its own, which is no party's; the others are the party's.
        let one = house.record(complaint(by_party(1), 10)).await;
        let two = house.record(complaint(by_party(1), 20)).await;
        let all = proto::GetTimelineRequest::default();
        assert_eq!(house.timeline(all.clone()).await, [(20, 1), (10, 1)]);
        let moved = proto::Interaction { name: one.name.clone(), occurred_time: at(30), ..Default::default() };
        let moved = house.amend(amend(moved, &["occurred_time"])).await.unwrap();
        assert_eq!(house.timeline(all.clone()).await, [(30, 2), (20, 1)]);
        let gone = house.retract(&two.name).await.unwrap();
        assert_eq!((gone.version, gone.retracted_time, gone.version_reason.as_str()), (2, gone.recorded_time, "entered-twice"));
        assert_eq!(house.timeline(all.clone()).await, [(30, 2)]);
        let with = proto::GetTimelineRequest { include_retracted: true, ..all.clone() };
        assert_eq!(house.timeline(with.clone()).await, [(30, 2), (20, 2)]);
        // As it was known right after each of these.
        assert_eq!(house.timeline(known(&first)).await, []);
        assert_eq!(house.timeline(known(&one)).await, [(10, 1)]);
        assert_eq!(house.timeline(known(&two)).await, [(20, 1), (10, 1)]);
        assert_eq!(house.timeline(known(&moved)).await, [(30, 2), (20, 1)]);
        assert_eq!(house.timeline(known(&gone)).await, [(30, 2)]);
        // Pages of one, in what was known then.
        let mut page = proto::GetTimelineRequest { page_size: 1, party: party(1), ..known(&two) };
        let mut seen = Vec::new();
        loop {
            let answer = house.api.get_timeline(request("acme", page.clone())).await.unwrap().into_inner();
            seen.extend(answer.interactions.iter().map(|one| one.name.clone()));
            page.page_token = answer.next_page_token;
            if page.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, [two.name.clone(), one.name.clone()]);
        let kind = |kind: &str| proto::GetTimelineRequest { filter: format!("kind == \"{kind}\""), ..known(&two) };
        assert_eq!(house.timeline(kind("complaint")).await, [(20, 1), (10, 1)]);
        assert_eq!(house.timeline(kind("praise")).await, []);
        house.cx.store.close().await;
    }

    async fn what_cannot_be_is_refused(place: StorePlace) {
        let house = House::open(&place).await;
        let made = house.record(complaint(by_party(1), 0)).await;
        let named = proto::Interaction { name: made.name.clone(), kind: "call".to_owned(), ..Default::default() };
        let stale = proto::Interaction { etag: "AAAAAAAAAAc".to_owned(), ..named.clone() };
        assert_reason!(house.amend(amend(stale, &["kind"])).await, Code::Aborted, reason::ETAG_MISMATCH);
        let fresh = proto::Interaction { etag: made.etag.clone(), ..named.clone() };
        let mut again = amend(fresh, &["kind"]);
        again.request_id = request_id(7);
        let amended = house.amend(again.clone()).await.unwrap();
        assert_eq!(house.amend(again.clone()).await.unwrap(), amended, "the same request");
        again.reason = "other".to_owned();
        assert_reason!(house.amend(again).await, Code::AlreadyExists, reason::REQUEST_ID_REUSED);

        let nobody = proto::Interaction { name: format!("interactions/{}", Uuid::from_u128(5)), ..named.clone() };
        assert_reason!(house.amend(amend(nobody.clone(), &["kind"])).await, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        assert_reason!(house.retract(&nobody.name).await, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        let foreign = proto::AmendInteractionRequest { ..amend(named.clone(), &["kind"]) };
        let foreign = house.api.amend_interaction(request("other", foreign)).await;
        assert_reason!(foreign, Code::NotFound, reason::RESOURCE_NOT_FOUND);

        house.retract(&made.name).await.unwrap();
        assert_reason!(house.retract(&made.name).await, Code::FailedPrecondition, reason::INVALID_TRANSITION);
        assert_reason!(house.amend(amend(named, &["kind"])).await, Code::FailedPrecondition, reason::INVALID_TRANSITION);
        house.cx.store.close().await;
    }

    async fn erased_stays_erased_and_the_rest_can_be_put_right(place: StorePlace) {
        let house = House::open(&place).await;
        let made = house.record(complaint(by_party(1), 0)).await;
        erase(&house.cx, "acme", Uuid::from_u128(1)).await;
        let wanted = proto::Interaction { name: made.name.clone(), body: "It came back.".to_owned(), ..Default::default() };
        assert_reason!(house.amend(amend(wanted, &["body"])).await, Code::FailedPrecondition, reason::ERASED);
        let bare = proto::Interaction { name: made.name.clone(), ..Default::default() };
        let amended = house.amend(amend(bare, &["valence", "body"])).await.unwrap();
        assert_eq!((amended.version, amended.valence, amended.body.as_str()), (2, None, ""));
        let before = house.get(&made.name, 1).await.unwrap();
        assert_eq!((before.valence, before.body.as_str()), (made.valence, ""), "erased in every version");
        house.cx.store.close().await;
    }

    async fn many_changes_of_one_interaction_in_one_batch_are_all_kept(place: StorePlace) {
        let house = House::open(&place).await;
        let made = house.record(complaint(by_party(1), 0)).await;
        let changes = (1..=20).map(|second| {
            let moved = proto::Interaction { name: made.name.clone(), occurred_time: at(second), ..Default::default() };
            house.amend(amend(moved, &["occurred_time"]))
        });
        let mut told = Vec::new();
        for amended in futures::future::join_all(changes).await {
            told.push(amended.unwrap());
        }
        told.sort_by_key(|one| one.version);
        assert_eq!(told.iter().map(|one| one.version).collect::<Vec<_>>(), (2..=21).collect::<Vec<_>>());
        for one in &told {
            assert_eq!(house.get(&made.name, one.version).await.unwrap(), *one);
        }
        let last = told.last().unwrap();
        let stands = last.occurred_time.as_ref().unwrap().seconds - 1_700_000_000;
        assert_eq!(house.timeline(proto::GetTimelineRequest::default()).await, [(stands, 21)]);
        let db = house.cx.store.reader();
        let count = |table: &str| {
            let sql = Sql::new(db, &format!("SELECT COUNT(*) FROM {table}"));
            async move { sql.one(db).await.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap() }
        };
        assert_eq!(count("interaction").await, 1);
        assert_eq!(count("interaction_participant").await, 1);
        assert_eq!((count("interaction_version").await, count("participant_version").await), (20, 20));
        house.cx.store.close().await;
    }
}
