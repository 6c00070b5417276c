//! What the projection keeps of the own tables is what the tables say, whatever happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::case_service_server::CaseService;
use rapport_proto::interactions::v1::commitment_service_server::CommitmentService;
use rapport_proto::interactions::v1::interaction_service_server::InteractionService;
use rapport_rpc::wire;
use rapport_server::Context;
use rapport_testkit::clock::manual;
use rapport_testkit::each_store;
use rapport_testkit::place::StorePlace;
use rapport_types::Uuid;

use super::context::{About, Book};
use super::own::Own;
use super::{Cases, Commitments, Interactions};
use crate::domain::Medium;
use crate::events::{holder, learn};
use crate::fixture::{Keep, by_party, by_tel, call, complaint, context_at, erase, keep, order, party, request, tenant};
use crate::options::InteractionOptions;
use crate::store::section_held;
use crate::workers::{Memory, fall_due, follow_own};

const NUMBER: &str = "+351912345678";
const PARTIES: u128 = 3;

/// Numbers that look like chance, the same every time.
struct Chance(u64);

impl Chance {
    fn of(&mut self, many: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % many
    }
}

/// What has happened so far.
struct Past {
    cx: Context,
    chance: Chance,
    interactions: Vec<String>,
    cases: Vec<String>,
    promises: Vec<String>,
    seconds: i64,
}

impl Past {
    fn participant(&mut self) -> proto::Participant {
        match self.chance.of(4) {
            0 => by_tel(NUMBER),
            id => by_party(u128::try_from(id).unwrap()),
        }
    }

    /// Something happens. What the rules refuse is as if it had not.
    async fn go_on(&mut self) {
        let api = Interactions::new(self.cx.clone(), InteractionOptions::default());
        let (cases, promises) = (Cases::new(self.cx.clone()), Commitments::new(self.cx.clone()));
        self.seconds += 1;
        let some = self.chance.of(97);
        let one = |names: &[String]| names.get(some % names.len().max(1)).cloned().unwrap_or_default();
        let (name, case, promise) = (one(&self.interactions), one(&self.cases), one(&self.promises));
        match self.chance.of(11) {
            0 | 1 => {
                let mut interaction = complaint(self.participant(), self.seconds);
                if some.is_multiple_of(3) {
                    interaction = order(self.participant(), -self.seconds, 12);
                }
                if some.is_multiple_of(5) {
                    interaction.participants.push(self.participant());
                }
                let message = proto::RecordInteractionRequest { interaction: Some(interaction), ..Default::default() };
                if let Ok(recorded) = api.record_interaction(request("acme", message)).await {
                    self.interactions.push(recorded.into_inner().name);
                }
            }
            2 => {
                let interaction =
                    proto::Interaction { name, subject_line: format!("Line {some}"), ..Default::default() };
                let mask = prost_types::FieldMask { paths: vec!["subject_line".to_owned()] };
                let message = proto::AmendInteractionRequest {
                    interaction: Some(interaction),
                    update_mask: Some(mask),
                    reason: "corrected".to_owned(),
                    ..Default::default()
                };
                let _ = api.amend_interaction(request("acme", message)).await;
            }
            3 if some.is_multiple_of(3) => {
                let message =
                    proto::RetractInteractionRequest { name, reason: "mistake".to_owned(), ..Default::default() };
                let _ = api.retract_interaction(request("acme", message)).await;
            }
            3 | 4 => {
                let to = self.chance.of(usize::try_from(PARTIES).unwrap()) + 1;
                let message = proto::ReassignInteractionRequest {
                    name,
                    party: party(u128::try_from(to).unwrap()),
                    reason: "wrong-party".to_owned(),
                    ..Default::default()
                };
                let _ = api.reassign_interaction(request("acme", message)).await;
            }
            5 => {
                let case = proto::Case {
                    party: party(u128::try_from(some % 3 + 1).unwrap()),
                    r#type: "complaint".to_owned(),
                    title: format!("Case {some}"),
                    interactions: if some.is_multiple_of(2) {
                        self.interactions.last().cloned().into_iter().collect()
                    } else {
                        Vec::new()
                    },
                    ..proto::Case::default()
                };
                let message = proto::OpenCaseRequest { case: Some(case), ..Default::default() };
                if let Ok(opened) = cases.open_case(request("acme", message)).await {
                    self.cases.push(opened.into_inner().name);
                }
            }
            6 => {
                let status =
                    [proto::CaseStatus::InProgress, proto::CaseStatus::Waiting, proto::CaseStatus::Resolved][some % 3];
                let message = proto::TransitionCaseRequest { name: case, status: status.into(), ..Default::default() };
                let _ = cases.transition_case(request("acme", message)).await;
            }
            7 => {
                let assignee = proto::Assignee { to: Some(proto::assignee::To::Team(format!("team-{some}"))) };
                let message = proto::AssignCaseRequest { name: case, assignee: Some(assignee), ..Default::default() };
                let _ = cases.assign_case(request("acme", message)).await;
            }
            8 => {
                let due = self.cx.world.now().saturating_add(Duration::from_secs(60 * u64::try_from(some).unwrap()));
                let commitment = proto::Commitment {
                    party: party(u128::try_from(some % 3 + 1).unwrap()),
                    side: proto::CommitmentSide::Ours.into(),
                    promise: "a new vase".to_owned(),
                    due_time: Some(wire::to_timestamp(due)),
                    ..proto::Commitment::default()
                };
                let message = proto::MakeCommitmentRequest { commitment: Some(commitment), ..Default::default() };
                if let Ok(made) = promises.make_commitment(request("acme", message)).await {
                    self.promises.push(made.into_inner().name);
                }
            }
            9 if some.is_multiple_of(3) => {
                let message = proto::FulfilCommitmentRequest { name: promise, ..Default::default() };
                let _ = promises.fulfil_commitment(request("acme", message)).await;
            }
            9 => {
                fall_due(&self.cx.store).await.unwrap();
            }
            _ => {
                let numbers = [(NUMBER, false)];
                let held = if some.is_multiple_of(2) { &numbers[..] } else { &[] };
                learn(&self.cx, &[holder(u128::try_from(some % 3 + 1).unwrap(), held)]).await;
            }
        }
    }
}

/// What is said, whenever and up to wherever it was said.
fn said(own: Own) -> (proto::HistorySection, proto::CaseSection, proto::CommitmentSection) {
    let Own { mut history, mut cases, mut promises, .. } = own;
    for status in [&mut history.status, &mut cases.status, &mut promises.status].into_iter().flatten() {
        assert_eq!(status.state(), proto::SectionState::Fresh, "{}", status.reason);
        (status.position, status.as_of_time) = (0, None);
    }
    (history, cases, promises)
}

each_store! {
    async fn what_is_kept_is_what_the_tables_say(place: StorePlace) {
        let (world, clock) = manual();
        let cx = context_at(&place, &world).await;
        let memory = Memory::default();
        let follower = tokio::spawn({
            let (cx, touched) = (cx.clone(), memory.touched.clone());
            async move { follow_own(&cx, &touched).await }
        });
        let (call, nothing) = (call("acme"), Memory::default());
        let about = |id: u128, memory| About {
            cx: &cx, memory, call: &call, at_least: None, party: Some(Uuid::from_u128(id)), medium: Medium::Phone,
            purposes: &[], until: Instant::now() + Duration::from_secs(60),
        };
        let mut past = Past {
            cx: cx.clone(), chance: Chance(7), interactions: Vec::new(), cases: Vec::new(), promises: Vec::new(), seconds: 0,
        };
        let (mut served, mut read, mut changed) = (0, 0, 0);
        let mut last = std::collections::HashMap::new();
        let book = async |id: u128| section_held(&cx.store, &tenant("acme"), &[Uuid::from_u128(id)], None).await.unwrap();
        // The follower has to be there: until then nothing that is kept is served.
        while memory.touched.reach(0, Instant::now() + Duration::from_secs(60)).await.is_none() {
            tokio::task::yield_now().await;
        }
        for step in 0..120 {
            past.go_on().await;
            clock.advance(Duration::from_secs(45));
            let id = u128::try_from(step % 3).unwrap() + 1;
            // Twice: what was read the first time is kept for the second.
            for _ in 0..2 {
                let own = about(id, &memory).own(&book(id).await).await;
                match own.keep.clone() {
                    Some(new) => {
                        read += 1;
                        keep(&cx, Keep { sections: [new].into(), ..Keep::default() }).await;
                    }
                    None => served += 1,
                }
                let own = said(own);
                assert_eq!(own, said(about(id, &nothing).own(&Book::new()).await), "step {step}, party {id}");
                changed += usize::from(last.insert(id, own.clone()).is_some_and(|before| before != own));
            }
        }
        assert!(served > 60 && read > 30 && changed > 20, "{served} served as kept, {read} read, {changed} changes");

        // What cannot be opened any more is not served.
        let own = about(1, &memory).own(&book(1).await).await;
        let kept = own.keep.map_or_else(Keep::default, |new| Keep { sections: [new].into(), ..Keep::default() });
        keep(&cx, kept).await;
        assert!(about(1, &memory).own(&book(1).await).await.keep.is_none());
        erase(&cx, "acme", Uuid::from_u128(1)).await;
        let after = about(1, &memory).own(&book(1).await).await;
        assert!(after.history.interactions.iter().all(|one| one.participants[0].party != party(1) || one.subject_line.is_empty()));
        follower.abort();
        cx.store.close().await;
    }
}
