//! What an agent is told again and again: kept as it is sent, and told no longer once anything of it is otherwise, whichever
//! service it happens in. Nobody says what they have seen: whoever does is not told it again from memory.

use std::time::{Duration, Instant};

use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::*;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_testkit::sandbox::SandboxBuilder;
use stakeholders::{ConsentState, UpdatePartyRequest};

use super::desk::{consent, context_of};
use super::messages::{after, by_party, contact, now, person, record};
use super::relationships::{made, tie};
use super::stage::{ACME, Positions, READER, Stage};

/// How soon something shows, on a machine that does other things besides; what is kept stays for longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often in a row it is told, so that it is told from memory the last time.
const TIMES: usize = 4;

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn what_is_told_again_follows_what_happens(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        let known = stage.party(person("Told Again")).await;
        let other = stage.party(person("Somebody Near")).await;
        let name = known.name.as_str();
        again_and_again(&stage, name).await;

        let rename = UpdatePartyRequest {
            party: Some(stakeholders::Party { display_name: "Told Anew".into(), ..known.clone() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".into()] }),
            ..Default::default()
        };
        stage.parties(ACME).update_party(rename).await.expect("renamed");
        follows(&stage, name, "a name", |context| of(&context.card).display_name == "Told Anew").await;

        for kind in ["inquiry", "complaint"] {
            let fact = record(contact(kind, by_party(name), after(now(), -60)));
            stage.interactions(ACME).record_interaction(fact).await.expect("recorded");
            follows(&stage, name, kind, |context| of(&context.history).interactions.iter().any(|one| one.kind == kind)).await;
        }
        let scored = |context: &AgentContext| of(&context.scores).scores.iter().any(|score| score.contribution_count == 2);
        follows(&stage, name, "what was recorded, in scores", scored).await;

        let case = Case { party: name.into(), r#type: "complaint".into(), title: "late".into(), ..Default::default() };
        let request = OpenCaseRequest { case: Some(case), ..Default::default() };
        stage.cases(ACME).open_case(request).await.expect("opened");
        let opened = follows(&stage, name, "a case", |context| !of(&context.cases).cases.is_empty()).await;
        assert_eq!(opened.next_best_action.map(|advice| advice.action()), Some(ActionKind::SolveComplaint));

        consent(&stage, name, "service", ConsentState::Withdrawn).await;
        let refused = |context: &AgentContext| {
            context.warnings.iter().any(|warning| warning.kind() == WarningKind::NoServiceConsent)
        };
        follows(&stage, name, "a consent", refused).await;

        // Nobody tells of it: it is due when it is due.
        let promise = Commitment {
            party: name.into(),
            side: CommitmentSide::Ours.into(),
            promise: "a call".into(),
            made_time: Some(after(now(), -60)),
            due_time: Some(after(now(), 4)),
            ..Default::default()
        };
        let request = MakeCommitmentRequest { commitment: Some(promise), ..Default::default() };
        stage.commitments(ACME).make_commitment(request).await.expect("made");
        follows(&stage, name, "a promise", |context| !of(&context.promises).commitments.is_empty()).await;
        follows(&stage, name, "a late promise", |context| of(&context.promises).commitments.iter().any(|one| one.late)).await;

        // Another caller is told what they may read, and this one goes on as before.
        let request = GetAgentContextRequest { about: Some(About::Party(name.into())), budget_ms: 5_000, ..Default::default() };
        let foreign = stage.desk(READER).get_agent_context(request).await.expect("a context").into_inner();
        assert_eq!(of(&foreign.card).display_name, "Told Anew");
        again_and_again(&stage, name).await;

        made(&stage, tie("knows", &known, &other)).await;
        follows(&stage, name, "a tie", |context| of(&context.network).looked_at == 1).await;
        stage.close().await;
    }
}

fn of<T>(section: &Option<T>) -> &T {
    section.as_ref().expect("every section is there")
}

async fn told(stage: &Stage, party: &str) -> AgentContext {
    context_of(stage, About::Party(party.to_owned()), &Positions::new()).await
}

/// Tells it until nothing of it is missing any more, and some times more.
async fn again_and_again(stage: &Stage, party: &str) {
    let (started, mut calm) = (Instant::now(), 0);
    while calm < TIMES {
        let context = told(stage, party).await;
        let late = |status: &SectionStatus| matches!(status.state(), SectionState::Pending | SectionState::Stale);
        calm = if context.statuses().any(|(_, status)| late(status)) { 0 } else { calm + 1 };
        assert!(started.elapsed() < PATIENCE, "{party} is never known in full: {context:?}");
    }
}

/// What happened is told before long, though it was told again and again how it was before.
async fn follows(stage: &Stage, party: &str, what: &str, shows: impl Fn(&AgentContext) -> bool) -> AgentContext {
    let started = Instant::now();
    let told = loop {
        let context = told(stage, party).await;
        if shows(&context) {
            break context;
        }
        assert!(started.elapsed() < PATIENCE, "{what} does not show: {context:?}");
    };
    again_and_again(stage, party).await;
    told
}
