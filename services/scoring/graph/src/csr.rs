//! The compressed sparse row.

use std::fmt;

/// A tie between two nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The node it starts from.
    pub from: u32,
    /// The node it leads to.
    pub to: u32,
    /// How strong it is: finite, 0 or more. An edge of 0 is as good as none.
    pub weight: f64,
}

/// Why edges do not make a graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GraphError {
    /// An edge names a node that is not below the number of nodes.
    NoSuchNode(u32),
    /// A weight is negative, infinite or not a number.
    BadWeight(f64),
    /// The weights of a node's edges sum to infinity.
    TooHeavy(u32),
}

impl fmt::Display for GraphError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GraphError::NoSuchNode(node) => write!(formatter, "node {node} must be below the number of nodes"),
            GraphError::BadWeight(weight) => write!(formatter, "weight {weight} must be finite and not negative"),
            GraphError::TooHeavy(node) => write!(formatter, "the weights of node {node} must have a finite sum"),
        }
    }
}

impl std::error::Error for GraphError {}

/// Where one can go from each node, and how likely.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// The arcs of node `n` are those from `starts[n]` to `starts[n + 1]`.
    starts: Vec<usize>,
    targets: Vec<u32>,
    weights: Vec<f64>,
    /// The sum of the weights of each node's arcs.
    strengths: Vec<f64>,
    pairs: usize,
}

impl Graph {
    /// A graph whose edges lead one way. Parallel edges add up.
    ///
    /// # Errors
    /// [`GraphError`] for the first edge that is wrong.
    pub fn directed(nodes: u32, edges: &[Edge]) -> Result<Graph, GraphError> {
        Graph::of_arcs(nodes, edges.to_vec(), false)
    }

    /// A graph whose edges lead both ways. Parallel edges add up, whichever way they are written.
    ///
    /// # Errors
    /// [`GraphError`] for the first edge that is wrong.
    pub fn undirected(nodes: u32, edges: &[Edge]) -> Result<Graph, GraphError> {
        let mut arcs = Vec::with_capacity(edges.len() * 2);
        for edge in edges {
            arcs.push(*edge);
            // A loop leads from its node to itself once.
            if edge.from != edge.to {
                arcs.push(Edge { from: edge.to, to: edge.from, weight: edge.weight });
            }
        }
        Graph::of_arcs(nodes, arcs, true)
    }

    fn of_arcs(nodes: u32, mut arcs: Vec<Edge>, both_ways: bool) -> Result<Graph, GraphError> {
        for arc in &arcs {
            if let Some(node) = [arc.from, arc.to].into_iter().find(|node| *node >= nodes) {
                return Err(GraphError::NoSuchNode(node));
            }
            if !arc.weight.is_finite() || arc.weight < 0.0 {
                return Err(GraphError::BadWeight(arc.weight));
            }
        }
        arcs.retain(|arc| arc.weight > 0.0);
        // Parallel ones by weight too: in which order they are added decides the last bit.
        arcs.sort_unstable_by(|one, two| {
            (one.from, one.to).cmp(&(two.from, two.to)).then(one.weight.total_cmp(&two.weight))
        });
        arcs.dedup_by(|next, kept| {
            let parallel = (next.from, next.to) == (kept.from, kept.to);
            if parallel {
                kept.weight += next.weight;
            }
            parallel
        });
        let loops = arcs.iter().filter(|arc| arc.from == arc.to).count();
        let pairs = if both_ways { (arcs.len() - loops) / 2 + loops } else { arcs.len() };
        let count = nodes as usize;
        let mut starts = vec![0_usize; count + 1];
        let mut strengths = vec![0.0; count];
        for arc in &arcs {
            starts[arc.from as usize + 1] += 1;
            strengths[arc.from as usize] += arc.weight;
        }
        if let Some(node) = (0..nodes).find(|node| !strengths[*node as usize].is_finite()) {
            return Err(GraphError::TooHeavy(node));
        }
        for node in 0..count {
            starts[node + 1] += starts[node];
        }
        Ok(Graph {
            starts,
            targets: arcs.iter().map(|arc| arc.to).collect(),
            weights: arcs.iter().map(|arc| arc.weight).collect(),
            strengths,
            pairs,
        })
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.strengths.len()
    }

    /// How many edges there are once parallel ones are one.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.pairs
    }

    /// How many nodes this one leads to; 0 for one that does not exist.
    #[must_use]
    pub fn degree(&self, node: usize) -> usize {
        self.range(node).len()
    }

    /// The sum of the weights of a node's arcs.
    pub(crate) fn strength(&self, node: usize) -> f64 {
        self.strengths.get(node).copied().unwrap_or(0.0)
    }

    /// Where a node leads, lowest first, and with which weight.
    pub fn arcs(&self, node: usize) -> impl Iterator<Item = (u32, f64)> {
        let range = self.range(node);
        self.targets[range.clone()].iter().copied().zip(self.weights[range].iter().copied())
    }

    fn range(&self, node: usize) -> std::ops::Range<usize> {
        match (self.starts.get(node), self.starts.get(node + 1)) {
            (Some(start), Some(end)) => *start..*end,
            _ => 0..0,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn edge(from: u32, to: u32, weight: f64) -> Edge {
        Edge { from, to, weight }
    }

    #[test]
    fn parallel_edges_add_up_and_empty_ones_vanish() {
        let graph =
            Graph::undirected(4, &[edge(0, 1, 0.5), edge(1, 0, 0.25), edge(2, 2, 1.0), edge(0, 3, 0.0)]).unwrap();
        assert_eq!((graph.nodes(), graph.edges()), (4, 2));
        assert_eq!(graph.arcs(0).collect::<Vec<_>>(), [(1, 0.75)]);
        assert_eq!(graph.arcs(1).collect::<Vec<_>>(), [(0, 0.75)]);
        assert_eq!(graph.arcs(2).collect::<Vec<_>>(), [(2, 1.0)]);
        assert_eq!([0, 1, 2, 3, 4].map(|node| graph.degree(node)), [1, 1, 1, 0, 0]);
        let directed = Graph::directed(3, &[edge(0, 1, 1.0), edge(1, 0, 1.0), edge(0, 1, 1.0)]).unwrap();
        assert_eq!((directed.edges(), directed.degree(0), directed.strength(0)), (2, 1, 2.0));
    }

    #[test]
    fn what_is_no_graph_is_refused() {
        assert_eq!(Graph::directed(2, &[edge(0, 2, 1.0)]).unwrap_err(), GraphError::NoSuchNode(2));
        for weight in [f64::INFINITY, -1.0, f64::NAN] {
            assert!(matches!(Graph::undirected(2, &[edge(0, 1, weight)]), Err(GraphError::BadWeight(_))));
        }
        let heavy = [edge(0, 1, f64::MAX), edge(0, 2, f64::MAX)];
        assert_eq!(Graph::directed(3, &heavy).unwrap_err(), GraphError::TooHeavy(0));
        assert_eq!(Graph::directed(0, &[]).unwrap().nodes(), 0);
    }
}
