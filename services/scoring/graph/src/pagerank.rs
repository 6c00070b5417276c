//! PageRank (Brin and Page 1998) by power iteration.

use crate::Graph;

/// How to walk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageRank<'a> {
    /// How likely the walk goes on along an edge rather than starting anew: from 0 to below 1.
    pub damping: f64,
    /// Where it starts anew: how likely at each node, in any unit; `None` is anywhere alike.
    pub restart: Option<&'a [f64]>,
    /// Stop when a pass moves less than this in all.
    pub tolerance: f64,
    /// Stop after so many passes in any case.
    pub passes: u32,
}

impl Default for PageRank<'_> {
    /// The damping of the literature. What is left after a pass shrinks by it, so 1e-12 takes 170 passes at the most.
    fn default() -> Self {
        PageRank { damping: 0.85, restart: None, tolerance: 1e-12, passes: 500 }
    }
}

/// What a walk came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The share of time spent at each node; they sum to 1. Empty for a graph without nodes.
    pub values: Vec<f64>,
    /// How many passes it took.
    pub passes: u32,
    /// How much the last pass moved in all. The values are within `moved * damping / (1 - damping)` of the truth, in sum.
    pub moved: f64,
}

/// The share of time that somebody who walks along edges for ever, each as likely as it is heavy, and now and then starts
/// anew, spends at each node. Who comes to a node that leads nowhere starts anew as well.
#[must_use]
pub fn pagerank(graph: &Graph, walk: &PageRank<'_>) -> Ranked {
    let nodes = graph.nodes();
    let restart = restart(nodes, walk.restart);
    let damping = if walk.damping.is_finite() { walk.damping.clamp(0.0, 1.0 - f64::EPSILON) } else { 0.0 };
    let mut values = restart.clone();
    let mut next = vec![0.0; nodes];
    let (mut passes, mut moved) = (0, f64::INFINITY);
    while nodes > 0 && passes < walk.passes && moved > walk.tolerance {
        next.fill(0.0);
        let mut stranded = 0.0;
        for (node, value) in values.iter().enumerate() {
            let strength = graph.strength(node);
            if strength == 0.0 {
                stranded += value;
                continue;
            }
            for (target, weight) in graph.arcs(node) {
                next[target as usize] += value * (weight / strength);
            }
        }
        moved = 0.0;
        let mut total = 0.0;
        for (node, arrived) in next.iter_mut().enumerate() {
            *arrived = damping * (*arrived + stranded * restart[node]) + (1.0 - damping) * restart[node];
            total += *arrived;
        }
        // Rounding loses or makes a little with each pass.
        for (node, arrived) in next.iter_mut().enumerate() {
            *arrived /= total;
            moved += (*arrived - values[node]).abs();
        }
        std::mem::swap(&mut values, &mut next);
        passes += 1;
    }
    Ranked { values, passes, moved: if nodes == 0 { 0.0 } else { moved } }
}

/// Where a walk starts anew, summing to 1; anywhere alike where nothing usable is said.
#[allow(clippy::cast_precision_loss)]
fn restart(nodes: usize, wanted: Option<&[f64]>) -> Vec<f64> {
    let usable = wanted.filter(|wanted| {
        wanted.len() == nodes && wanted.iter().all(|share| share.is_finite() && *share >= 0.0) && {
            let sum = wanted.iter().sum::<f64>();
            sum > 0.0 && sum.is_finite()
        }
    });
    match usable {
        Some(wanted) => {
            let sum: f64 = wanted.iter().sum();
            wanted.iter().map(|share| share / sum).collect()
        }
        None => vec![1.0 / nodes as f64; nodes],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::Edge;

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-11, "{found} {expected}");
        }
    }

    #[test]
    fn a_graph_without_edges_is_all_chance() {
        let graph = Graph::undirected(4, &[]).unwrap();
        close(&pagerank(&graph, &PageRank::default()).values, &[0.25; 4]);
        assert_eq!(pagerank(&Graph::undirected(0, &[]).unwrap(), &PageRank::default()).values, Vec::<f64>::new());
    }

    #[test]
    fn who_leads_nowhere_starts_anew() {
        // 0 -> 1, and 1 leads nowhere: x0 = .5 * (.15 + .85 * x1), x0 + x1 = 1.
        let graph = Graph::directed(2, &[Edge { from: 0, to: 1, weight: 3.0 }]).unwrap();
        let x0 = 0.5 / 1.425;
        close(&pagerank(&graph, &PageRank::default()).values, &[x0, 1.0 - x0]);
        // Starting anew at 0 only: x0 = .15 + .85 * x1, x1 = .85 * x0.
        let walk = PageRank { restart: Some(&[2.0, 0.0]), ..PageRank::default() };
        close(&pagerank(&graph, &walk).values, &[1.0 / 1.85, 0.85 / 1.85]);
    }

    #[test]
    fn a_walk_that_makes_no_sense_is_chance() {
        let graph = Graph::directed(2, &[Edge { from: 0, to: 1, weight: 1.0 }]).unwrap();
        let plain = pagerank(&graph, &PageRank::default());
        for restart in [&[0.0, 0.0][..], &[f64::NAN, 1.0], &[1.0]] {
            assert_eq!(pagerank(&graph, &PageRank { restart: Some(restart), ..PageRank::default() }), plain);
        }
        let still = pagerank(&graph, &PageRank { damping: f64::NAN, ..PageRank::default() });
        close(&still.values, &[0.5, 0.5]);
        assert_eq!(pagerank(&graph, &PageRank { passes: 3, ..PageRank::default() }).passes, 3);
    }
}
