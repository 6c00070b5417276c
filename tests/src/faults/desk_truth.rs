//! What is true of a party and since when, and whether a context says anything else without a mark.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rapport_proto::interactions::v1::{AgentContext, SectionState, SectionStatus};
use rapport_testkit::size;

/// A feed that says nothing is noticed after 3.5 seconds, what is at hand and not applied after one: until then a section
/// tells the position that it holds. Beyond that, what a busy machine adds.
const UNNOTICED: Duration = Duration::from_millis(4_500);
const HASTE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(3);

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
    pub(super) const ALL: [Part; 9] = [
        Part::Card,
        Part::Consents,
        Part::Loyalty,
        Part::Scores,
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
            Part::Scores => "scoring",
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
                    tally.outdated += usize::from(last.is_some_and(|last| last.value != said));
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
    fact.value == said && fact.sent <= answered && !over
}

/// Whether fact `n` may be told without a mark.
fn possible(facts: &[Fact], n: usize, said: &str, position: i64, asked: Instant, answered: Instant) -> bool {
    let fact = &facts[n];
    if fact.value != said || fact.sent > answered {
        return false;
    }
    // Nothing newer, or nothing that had to be known yet; and never beside the position of what it lacks.
    let Some(next) = facts.get(n + 1) else { return true };
    let unnoticed = UNNOTICED + size::pick(PATIENCE, HASTE);
    position < next.position && next.known.is_none_or(|known| asked <= known + unnoticed)
}
