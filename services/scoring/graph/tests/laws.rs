//! What must hold for any graph.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use rapport_scoring_graph::{Edge, Graph, PageRank, pagerank, places};

fn edges(nodes: u32) -> impl Strategy<Value = Vec<Edge>> {
    let edge = (0..nodes, 0..nodes, prop_oneof![Just(0.0), Just(1.0), 1e-6..1.0]).prop_map(|(from, to, weight)| Edge {
        from,
        to,
        weight,
    });
    prop::collection::vec(edge, 0..80)
}

fn graph() -> impl Strategy<Value = (u32, Vec<Edge>)> {
    (1_u32..30).prop_flat_map(|nodes| (Just(nodes), edges(nodes)))
}

/// One pass from given values, as the definition states it: a dense matrix.
fn stated(nodes: usize, edges: &[Edge], values: &[f64]) -> Vec<f64> {
    let mut weights = vec![vec![0.0; nodes]; nodes];
    for edge in edges {
        weights[edge.from as usize][edge.to as usize] += edge.weight;
    }
    let chance = 1.0 / nodes as f64;
    let mut next = vec![0.15 * chance; nodes];
    for (from, row) in weights.iter().enumerate() {
        let sum: f64 = row.iter().sum();
        for (to, weight) in row.iter().enumerate() {
            next[to] += 0.85 * values[from] * if sum > 0.0 { weight / sum } else { chance };
        }
    }
    next
}

proptest! {
    #[test]
    fn a_walk_is_where_it_would_stay((nodes, edges) in graph()) {
        let graph = Graph::directed(nodes, &edges).unwrap();
        let ranked = pagerank(&graph, &PageRank::default());
        prop_assert!(ranked.moved <= 1e-12 && ranked.passes <= 200, "{} {}", ranked.moved, ranked.passes);
        prop_assert!((ranked.values.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let least = 0.15 / f64::from(nodes);
        prop_assert!(ranked.values.iter().all(|value| *value >= least - 1e-12 && *value <= 1.0));
        let next = stated(nodes as usize, &edges, &ranked.values);
        for (value, next) in ranked.values.iter().zip(&next) {
            prop_assert!((value - next).abs() < 1e-11, "{value} {next}");
        }
    }

    #[test]
    fn the_order_of_edges_changes_no_bit(
        (nodes, edges, shuffled) in graph().prop_flat_map(|(nodes, edges)| (Just(nodes), Just(edges.clone()), Just(edges).prop_shuffle())),
    ) {
        let turned: Vec<Edge> = shuffled.iter().map(|edge| Edge { from: edge.to, to: edge.from, ..*edge }).collect();
        let one = Graph::undirected(nodes, &edges).unwrap();
        prop_assert_eq!(&one, &Graph::undirected(nodes, &shuffled).unwrap());
        prop_assert_eq!(&one, &Graph::undirected(nodes, &turned).unwrap());
    }

    #[test]
    fn another_numbering_gives_everybody_the_same(
        (nodes, edges, numbers) in graph().prop_flat_map(|(nodes, edges)| {
            (Just(nodes), Just(edges), Just((0..nodes).collect::<Vec<u32>>()).prop_shuffle())
        }),
    ) {
        let renumbered: Vec<Edge> = edges
            .iter()
            .map(|edge| Edge { from: numbers[edge.from as usize], to: numbers[edge.to as usize], ..*edge })
            .collect();
        for make in [Graph::directed, Graph::undirected] {
            let one = pagerank(&make(nodes, &edges).unwrap(), &PageRank::default()).values;
            let two = pagerank(&make(nodes, &renumbered).unwrap(), &PageRank::default()).values;
            for node in 0..nodes as usize {
                let moved = (one[node] - two[numbers[node] as usize]).abs();
                prop_assert!(moved < 1e-11, "{moved}");
            }
        }
    }

    #[test]
    fn places_are_consistent(values in prop::collection::vec(0.0_f64..1.0, 0..40)) {
        let places = places(&values);
        for (one, value) in places.iter().zip(&values) {
            prop_assert!((1..=values.len()).contains(&one.rank) && one.rank + one.behind <= values.len());
            for (two, other) in places.iter().zip(&values) {
                prop_assert!(value <= other || one.rank <= two.rank);
            }
        }
    }
}
