//! How parties stand in the network that their relationships make at a moment.

use rapport_scoring_graph::{Edge, Graph, GraphError, PageRank, Place, pagerank, places};
use rapport_types::{Timestamp, Uuid};

use super::Tie;

/// The network of a tenant at a moment, and at every other one at which the same relationships hold.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// The parties with relationships, in the order of their ids.
    parties: Vec<Uuid>,
    values: Vec<f64>,
    places: Vec<Place>,
    degrees: Vec<u32>,
    /// The parties' places in the lists above, the most influential first.
    order: Vec<u32>,
    /// How many pairs of parties are tied.
    pub(crate) edges: usize,
    since: Timestamp,
    until: Timestamp,
}

/// How one party stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Standing {
    /// The party.
    pub(crate) party: Uuid,
    /// Its PageRank.
    pub(crate) pagerank: f64,
    /// Its place.
    pub(crate) place: Place,
    /// With how many others it is tied.
    pub(crate) ties: u32,
}

impl Network {
    /// The network that these relationships make at a moment. They count in both directions and by their weights; those
    /// of a party with itself do not count.
    ///
    /// # Errors
    /// [`GraphError`] where a weight is none.
    pub(crate) fn of(ties: &[Tie], as_of: Timestamp) -> Result<Network, GraphError> {
        // From the last change until the next one, the same relationships hold.
        let (mut since, mut until) = (Timestamp::MIN, Timestamp::MAX);
        for moment in ties.iter().flat_map(|tie| [tie.since, tie.until]) {
            if moment <= as_of {
                since = since.max(moment);
            } else {
                until = until.min(moment);
            }
        }
        let held = || ties.iter().filter(|tie| tie.since <= as_of && as_of < tie.until && tie.from != tie.to);
        let mut parties: Vec<Uuid> = held().flat_map(|tie| [tie.from, tie.to]).collect();
        parties.sort_unstable();
        parties.dedup();
        // Fewer parties than twice the relationships that an answer may read.
        let place = |party: &Uuid| u32::try_from(parties.binary_search(party).unwrap_or_default()).unwrap_or(u32::MAX);
        #[allow(clippy::cast_precision_loss)]
        let edges: Vec<Edge> = held()
            .map(|tie| Edge { from: place(&tie.from), to: place(&tie.to), weight: tie.weight_micros as f64 / 1e6 })
            .collect();
        let graph = Graph::undirected(u32::try_from(parties.len()).unwrap_or(u32::MAX), &edges)?;
        let values = pagerank(&graph, &PageRank::default()).values;
        let places = places(&values);
        let degrees = (0..parties.len()).map(|node| u32::try_from(graph.degree(node)).unwrap_or(u32::MAX)).collect();
        let mut order: Vec<u32> = (0..u32::try_from(parties.len()).unwrap_or(u32::MAX)).collect();
        order.sort_by_key(|node| (places[*node as usize].rank, *node));
        Ok(Network { values, places, degrees, order, edges: graph.edges(), since, until, parties })
    }

    /// How many parties have relationships.
    pub(crate) fn len(&self) -> usize {
        self.parties.len()
    }

    /// Whether the relationships that hold at this moment are those of the network.
    pub(crate) fn holds_at(&self, moment: Timestamp) -> bool {
        self.since <= moment && (moment < self.until || self.until == Timestamp::MAX)
    }

    /// How a party stands; `None` where it has no relationships.
    pub(crate) fn standing(&self, party: Uuid) -> Option<Standing> {
        self.at(self.parties.binary_search(&party).ok()?)
    }

    /// How parties stand, the most influential first, equal ones by their ids: from the first one after `after` (a rank
    /// and a party) on, at most `limit`, and whether there are more.
    pub(crate) fn ranking(&self, after: Option<(usize, Uuid)>, limit: usize) -> (Vec<Standing>, bool) {
        let key = |node: &u32| self.at(*node as usize).map(|standing| (standing.place.rank, standing.party));
        let start = match after {
            Some(after) => self.order.partition_point(|node| key(node).is_some_and(|key| key <= after)),
            None => 0,
        };
        let rest = &self.order[start..];
        let found = rest.iter().take(limit).filter_map(|node| self.at(*node as usize)).collect();
        (found, rest.len() > limit)
    }

    fn at(&self, node: usize) -> Option<Standing> {
        Some(Standing {
            party: *self.parties.get(node)?,
            pagerank: *self.values.get(node)?,
            place: *self.places.get(node)?,
            ties: *self.degrees.get(node)?,
        })
    }
}

impl Standing {
    /// The share of the other parties that stand at a later place, in millionths.
    pub(crate) fn percentile_micros(&self, parties: usize) -> i64 {
        let others = parties.saturating_sub(1).max(1) as u128;
        i64::try_from(self.place.behind as u128 * 1_000_000 / others).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn tie(from: u128, to: u128, since: i64, until: i64) -> Tie {
        Tie {
            version: 1,
            kind: "knows".to_owned(),
            from: Uuid::from_u128(from),
            to: Uuid::from_u128(to),
            weight_micros: 1_000_000,
            since: Timestamp::from_micros(since),
            until: if until == 0 { Timestamp::MAX } else { Timestamp::from_micros(until) },
        }
    }

    fn at(moment: i64) -> Timestamp {
        Timestamp::from_micros(moment)
    }

    #[test]
    fn the_middle_of_a_star_is_ahead() {
        let ties = [tie(1, 2, 0, 0), tie(3, 1, 0, 0), tie(1, 4, 0, 0), tie(4, 1, 0, 0), tie(5, 5, 0, 0)];
        let network = Network::of(&ties, at(10)).unwrap();
        assert_eq!((network.len(), network.edges), (4, 3));
        let middle = network.standing(Uuid::from_u128(1)).unwrap();
        assert_eq!((middle.place.rank, middle.ties, middle.percentile_micros(4)), (1, 3, 1_000_000));
        // Two relationships between 1 and 4 weigh more than one.
        let [two, three, four] = [2, 3, 4].map(|party| network.standing(Uuid::from_u128(party)).unwrap());
        assert_eq!((four.place.rank, two.place.rank, three.place.rank), (2, 3, 3));
        assert_eq!((four.percentile_micros(4), two.percentile_micros(4)), (666_666, 0));
        assert_eq!(network.standing(Uuid::from_u128(5)), None, "a tie with itself is none");
        let total: f64 = [middle, two, three, four].iter().map(|standing| standing.pagerank).sum();
        assert!((total - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_over_or_not_yet_does_not_count() {
        let ties = [tie(1, 2, 0, 20), tie(1, 3, 10, 0), tie(4, 5, 30, 40)];
        let parties = |moment: i64| Network::of(&ties, at(moment)).unwrap().len();
        assert_eq!([-1, 0, 9, 10, 19, 20, 30, 40].map(parties), [0, 2, 2, 3, 3, 2, 4, 2]);
        let network = Network::of(&ties, at(15)).unwrap();
        assert_eq!([9, 10, 19, 20].map(|moment| network.holds_at(at(moment))), [false, true, true, false]);
        let last = Network::of(&ties, at(50)).unwrap();
        assert!(last.holds_at(at(40)) && last.holds_at(Timestamp::MAX) && !last.holds_at(at(39)));
        let none = Network::of(&[], at(0)).unwrap();
        assert!(none.len() == 0 && none.holds_at(Timestamp::MAX) && none.holds_at(Timestamp::MIN));
    }

    #[test]
    fn pages_of_the_ranking_are_the_ranking() {
        let ties: Vec<Tie> = (2..12).map(|other| tie(1, other, 0, 0)).chain([tie(2, 3, 0, 0)]).collect();
        let network = Network::of(&ties, at(0)).unwrap();
        let (whole, more) = network.ranking(None, 100);
        assert!(!more && whole.len() == 11 && whole[0].party == Uuid::from_u128(1));
        assert!(whole.is_sorted_by_key(|standing| (standing.place.rank, standing.party)));
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let (page, more) = network.ranking(after, 3);
            after = page.last().map(|last| (last.place.rank, last.party));
            paged.extend(page);
            if !more {
                break;
            }
        }
        assert_eq!(paged, whole);
    }
}
