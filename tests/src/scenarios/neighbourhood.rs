//! Walks through the graph: how far, along what, as it stood when, and within which budget.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use futures::stream;
use rapport_proto::stakeholders::v1::*;
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};

use super::messages::{DAY, after, at, now, organization, person, role};
use super::relationships::{create, made, tie};
use super::stage::{ACME, GLOBEX, Stage, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn neighbourhoods_have_depth_time_and_budget(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        a_walk_goes_as_far_as_it_is_told(&stage).await;
        ties_are_read_from_the_nearer_side(&stage).await;
        the_graph_is_seen_as_it_stood(&stage).await;
        a_hub_of_hundreds_costs_what_its_budget_says(&stage).await;
        wrong_walks_are_refused(&stage).await;
        stage.close().await;
    }
}

fn around(party: &Party) -> GetNeighborhoodRequest {
    GetNeighborhoodRequest { party: party.name.clone(), ..Default::default() }
}

async fn walk(stage: &Stage, request: GetNeighborhoodRequest) -> GetNeighborhoodResponse {
    stage.relationships(ACME).get_neighborhood(request).await.expect("walked").into_inner()
}

/// The parties reached, each with its steps from the middle.
fn reached(walk: &GetNeighborhoodResponse) -> BTreeMap<&str, i32> {
    walk.nodes.iter().map(|node| (node.display_name.as_str(), node.depth)).collect()
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

async fn a_walk_goes_as_far_as_it_is_told(stage: &Stage) {
    let mut chain = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        chain.push(stage.party(Party { roles: vec![role("partner")], ..person(name) }).await);
    }
    for pair in chain.windows(2) {
        made(stage, Relationship { weight: Some(0.5), ..tie("refers", &pair[0], &pair[1]) }).await;
    }
    made(stage, Relationship { weight: Some(0.8), ..tie("knows", &chain[0], &chain[2]) }).await;
    let depths: [(i32, &[(&str, i32)]); 4] = [
        (0, &[("a", 0), ("b", 1), ("c", 1)]),
        (1, &[("a", 0), ("b", 1), ("c", 1)]),
        (2, &[("a", 0), ("b", 1), ("c", 1), ("d", 2)]),
        (3, &[("a", 0), ("b", 1), ("c", 1), ("d", 2), ("e", 3)]),
    ];
    for (depth, expected) in depths {
        let found = walk(stage, GetNeighborhoodRequest { depth, ..around(&chain[0]) }).await;
        assert_eq!(reached(&found), expected.iter().copied().collect(), "depth {depth}");
        assert!(!found.truncated && found.nodes.iter().all(|node| !node.truncated));
        assert_eq!(found.nodes[0].party, chain[0].name, "the middle first");
        assert!(found.nodes.is_sorted_by_key(|node| node.depth), "nearest first");
    }
    let found = walk(stage, GetNeighborhoodRequest { depth: 3, ..around(&chain[0]) }).await;
    let strengths: BTreeMap<&str, f64> =
        found.nodes.iter().map(|node| (node.display_name.as_str(), node.strength)).collect();
    for (name, strength) in [("a", 1.0), ("b", 0.5), ("c", 0.8), ("d", 0.4), ("e", 0.2)] {
        near(strengths[name], strength);
    }
    assert_eq!(found.edges.len(), 5, "each tie once, that between two neighbours too");
    assert!(found.nodes.iter().all(|node| node.role_types == ["partner"] && node.kind() == PartyKind::Individual));
    let types = |slugs: &[&str]| slugs.iter().map(|slug| (*slug).to_owned()).collect::<Vec<_>>();
    let only = |relationship_types| GetNeighborhoodRequest { depth: 3, relationship_types, ..around(&chain[0]) };
    assert_eq!(reached(&walk(stage, only(types(&["knows"]))).await), BTreeMap::from([("a", 0), ("c", 1)]));
    let along = walk(stage, only(types(&["refers"]))).await;
    assert_eq!(reached(&along), BTreeMap::from([("a", 0), ("b", 1), ("c", 2), ("d", 3)]));
    assert_eq!(walk(stage, only(types(&["advises"]))).await.nodes.len(), 1);
    assert_eq!(walk(stage, only(types(&["refers", "knows"]))).await, found);
}

async fn ties_are_read_from_the_nearer_side(stage: &Stage) {
    let (firm, worker) = (stage.party(organization("Firm")).await, stage.party(person("Worker")).await);
    let employs =
        made(stage, Relationship { scope: "driver".into(), weight: Some(0.25), ..tie("employs", &firm, &worker) })
            .await;
    for (middle, label) in [(&firm, "employs"), (&worker, "is employed by")] {
        let found = walk(stage, around(middle)).await;
        let [edge] = found.edges.as_slice() else { panic!("{found:?}") };
        assert_eq!((edge.label.as_str(), edge.relationship_type.as_str()), (label, "employs"));
        assert_eq!((&edge.relationship, edge.scope.as_str()), (&employs.name, "driver"));
        assert_eq!((&edge.from_party, &edge.to_party), (&firm.name, &worker.name), "the direction is the tie's own");
        near(edge.weight, 0.25);
    }
}

async fn the_graph_is_seen_as_it_stood(stage: &Stage) {
    let (ana, old, new) =
        (stage.party(person("Now")).await, stage.party(person("Old")).await, stage.party(person("New")).await);
    let first = Relationship {
        valid_from_time: Some(at("2024-01-01T00:00:00Z")),
        valid_to_time: Some(at("2025-01-01T00:00:00Z")),
        ..tie("knows", &ana, &old)
    };
    made(stage, first).await;
    made(stage, Relationship { valid_from_time: Some(at("2025-01-01T00:00:00Z")), ..tie("knows", &ana, &new) }).await;
    let seen = async |as_of: Option<prost_types::Timestamp>| {
        let found = walk(stage, GetNeighborhoodRequest { as_of, ..around(&ana) }).await;
        found.nodes.into_iter().skip(1).map(|node| node.display_name).collect::<Vec<_>>()
    };
    assert!(seen(Some(at("2023-12-31T23:59:59.999999Z"))).await.is_empty());
    assert_eq!(seen(Some(at("2024-01-01T00:00:00Z"))).await, ["Old"]);
    assert_eq!(seen(Some(at("2024-12-31T23:59:59.999999Z"))).await, ["Old"]);
    assert_eq!(seen(Some(at("2025-01-01T00:00:00Z"))).await, ["New"], "the end is exclusive");
    assert_eq!(seen(None).await, ["New"]);
    let tie = ListRelationshipsRequest { party: ana.name.clone(), ..Default::default() };
    let tie =
        stage.relationships(ACME).list_relationships(tie).await.expect("listed").into_inner().relationships.remove(0);
    let ending = EndRelationshipRequest { name: tie.name, end_time: Some(after(now(), -DAY)), ..Default::default() };
    stage.relationships(ACME).end_relationship(ending).await.expect("ended");
    assert!(seen(None).await.is_empty());
    assert_eq!(seen(Some(after(now(), -2 * DAY))).await, ["New"], "what has ended held before");
}

async fn a_hub_of_hundreds_costs_what_its_budget_says(stage: &Stage) {
    /// More than any budget lets through.
    const SPOKES: usize = 520;
    let hub = stage.party(organization("Hub")).await;
    // The weight of spoke n is n thousandths more than that of none; n is its name.
    let spoke = |n: usize| {
        let (hub, mut parties, mut relationships) = (hub.clone(), stage.parties(ACME), stage.relationships(ACME));
        async move {
            let party = CreatePartyRequest { party: Some(person(&n.to_string())), ..Default::default() };
            let party = parties.create_party(party).await.expect("created").into_inner();
            // Whole thousandths are exact to six decimals.
            #[allow(clippy::cast_precision_loss)]
            let weight = (n + 480) as f64 / 1_000.0;
            let tie = Relationship { weight: Some(weight), ..tie("influences", &hub, &party) };
            relationships.create_relationship(create(tie)).await.expect("tied");
            party
        }
    };
    let parties: Vec<Party> = stream::iter(1..=SPOKES).map(spoke).buffered(64).collect().await;
    assert_eq!(parties.len(), SPOKES);
    let strongest = |found: &GetNeighborhoodResponse, count: usize| {
        let names: Vec<usize> =
            found.nodes.iter().skip(1).map(|node| node.display_name.parse().expect("a number")).collect();
        let expected: Vec<usize> = (SPOKES - count + 1..=SPOKES).rev().collect();
        assert_eq!(names, expected, "the strongest, the strongest first");
        assert_eq!(found.edges.len(), count);
        assert!(found.truncated && found.nodes[0].truncated, "and it says that there is more");
        assert!(found.nodes.iter().skip(1).all(|node| !node.truncated));
    };
    strongest(&walk(stage, around(&hub)).await, 50);
    strongest(&walk(stage, GetNeighborhoodRequest { max_edges_per_node: 7, ..around(&hub) }).await, 7);
    strongest(&walk(stage, GetNeighborhoodRequest { max_nodes: 11, ..around(&hub) }).await, 10);
    strongest(&walk(stage, GetNeighborhoodRequest { max_edges: 3, ..around(&hub) }).await, 3);
    let most = GetNeighborhoodRequest {
        max_nodes: i32::MAX,
        max_edges: i32::MAX,
        max_edges_per_node: i32::MAX,
        ..around(&hub)
    };
    strongest(&walk(stage, most).await, 500);
    // From a spoke the hub is one step away and its other spokes two; the way back is not walked twice.
    let found = walk(stage, GetNeighborhoodRequest { depth: 2, max_edges_per_node: 5, ..around(&parties[0]) }).await;
    assert_eq!(found.nodes[0].party, parties[0].name);
    assert_eq!((found.nodes[1].party.as_str(), found.nodes[1].truncated), (hub.name.as_str(), true));
    let steps: Vec<i32> = found.nodes.iter().map(|node| node.depth).collect();
    assert_eq!(steps, [0, 1, 2, 2, 2, 2, 2]);
    assert_eq!(found.edges.len(), 6);
    assert!(found.truncated);
    near(found.nodes[2].strength, 0.481);
}

async fn wrong_walks_are_refused(stage: &Stage) {
    let mut relationships = stage.relationships(ACME);
    let party = stage.party(person("Alone")).await;
    let nobody = GetNeighborhoodRequest { party: unknown("parties"), ..Default::default() };
    assert_reason!(relationships.get_neighborhood(nobody).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let foreign = stage.relationships(GLOBEX).get_neighborhood(around(&party)).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    let wrong = GetNeighborhoodRequest {
        depth: 4,
        relationship_types: vec!["loathes".into()],
        max_nodes: -1,
        max_edges: -1,
        max_edges_per_node: -1,
        ..around(&party)
    };
    refused(
        relationships.get_neighborhood(wrong).await,
        &[
            ("depth", "OUT_OF_RANGE"),
            ("relationship_types[0]", "UNKNOWN_TYPE"),
            ("max_nodes", "OUT_OF_RANGE"),
            ("max_edges", "OUT_OF_RANGE"),
            ("max_edges_per_node", "OUT_OF_RANGE"),
        ],
    );
    let many = GetNeighborhoodRequest { relationship_types: vec!["knows".into(); 21], ..around(&party) };
    refused(relationships.get_neighborhood(many).await, &[("relationship_types", "TOO_MANY")]);
    let found = walk(stage, around(&party)).await;
    assert_eq!((found.nodes.len(), found.edges.len(), found.truncated), (1, 0, false));
}
