//! What is true of a party and since when, and whether a context says anything else without a mark.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rapport_proto::interactions::v1::{AgentContext, SectionState, SectionStatus};
use rapport_proto::types::v1::Money;
use rapport_testkit::size;

/// A feed that says nothing is noticed after 3.5 seconds, what is at hand and not applied after one: until then a section
/// tells the position that it holds. Beyond that, what a busy machine adds.
const UNNOTICED: Duration = Duration::from_millis(4_500);
const HASTE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(3);

/// What an estimate may have moved while nothing happened but that time went by, of itself; of a small one, of two.
const DRIFT: f64 = 0.005;

/// A part of a context that can be told true from false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The name on the card.
    Card,
    /// Whether the party may be addressed.
    Consents,
    /// How many points there are.
    Loyalty,
    /// How many facts the score rests on.
    Scores,
    /// What the party is likely to be worth, and by which model.
    Value,
    /// Who the caller is, by name.
    Caller,
    /// How many near are told of: one, who complains, while the tie holds.
    Network,
    /// The last interaction.
    History,
    /// The newest case that is open, and how many are.
    Cases,
    /// The promise that is due next, and how many are open.
    Promises,
}

impl Part {
    /// All of them.
    pub(super) const ALL: [Part; 10] = [
        Part::Card,
        Part::Consents,
        Part::Loyalty,
        Part::Scores,
        Part::Value,
        Part::Caller,
        Part::Network,
        Part::History,
        Part::Cases,
        Part::Promises,
    ];

    /// The service whose truth it is.
    pub(super) fn source(self) -> &'static str {
        match self {
            Part::Card | Part::Consents | Part::Caller | Part::Network => "stakeholders",
            Part::Loyalty => "loyalty",
            Part::Scores | Part::Value => "scoring",
            Part::History | Part::Cases | Part::Promises => "interactions",
        }
    }

    /// Whether it is said by the service that is asked, which knows what it has acknowledged.
    pub(super) fn own(self) -> bool {
        self.source() == "interactions"
    }

    /// What a context says of it.
    pub(super) fn said(self, context: &AgentContext) -> (Option<&SectionStatus>, String) {
        match self {
            Part::Card => {
                let card = context.card.as_ref();
                (
                    card.and_then(|card| card.status.as_ref()),
                    card.map(|card| card.display_name.clone()).unwrap_or_default(),
                )
            }
            Part::Consents => {
                let section = context.consents.as_ref();
                let mut consents = section.iter().flat_map(|section| &section.consents);
                let allowed = consents.any(|one| one.purpose == "marketing" && one.allowed);
                (section.and_then(|section| section.status.as_ref()), allowed.to_string())
            }
            Part::Loyalty => {
                let section = context.loyalty.as_ref();
                let balances = section.iter().flat_map(|section| &section.members).flat_map(|member| &member.balances);
                let points: i64 = balances.map(|balance| balance.available).sum();
                (section.and_then(|section| section.status.as_ref()), points.to_string())
            }
            Part::Scores => {
                let section = context.scores.as_ref();
                let mut scores = section.iter().flat_map(|section| &section.scores);
                let health = scores.find(|score| score.definition == "scoreDefinitions/relationship-health");
                let count = health.map(|score| score.contribution_count).unwrap_or_default();
                (section.and_then(|section| section.status.as_ref()), count.to_string())
            }
            Part::Value => {
                let section = context.value.as_ref();
                let worth = section.map(|one| {
                    worth(&one.model, one.alive_probability, one.expected_purchases, one.lifetime_value.as_ref())
                });
                (section.and_then(|section| section.status.as_ref()), worth.unwrap_or_default())
            }
            Part::Caller => {
                let section = context.caller.as_ref();
                let candidates = section.and_then(|section| section.resolution.as_ref()).map(|one| &one.candidates);
                let first = candidates.and_then(|candidates| candidates.first());
                let name = first.filter(|one| one.party == context.party).map(|one| one.display_name.clone());
                (section.and_then(|section| section.status.as_ref()), name.unwrap_or_default())
            }
            Part::Network => {
                let section = context.network.as_ref();
                let told = section.map(|section| section.neighbors.len()).unwrap_or_default();
                (section.and_then(|section| section.status.as_ref()), told.to_string())
            }
            Part::History => {
                let section = context.history.as_ref();
                let last = section.and_then(|section| section.interactions.first());
                let line = last.map(|last| last.subject_line.clone()).unwrap_or_default();
                (section.and_then(|section| section.status.as_ref()), line)
            }
            Part::Cases => {
                let section = context.cases.as_ref();
                let titles: Vec<&String> = section.iter().flat_map(|one| &one.cases).map(|one| &one.title).collect();
                (section.and_then(|section| section.status.as_ref()), first_of(&titles))
            }
            Part::Promises => {
                let section = context.promises.as_ref();
                let promises = section.iter().flat_map(|one| &one.commitments);
                let promises: Vec<&String> = promises.map(|one| &one.promise).collect();
                (section.and_then(|section| section.status.as_ref()), first_of(&promises))
            }
        }
    }
}

/// What somebody is likely to be worth, as a context tells it.
pub(super) fn worth(model: &str, alive: Option<f64>, purchases: Option<f64>, money: Option<&Money>) -> String {
    let money = money.map(|money| money.units as f64 + f64::from(money.nanos) / 1e9);
    let figure = |figure: Option<f64>| figure.map_or_else(|| "none".to_owned(), |figure| format!("{figure:.6}"));
    format!("{model} {} {} {}", figure(alive), figure(purchases), figure(money))
}

/// Whether two say the same. What has a decimal point is an estimate, which moves a little with every moment; anything else
/// is what it is.
pub(super) fn alike(one: &str, other: &str) -> bool {
    let figure = |word: &str| word.parse::<f64>().ok().filter(|_| word.contains('.'));
    let near = |one: f64, other: f64| (one - other).abs() <= DRIFT * one.abs().max(other.abs()).max(2.0);
    let same = |(one, other): (&str, &str)| {
        one == other || figure(one).zip(figure(other)).is_some_and(|(one, other)| near(one, other))
    };
    let (words, others): (Vec<&str>, Vec<&str>) = (one.split(' ').collect(), other.split(' ').collect());
    words.len() == others.len() && words.into_iter().zip(others).all(same)
}

/// The first of some, and how many there are.
fn first_of(all: &[&String]) -> String {
    told_of(all.first().map(|first| first.as_str()).unwrap_or_default(), all.len())
}

/// What a context tells of some of which this is the first.
pub(super) fn told_of(first: &str, count: usize) -> String {
    format!("{first} of {count}")
}

/// Why nobody is told to be the caller where a party was asked for.
const NO_CALLER: &str = "a party was asked for, not a caller";

/// Something that became true.
#[derive(Clone, Debug)]
struct Fact {
    value: String,
    /// Where the service tells of it; not known before it is acknowledged.
    position: i64,
    /// It is not true before this.
    sent: Instant,
    /// It is true from here on; none while its acknowledgement is still awaited.
    known: Option<Instant>,
}

/// How contexts of one part were found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Unmarked, and true.
    pub(super) fresh: usize,
    /// Marked.
    pub(super) marked: usize,
    /// Marked, and no longer true: what the mark is for.
    pub(super) outdated: usize,
}

/// The facts of all parties, in the order in which they became true.
#[derive(Default)]
pub(super) struct Truth {
    facts: Mutex<BTreeMap<(usize, Part), Vec<Fact>>>,
}

impl Truth {
    /// A change leaves for its service.
    pub(super) fn send(&self, party: usize, part: Part, value: String) {
        let fact = Fact { value, position: i64::MAX, sent: Instant::now(), known: None };
        self.facts.lock().unwrap().entry((party, part)).or_default().push(fact);
    }

    /// A change that has left, and whose service says what came of it.
    pub(super) fn learn(&self, party: usize, part: Part, value: String) {
        let mut facts = self.facts.lock().unwrap();
        let facts = facts.get_mut(&(party, part)).expect("it was sent");
        let last = facts.len() - 1;
        let before = last.checked_sub(1).map(|before| facts[before].value.clone());
        assert!(before.is_none_or(|before| !alike(&before, &value)), "vacuous: nothing came of it: {value}");
        facts[last].value = value;
    }

    /// It is acknowledged.
    pub(super) fn know(&self, party: usize, part: Part, position: i64) {
        let mut facts = self.facts.lock().unwrap();
        let last = facts.get_mut(&(party, part)).and_then(|facts| facts.last_mut()).expect("it was sent");
        last.position = position;
        last.known = Some(Instant::now());
    }

    /// What is true now.
    pub(super) fn now(&self, party: usize, part: Part) -> String {
        self.facts.lock().unwrap()[&(party, part)].last().expect("there is something").value.clone()
    }

    /// Whether a context that was asked for then, and came then, is true or marked.
    ///
    /// # Errors
    /// What it says wrongly, in a sentence.
    pub(super) fn judge(
        &self,
        party: usize,
        (asked, answered): (Instant, Instant),
        context: &AgentContext,
        tallies: &mut BTreeMap<Part, Tally>,
    ) -> Result<(), String> {
        let facts = self.facts.lock().unwrap();
        for part in Part::ALL {
            let facts = &facts[&(party, part)];
            let (status, said) = part.said(context);
            let status = status.ok_or_else(|| format!("{part:?} has no status"))?;
            let tally = tallies.entry(part).or_default();
            match status.state() {
                SectionState::Missing if part == Part::Caller && status.reason == NO_CALLER => {}
                SectionState::Fresh => {
                    let mut all = 0..facts.len();
                    let possible = if part.own() {
                        all.any(|n| holds(facts, n, &said, asked, answered))
                    } else {
                        all.any(|n| possible(facts, n, &said, status.position, asked, answered))
                    };
                    if !possible {
                        return Err(format!("{part:?} of party {party} says {said} unmarked: {status:?}; {facts:?}"));
                    }
                    tally.fresh += 1;
                }
                SectionState::Stale | SectionState::Pending if !status.reason.is_empty() => {
                    tally.marked += 1;
                    let last = facts.iter().rev().find(|fact| fact.known.is_some_and(|known| known < asked));
                    tally.outdated += usize::from(last.is_some_and(|last| !alike(&last.value, &said)));
                }
                other => return Err(format!("{part:?} of party {party} is {other:?}: {status:?}")),
            }
        }
        Ok(())
    }
}

/// Whether fact `n` may be told by the service that acknowledges: nothing that it had acknowledged before it was asked is
/// left out.
fn holds(facts: &[Fact], n: usize, said: &str, asked: Instant, answered: Instant) -> bool {
    let fact = &facts[n];
    let over = facts.get(n + 1).and_then(|next| next.known).is_some_and(|known| known < asked);
    alike(&fact.value, said) && fact.sent <= answered && !over
}

/// Whether fact `n` may be told without a mark.
fn possible(facts: &[Fact], n: usize, said: &str, position: i64, asked: Instant, answered: Instant) -> bool {
    let fact = &facts[n];
    if !alike(&fact.value, said) || fact.sent > answered {
        return false;
    }
    // Nothing newer, or nothing that had to be known yet; and never beside the position of what it lacks.
    let Some(next) = facts.get(n + 1) else { return true };
    let unnoticed = UNNOTICED + size::pick(PATIENCE, HASTE);
    position < next.position && next.known.is_none_or(|known| asked <= known + unnoticed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_proto::interactions::v1::ValueSection;

    use super::*;

    const BEFORE: &str = "clvModels/1 0.900000 2.000000 40.000000";
    const NOW: &str = "clvModels/1 0.950000 3.000000 60.000000";

    /// Somebody of whom everything but their worth has been the same for ever: that was told at a position of the feed, and
    /// another one after it.
    fn truth() -> Truth {
        let truth = Truth::default();
        for part in Part::ALL {
            let always = part.said(&context(BEFORE, SectionState::Fresh, 0)).1;
            truth.send(0, part, always);
            truth.know(0, part, 3);
        }
        truth.send(0, Part::Value, String::new());
        truth.learn(0, Part::Value, NOW.to_owned());
        truth.know(0, Part::Value, 7);
        truth
    }

    fn context(worth: &str, state: SectionState, position: i64) -> AgentContext {
        let mut words = worth.split(' ');
        let model = words.next().unwrap().to_owned();
        let mut figure = || words.next().unwrap().parse::<f64>().unwrap();
        let (alive, purchases, money) = (figure(), figure(), figure());
        let value = ValueSection {
            model,
            alive_probability: Some(alive),
            expected_purchases: Some(purchases),
            lifetime_value: Some(Money { units: money as i64, ..Money::default() }),
            ..ValueSection::default()
        };
        let mut context = AgentContext { value: Some(value), ..AgentContext::default() };
        macro_rules! fresh {
            ($($section:ident)+) => {$(
                let status = SectionStatus { state: SectionState::Fresh.into(), position: 9, ..Default::default() };
                context.$section.get_or_insert_default().status = Some(status);
            )+};
        }
        fresh!(caller card history cases scores loyalty consents network promises);
        let reason = if state == SectionState::Fresh { "" } else { "scoring is not there" }.to_owned();
        let status = SectionStatus { state: state.into(), position, reason, ..Default::default() };
        context.value.as_mut().unwrap().status = Some(status);
        context
    }

    #[test]
    fn a_worth_that_is_not_true_is_found_out() {
        let truth = truth();
        let judged = |worth: &str, state, position, late: Duration| {
            let at = Instant::now() + late;
            truth.judge(0, (at, at), &context(worth, state, position), &mut BTreeMap::new())
        };
        let soon = Duration::ZERO;
        let long_after = UNNOTICED + PATIENCE + HASTE;
        assert_eq!(judged(NOW, SectionState::Fresh, 7, long_after), Ok(()));
        // A little later it is a little less.
        assert_eq!(judged("clvModels/1 0.949000 2.999000 60.000000", SectionState::Fresh, 7, soon), Ok(()));
        // The one before it may be told for a while, by whoever does not say that it knows better.
        assert_eq!(judged(BEFORE, SectionState::Fresh, 6, soon), Ok(()));
        assert_eq!(judged(BEFORE, SectionState::Stale, 6, long_after), Ok(()));
        for (worth, position, late) in [
            (BEFORE, 7, soon),
            (BEFORE, 6, long_after),
            ("clvModels/1 0.950000 3.100000 60.000000", 7, soon),
            ("clvModels/2 0.950000 3.000000 60.000000", 7, soon),
        ] {
            let wrong = judged(worth, SectionState::Fresh, position, late).unwrap_err();
            assert!(wrong.starts_with("Value of party 0 says "), "{wrong}");
        }
    }
}
