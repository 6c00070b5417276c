//! Who stands where.

/// Where a node stands among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// 1 for the greatest value; one more than the number of nodes ahead.
    pub rank: usize,
    /// How many nodes stand at a later place.
    pub behind: usize,
}

/// The place of each node by its value, the greatest first. Nodes share a place with the first of it where they are less
/// than a millionth of the average value away from that one: values that are equal but for rounding are equal.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn places(values: &[f64]) -> Vec<Place> {
    let equal = values.iter().sum::<f64>() / values.len().max(1) as f64 * 1e-6;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|one, two| values[*two].total_cmp(&values[*one]).then(one.cmp(two)));
    let mut places = vec![Place { rank: 0, behind: 0 }; values.len()];
    let mut start = 0;
    while start < order.len() {
        let first = values[order[start]];
        let shared = order[start..].iter().take_while(|node| first - values[**node] < equal).count().max(1);
        for node in &order[start..start + shared] {
            places[*node] = Place { rank: start + 1, behind: order.len() - start - shared };
        }
        start += shared;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_place() {
        let found = places(&[0.2, 0.3 + 1e-12, 0.3, 0.2]);
        let told: Vec<(usize, usize)> = found.iter().map(|place| (place.rank, place.behind)).collect();
        assert_eq!(told, [(3, 0), (1, 2), (1, 2), (3, 0)]);
        assert_eq!(places(&[]), []);
        assert_eq!(places(&[1.0]), [Place { rank: 1, behind: 0 }]);
        assert_eq!(places(&[0.0, 0.0]).len(), 2);
    }
}
