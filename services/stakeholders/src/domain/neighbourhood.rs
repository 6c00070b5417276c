//! A walk through the graph around one party, within a depth and a budget.
//!
//! The walk asks for the ties of one ring of parties at a time ([`Walk::frontier`]) and is given them strongest first
//! and cut off per party ([`Walk::advance`]); so what is read is bounded by ring size times cap, whatever the graph.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::relationship::Weight;

/// The deepest walk.
pub const MAX_DEPTH: usize = 3;

/// How far a walk may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Steps from the middle, 1 to [`MAX_DEPTH`].
    pub depth: usize,
    /// The most parties, the middle one counted.
    pub nodes: usize,
    /// The most ties.
    pub edges: usize,
    /// The most ties that are followed from one party.
    pub per_node: usize,
}

/// A tie as a walk sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Its id.
    pub id: Uuid,
    /// The slug of its type.
    pub kind: String,
    /// The party it starts from.
    pub from: Uuid,
    /// The party it leads to.
    pub to: Uuid,
    /// How strong it is.
    pub weight: Weight,
    /// What it is about.
    pub scope: String,
}

impl Edge {
    fn other(&self, end: Uuid) -> Uuid {
        if self.from == end { self.to } else { self.from }
    }

    /// The order in which ties are followed: the strongest first, equal ones by id.
    pub fn rank(&self) -> (std::cmp::Reverse<i64>, Uuid) {
        (std::cmp::Reverse(self.weight.micros()), self.id)
    }
}

/// A party that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The party.
    pub id: Uuid,
    /// Steps from the middle.
    pub depth: usize,
    /// The strongest product of weights along a shortest way.
    pub strength: Weight,
    /// It has more ties than were followed.
    pub truncated: bool,
}

/// A tie that was followed, with the nearer of its two parties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The tie.
    pub edge: Edge,
    /// It was followed from its start.
    pub from_start: bool,
}

/// A walk under way.
#[derive(Debug)]
pub struct Walk {
    budget: Budget,
    depth: usize,
    nodes: Vec<Node>,
    place: BTreeMap<Uuid, usize>,
    edges: Vec<Followed>,
    seen: BTreeSet<Uuid>,
    frontier: Vec<Uuid>,
    truncated: bool,
}

impl Walk {
    /// A walk that starts at a party.
    pub fn new(middle: Uuid, budget: Budget) -> Walk {
        Walk {
            budget,
            depth: 0,
            nodes: vec![Node { id: middle, depth: 0, strength: Weight::FULL, truncated: false }],
            place: BTreeMap::from([(middle, 0)]),
            edges: Vec::new(),
            seen: BTreeSet::new(),
            frontier: vec![middle],
            truncated: false,
        }
    }

    /// The parties whose ties are wanted next, the strongest first; empty when the walk is over.
    pub fn frontier(&self) -> &[Uuid] {
        if self.depth >= self.budget.depth || self.edges.len() >= self.budget.edges { &[] } else { &self.frontier }
    }

    /// How many ties to bring for each party of the frontier: one more than may be followed, which tells whether there
    /// are more.
    pub fn wanted(&self) -> usize {
        self.budget.per_node + 1
    }

    /// Takes the ties of the frontier's parties, at most [`Walk::wanted`] each and the strongest of them.
    pub fn advance(&mut self, mut found: BTreeMap<Uuid, Vec<Edge>>) {
        let ring = std::mem::take(&mut self.frontier);
        self.depth += 1;
        let mut next = Vec::new();
        for id in ring {
            let Some(place) = self.place.get(&id).copied() else {
                continue;
            };
            let strength = self.nodes[place].strength;
            let mut edges = found.remove(&id).unwrap_or_default();
            edges.sort_unstable_by_key(Edge::rank);
            edges.dedup_by_key(|edge| edge.id);
            let mut cut = edges.len() > self.budget.per_node;
            edges.truncate(self.budget.per_node);
            for edge in edges {
                cut |= !self.follow(id, strength, edge, &mut next);
            }
            self.nodes[place].truncated |= cut;
            self.truncated |= cut;
        }
        next.sort_unstable_by_key(|id| {
            let strength = self.place.get(id).map_or(0, |place| self.nodes[*place].strength.micros());
            (std::cmp::Reverse(strength), *id)
        });
        self.frontier = next;
    }

    /// Follows a tie; false when the budget does not allow it.
    fn follow(&mut self, from: Uuid, strength: Weight, edge: Edge, next: &mut Vec<Uuid>) -> bool {
        if self.seen.contains(&edge.id) {
            return true;
        }
        if self.edges.len() >= self.budget.edges {
            return false;
        }
        let other = edge.other(from);
        let reached = strength.then(edge.weight);
        match self.place.get(&other).copied() {
            Some(place) => {
                let node = &mut self.nodes[place];
                if node.depth == self.depth {
                    node.strength = node.strength.max(reached);
                }
            }
            None if self.nodes.len() >= self.budget.nodes => return false,
            None => {
                self.place.insert(other, self.nodes.len());
                self.nodes.push(Node { id: other, depth: self.depth, strength: reached, truncated: false });
                next.push(other);
            }
        }
        self.seen.insert(edge.id);
        let from_start = edge.from == from;
        self.edges.push(Followed { edge, from_start });
        true
    }

    /// What was found: parties nearest first and the stronger first within a ring, ties in the order they were
    /// followed, and whether anything was cut off.
    pub fn finish(mut self) -> (Vec<Node>, Vec<Followed>, bool) {
        self.truncated |= self.depth < self.budget.depth && !self.frontier.is_empty();
        self.nodes.sort_by_key(|node| (node.depth, std::cmp::Reverse(node.strength.micros()), node.id));
        (self.nodes, self.edges, self.truncated)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn edge(id: u128, from: u128, to: u128, micros: i64) -> Edge {
        Edge {
            id: Uuid::from_u128(id),
            kind: "knows".into(),
            from: Uuid::from_u128(from),
            to: Uuid::from_u128(to),
            weight: Weight::stored(micros),
            scope: String::new(),
        }
    }

    /// Walks a graph that is held in memory, as the store would serve it.
    fn walk(edges: &[Edge], middle: u128, budget: Budget) -> (Vec<Node>, Vec<Followed>, bool, usize) {
        let mut walk = Walk::new(Uuid::from_u128(middle), budget);
        let mut read = 0;
        while !walk.frontier().is_empty() {
            let mut found = BTreeMap::new();
            for id in walk.frontier() {
                let mut own: Vec<_> = edges.iter().filter(|edge| edge.from == *id || edge.to == *id).cloned().collect();
                own.sort_by_key(Edge::rank);
                own.truncate(walk.wanted());
                read += own.len();
                found.insert(*id, own);
            }
            walk.advance(found);
        }
        let (nodes, edges, truncated) = walk.finish();
        (nodes, edges, truncated, read)
    }

    const WIDE: Budget = Budget { depth: 3, nodes: 100, edges: 500, per_node: 50 };

    #[test]
    fn rings_grow_outward_and_strength_fades() {
        let graph = [edge(1, 1, 2, 500_000), edge(2, 2, 3, 500_000), edge(3, 1, 4, 900_000), edge(4, 4, 3, 100_000)];
        let (nodes, edges, truncated, _) = walk(&graph, 1, WIDE);
        let seen: Vec<_> = nodes.iter().map(|n| (n.id.as_u128(), n.depth, n.strength.micros())).collect();
        assert_eq!(seen, [(1, 0, 1_000_000), (4, 1, 900_000), (2, 1, 500_000), (3, 2, 250_000)]);
        assert_eq!(edges.len(), 4);
        assert!(!truncated);
        assert!(edges[0].from_start && edges[0].edge.id == Uuid::from_u128(3));
        let (nodes, _, truncated, _) = walk(&graph, 1, Budget { depth: 1, ..WIDE });
        assert_eq!(nodes.len(), 3);
        assert!(!truncated, "a depth that was asked for is no cut");
    }

    #[test]
    fn a_hub_is_read_up_to_its_cap() {
        let graph: Vec<_> = (0..10_000).map(|i| edge(i + 10, 1, i + 100_000, 1 + i64::try_from(i).unwrap())).collect();
        let (nodes, edges, truncated, read) = walk(&graph, 1, Budget { per_node: 20, ..WIDE });
        assert_eq!((nodes.len(), edges.len(), truncated), (21, 20, true));
        assert!(nodes[0].truncated && !nodes[1].truncated);
        assert!(read <= 21 + 20);
        assert_eq!(nodes[1].strength.micros(), 10_000, "the strongest ties are followed");
    }

    proptest! {
        #[test]
        fn no_graph_exceeds_its_budget_and_the_answer_does_not_depend_on_its_order(
            ties in proptest::collection::vec((1u128..30, 1u128..30, 1i64..=1_000_000), 0..200),
            depth in 1usize..=3, nodes in 1usize..40, edges in 1usize..80, per_node in 1usize..20,
        ) {
            let budget = Budget { depth, nodes, edges, per_node };
            let graph: Vec<_> = ties
                .iter()
                .enumerate()
                .filter(|(_, (from, to, _))| from != to)
                .map(|(i, (from, to, weight))| edge(1_000 + i as u128, *from, *to, *weight))
                .collect();
            let (found, followed, truncated, read) = walk(&graph, 1, budget);
            prop_assert!(found.len() <= nodes && followed.len() <= edges);
            prop_assert!(read <= nodes * (per_node + 1));
            prop_assert!(found.iter().all(|node| node.depth <= depth));
            let known: BTreeSet<_> = found.iter().map(|node| node.id).collect();
            prop_assert!(followed.iter().all(|f| known.contains(&f.edge.from) && known.contains(&f.edge.to)));
            let mut turned = graph.clone();
            turned.reverse();
            prop_assert_eq!(walk(&turned, 1, budget), (found, followed, truncated, read));
        }
    }
}
