//! The values of the reference graphs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use rapport_scoring_graph::{Edge, Graph, PageRank, pagerank};

struct Reference {
    graph: Graph,
    pagerank: Vec<f64>,
    from_first: Vec<f64>,
}

fn reference(name: &str) -> Reference {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let text = |file: String| std::fs::read_to_string(folder.join(file)).expect("a fixture");
    let expected: serde_json::Value = serde_json::from_str(&text(format!("{name}.json"))).expect("JSON");
    let nodes: BTreeMap<&str, u32> =
        expected["nodes"].as_array().unwrap().iter().map(|node| node.as_str().unwrap()).zip(0..).collect();
    let table = text(format!("{name}_edges.csv"));
    let edges: Vec<Edge> = table
        .lines()
        .skip(1)
        .map(|line| {
            let mut cells = line.split(',');
            let mut node = || nodes[cells.next().unwrap()];
            let (from, to) = (node(), node());
            Edge { from, to, weight: cells.next().map_or(1.0, |weight| weight.parse().unwrap()) }
        })
        .collect();
    let numbers = |key: &str| expected[key].as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect();
    let graph = Graph::undirected(u32::try_from(nodes.len()).unwrap(), &edges).unwrap();
    assert_eq!(
        (graph.nodes() as u64, graph.edges() as u64),
        (expected["n"].as_u64().unwrap(), expected["m"].as_u64().unwrap())
    );
    Reference { graph, pagerank: numbers("pagerank_085"), from_first: numbers("ppr_085_from_first_node") }
}

#[track_caller]
fn agree(name: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let worst = found.iter().zip(expected).map(|(one, two)| (one - two).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-7, "{name} is {worst} away");
}

#[test]
fn reference_graphs_have_their_values() {
    for name in ["karate", "karate_weighted", "florentine", "davis_bipartite", "krackhardt_kite"] {
        let Reference { graph, pagerank: plain, from_first } = reference(name);
        agree(name, &pagerank(&graph, &PageRank::default()).values, &plain);
        let mut first = vec![0.0; graph.nodes()];
        first[0] = 1.0;
        let walk = PageRank { restart: Some(&first), ..PageRank::default() };
        agree(name, &pagerank(&graph, &walk).values, &from_first);
    }
}
