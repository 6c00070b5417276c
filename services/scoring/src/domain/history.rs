//! How a score stood over time.

use rapport_scoring_models::decayed::{Overflow, Reading, Sign, Sums};
use rapport_types::Timestamp;

use super::{Contributions, Definition};

/// The stretch of time that is drawn, and where it has points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where it starts.
    pub(crate) start: Timestamp,
    /// Where it ends: not before it starts.
    pub(crate) end: Timestamp,
    /// Microseconds between points, positive; absent: a point at each moment that something occurred.
    pub(crate) step: Option<i64>,
}

/// Why there is a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PointCause {
    /// The line starts.
    Start,
    /// Something occurred.
    Contributions,
    /// A step on.
    Step,
    /// The line ends.
    End,
}

/// The score at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    /// Why it is there.
    pub(crate) cause: PointCause,
    /// The moment.
    pub(crate) at: Timestamp,
    /// The value.
    pub(crate) reading: Reading,
    /// What the contributions since the point before do to the value.
    pub(crate) effect: i64,
    /// Those contributions: their places.
    pub(crate) since: std::ops::Range<usize>,
}

impl Line {
    /// How many steps there are between start and end.
    pub(crate) fn steps(&self) -> i64 {
        let span = self.end.as_micros().saturating_sub(self.start.as_micros());
        self.step.map_or(0, |step| span / step.max(1))
    }

    /// The moments that have points, in order, from the first one after `after` on.
    fn moments<'a>(
        &'a self,
        occurred: &'a [super::Entry],
        after: Option<Timestamp>,
    ) -> impl Iterator<Item = (Timestamp, PointCause)> + 'a {
        let start = after.is_none().then_some((self.start, PointCause::Start));
        let behind = after.unwrap_or(self.start);
        let mut last = behind;
        let mut next = occurred.partition_point(|entry| entry.occurred_at <= behind);
        let mut ended = after.is_some_and(|after| after >= self.end) || self.start >= self.end;
        let rest = std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let found = match self.step {
                Some(step) => {
                    let done = (last.as_micros() - self.start.as_micros()) / step.max(1);
                    let at = (done + 1).saturating_mul(step).saturating_add(self.start.as_micros());
                    (at <= self.end.as_micros()).then(|| (Timestamp::from_micros(at), PointCause::Step))
                }
                None => occurred.get(next).filter(|entry| entry.occurred_at <= self.end).map(|entry| {
                    next += occurred[next..].partition_point(|one| one.occurred_at == entry.occurred_at);
                    (entry.occurred_at, PointCause::Contributions)
                }),
            };
            let found = found.unwrap_or((self.end, PointCause::End));
            last = found.0;
            ended = last >= self.end;
            Some(found)
        });
        start.into_iter().chain(rest)
    }
}

impl Contributions {
    /// The points of a line after `after` (from its start where that is absent), at most `limit`, and whether there are more.
    ///
    /// # Errors
    /// [`Overflow`] when there are more contributions than sums can hold.
    pub(crate) fn history(
        &self,
        definition: &Definition,
        line: &Line,
        after: Option<Timestamp>,
        limit: usize,
    ) -> Result<(Vec<Point>, bool), Overflow> {
        let entries = self.all();
        let mut moments = line.moments(entries, after);
        let mut known = after.map_or(0, |after| self.until(after));
        let mut sums = Sums::default();
        for entry in &entries[..known] {
            sums.add(definition.mean.term(&entry.observation()), Sign::Plus)?;
        }
        let mut points = Vec::new();
        for (at, cause) in moments.by_ref().take(limit) {
            let before = definition.mean.read(&sums, at.as_micros());
            let since = known..self.until(at).max(known);
            for entry in &entries[since.clone()] {
                sums.add(definition.mean.term(&entry.observation()), Sign::Plus)?;
            }
            known = since.end;
            let reading = definition.mean.read(&sums, at.as_micros());
            points.push(match cause {
                // What came before the line is not of it.
                PointCause::Start => Point { cause, at, reading, effect: 0, since: known..known },
                _ => Point { cause, at, reading, effect: reading.value_micros - before.value_micros, since },
            });
        }
        let more = moments.next().is_some();
        Ok((points, more))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;
    use rapport_scoring_models::decayed::{Share, Weight};
    use rapport_types::Uuid;

    use super::super::{Direction, Entry};
    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_micros(day * DAY)
    }

    fn occurred(place: usize, day: i64, share: u32) -> Entry {
        Entry {
            interaction: Uuid::from_u128(place as u128 + 1),
            version: 1,
            sign: Sign::Plus,
            origin: Uuid::from_u128(7),
            named: true,
            definition: "relationship-health.1",
            occurred_at: at(day),
            recorded_at: at(day),
            kind: "order".to_owned(),
            direction: Direction::Inbound,
            weight: Weight::from_micros(1_000_000),
            satisfaction: Share::from_micros(share),
            from_valence: false,
            joint: false,
        }
    }

    fn of(days: &[i64]) -> Contributions {
        let rows = days.iter().enumerate().map(|(place, day)| occurred(place, *day, 900_000)).collect();
        Contributions::at(at(20_000), None, rows)
    }

    fn health() -> &'static Definition {
        Definition::find("relationship-health").unwrap()
    }

    fn drawn(contributions: &Contributions, line: &Line) -> Vec<Point> {
        let (points, more) = contributions.history(health(), line, None, 1_000).unwrap();
        assert!(!more);
        points
    }

    fn told(points: &[Point]) -> Vec<(PointCause, i64, usize)> {
        points.iter().map(|point| (point.cause, point.at.as_micros() / DAY, point.since.len())).collect()
    }

    #[test]
    fn a_line_has_its_points() {
        use PointCause::{Contributions as Occurred, End, Start, Step};
        let contributions = of(&[5, 10, 20, 20, 30]);
        let line = Line { start: at(10), end: at(40), step: None };
        assert_eq!(
            told(&drawn(&contributions, &line)),
            [(Start, 10, 0), (Occurred, 20, 2), (Occurred, 30, 1), (End, 40, 0)]
        );
        let line = Line { start: at(10), end: at(30), step: None };
        assert_eq!(told(&drawn(&contributions, &line)), [(Start, 10, 0), (Occurred, 20, 2), (Occurred, 30, 1)]);
        let line = Line { start: at(0), end: at(25), step: Some(10 * DAY) };
        assert_eq!(told(&drawn(&contributions, &line)), [(Start, 0, 0), (Step, 10, 2), (Step, 20, 2), (End, 25, 0)]);
        assert_eq!(line.steps(), 2);
        let moment = Line { start: at(10), end: at(10), step: Some(1) };
        assert_eq!(told(&drawn(&contributions, &moment)), [(Start, 10, 0)]);
    }

    proptest! {
        #[test]
        fn each_point_is_the_score_of_its_moment_and_pages_are_one_line(
            facts in prop::collection::vec((0_i64..400, 0_u32..=1_000_000), 0..30),
            (start, length) in (0_i64..300, 0_i64..300),
            step in prop::option::of(1_i64..50),
            size in 1_usize..9,
        ) {
            let rows = facts.iter().enumerate().map(|(place, (day, share))| occurred(place, *day, *share)).collect();
            let contributions = Contributions::at(at(20_000), None, rows);
            let line = Line { start: at(start), end: at(start + length), step: step.map(|days| days * DAY) };
            let whole = drawn(&contributions, &line);
            prop_assert!(whole.is_sorted_by(|one, two| one.at < two.at));
            prop_assert_eq!((whole[0].at, whole[whole.len() - 1].at), (line.start, line.end));
            let mut covered = whole[0].since.end;
            for point in &whole {
                prop_assert_eq!(point.reading, contributions.reading_at(health(), point.at).unwrap());
                prop_assert_eq!(point.since.start, covered);
                covered = point.since.end;
                prop_assert!(!point.since.is_empty() || point.effect == 0);
            }
            prop_assert_eq!(covered, contributions.until(line.end));
            let (mut paged, mut after) = (Vec::new(), None);
            loop {
                let (points, more) = contributions.history(health(), &line, after, size).unwrap();
                after = points.last().map(|point| point.at);
                paged.extend(points);
                if !more {
                    break;
                }
            }
            prop_assert_eq!(paged, whole);
        }
    }
}
