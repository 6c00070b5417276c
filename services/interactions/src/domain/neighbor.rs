//! Who near a party an agent should know of, and why: those who are unhappy, wait for us, or are influential.

use super::coded;
use super::next_action::{UNHAPPY_MICROS, points};

coded! {
    /// A sort of reason to know of a neighbour, the gravest first.
    Concern {
        /// Its relationship suffers, or it complained.
        Unhappy = 1 "unhappy",
        /// It waits for us.
        Waiting = 2 "waiting",
        /// Many listen to it.
        Influential = 3 "influential",
    }
}

/// From here on a party is influential: it is ahead of so many of the others, in millionths.
const INFLUENTIAL_MICROS: i64 = 900_000;
/// A network of fewer parties says little about who is ahead in it.
pub(crate) const LEAST_NETWORK: i64 = 10;
/// How many of each sort are shown, of those whose gravest reason it is.
const SHOWN: [(Concern, usize); 3] = [(Concern::Unhappy, 5), (Concern::Waiting, 3), (Concern::Influential, 2)];

/// What a neighbour waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matters {
    /// Complaints that are not solved.
    pub(crate) complaints: usize,
    /// Cases that are not solved, complaints among them.
    pub(crate) cases: usize,
    /// Promises of ours that are late.
    pub(crate) late: usize,
    /// Promises of ours that are due soon and not late.
    pub(crate) due: usize,
}

/// What is known of a neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Neighbor {
    /// Relationship health in millionths of a point, where it rests on facts.
    pub(crate) health: Option<i64>,
    /// What it waits for.
    pub(crate) matters: Matters,
    /// The share of others that it is ahead of, in millionths, where that is known.
    pub(crate) influence: Option<i64>,
    /// How strong the tie is.
    pub(crate) weight: f64,
}

impl Neighbor {
    /// Why an agent should know of it, the gravest first, each in a sentence without personal data; nothing if there is no
    /// reason.
    pub(crate) fn concerns(&self) -> Vec<(Concern, String)> {
        let told = [
            (Concern::Unhappy, unhappy(self.health, self.matters.complaints)),
            (Concern::Waiting, waiting(&self.matters)),
            (Concern::Influential, influential(self.influence)),
        ];
        told.into_iter().filter_map(|(concern, text)| Some((concern, text?))).collect()
    }

    /// Where it stands among those who are shown for the same reason: less is first.
    fn rank(&self, concern: Concern) -> (i64, i64) {
        let count = |number: usize| -> i64 { i64::try_from(number).unwrap_or(i64::MAX) };
        let Matters { complaints, cases, late, due } = self.matters;
        match concern {
            Concern::Unhappy => (self.health.unwrap_or(i64::MAX), -count(complaints)),
            Concern::Waiting => (-count(late), -count(cases.saturating_add(due))),
            Concern::Influential => (-self.influence.unwrap_or_default(), 0),
        }
    }
}

/// Which of some neighbours are shown, in order, and whether there are more. Each stands where its gravest reason puts it;
/// equal ones by the strength of the tie, then as they came.
pub(crate) fn choose(all: &[Neighbor]) -> (Vec<usize>, bool) {
    let gravest: Vec<Option<Concern>> =
        all.iter().map(|one| one.concerns().first().map(|(concern, _)| *concern)).collect();
    let (mut shown, mut more) = (Vec::new(), false);
    for (concern, most) in SHOWN {
        let mut of: Vec<(usize, &Neighbor)> =
            all.iter().enumerate().filter(|(at, _)| gravest.get(*at).copied().flatten() == Some(concern)).collect();
        of.sort_by(|(_, one), (_, two)| {
            one.rank(concern).cmp(&two.rank(concern)).then_with(|| two.weight.total_cmp(&one.weight))
        });
        more |= of.len() > most;
        shown.extend(of.into_iter().take(most).map(|(at, _)| at));
    }
    (shown, more)
}

/// Why a neighbour counts as unhappy; none when it does not. `health` is its score where that rests on facts.
fn unhappy(health: Option<i64>, open_complaints: usize) -> Option<String> {
    let low = health.filter(|value| *value < UNHAPPY_MICROS);
    match (low, open_complaints) {
        (None, 0) => None,
        (Some(value), 0) => Some(format!("relationship health is {} of 100", points(value))),
        (None, 1) => Some("a complaint is open".to_owned()),
        (None, many) => Some(format!("{many} complaints are open")),
        (Some(value), 1) => Some(format!("a complaint is open, and relationship health is {} of 100", points(value))),
        (Some(value), many) => {
            Some(format!("{many} complaints are open, and relationship health is {} of 100", points(value)))
        }
    }
}

/// What it waits for; none when it waits for nothing.
fn waiting(matters: &Matters) -> Option<String> {
    let some = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(one.to_owned()),
        count => Some(format!("{count} {many}")),
    };
    let told: Vec<String> = [
        some(matters.late, "a promise of ours is late", "promises of ours are late"),
        some(matters.due, "a promise of ours is due within 24 hours", "promises of ours are due within 24 hours"),
        some(matters.cases, "a case is open", "cases are open"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// How influential it is; none when it is not.
fn influential(influence: Option<i64>) -> Option<String> {
    let ahead = influence.filter(|ahead| *ahead >= INFLUENTIAL_MICROS)?;
    Some(format!("more influential than {} % of those with relationships", points(ahead.saturating_mul(100))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn kinds(neighbor: &Neighbor) -> Vec<Concern> {
        neighbor.concerns().into_iter().map(|(concern, _)| concern).collect()
    }

    fn waits(late: usize, cases: usize) -> Neighbor {
        Neighbor { matters: Matters { late, cases, ..Matters::default() }, ..Neighbor::default() }
    }

    #[test]
    fn a_low_score_or_an_open_complaint_is_unhappy() {
        assert_eq!(unhappy(None, 0), None);
        assert_eq!(unhappy(Some(UNHAPPY_MICROS), 0), None);
        assert_eq!(unhappy(Some(31_250_000), 0).unwrap(), "relationship health is 31.2 of 100");
        assert_eq!(unhappy(Some(90_000_000), 1).unwrap(), "a complaint is open");
        assert_eq!(unhappy(Some(0), 2).unwrap(), "2 complaints are open, and relationship health is 0.0 of 100");
    }

    #[test]
    fn every_reason_is_told_the_gravest_first() {
        let neighbor = Neighbor {
            health: Some(10_000_000),
            matters: Matters { complaints: 1, cases: 2, late: 1, due: 3 },
            influence: Some(974_000),
            weight: 0.5,
        };
        assert_eq!(kinds(&neighbor), [Concern::Unhappy, Concern::Waiting, Concern::Influential]);
        let texts: Vec<String> = neighbor.concerns().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts[1], "a promise of ours is late, 3 promises of ours are due within 24 hours, 2 cases are open");
        assert_eq!(texts[2], "more influential than 97.4 % of those with relationships");
        assert_eq!(kinds(&Neighbor::default()), []);
        assert_eq!(kinds(&Neighbor { influence: Some(899_999), health: Some(90_000_000), ..Neighbor::default() }), []);
        // A promise that is due soon makes one wait as a late one does.
        let due = Neighbor { matters: Matters { due: 1, ..Matters::default() }, ..Neighbor::default() };
        assert_eq!(kinds(&due), [Concern::Waiting]);
    }

    #[test]
    fn each_is_shown_once_where_its_gravest_reason_puts_it() {
        let influential = |ahead| Neighbor { influence: Some(ahead), ..Neighbor::default() };
        let both = Neighbor { health: Some(20_000_000), ..waits(0, 1) };
        let worse = Neighbor { health: Some(1_000_000), ..Neighbor::default() };
        let all =
            [influential(950_000), waits(0, 5), both, waits(1, 0), worse, influential(990_000), Neighbor::default()];
        assert_eq!(choose(&all), (vec![4, 2, 3, 1, 5, 0], false));
        assert_eq!(choose(&[]), (Vec::new(), false));
        // As many as there may be of each, the stronger tie first among equals.
        let unhappy = Neighbor { health: Some(0), ..Neighbor::default() };
        let mut many = vec![unhappy; 6];
        many[5].weight = 1.0;
        many.extend([waits(1, 0); 4]);
        many.extend([influential(999_000); 3]);
        assert_eq!(choose(&many), (vec![5, 0, 1, 2, 3, 6, 7, 8, 10, 11], true));
        let just = [&many[..5], &many[6..9], &many[10..12]].concat();
        let (shown, more) = choose(&just);
        assert_eq!((shown.len(), more), (10, false));
    }
}
