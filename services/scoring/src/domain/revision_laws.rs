//! What must hold when facts are amended and retracted: in any order of arrival, however often and in whatever batches,
//! what counts is as if only the last version had ever been recorded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use rapport_scoring_models::decayed::Reading;
use rapport_types::{TenantId, Timestamp, Uuid};

use super::*;

const DAY: i64 = 86_400_000_000;
const ORIGINS: [u128; 2] = [7, 8];

fn tenant() -> TenantId {
    TenantId::local()
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_micros(day * DAY)
}

/// Version `version` of an interaction: it occurred on a day, and is recorded `version` days after day 500.
fn version(interaction: u128, version: i64, day: i64, kind: &str, origins: &[u128]) -> Fact {
    Fact {
        interaction: Uuid::from_u128(interaction),
        version,
        revision: if version == 1 { Revision::First } else { Revision::Amended },
        supersedes: None,
        kind: kind.to_owned(),
        direction: Direction::Inbound,
        valence: None,
        occurred_at: at(day),
        recorded_at: at(500 + version),
        participants: origins
            .iter()
            .map(|origin| Participation { origin: Uuid::from_u128(*origin), party: Some(Uuid::from_u128(*origin)) })
            .collect(),
    }
}

fn retraction(fact: &Fact) -> Fact {
    let version = fact.version + 1;
    Fact {
        version,
        revision: Revision::Retracted,
        recorded_at: at(500 + version),
        participants: Vec::new(),
        valence: None,
        ..fact.clone()
    }
}

/// What a store holds.
#[derive(Clone, Default)]
struct Held {
    changes: Changes,
}

impl Held {
    /// Takes in a batch, knowing of what came before only what the store hands to it.
    fn take(&mut self, facts: &[Fact]) {
        let mut ledger = Ledger::default();
        ledger.know_entries(self.changes.entries.clone());
        ledger.know_superseded(self.changes.superseded.clone());
        ledger.know_revisions(self.changes.revisions.clone());
        for fact in facts {
            ledger.record(&tenant(), 1, fact).unwrap();
        }
        let Changes { entries, sums, superseded, revisions, aliases, moves, given: _ } = ledger.into_changes();
        self.changes.entries.extend(entries);
        for (key, change) in sums {
            let none = SumChange { sum: Default::default(), joint: 0, newest: change.newest };
            let sum = self.changes.sums.entry(key).or_insert(none);
            sum.sum.add(&change.sum).unwrap();
            sum.joint += change.joint;
            sum.newest = sum.newest.max(change.newest);
        }
        for (key, value) in superseded {
            self.changes.superseded.entry(key).or_insert(value);
        }
        self.changes.revisions.extend(revisions);
        self.changes.aliases.extend(aliases);
        self.changes.moves.extend(moves);
    }

    fn of(facts: &[Fact]) -> Held {
        let mut held = Held::default();
        for fact in facts {
            held.take(std::slice::from_ref(fact));
        }
        held
    }

    /// Every reading there is, off the log; the sums agree where they can tell.
    fn readings(&self, known_at: Option<Timestamp>) -> Vec<Reading> {
        let mut readings = Vec::new();
        for definition in Definition::all() {
            for origins in [&ORIGINS[..1], &ORIGINS[1..], &ORIGINS[..]] {
                let has = |origin: Uuid| origins.contains(&origin.as_u128());
                let rows: Vec<Entry> = self
                    .changes
                    .entries
                    .iter()
                    .map(|(_, entry)| entry.clone())
                    .filter(|entry| entry.definition == definition.key && has(entry.origin))
                    .collect();
                let keys: std::collections::BTreeSet<_> =
                    rows.iter().map(|row| (row.interaction, row.origin, row.version, row.sign.factor())).collect();
                assert_eq!(keys.len(), rows.len(), "no row of the log is written twice");
                let sums: Vec<Accumulator> = self
                    .changes
                    .sums
                    .iter()
                    .filter(|(key, _)| key.definition == definition.key && has(key.origin))
                    .map(|(key, change)| Accumulator {
                        origin: key.origin,
                        era: key.era,
                        sum: change.sum,
                        joint: change.joint,
                        newest: change.newest,
                    })
                    .collect();
                for day in [100, 300, 600] {
                    let contributions = Contributions::at(at(day), known_at, rows.clone());
                    let slow = contributions.reading(definition).unwrap();
                    let explanation = contributions.explain(definition, 2).unwrap();
                    let others = explanation.others.map_or(0, |others| others.effect);
                    let lines: i64 = explanation.lines.iter().map(|line| line.effect).sum();
                    assert_eq!(explanation.prior_effect + lines + others, slow.value_micros);
                    if known_at.is_none()
                        && let Some(fast) = fast_reading(definition, &sums, at(day)).unwrap()
                    {
                        assert_eq!(fast, slow);
                    }
                    readings.push(slow);
                }
            }
        }
        readings
    }
}

/// Every order of things.
fn orders<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    if things.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for first in 0..things.len() {
        let mut rest = things.to_vec();
        let first = rest.remove(first);
        for mut order in orders(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

/// One that stays, one that is amended to other participants and another day, one that is amended and then retracted.
fn story() -> [Fact; 6] {
    let stays = version(1, 1, 90, "order", &[7, 8]);
    let wrong = version(2, 1, 95, "complaint", &[7, 8]);
    let right = version(2, 2, 250, "praise", &[8]);
    let mistaken = version(3, 1, 99, "complaint", &[7]);
    let retracted = retraction(&mistaken);
    let order_of_before = version(4, 1, 290, "return", &[7]);
    [stays, wrong, right, mistaken, retracted, order_of_before]
}

#[test]
fn all_orders_of_records_amendments_and_retractions_are_as_the_last_version_alone() {
    let story = story();
    let expected = Held::of(&[story[0].clone(), version(9, 1, 250, "praise", &[8]), story[5].clone()]).readings(None);
    let all = orders(&story);
    assert_eq!(all.len(), 720);
    for facts in all {
        assert_eq!(Held::of(&facts).readings(None), expected, "one by one: {facts:?}");
        let mut whole = Held::default();
        whole.take(&facts);
        assert_eq!(whole.readings(None), expected, "in one batch: {facts:?}");
    }
}

#[test]
fn what_was_known_is_as_if_nothing_had_been_put_right_since() {
    let story = story();
    let [stays, wrong, right, mistaken, _, other] = &story;
    let before = Held::of(&[stays.clone(), wrong.clone(), mistaken.clone(), other.clone()]).readings(None);
    let amended = Held::of(&[stays.clone(), right.clone(), other.clone()]).readings(None);
    let nothing = Held::default().readings(None);
    for facts in orders(&story) {
        let held = Held::of(&facts);
        assert_eq!(held.readings(Some(at(500))), nothing, "{facts:?}");
        assert_eq!(held.readings(Some(at(501))), before, "{facts:?}");
        assert_eq!(held.readings(Some(at(502))), amended, "{facts:?}");
    }
}

#[test]
fn a_retraction_restores_the_value_to_the_last_bit_and_says_so() {
    let stays = version(1, 1, 90, "order", &[7]);
    let complaint = version(2, 1, 95, "complaint", &[7]);
    let mut held = Held::of(std::slice::from_ref(&stays));
    let before = held.readings(None);
    held.take(std::slice::from_ref(&complaint));
    assert_ne!(held.readings(None), before);
    held.changes.moves.clear();
    held.take(&[retraction(&complaint)]);
    assert_eq!(held.readings(None), before);
    let told: Vec<_> = held.changes.moves.iter().map(|one| (one.cause, one.definition.slug)).collect();
    assert_eq!(told, [(Cause::Retracted, "engagement"), (Cause::Retracted, "relationship-health")]);
    // Again, or the record once more: nothing.
    held.changes.moves.clear();
    held.take(&[retraction(&complaint), complaint]);
    assert_eq!((held.readings(None), held.changes.moves.len()), (before, 0));
}

#[test]
fn what_took_the_place_of_another_and_is_retracted_leaves_neither() {
    let older = version(1, 1, 90, "complaint", &[7]);
    let newer = Fact { supersedes: Some(older.interaction), ..version(2, 1, 91, "order", &[7]) };
    let nothing = Held::default().readings(None);
    for facts in orders(&[older, newer.clone(), retraction(&newer)]) {
        assert_eq!(Held::of(&facts).readings(None), nothing, "{facts:?}");
    }
}

fn history() -> impl Strategy<Value = Vec<Fact>> {
    let one = (
        prop::collection::vec(
            (
                0_i64..700,
                prop::sample::select(vec!["order", "complaint", "meeting"]),
                prop::sample::subsequence(ORIGINS.to_vec(), 0..=2),
            ),
            1..4,
        ),
        any::<bool>(),
    );
    prop::collection::vec(one, 1..5).prop_map(|interactions| {
        let mut facts = Vec::new();
        for (place, (versions, retracted)) in interactions.into_iter().enumerate() {
            for (number, (day, kind, origins)) in versions.into_iter().enumerate() {
                facts.push(version(place as u128 + 1, number as i64 + 1, day, kind, &origins));
            }
            if retracted {
                facts.extend(facts.last().map(retraction));
            }
        }
        facts
    })
}

proptest! {
    #[test]
    fn any_order_any_batches_and_any_repetition_tell_what_the_last_versions_tell(
        (facts, arrivals) in history().prop_flat_map(|facts| {
            let twice: Vec<Fact> = facts.iter().chain(&facts).cloned().collect();
            (Just(facts), Just(twice).prop_shuffle())
        }),
        size in 1_usize..6,
    ) {
        let last: Vec<Fact> = facts
            .iter()
            .filter(|fact| !facts.iter().any(|other| other.interaction == fact.interaction && other.version > fact.version))
            .cloned()
            .collect();
        let mut held = Held::default();
        for batch in arrivals.chunks(size) {
            held.take(batch);
        }
        prop_assert_eq!(held.readings(None), Held::of(&last).readings(None));
    }
}
