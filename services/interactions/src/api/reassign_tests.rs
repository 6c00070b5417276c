//! Saying who it really was, and taking it back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use futures::StreamExt;
use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::interaction_service_server::InteractionService;
use rapport_proto::interactions::v1::watch_interactions_response::Change;
use rapport_testkit::asserts::violated_fields;
use rapport_testkit::place::StorePlace;
use rapport_testkit::{Code, assert_reason, each_store};
use rapport_types::{Uuid, reason};
use tonic::{Response, Status};

use super::conversation_tests::{Line, NUMBER, ending, leg};
use crate::events::{holder, learn};
use crate::fixture::{by_party, by_tel, complaint, erase, party, request, request_id};

fn to(name: &str, id: u128) -> proto::ReassignInteractionRequest {
    proto::ReassignInteractionRequest {
        name: name.to_owned(),
        party: party(id),
        reason: "wrong-party".to_owned(),
        ..proto::ReassignInteractionRequest::default()
    }
}

fn back(name: &str) -> proto::ReassignInteractionRequest {
    proto::ReassignInteractionRequest { party: String::new(), undo: true, ..to(name, 1) }
}

impl Line {
    async fn try_reassign(
        &self,
        message: proto::ReassignInteractionRequest,
    ) -> Result<Response<proto::Interaction>, Status> {
        self.api.reassign_interaction(request("acme", message)).await
    }

    async fn reassign(&self, message: proto::ReassignInteractionRequest) -> proto::Interaction {
        self.try_reassign(message).await.unwrap().into_inner()
    }

    async fn record(&self, interaction: proto::Interaction) -> proto::Interaction {
        let message = proto::RecordInteractionRequest { interaction: Some(interaction), request_id: String::new() };
        self.api.record_interaction(request("acme", message)).await.unwrap().into_inner()
    }
}

/// All that is not of a version.
fn timeless(one: &proto::Interaction) -> proto::Interaction {
    proto::Interaction {
        version: 0,
        etag: String::new(),
        recorded_time: None,
        version_reason: String::new(),
        ..one.clone()
    }
}

each_store! {
    async fn who_watches_a_party_learns_that_something_is_no_longer_theirs(place: StorePlace) {
        let line = Line::open(&place).await;
        let watch = async |id: u128| {
            let message = proto::WatchInteractionsRequest { parties: vec![party(id)], ..Default::default() };
            line.api.watch_interactions(request("acme", message)).await.unwrap().into_inner()
        };
        let mut streams = [watch(1).await, watch(2).await];
        let one = line.record(complaint(by_party(1), 0)).await;
        line.reassign(to(&one.name, 2)).await;
        for stream in &mut streams {
            let told = loop {
                let message = tokio::time::timeout(std::time::Duration::from_secs(30), stream.next()).await.unwrap();
                if let Some(Change::Amended(told)) = message.unwrap().unwrap().change {
                    break told;
                }
            };
            assert_eq!((told.version, told.participants[0].party.as_str()), (2, party(2).as_str()));
        }
        line.cx.store.close().await;
    }

    async fn an_interaction_goes_to_whom_it_was_of_and_back(place: StorePlace) {
        let line = Line::open(&place).await;
        learn(&line.cx, &[holder(1, &[(NUMBER, false)])]).await;
        let first = line.record(complaint(by_tel(NUMBER), 0)).await;
        assert_eq!(first.participants[0].party, party(1));
        let second = line.reassign(to(&first.name, 2)).await;
        let of = &second.participants[0];
        assert_eq!((second.version, of.party.as_str(), of.attribution()), (2, party(2).as_str(), proto::Attribution::Named));
        assert_eq!(of.identifier_used, first.participants[0].identifier_used);
        assert_eq!((&second.body, &second.subject_line), (&first.body, &first.subject_line));
        assert_eq!((line.timeline(1).await.len(), line.timeline(2).await), (0, vec![first.name.clone()]));
        // The version before keeps the origin that it came by.
        assert_eq!(line.get(&first.name, 1).await, first);
        // To whom it is already: as it stands.
        let same = line.reassign(to(&first.name, 2)).await;
        assert_eq!(same, second);
        assert_eq!(line.published::<proto::InteractionAmended>().await.len(), 1);
        // On to a third, and back to the first: under the origin that it came by.
        line.reassign(to(&first.name, 3)).await;
        let restored = line.reassign(to(&first.name, 1)).await;
        assert_eq!((restored.version, timeless(&restored)), (4, timeless(&first)));
        assert_eq!(line.timeline(1).await, std::slice::from_ref(&first.name));
        line.reassign(to(&first.name, 2)).await;
        let undone = line.reassign(back(&first.name)).await;
        assert_eq!((undone.version, timeless(&undone)), (6, timeless(&first)));
        assert_eq!(line.reassign(back(&first.name)).await, undone);

        let told = line.published::<proto::InteractionAmended>().await;
        let moves: Vec<(String, String)> = told
            .iter()
            .map(|one| (one.replaced[0].party.clone(), one.after.as_ref().unwrap().participants[0].party.clone()))
            .collect();
        let step = |from: u128, to: u128| (party(from), party(to));
        assert_eq!(moves, [step(1, 2), step(2, 3), step(3, 1), step(1, 2), step(2, 1)]);
        // As it was known then.
        let then = proto::GetTimelineRequest {
            party: party(2), as_known_at: second.recorded_time, ..proto::GetTimelineRequest::default()
        };
        let then = line.api.get_timeline(request("acme", then)).await.unwrap().into_inner();
        assert_eq!(then.interactions.len(), 1);
        assert!(line.timeline(2).await.is_empty());
        line.cx.store.close().await;
    }

    async fn what_came_with_a_call_goes_with_it(place: StorePlace) {
        let line = Line::open(&place).await;
        learn(&line.cx, &[holder(1, &[(NUMBER, false)])]).await;
        let case = proto::CallCase {
            r#type: "complaint".to_owned(), title: "Broken vase".to_owned(), description: "in two".to_owned(), ..Default::default()
        };
        line.end(proto::EndCallRequest { open_case: Some(case), ..ending(leg("1", "a", NUMBER), 100) }).await;
        let before = line.end(ending(leg("1", "b", ""), 200)).await;
        assert_eq!(before.resolution.as_ref().unwrap().party, party(1));
        let first = line.one().await;
        let case = line.cases().await.remove(0);
        line.resolve(&case.name).await;

        line.reassign(to(&first.name, 2)).await;
        let moved = line.cases().await.remove(0);
        assert_eq!((moved.party.as_str(), moved.title.as_str(), moved.description.as_str()), (party(2).as_str(), "Broken vase", "in two"));
        assert_eq!(moved.identifier_used, case.identifier_used);
        assert_ne!(moved.etag, case.etag);
        assert_eq!(line.notes(&case.name).await, ["", "called back", ""]);
        for leg_name in ["a", "b"] {
            let call = line.end(ending(leg("1", leg_name, ""), 100)).await;
            let resolution = call.resolution.as_ref().unwrap();
            assert_eq!((resolution.party.as_str(), resolution.reason.as_str()), (party(2).as_str(), "the agent said so"));
            assert_eq!(line.context(&call).await.party, party(2));
        }
        let told = line.published::<proto::CaseReassigned>().await;
        assert_eq!((told.len(), told[0].party.as_str(), &told[0].previous_origin), (1, party(2).as_str(), &case.origin));
        assert_eq!((line.timeline(1).await.len(), line.timeline(2).await.len()), (0, 1));
        // A leg that comes later is with whom the conversation is with.
        let late = line.end(ending(leg("1", "c", NUMBER), 300)).await;
        assert_eq!(late.resolution.unwrap().party, party(2));
        assert_eq!(line.one().await.participants[0].party, party(2));

        line.reassign(back(&first.name)).await;
        let restored = line.cases().await.remove(0);
        assert_eq!((restored.origin.as_str(), restored.title.as_str()), (case.origin.as_str(), "Broken vase"));
        let call = line.end(ending(leg("1", "b", ""), 200)).await;
        assert_eq!((call.resolution, call.identifier_used), (before.resolution, before.identifier_used));
        let one = line.one().await;
        assert_eq!(one.participants, first.participants);
        assert_eq!(one.body, "said on a\n\nsaid on b\n\nsaid on c");
        // Whoever is erased is erased with what was theirs in between, and nothing else.
        line.reassign(to(&first.name, 2)).await;
        erase(&line.cx, "acme", Uuid::from_u128(2)).await;
        assert_eq!((line.one().await.body.as_str(), line.cases().await.remove(0).title.as_str()), ("", ""));
        let nobody = line.reassign(back(&first.name)).await;
        assert_eq!((nobody.body.as_str(), nobody.participants[0].party.as_str()), ("", party(1).as_str()));
        line.cx.store.close().await;
    }

    async fn a_stranger_and_one_who_withheld_are_named_later(place: StorePlace) {
        let line = Line::open(&place).await;
        for (call_id, number) in [("1", "+12025550100"), ("2", "")] {
            let ended = line.end(ending(leg(call_id, "a", number), 100)).await;
            line.reassign(to(&ended.interaction, 5)).await;
            let call = line.end(ending(leg(call_id, "a", ""), 100)).await;
            assert_eq!(call.resolution.unwrap().party, party(5));
            assert!(line.timeline(5).await.contains(&ended.interaction));
            line.reassign(back(&ended.interaction)).await;
            assert!(!line.timeline(5).await.contains(&ended.interaction));
            let call = line.end(ending(leg(call_id, "a", ""), 100)).await;
            assert_eq!(call.resolution, ended.resolution);
        }
        line.cx.store.close().await;
    }

    async fn one_of_several_is_reassigned(place: StorePlace) {
        let line = Line::open(&place).await;
        let agent = proto::Participant { function: proto::Function::Agent.into(), ..by_party(1) };
        let one = proto::Interaction { participants: vec![agent, by_party(2)], ..complaint(by_party(1), 0) };
        let one = line.record(one).await;
        // The other side, unless somebody says which one.
        let moved = line.reassign(to(&one.name, 3)).await;
        assert_eq!(moved.participants.iter().map(|one| one.party.clone()).collect::<Vec<_>>(), [party(1), party(3)]);
        assert_eq!(moved.body, one.body);
        let first = proto::ReassignInteractionRequest { participant: Some(0), ..to(&one.name, 4) };
        let moved = line.reassign(first).await;
        assert_eq!(moved.participants.iter().map(|one| one.party.clone()).collect::<Vec<_>>(), [party(4), party(3)]);
        assert_eq!((moved.version, &moved.body), (3, &one.body));
        let both = proto::Interaction { participants: vec![by_party(5), by_party(6)], ..complaint(by_party(1), 0) };
        let both = line.record(both).await;
        let twice = line.try_reassign(to(&both.name, 6)).await;
        let status = assert_reason!(twice, Code::InvalidArgument, reason::INVALID_FIELDS);
        assert_eq!(violated_fields(&status), ["party"]);
        let nobody = proto::ReassignInteractionRequest { participant: Some(2), ..to(&both.name, 7) };
        let status = assert_reason!(line.try_reassign(nobody).await, Code::InvalidArgument, reason::INVALID_FIELDS);
        assert_eq!(violated_fields(&status), ["participant"]);
        line.cx.store.close().await;
    }

    async fn what_cannot_be_reassigned_is_refused(place: StorePlace) {
        let line = Line::open(&place).await;
        let one = line.record(complaint(by_party(1), 0)).await;
        let unknown = format!("interactions/{}", Uuid::from_u128(77));
        assert_reason!(line.try_reassign(to(&unknown, 2)).await, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        let stale = proto::ReassignInteractionRequest { etag: "no".to_owned(), ..to(&one.name, 2) };
        assert_reason!(line.try_reassign(stale).await, Code::Aborted, reason::ETAG_MISMATCH);
        let nothing = proto::ReassignInteractionRequest { participant: Some(-1), ..Default::default() };
        let status = assert_reason!(line.try_reassign(nothing).await, Code::InvalidArgument, reason::INVALID_FIELDS);
        assert_eq!(violated_fields(&status), ["name", "participant", "party", "reason"]);
        let both = proto::ReassignInteractionRequest { undo: true, ..to(&one.name, 2) };
        let status = assert_reason!(line.try_reassign(both).await, Code::InvalidArgument, reason::INVALID_FIELDS);
        assert_eq!(violated_fields(&status), ["party"]);
        // The same request again is answered as the first time, whatever came after it.
        let once = proto::ReassignInteractionRequest { request_id: request_id(1), ..to(&one.name, 2) };
        let second = line.reassign(once.clone()).await;
        line.reassign(to(&one.name, 3)).await;
        assert_eq!(line.reassign(once).await, second);
        erase(&line.cx, "acme", Uuid::from_u128(9)).await;
        assert_reason!(line.try_reassign(to(&one.name, 9)).await, Code::FailedPrecondition, reason::ERASED);
        let message = proto::RetractInteractionRequest {
            name: one.name.clone(), reason: "test-data".to_owned(), ..proto::RetractInteractionRequest::default()
        };
        line.api.retract_interaction(request("acme", message)).await.unwrap();
        assert_reason!(line.try_reassign(to(&one.name, 4)).await, Code::FailedPrecondition, reason::INVALID_TRANSITION);
        line.cx.store.close().await;
    }
}
