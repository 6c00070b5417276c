//! Promises that were made in an interaction which turns out to be somebody else's, and cases that say that they followed one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::case_service_server::CaseService;
use rapport_proto::interactions::v1::commitment_service_server::CommitmentService;
use rapport_proto::interactions::v1::interaction_service_server::InteractionService;
use rapport_rpc::wire;
use rapport_testkit::each_store;
use rapport_testkit::place::StorePlace;
use rapport_types::Uuid;

use super::conversation_tests::{Line, NUMBER, ending, leg};
use super::{Cases, Commitments};
use crate::events::{holder, learn};
use crate::fixture::{by_party, by_tel, complaint, erase, party, request};

impl Line {
    fn commitments(&self) -> Commitments {
        Commitments::new(self.cx.clone())
    }

    /// A promise of ours in an interaction.
    async fn promised(&self, interaction: &str, to: proto::Commitment) -> proto::Commitment {
        let due = self.cx.world.now().saturating_add(std::time::Duration::from_secs(3_600));
        let commitment = proto::Commitment {
            side: proto::CommitmentSide::Ours.into(),
            promise: "a new vase".to_owned(),
            interaction: interaction.to_owned(),
            due_time: Some(wire::to_timestamp(due)),
            ..to
        };
        let message = proto::MakeCommitmentRequest { commitment: Some(commitment), ..Default::default() };
        self.commitments().make_commitment(request("acme", message)).await.unwrap().into_inner()
    }

    async fn promise(&self, name: &str) -> proto::Commitment {
        let message = proto::GetCommitmentRequest { name: name.to_owned() };
        self.commitments().get_commitment(request("acme", message)).await.unwrap().into_inner()
    }

    /// The names of what is promised to a party.
    async fn promises(&self, id: u128) -> Vec<String> {
        let message = proto::ListCommitmentsRequest { party: party(id), ..Default::default() };
        let page = self.commitments().list_commitments(request("acme", message)).await.unwrap().into_inner();
        let mut names: Vec<String> = page.commitments.into_iter().map(|one| one.name).collect();
        names.sort();
        names
    }

    async fn wrong(&self, interaction: &str, really: Option<u128>) -> proto::Interaction {
        let message = proto::ReassignInteractionRequest {
            name: interaction.to_owned(),
            party: really.map(party).unwrap_or_default(),
            undo: really.is_none(),
            reason: "wrong-party".to_owned(),
            ..Default::default()
        };
        self.api.reassign_interaction(request("acme", message)).await.unwrap().into_inner()
    }

    async fn recorded(&self, interaction: proto::Interaction) -> String {
        let message = proto::RecordInteractionRequest { interaction: Some(interaction), request_id: String::new() };
        self.api.record_interaction(request("acme", message)).await.unwrap().into_inner().name
    }
}

fn to(id: u128) -> proto::Commitment {
    proto::Commitment { party: party(id), ..proto::Commitment::default() }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

each_store! {
    async fn what_was_promised_goes_to_whom_it_was_promised_and_back(place: StorePlace) {
        let line = Line::open(&place).await;
        learn(&line.cx, &[holder(1, &[(NUMBER, false)])]).await;
        let talk = line.recorded(complaint(by_tel(NUMBER), 0)).await;
        let elsewhere = line.recorded(complaint(by_party(1), 0)).await;
        // To them by name, and by the number that they called from; to somebody else; and to them in another interaction.
        let named = line.promised(&talk, to(1)).await;
        let number = proto::Identifier { scheme: "tel".to_owned(), value: NUMBER.to_owned() };
        let by_number = proto::Commitment { identifier_used: Some(number), ..proto::Commitment::default() };
        let by_number = line.promised(&talk, by_number).await;
        assert_ne!(by_number.origin, named.origin);
        let other = line.promised(&talk, to(9)).await;
        let apart = line.promised(&elsewhere, to(1)).await;
        let both = sorted(vec![named.name.clone(), by_number.name.clone()]);

        line.wrong(&talk, Some(2)).await;
        assert_eq!(line.promises(2).await, both);
        assert_eq!((line.promises(1).await, line.promises(9).await), (vec![apart.name.clone()], vec![other.name.clone()]));
        let moved = line.promise(&by_number.name).await;
        assert_eq!((moved.promise.as_str(), moved.party.as_str(), moved.origin), ("a new vase", party(2).as_str(), Uuid::from_u128(2).to_string()));
        assert_eq!(moved.identifier_used, by_number.identifier_used);
        assert_ne!(moved.etag, by_number.etag);
        let told = line.published::<proto::CommitmentReassigned>().await;
        let whose: Vec<(&str, i64)> = told.iter().map(|one| (one.party.as_str(), one.version)).collect();
        assert_eq!(whose, [(party(2).as_str(), 2), (party(2).as_str(), 2)]);
        assert_eq!(
            sorted(told.iter().map(|one| one.previous_origin.clone()).collect()),
            sorted(vec![named.origin.clone(), by_number.origin.clone()])
        );
        // Asked for again, nothing more happens.
        line.wrong(&talk, Some(2)).await;
        assert_eq!(line.published::<proto::CommitmentReassigned>().await.len(), 2);

        // It ends while it is theirs, goes on to a third, and back to whom it came by: what was said of its end stays readable.
        let kept = proto::FulfilCommitmentRequest { name: named.name.clone(), note: "sent".to_owned(), ..Default::default() };
        line.commitments().fulfil_commitment(request("acme", kept)).await.unwrap();
        line.wrong(&talk, Some(3)).await;
        assert_eq!((line.promises(3).await, line.promises(2).await.len()), (both.clone(), 0));
        assert_eq!(line.promise(&named.name).await.end_note, "sent");
        line.wrong(&talk, None).await;
        assert_eq!(line.promises(1).await, sorted([both.clone(), vec![apart.name]].concat()));
        for (before, state) in [(named, proto::CommitmentState::Kept), (by_number, proto::CommitmentState::Open)] {
            let now = line.promise(&before.name).await;
            assert_eq!((now.origin.as_str(), now.party.as_str(), now.state()), (before.origin.as_str(), party(1).as_str(), state));
            assert_eq!(now.promise, "a new vase");
        }
        // Whoever is erased is erased with what was promised to them in between.
        line.wrong(&talk, Some(4)).await;
        erase(&line.cx, "acme", Uuid::from_u128(4)).await;
        assert_eq!(line.promise(&both[0]).await.promise, "");
        line.wrong(&talk, None).await;
        let nobody = line.promise(&both[0]).await;
        assert_eq!((nobody.promise.as_str(), nobody.end_note.as_str(), nobody.party.as_str()), ("", "", party(1).as_str()));
        assert_eq!(line.promise(&other.name).await, other);
        line.cx.store.close().await;
    }

    async fn who_goes_on_to_take_part_keeps_what_was_promised(place: StorePlace) {
        let line = Line::open(&place).await;
        let about = |id| proto::Participant { function: proto::Function::Subject.into(), ..by_party(id) };
        let participants = vec![by_party(1), about(1), about(5)];
        let talk = line.recorded(proto::Interaction { participants, ..complaint(by_party(1), 0) }).await;
        let first = line.promised(&talk, to(1)).await;
        line.wrong(&talk, Some(5)).await;
        // The first takes part still, as whom it was about.
        assert_eq!((line.promises(1).await, line.promises(5).await.len()), (vec![first.name.clone()], 0));
        let fifth = line.promised(&talk, to(5)).await;
        line.wrong(&talk, None).await;
        assert_eq!((line.promises(1).await, line.promises(5).await), (vec![first.name], vec![fifth.name]));
        line.cx.store.close().await;
    }

    async fn a_case_says_that_it_followed_a_call_and_the_promises_follow_too(place: StorePlace) {
        let line = Line::open(&place).await;
        learn(&line.cx, &[holder(1, &[(NUMBER, false)])]).await;
        let case = proto::CallCase { r#type: "complaint".to_owned(), title: "Broken vase".to_owned(), ..Default::default() };
        let call = line.end(proto::EndCallRequest { open_case: Some(case), ..ending(leg("1", "a", NUMBER), 100) }).await;
        let promise = line.promised(&call.interaction, to(1)).await;
        let history = async || -> Vec<proto::CaseEvent> {
            let message = proto::ListCaseEventsRequest { case: call.case.clone(), ..Default::default() };
            Cases::new(line.cx.clone()).list_case_events(request("acme", message)).await.unwrap().into_inner().case_events
        };
        line.wrong(&call.interaction, Some(2)).await;
        assert_eq!(line.promises(2).await, std::slice::from_ref(&promise.name));
        line.wrong(&call.interaction, None).await;
        assert_eq!(line.promises(1).await, [promise.name]);
        let steps = history().await;
        use proto::CaseEventKind::{Opened, Reassigned};
        assert_eq!(steps.iter().map(|step| step.kind()).collect::<Vec<_>>(), [Opened, Reassigned, Reassigned]);
        let whose: Vec<&str> = steps.iter().map(|step| step.party.as_str()).collect();
        // The last one by its number, which is theirs.
        assert_eq!(whose, ["", party(2).as_str(), party(1).as_str()]);
        for step in &steps[1..] {
            assert_eq!((&step.interaction, step.from, step.to), (&call.interaction, steps[0].to, steps[0].to));
            assert!(!step.principal.is_empty() && step.recorded_time.is_some() && step.assignee.is_none());
        }
        assert!(steps.is_sorted_by_key(|step| step.version));
        // A version of the case that its history tells of is the one that was told to others.
        let told: Vec<i64> = line.published::<proto::CaseReassigned>().await.iter().map(|one| one.version).collect();
        assert_eq!(told, steps[1..].iter().map(|step| step.version).collect::<Vec<_>>());
        line.cx.store.close().await;
    }
}
