use std::collections::BTreeMap;

use super::{Category, Confidence, Measure, Score, coded};

/// From so many answers on a Wald interval is told beside the adjusted one; with fewer it is too narrow, down to no
/// width at all when everybody says the same.
const ENOUGH: u64 = 30;

coded! {
    /// How an interval was computed.
    IntervalMethod {
        /// As Wald, after 3/4 of a promoter, 3/2 of a passive and 3/4 of a detractor were added (Rocks 2016).
        AdjustedWald = 1 "adjusted_wald",
        /// The figure plus and minus so many standard errors.
        Wald = 2 "wald",
        /// The score interval of a share (Wilson 1927).
        Wilson = 3 "wilson",
    }
}

/// Where a figure lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    /// How it was computed.
    pub(crate) method: IntervalMethod,
    /// Its lower end.
    pub(crate) lower: f64,
    /// Its upper end.
    pub(crate) upper: f64,
}

/// How often each answer to a survey was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    measure: Measure,
    counts: BTreeMap<i16, u64>,
}

/// The figures of a survey that was answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Figures {
    /// Of an NPS survey.
    Nps(Nps),
    /// Of a CSAT survey: the share of those who are satisfied.
    Csat(Share),
    /// Of a CES survey: the share of those who found it easy, and the mean answer.
    Ces(Share, f64),
}

impl Tally {
    /// The counts of the answers to a survey; what is not on its scale is left out.
    pub(crate) fn new(measure: Measure, counts: impl IntoIterator<Item = (i16, u64)>) -> Tally {
        let (low, high) = measure.scale();
        let known = counts.into_iter().filter(|(score, count)| (low..=high).contains(score) && *count > 0);
        let mut tally = Tally { measure, counts: BTreeMap::new() };
        for (score, count) in known {
            *tally.counts.entry(score).or_default() += count;
        }
        tally
    }

    /// How often each answer was given, the lowest first.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (i16, u64)> {
        self.counts.iter().map(|(score, count)| (*score, *count))
    }

    /// How many answers there are.
    pub(crate) fn n(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many answers fall into a category.
    fn of(&self, category: Category) -> u64 {
        let falls = |score: i16| Score::parse(self.measure, score.into()).is_ok_and(|one| one.category() == category);
        self.counts().filter(|(score, _)| falls(*score)).map(|(_, count)| count).sum()
    }

    /// The figures; none when nobody answered.
    pub(crate) fn figures(&self, confidence: Confidence) -> Option<Figures> {
        if self.n() == 0 {
            return None;
        }
        let (n, z) = (self.n(), confidence.z());
        Some(match self.measure {
            Measure::Nps => {
                let groups = Groups {
                    promoters: self.of(Category::Promoter),
                    passives: self.of(Category::Passive),
                    detractors: self.of(Category::Detractor),
                };
                Figures::Nps(Nps::of(groups, z))
            }
            Measure::Csat => Figures::Csat(Share::of(self.of(Category::Satisfied), n, z)),
            Measure::Ces => {
                let total: f64 = self.counts().map(|(score, count)| f64::from(score) * count as f64).sum();
                Figures::Ces(Share::of(self.of(Category::Easy), n, z), total / n as f64)
            }
        })
    }
}

/// How many answered what to an NPS survey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Groups {
    /// 9 and 10.
    pub(crate) promoters: u64,
    /// 7 and 8.
    pub(crate) passives: u64,
    /// 0 to 6.
    pub(crate) detractors: u64,
}

/// A net promoter score.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Nps {
    /// How many answered what.
    pub(crate) groups: Groups,
    /// From -100 to 100.
    pub(crate) score: f64,
    /// Of one answer, taken as 1, 0 or -1.
    pub(crate) variance: f64,
    /// Of the score.
    pub(crate) standard_error: f64,
    /// The one to quote first.
    pub(crate) intervals: Vec<Interval>,
}

/// A net promoter score of shares, on the scale from -1 to 1.
struct Moments {
    mean: f64,
    variance: f64,
    standard_error: f64,
}

impl Moments {
    /// Of so many promoters, passives and detractors: whole people, or what an adjustment makes of them.
    fn of(promoters: f64, passives: f64, detractors: f64) -> Moments {
        let n = promoters + passives + detractors;
        let (p, d) = (promoters / n, detractors / n);
        // The difference may fall a hair below zero when all say the same.
        let variance = (p + d - (p - d) * (p - d)).max(0.0);
        Moments { mean: p - d, variance, standard_error: (variance / n).sqrt() }
    }

    fn interval(&self, method: IntervalMethod, z: f64) -> Interval {
        let half = z * self.standard_error;
        Interval { method, lower: 100.0 * (self.mean - half), upper: 100.0 * (self.mean + half) }
    }
}

impl Nps {
    /// The score of people, at least one; `z` standard errors lie on each side.
    fn of(groups: Groups, z: f64) -> Nps {
        let (p, m, d) = (groups.promoters as f64, groups.passives as f64, groups.detractors as f64);
        let observed = Moments::of(p, m, d);
        let mut intervals = vec![Moments::of(p + 0.75, m + 1.5, d + 0.75).interval(IntervalMethod::AdjustedWald, z)];
        if groups.promoters + groups.passives + groups.detractors >= ENOUGH {
            intervals.push(observed.interval(IntervalMethod::Wald, z));
        }
        Nps {
            groups,
            score: 100.0 * (p - d) / (p + m + d),
            variance: observed.variance,
            standard_error: 100.0 * observed.standard_error,
            intervals,
        }
    }
}

/// A share of answers, in percent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Share {
    /// How many there are of the kind that counts.
    pub(crate) count: u64,
    /// From 0 to 100.
    pub(crate) percent: f64,
    /// Where it lies.
    pub(crate) interval: Interval,
}

impl Share {
    /// The share of `count` in `n`, at least one; `z` standard errors lie on each side.
    fn of(count: u64, n: u64, z: f64) -> Share {
        let (k, n) = (count as f64, n as f64);
        let (lower, upper) = wilson(k, n, z);
        let interval = Interval { method: IntervalMethod::Wilson, lower: 100.0 * lower, upper: 100.0 * upper };
        Share { count, percent: 100.0 * k / n, interval }
    }
}

/// Wilson's score interval of a share, within 0 and 1.
fn wilson(k: f64, n: f64, z: f64) -> (f64, f64) {
    let squared = z * z;
    let middle = k + squared / 2.0;
    let half = z * (k * (n - k) / n + squared / 4.0).sqrt();
    let bound = |numerator: f64| (numerator / (n + squared)).clamp(0.0, 1.0);
    (bound(middle - half), bound(middle + half))
}

#[cfg(test)]
mod tests;
