//! `rapport rebuild desk`, as an operator runs it on a server that is stopped: what agents are told of everybody afterwards is
//! what they were told before, and holds as much of every feed, but for how old it is.

use std::process::Command;
use std::time::{Duration, Instant};

use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::*;
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology, rapport_binary};

use super::desk::context_of;
use super::messages::now;
use super::projection::{Dice, heads, history, settled};
use super::stage::{Positions, Stage};

/// What a score may have decayed meanwhile, in millionths of a point, and an estimate moved.
const DECAY: i64 = 20_000;
const DRIFT: f64 = 0.001;
/// How long it may take until everything is known, on a machine that does other things besides.
const PATIENCE: Duration = Duration::from_secs(60);

rapport_testkit::each_store! {
    async fn what_agents_are_told_is_the_same_after_a_rebuild(place: StorePlace) {
        let sandbox = Sandbox::builder(rapport::modules).topology(Topology::OneProcess).place(place);
        let mut stage = Stage::open(sandbox).await;
        let parties = history(&stage, &mut Dice(0x5851_f42d_4c95_7f2d), now()).await;
        settled(&stage, 0).await;
        let (before, stood) = (contexts(&stage, &parties).await, heads(&stage).await);
        let config = stage.sandbox.config("interactions").to_owned();
        stage.sandbox.terminate("interactions").await;
        let rebuild = move || {
            let mut command = Command::new(rapport_binary());
            for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RAPPORT")) {
                command.env_remove(name);
            }
            command.args(["rebuild", "desk", "--config"]).arg(config).output().expect("the binary runs")
        };
        let output = tokio::task::spawn_blocking(rebuild).await.expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("is forgotten") && said.trim_end().ends_with("projection is rebuilt"), "{said}");
        stage.sandbox.restart("interactions").await;
        settled(&stage, 0).await;
        let (after, stand) = (contexts(&stage, &parties).await, heads(&stage).await);
        // Nobody did anything meanwhile: only then do equal contexts hold the same of every feed.
        assert_eq!(stood, stand, "vacuous: a service told something during the rebuild");
        let mut told = 0;
        for (before, after) in before.into_iter().zip(after) {
            told += usize::from(before.network.iter().any(|one| one.looked_at > 0))
                + usize::from(before.loyalty.iter().any(|one| !one.members.is_empty()))
                + usize::from(before.value.iter().any(|one| !one.model.is_empty()))
                + usize::from(before.cases.iter().any(|one| !one.cases.is_empty()));
            same(before, after);
        }
        assert!(told > parties.len(), "vacuous: there was little to tell: {told}");
        stage.close().await;
    }
}

/// The contexts of parties, once nothing is missing from any of them.
async fn contexts(stage: &Stage, parties: &[String]) -> Vec<AgentContext> {
    let started = Instant::now();
    let mut all = Vec::with_capacity(parties.len());
    for party in parties {
        all.push(loop {
            let context = context_of(stage, About::Party(party.clone()), &Positions::new()).await;
            let late = |status: &SectionStatus| matches!(status.state(), SectionState::Pending | SectionState::Stale);
            assert_eq!(context.statuses().count(), 10, "every section has a status");
            if !context.statuses().any(|(_, status)| late(status)) {
                break context;
            }
            assert!(started.elapsed() < PATIENCE, "{party} is never known in full: {context:?}");
        });
    }
    all
}

/// Field by field, but for when it was said and what time alone has moved.
fn same(mut before: AgentContext, mut after: AgentContext) {
    drifted(&before, &after);
    for context in [&mut before, &mut after] {
        (context.as_of_time, context.spent_ms) = (None, 0);
        for status in context.statuses_mut() {
            (status.as_of_time, status.age) = (None, None);
        }
        for score in context.scores.iter_mut().flat_map(|section| &mut section.scores) {
            (score.as_of_time, score.value_micros, score.change_micros) = (None, 0, score.change_micros.map(|_| 0));
            score.reasons.iter_mut().for_each(|reason| reason.effect_micros = 0);
        }
        if let Some(value) = &mut context.value {
            value.alive_probability = value.alive_probability.map(|_| 0.0);
            value.expected_purchases = value.expected_purchases.map(|_| 0.0);
            value.lifetime_value.iter_mut().for_each(|money| (money.units, money.nanos) = (0, 0));
        }
        for near in context.network.iter_mut().flat_map(|section| &mut section.neighbors) {
            (near.health_micros, near.reason) = (near.health_micros.map(|_| 0), scoreless(&near.reason));
            near.reasons.iter_mut().for_each(|reason| reason.text = scoreless(&reason.text));
        }
    }
    assert_eq!(before, after);
}

/// A text about somebody near without the score in it: that decays, and is looked at as a number.
fn scoreless(text: &str) -> String {
    let Some((before, rest)) = text.split_once("relationship health is ") else { return text.to_owned() };
    let (_, after) = rest.split_once(" of 100").expect("a score is one of 100");
    format!("{before}relationship health{after}")
}

/// What decays with time has moved no further than that.
fn drifted(before: &AgentContext, after: &AgentContext) {
    let scores = |context: &AgentContext| -> Vec<i64> {
        let scores = context.scores.iter().flat_map(|section| &section.scores);
        let near = context.network.iter().flat_map(|section| &section.neighbors).filter_map(|one| one.health_micros);
        scores.map(|score| score.value_micros).chain(near).collect()
    };
    let (one, other) = (scores(before), scores(after));
    assert_eq!(one.len(), other.len());
    let far = one.iter().zip(&other).find(|(one, other)| (*one - *other).abs() > DECAY);
    assert!(far.is_none(), "a score moved: {far:?}");
    let alive = |context: &AgentContext| context.value.as_ref().and_then(|value| value.alive_probability);
    let (one, other) = (alive(before).unwrap_or(-1.0), alive(after).unwrap_or(-1.0));
    assert!((one - other).abs() < DRIFT, "an estimate moved: {one}, {other}");
}
