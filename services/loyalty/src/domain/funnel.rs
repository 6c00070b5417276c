use std::collections::BTreeMap;

use super::gate::Gate;

/// What became of invitations, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Funnel {
    pub(crate) recorded: i64,
    /// Not made, so that the effect of inviting can be measured.
    pub(crate) held_out: i64,
    /// Not made, by the gate that forbade it.
    pub(crate) suppressed: BTreeMap<Option<Gate>, i64>,
    pub(crate) scheduled: i64,
    /// Sent, neither answered nor expired.
    pub(crate) awaiting: i64,
    pub(crate) accepted: i64,
    pub(crate) declined: i64,
    pub(crate) expired: i64,
    /// The parties that were invited.
    pub(crate) invited_group: Group,
    /// The parties that were held out.
    pub(crate) held_out_group: Group,
}

impl Funnel {
    /// The lift of inviting; see [`lift_micros`].
    pub(crate) fn lift_micros(&self) -> Option<i64> {
        let (invited, others) = (self.invited_group, self.held_out_group);
        lift_micros((invited.parties, invited.active), (others.parties, others.active))
    }
}

/// Parties that were invited, or held out, and those of them that acted afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// All of them.
    pub(crate) parties: i64,
    /// Those that spoke for the tenant afterwards.
    pub(crate) active: i64,
}

/// The lift of inviting, in millionths: the share of the active among the invited less that among those held out,
/// rounded down. Nothing while one of the groups is empty.
fn lift_micros(invited: (i64, i64), held_out: (i64, i64)) -> Option<i64> {
    let ((all, active), (others, others_active)) = (invited, held_out);
    if all <= 0 || others <= 0 {
        return None;
    }
    // active/all - others_active/others, over one denominator: exact until the one division.
    let above = i128::from(active) * i128::from(others) - i128::from(others_active) * i128::from(all);
    let below = i128::from(all) * i128::from(others);
    // A product of two counts and a million fits: counts have 63 bits at most, and no table holds as many rows.
    let micros = above.checked_mul(1_000_000)?.div_euclid(below);
    i64::try_from(micros).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lift_needs_both_groups() {
        assert_eq!(lift_micros((0, 0), (5, 1)), None);
        assert_eq!(lift_micros((5, 1), (0, 0)), None);
        assert_eq!(lift_micros((4, 2), (4, 1)), Some(250_000));
        assert_eq!(lift_micros((3, 1), (3, 2)), Some(-333_334), "rounded down");
        assert_eq!(lift_micros((7, 7), (9, 0)), Some(1_000_000));
    }

    proptest! {
        #[test]
        fn a_lift_is_a_difference_of_shares(
            all in 1..1_000_000_000i64, others in 1..1_000_000_000i64, a in 0.0..=1.0f64, b in 0.0..=1.0f64,
        ) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
            let (active, others_active) = ((all as f64 * a) as i64, (others as f64 * b) as i64);
            let lift = lift_micros((all, active), (others, others_active)).unwrap_or(i64::MAX);
            #[allow(clippy::cast_precision_loss)]
            let about = (active as f64 / all as f64 - others_active as f64 / others as f64) * 1e6;
            #[allow(clippy::cast_precision_loss)]
            let off = about - lift as f64;
            prop_assert!((-0.001..1.001).contains(&off), "{lift} is not {about}");
        }
    }
}
