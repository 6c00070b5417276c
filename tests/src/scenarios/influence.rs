//! Influence: PageRank over the relationships that hold.

use rapport_proto::scoring::v1::*;
use rapport_proto::stakeholders::v1::{EndRelationshipRequest, Party, Relationship};
use rapport_testkit::asserts::{at_least, position, positions};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};

use super::messages::{DAY, after, micros, now, person};
use super::relationships::{create, tie, update};
use super::stage::{ACME, GLOBEX, Positions, Stage, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn influence_is_computed_over_the_relationships_that_hold(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        who_has_no_relationships_is_told_so(&stage).await;
        the_middle_is_ahead_until_its_ties_end(&stage).await;
        stage.close().await;
    }
}

async fn tied(stage: &Stage, relationship: Relationship) -> (Relationship, Positions) {
    let answer = stage.relationships(ACME).create_relationship(create(relationship)).await.expect("tied");
    let seen = positions(answer.metadata());
    (answer.into_inner(), seen)
}

async fn influence(stage: &Stage, party: &str, seen: &Positions) -> (Influence, NetworkState) {
    let request = at_least(GetInfluenceRequest { party: party.into(), as_of: None }, seen);
    let answer = stage.network(ACME).get_influence(request).await.expect("read");
    assert!(answer.metadata().get("rapport-stale").is_none(), "{:?}", answer.metadata());
    let answer = answer.into_inner();
    (answer.influence.expect("influence"), answer.network.expect("a network"))
}

async fn who_has_no_relationships_is_told_so(stage: &Stage) {
    let (alone, seen) = stage.party_at(person("Alone")).await;
    for party in [alone.name, unknown("parties")] {
        let (found, network) = influence(stage, &party, &seen).await;
        let expected = Influence { party, standing: NetworkStanding::Unconnected.into(), ..Default::default() };
        assert_eq!(found, expected);
        assert_eq!((network.party_count, network.edge_count, network.stakeholders_position), (0, 0, 0));
        assert!((micros(network.as_of.expect("when")) - micros(now())).abs() < 60_000_000);
        assert!(network.computed_time.is_some());
    }
    let mut networks = stage.network(ACME);
    let ranked = networks.rank_influencers(RankInfluencersRequest::default()).await.expect("read").into_inner();
    assert!(ranked.influences.is_empty() && ranked.next_page_token.is_empty());
    refused(networks.get_influence(GetInfluenceRequest::default()).await, &[("party", "REQUIRED")]);
    let wrong = RankInfluencersRequest { page_size: -1, ..Default::default() };
    refused(networks.rank_influencers(wrong).await, &[("page_size", "OUT_OF_RANGE")]);
    let junk = RankInfluencersRequest { page_token: "junk".into(), ..Default::default() };
    assert_reason!(networks.rank_influencers(junk).await, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
}

/// The share of a walker's time at the middle of a star of equal ties, and at each of its ends.
fn star(ends: f64) -> (f64, f64) {
    // m = .15 / n + .85 * ends * e; e = .15 / n + .85 * m / ends
    let chance = 0.15 / (ends + 1.0);
    let middle = (chance + 0.85 * ends * chance) / (1.0 - 0.85 * 0.85);
    (middle, chance + 0.85 * middle / ends)
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

async fn the_middle_is_ahead_until_its_ties_end(stage: &Stage) {
    let middle = stage.party(person("Middle")).await;
    let mut ends: Vec<Party> = Vec::new();
    for name in ["North", "East", "South", "West"] {
        ends.push(stage.party(person(name)).await);
    }
    let began = Some(after(now(), -100 * DAY));
    let (mut last, mut seen) = (Relationship::default(), Positions::new());
    for (place, party) in ends.iter().enumerate() {
        // In either direction: it does not matter which way a tie is told.
        let (from, to) = if place % 2 == 0 { (&middle, party) } else { (party, &middle) };
        (last, seen) = tied(stage, Relationship { valid_from_time: began, ..tie("influences", from, to) }).await;
    }
    // One that is over already, and one that has not begun.
    let stranger = stage.party(person("Stranger")).await;
    let over = Relationship {
        valid_from_time: began,
        valid_to_time: Some(after(now(), -50 * DAY)),
        ..tie("influences", &stranger, &ends[0])
    };
    tied(stage, over).await;
    let to_come = Relationship { valid_from_time: Some(after(now(), 50 * DAY)), ..tie("knows", &stranger, &ends[1]) };
    seen.extend(tied(stage, to_come).await.1);
    let (found, network) = influence(stage, &middle.name, &seen).await;
    assert_eq!((network.party_count, network.edge_count), (5, 4));
    assert_eq!(network.stakeholders_position, seen["stakeholders"]);
    let (at_middle, at_end) = star(4.0);
    near(found.pagerank, at_middle);
    assert_eq!(
        (found.standing(), found.rank, found.percentile_micros, found.tie_count),
        (NetworkStanding::Ranked, 1, 1_000_000, 4)
    );
    for end in &ends {
        let (found, _) = influence(stage, &end.name, &seen).await;
        near(found.pagerank, at_end);
        assert_eq!((found.rank, found.percentile_micros, found.tie_count), (2, 0, 1));
    }
    assert_eq!(influence(stage, &stranger.name, &seen).await.0.standing(), NetworkStanding::Unconnected);
    let then =
        |days: i64, party: &str| GetInfluenceRequest { party: party.into(), as_of: Some(after(now(), days * DAY)) };
    let mut networks = stage.network(ACME);
    for (days, parties) in [(-101, 0), (-60, 6), (0, 5), (60, 6)] {
        let answer = networks.get_influence(then(days, &stranger.name)).await.expect("read").into_inner();
        assert_eq!(answer.network.expect("a network").party_count, parties, "{days}");
        let connected = parties == 6;
        assert_eq!(answer.influence.expect("influence").standing() == NetworkStanding::Ranked, connected, "{days}");
    }

    // All of them, page by page.
    let (mut ranked, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = RankInfluencersRequest { page_size: 2, page_token, as_of: None };
        let page = networks.rank_influencers(request).await.expect("read").into_inner();
        assert_eq!(page.network.map(|network| network.party_count), Some(5));
        ranked.extend(page.influences);
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    assert_eq!(ranked.iter().map(|one| one.rank).collect::<Vec<_>>(), [1, 2, 2, 2, 2]);
    assert_eq!(ranked[0].party, middle.name);
    near(ranked.iter().map(|one| one.pagerank).sum(), 1.0);
    assert!(ranked[1..].is_sorted_by_key(|one| one.party.clone()));

    // Another tenant has a network of its own.
    let foreign = GetInfluenceRequest { party: middle.name.clone(), as_of: None };
    let foreign = stage.network(GLOBEX).get_influence(foreign).await.expect("read").into_inner();
    assert_eq!(foreign.influence.expect("influence").standing(), NetworkStanding::Unconnected);

    // Several at once, as each by itself; over what was computed before, where that is good enough.
    let asked = |max_age: Option<i64>| BatchGetInfluenceRequest {
        parties: [&middle.name, &stranger.name, &ends[0].name, &middle.name].map(String::clone).into(),
        max_age: max_age.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
    };
    let several = networks.batch_get_influence(at_least(asked(None), &seen)).await.expect("read").into_inner();
    let mut singly = Vec::new();
    for party in &asked(None).parties {
        singly.push(influence(stage, party, &seen).await.0);
    }
    assert_eq!(several.influences, singly);
    refused(
        networks
            .batch_get_influence(BatchGetInfluenceRequest { max_age: asked(Some(-1)).max_age, ..Default::default() })
            .await,
        &[("parties", "REQUIRED"), ("max_age", "OUT_OF_RANGE")],
    );
    // A tie ends, and who hung on it is out.
    let request = EndRelationshipRequest { name: last.name.clone(), ..Default::default() };
    let ended = stage.relationships(ACME).end_relationship(request).await.expect("ended");
    let old = networks.batch_get_influence(asked(Some(3_600))).await.expect("read").into_inner();
    let old = old.network.expect("a network");
    assert_eq!((old.party_count, old.as_of), (5, old.computed_time));
    let at_position = position(ended.metadata(), "stakeholders");
    let seen = positions(ended.metadata());
    let (found, network) = influence(stage, &middle.name, &seen).await;
    near(found.pagerank, star(3.0).0);
    assert_eq!((network.party_count, found.tie_count, network.stakeholders_position), (4, 3, at_position));
    for max_age in [None, Some(3_600)] {
        let now = networks.batch_get_influence(asked(max_age)).await.expect("read").into_inner();
        assert_eq!((now.network.expect("a network").party_count, &now.influences[0]), (4, &found), "{max_age:?}");
    }
    assert_eq!(influence(stage, &ends[3].name, &seen).await.0.standing(), NetworkStanding::Unconnected);
    // The stronger of two is further ahead.
    let weak = Relationship { weight: Some(0.1), valid_from_time: began, ..tie("knows", &ends[0], &ends[1]) };
    let (weak, seen) = tied(stage, weak).await;
    let [one, two, three] = [0, 1, 2].map(|place: usize| ends[place].name.clone());
    let [one, two, three] = [
        influence(stage, &one, &seen).await.0,
        influence(stage, &two, &seen).await.0,
        influence(stage, &three, &seen).await.0,
    ];
    assert_eq!((one.rank, two.rank, three.rank), (2, 2, 4));
    assert!(one.percentile_micros == 333_333 && three.pagerank < two.pagerank);
    // Corrected to a full weight, the tie carries more.
    let full = update(&["weight"], Relationship { weight: None, ..weak });
    let corrected = stage.relationships(ACME).update_relationship(full).await.expect("corrected");
    let seen = positions(corrected.metadata());
    let (stronger, network) = influence(stage, &one.party, &seen).await;
    assert_eq!(network.stakeholders_position, position(corrected.metadata(), "stakeholders"));
    assert!(stronger.pagerank > one.pagerank, "{} {}", stronger.pagerank, one.pagerank);
}
