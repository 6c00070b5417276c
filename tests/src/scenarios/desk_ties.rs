//! What the desk tells of a party by its ties: roles in conflict that a tie brings together, and a hub whose context costs
//! what anybody's costs.

use std::time::{Duration, Instant};

use futures::future::join_all;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::*;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::size;
use tonic::Streaming;

use super::desk::context_of;
use super::messages::{now, organization, person, role};
use super::relationships::{made_at, tie};
use super::stage::{ACME, AGENT, Positions, Stage, next};

/// How many ties the hub has.
fn ties() -> usize {
    size::pick(600, 5_000)
}

/// How many are made by one caller, one after the other.
const EACH: usize = 100;
/// How many of the strongest are looked at, and how many neighbours are shown at most.
const LOOKED_AT: i32 = 50;
const SHOWN: usize = 10;
/// The budget of its context, and what a busy machine may add to it.
const BUDGET: Duration = Duration::from_millis(800);
const GRACE: Duration = Duration::from_millis(900);

rapport_testkit::each_store! {
    async fn what_ties_say_is_told_and_bounded(place: StorePlace) {
        let sandbox = Sandbox::builder(rapport::modules).topology(Topology::OneProcess).place(place);
        let stage = Stage::open(sandbox).await;
        a_tie_brings_roles_together(&stage).await;
        whoever_watches_is_told_of_a_conflict(&stage).await;
        a_person_stands_where_two_others_do(&stage).await;
        a_hub_costs_what_anybody_costs(&stage).await;
        stage.close().await;
    }
}

/// A conflict that ties bring: what is told of it, and of each tie who is at its other end and what it is called.
type Conflict = (String, Vec<(String, String)>);

/// The conflicts that ties bring, as a context warns of them.
pub(super) fn tied(warnings: &[ContextWarning]) -> Vec<Conflict> {
    let tied = warnings.iter().filter(|one| one.kind() == WarningKind::TieConflict);
    let through = |one: &ContextWarning| one.ties.iter().map(|tie| (tie.party.clone(), tie.label.clone())).collect();
    tied.map(|one| (one.text.clone(), through(one))).collect()
}

/// The conflicts of a party; and that nothing is missing from who is near.
async fn conflicts(stage: &Stage, of: &stakeholders::Party, seen: &Positions) -> Vec<Conflict> {
    let context = context_of(stage, About::Party(of.name.clone()), seen).await;
    let status = context.network.and_then(|network| network.status).expect("a status");
    assert_eq!(status.state(), SectionState::Fresh, "{status:?}");
    tied(&context.warnings)
}

async fn holder(stage: &Stage, card: stakeholders::Party, role_type: &str) -> stakeholders::Party {
    stage.party(stakeholders::Party { roles: vec![role(role_type)], ..card }).await
}

async fn end_tie(stage: &Stage, name: &str) -> Positions {
    let request = stakeholders::EndRelationshipRequest { name: name.into(), ..Default::default() };
    positions(stage.relationships(ACME).end_relationship(request).await.expect("ended").metadata())
}

async fn a_tie_brings_roles_together(stage: &Stage) {
    let journalist = holder(stage, person("Writes And Earns"), "media").await;
    let rival = holder(stage, organization("Rival"), "competitor").await;
    // They know each other well: that binds nobody.
    let known = stakeholders::Relationship { weight: Some(0.9), ..tie("knows", &journalist, &rival) };
    let (_, seen) = made_at(stage, known).await;
    assert_eq!(conflicts(stage, &journalist, &seen).await, []);
    let employs = stakeholders::Relationship { weight: Some(0.3), ..tie("employs", &rival, &journalist) };
    let (employs, mut seen) = made_at(stage, employs).await;
    let why = "who reports on us also competes with us";
    let told = |own: &str, other: &str, of: &stakeholders::Party, label: &str| {
        let text = format!("the party is {own}, and tied to one who is {other} (employs): {why}");
        vec![(text, vec![(of.name.clone(), label.to_owned())])]
    };
    // Though another tie to the same is stronger; and from both ends.
    let of_journalist = told("media", "competitor", &rival, "is employed by");
    assert_eq!(conflicts(stage, &journalist, &seen).await, of_journalist);
    assert_eq!(conflicts(stage, &rival, &seen).await, told("competitor", "media", &journalist, "employs"));
    // The other one's role ends, and begins again.
    let request = stakeholders::EndRoleRequest { name: rival.roles[0].name.clone(), ..Default::default() };
    seen.extend(positions(stage.parties(ACME).end_role(request).await.expect("ended").metadata()));
    assert_eq!(conflicts(stage, &journalist, &seen).await, []);
    let role = Some(role("competitor"));
    let request = stakeholders::AssignRoleRequest { party: rival.name.clone(), role, ..Default::default() };
    seen.extend(positions(stage.parties(ACME).assign_role(request).await.expect("given").metadata()));
    assert_eq!(conflicts(stage, &journalist, &seen).await, of_journalist);
    let seen = end_tie(stage, &employs.name).await;
    assert_eq!(conflicts(stage, &journalist, &seen).await, []);
    assert_eq!(conflicts(stage, &rival, &seen).await, []);
}

/// Nobody asks again: the stream that is open tells the conflict when the tie comes into being, and when it is gone; and when
/// the role at the other end is.
async fn whoever_watches_is_told_of_a_conflict(stage: &Stage) {
    let journalist = holder(stage, person("Watched While Hired"), "media").await;
    let (rival, seen) = stage
        .party_at(stakeholders::Party { roles: vec![role("competitor")], ..organization("Hires A Journalist") })
        .await;
    let request = WatchAgentContextRequest {
        about: Some(watch_agent_context_request::About::Party(journalist.name.clone())),
        ..Default::default()
    };
    let watched = stage.desk(AGENT).watch_agent_context(at_least(request, &seen)).await;
    let mut watched = watched.expect("watched").into_inner();
    let first = next(&mut watched).await.context.expect("a context");
    assert_eq!(tied(&first.warnings), []);
    let conflict = [(
        "the party is media, and tied to one who is competitor (employs): who reports on us also competes with us"
            .to_owned(),
        vec![(rival.name.clone(), "is employed by".to_owned())],
    )];
    let (employs, _) = made_at(stage, tie("employs", &rival, &journalist)).await;
    until_told(&mut watched, &conflict).await;
    let request = stakeholders::EndRoleRequest { name: rival.roles[0].name.clone(), ..Default::default() };
    stage.parties(ACME).end_role(request).await.expect("ended");
    until_told(&mut watched, &[]).await;
    let role = Some(role("competitor"));
    let request = stakeholders::AssignRoleRequest { party: rival.name.clone(), role, ..Default::default() };
    stage.parties(ACME).assign_role(request).await.expect("given");
    until_told(&mut watched, &conflict).await;
    end_tie(stage, &employs.name).await;
    until_told(&mut watched, &[]).await;
}

/// Reads what changes until these are the conflicts that ties bring.
async fn until_told(watched: &mut Streaming<WatchAgentContextResponse>, conflicts: &[Conflict]) {
    loop {
        let message = next(watched).await;
        let warnings = message.context.expect("a context").warnings;
        if message.changed.iter().any(|field| field == "warnings") && tied(&warnings) == conflicts {
            return;
        }
    }
}

async fn a_person_stands_where_two_others_do(stage: &Stage) {
    let between = stage.party(person("Between Chairs")).await;
    let office = holder(stage, organization("Office"), "government").await;
    let works = holder(stage, organization("Works"), "supplier").await;
    made_at(stage, tie("employs", &office, &between)).await;
    let (invests, seen) = made_at(stage, tie("invests_in", &between, &works)).await;
    let text = "the party is tied to one who is government (employs) and to one who is supplier (invests_in): who oversees us also sells to us";
    let through = [(&office, "is employed by"), (&works, "invests in")];
    let through = through.map(|(of, label)| (of.name.clone(), label.to_owned())).to_vec();
    assert_eq!(conflicts(stage, &between, &seen).await, [(text.to_owned(), through)]);
    let seen = end_tie(stage, &invests.name).await;
    assert_eq!(conflicts(stage, &between, &seen).await, []);
}

/// Ties without end: the strongest are looked at, and it is said that there are more, within the budget each time.
async fn a_hub_costs_what_anybody_costs(stage: &Stage) {
    let hub = holder(stage, organization("Hub Of Thousands"), "media").await;
    let makers = (0..ties() / EACH).map(|maker| {
        let (hub, mut relationships) = (hub.clone(), stage.relationships(ACME));
        async move {
            let spokes = (0..EACH).map(|n| stakeholders::CreatePartyRequest {
                party: Some(person(&format!("Spoke {}", maker * EACH + n))),
                ..Default::default()
            });
            let request = stakeholders::BatchCreatePartiesRequest { requests: spokes.collect(), validate_only: false };
            let made = stage.parties(ACME).batch_create_parties(request).await.expect("made").into_inner().results;
            let mut seen = Positions::new();
            let mut names = Vec::new();
            for (n, one) in made.into_iter().enumerate() {
                let Some(stakeholders::create_party_result::Result::Receipt(receipt)) = one.result else {
                    panic!("refused: {one:?}");
                };
                let spoke = stakeholders::Party { name: receipt.name, ..Default::default() };
                // The later a spoke, the stronger its tie.
                let weight = Some((maker * EACH + n + 1) as f64 / ties() as f64);
                let tie = stakeholders::Relationship { weight, ..tie("partner_of", &hub, &spoke) };
                let request = stakeholders::CreateRelationshipRequest { relationship: Some(tie), ..Default::default() };
                let made = relationships.create_relationship(request).await.expect("tied");
                seen.extend(positions(made.metadata()));
                names.push(spoke.name);
            }
            (names, seen)
        }
    });
    let made = join_all(makers).await;
    let seen = made.iter().map(|(_, seen)| seen["stakeholders"]).max().expect("some");
    let mut seen = Positions::from([("stakeholders".to_owned(), seen)]);
    let names: Vec<&String> = made.iter().flat_map(|(names, _)| names).collect();
    // All of the strongest complain, and one that is too far down to be looked at.
    let near = &names[ties() - usize::try_from(LOOKED_AT).expect("few")..];
    for name in near.iter().chain(&names[..1]) {
        let case =
            Case { party: (**name).clone(), r#type: "complaint".into(), title: "late".into(), ..Default::default() };
        let request = OpenCaseRequest { case: Some(case), ..Default::default() };
        let opened = stage.cases(ACME).open_case(request).await.expect("opened");
        seen.extend(positions(opened.metadata()));
    }
    // The role that is in conflict with the hub's is the strongest spoke's, and the weakest's, which nobody looks at.
    for name in [names[0], names[ties() - 1]] {
        let role = Some(role("competitor"));
        let request = stakeholders::AssignRoleRequest { party: name.clone(), role, ..Default::default() };
        seen.extend(positions(stage.parties(ACME).assign_role(request).await.expect("given").metadata()));
    }
    let request = GetAgentContextRequest {
        about: Some(About::Party(hub.name.clone())),
        budget_ms: i32::try_from(BUDGET.as_millis()).expect("small"),
        ..Default::default()
    };
    let patience = Instant::now();
    let mut answers = 0;
    let whole = loop {
        let asked = Instant::now();
        let answer = stage.desk(AGENT).get_agent_context(at_least(request.clone(), &seen)).await.expect("a context");
        let took = asked.elapsed();
        assert!(took < BUDGET + GRACE, "the hub's context took {took:?}");
        let context = answer.into_inner();
        let network = context.network.clone().expect("a network");
        let status = network.status.clone().expect("a status");
        assert!(network.neighbors.len() <= SHOWN && network.looked_at <= LOOKED_AT, "{network:?}");
        assert!(status.state() == SectionState::Fresh || !status.reason.is_empty(), "{status:?}");
        answers += 1;
        // Three that nothing is missing of: kept, and asked for.
        if status.state() == SectionState::Fresh && answers >= 3 {
            break context;
        }
        assert!(patience.elapsed() < Duration::from_secs(20), "the hub is never known in full: {status:?}");
    };
    let network = whole.network.expect("a network");
    assert_eq!((network.looked_at, network.truncated), (LOOKED_AT, true));
    let shown: Vec<&String> = network.neighbors.iter().map(|one| &one.party).collect();
    assert!(!shown.is_empty() && shown.iter().all(|name| near.contains(name)), "{shown:?}");
    let unhappy = |one: &ContextNeighbor| one.reasons.iter().any(|why| why.kind() == NeighborReasonKind::Unhappy);
    assert_eq!(network.neighbors.iter().filter(|one| unhappy(one)).count(), 5, "five of fifty, and it is said");
    let tied: Vec<&ContextWarning> =
        whole.warnings.iter().filter(|one| one.kind() == WarningKind::TieConflict).collect();
    assert_eq!(tied.len(), 1, "each pair once");
    assert_eq!(&tied[0].ties[0].party, names[ties() - 1], "by the strongest tie");
    assert!(whole.as_of_time.expect("a time").seconds <= now().seconds + 1);
}
