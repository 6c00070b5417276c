//! What must hold for any history: whatever the order of arrival, log and sums tell the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use rapport_scoring_models::decayed::Reading;
use rapport_types::{TenantId, Timestamp, Uuid};

use super::*;

const DAY: i64 = 86_400_000_000;

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_micros(day * DAY)
}

fn fact(interaction: u128, day: i64, kind: &str, origins: &[u128]) -> Fact {
    Fact {
        interaction: id(interaction),
        version: 1,
        revision: Revision::First,
        supersedes: None,
        kind: kind.to_owned(),
        direction: Direction::Inbound,
        valence: None,
        occurred_at: at(day),
        recorded_at: at(day),
        participants: origins
            .iter()
            .map(|origin| Participation { origin: id(*origin), party: Some(id(*origin)) })
            .collect(),
    }
}

fn health() -> &'static Definition {
    Definition::find("relationship-health").unwrap()
}

fn apply(facts: &[Fact]) -> Changes {
    let mut ledger = Ledger::default();
    for (position, fact) in facts.iter().enumerate() {
        ledger.record(&tenant(), position as i64 + 1, fact).unwrap();
    }
    ledger.into_changes()
}

/// What the store would hold afterwards: rows of sums for some origins.
fn accumulators(changes: &Changes, definition: &Definition, origins: &[u128]) -> Vec<Accumulator> {
    changes
        .sums
        .iter()
        .filter(|(key, _)| key.definition == definition.key && origins.contains(&key.origin.as_u128()))
        .map(|(key, change)| Accumulator {
            origin: key.origin,
            era: key.era,
            sum: change.sum,
            joint: change.joint,
            newest: change.newest,
        })
        .collect()
}

fn log(changes: &Changes, definition: &Definition, origins: &[u128]) -> Vec<Entry> {
    changes
        .entries
        .iter()
        .map(|(_, entry)| entry.clone())
        .filter(|entry| entry.definition == definition.key && origins.contains(&entry.origin.as_u128()))
        .collect()
}

/// The reading over the log, and over the sums where they can tell.
fn reading(changes: &Changes, definition: &Definition, origins: &[u128], as_of: Timestamp) -> Reading {
    let contributions = Contributions::at(as_of, None, log(changes, definition, origins));
    let slow = contributions.reading(definition).unwrap();
    if let Some(fast) = fast_reading(definition, &accumulators(changes, definition, origins), as_of).unwrap() {
        assert_eq!(fast, slow);
    }
    let explanation = contributions.explain(definition, 3).unwrap();
    assert_eq!(explanation.reading, slow);
    slow
}

fn values(changes: &Changes, origins: &[u128], as_of: Timestamp) -> i64 {
    reading(changes, health(), origins, as_of).value_micros
}

#[test]
fn a_complaint_lowers_and_praise_raises() {
    let orders = [fact(1, 100, "order", &[7]), fact(2, 160, "order", &[7])];
    let base = values(&apply(&orders), &[7], at(200));
    let with = |kind: &str| values(&apply(&[orders.to_vec(), vec![fact(3, 200, kind, &[7])]].concat()), &[7], at(200));
    assert!(with("complaint") < base - 5_000_000, "{base}");
    assert!(with("praise") > base + 5_000_000);
    assert!(base > 50_000_000);
}

#[test]
fn the_future_does_not_count_until_it_comes() {
    let changes = apply(&[fact(1, 100, "order", &[7]), fact(2, 300, "complaint", &[7])]);
    assert_eq!(fast_reading(health(), &accumulators(&changes, health(), &[7]), at(200)).unwrap(), None);
    assert_eq!(values(&changes, &[7], at(299)), values(&apply(&[fact(1, 100, "order", &[7])]), &[7], at(299)));
    assert!(values(&changes, &[7], at(300)) < values(&changes, &[7], at(299)));
}

#[test]
fn a_newer_version_takes_the_place_of_the_older_whatever_comes_first() {
    let older = fact(1, 100, "complaint", &[7]);
    let newer = Fact { version: 2, supersedes: Some(id(1)), ..fact(2, 101, "inquiry", &[7]) };
    let expected = values(&apply(&[fact(9, 101, "inquiry", &[7])]), &[7], at(200));
    for facts in [[older.clone(), newer.clone()], [newer.clone(), older.clone()]] {
        let changes = apply(&facts);
        assert_eq!(values(&changes, &[7], at(200)), expected);
        assert_eq!(log(&changes, health(), &[7]).len(), 3, "put in, taken back, put in");
        assert_eq!(changes.superseded.len(), 1);
    }
    // The same interaction under its own name, one version on; and the old one once more.
    let renewed = Fact { version: 2, ..fact(1, 101, "inquiry", &[7]) };
    for facts in [vec![older.clone(), renewed.clone(), older.clone()], vec![renewed, older]] {
        assert_eq!(values(&apply(&facts), &[7], at(200)), expected);
    }
}

#[test]
fn a_repeated_event_changes_nothing() {
    let fact = fact(1, 100, "order", &[7]);
    let first = apply(std::slice::from_ref(&fact));
    let mut again = Ledger::default();
    again.know_entries(first.entries.clone());
    again.record(&tenant(), 2, &fact).unwrap();
    let changes = again.into_changes();
    assert!(changes.entries.is_empty() && changes.sums.is_empty() && changes.moves.is_empty());
}

#[test]
fn one_who_took_part_twice_counts_once() {
    // Two identifiers, one meeting; later both turn out to be party 7's.
    let changes = apply(&[fact(1, 100, "complaint", &[8, 9]), fact(2, 100, "order", &[8])]);
    let alone = apply(&[fact(1, 100, "complaint", &[8]), fact(2, 100, "order", &[8])]);
    assert_eq!(fast_reading(health(), &accumulators(&changes, health(), &[7, 8, 9]), at(200)).unwrap(), None);
    assert_eq!(values(&changes, &[7, 8, 9], at(200)), values(&alone, &[8], at(200)));
    // Apart they count for each, and off the sums.
    assert!(fast_reading(health(), &accumulators(&changes, health(), &[9]), at(200)).unwrap().is_some());
}

#[test]
fn moves_name_whose_score_it_is() {
    let stranger = Participation { origin: id(8), party: None };
    let known = Participation { origin: id(9), party: Some(id(7)) };
    let mut ledger = Ledger::default();
    ledger.record(&tenant(), 1, &Fact { participants: vec![stranger, known], ..fact(1, 100, "order", &[]) }).unwrap();
    ledger.attribute(&tenant(), 2, at(101), id(8), id(6));
    ledger.attribute(&tenant(), 3, at(101), id(8), id(6));
    ledger.attribute(&tenant(), 4, at(101), id(5), id(6));
    let changes = ledger.into_changes();
    let health = changes.moves.iter().filter(|one| one.definition.slug == "relationship-health");
    let told: Vec<_> = health.map(|one| (one.subject, one.cause, one.position)).collect();
    assert_eq!(changes.moves.len(), told.len() * Definition::all().len(), "every score moves");
    assert_eq!(
        told,
        [
            (Subject::Origin(id(8)), Cause::Recorded, 1),
            (Subject::Party(id(7)), Cause::Recorded, 1),
            (Subject::Party(id(6)), Cause::Attributed, 2),
        ]
    );
    assert_eq!(changes.aliases.len(), 3);
}

#[test]
fn what_a_fact_says_of_its_party_never_overrides_what_was_learned() {
    let mut ledger = Ledger::default();
    ledger.attribute(&tenant(), 1, at(1), id(9), id(6));
    let outdated = Participation { origin: id(9), party: Some(id(7)) };
    ledger.record(&tenant(), 2, &Fact { participants: vec![outdated], ..fact(1, 100, "order", &[]) }).unwrap();
    let changes = ledger.into_changes();
    assert_eq!(changes.aliases, BTreeMap::from([((tenant(), id(9)), id(6))]));
    assert_eq!(changes.moves[0].subject, Subject::Party(id(6)));
}

fn any_fact(interaction: u128) -> impl Strategy<Value = Fact> {
    let kind = prop::sample::select(vec!["order", "return", "complaint", "praise", "inquiry", "other"]);
    let origins = prop::sample::subsequence(vec![7_u128, 8, 9], 1..=3);
    let valence = prop::option::of(
        (-1_000_000..=1_000_000, 0..=1_000_000_u32).prop_map(|(value, confidence)| Valence { value, confidence }),
    );
    let older = prop::option::of(1..=interaction.max(1));
    (kind, -20_000_i64..20_000, origins, valence, older).prop_map(move |(kind, day, origins, valence, older)| Fact {
        valence,
        supersedes: older.filter(|older| *older < interaction).map(id),
        ..fact(interaction, day, kind, &origins)
    })
}

proptest! {
    #[test]
    fn any_order_of_arrival_and_any_batching_tell_the_same(
        (facts, shuffled) in (1_usize..12)
            .prop_flat_map(|count| (1..=count as u128).map(any_fact).collect::<Vec<_>>())
            .prop_flat_map(|facts| (Just(facts.clone()), Just(facts).prop_shuffle())),
        as_of in -20_000_i64..30_000,
        cut in 0_usize..12,
    ) {
        let one = apply(&facts);
        // In two batches: the second knows of the first only what the store would hand it.
        let (first, second) = shuffled.split_at(cut.min(shuffled.len()));
        let first = apply(first);
        let mut ledger = Ledger::default();
        ledger.know_entries(first.entries.clone());
        ledger.know_superseded(first.superseded.clone());
        ledger.know_revisions(first.revisions.clone());
        for fact in second {
            ledger.record(&tenant(), 100, fact).unwrap();
        }
        let mut two = ledger.into_changes();
        two.entries.extend(first.entries);
        for (key, change) in first.sums {
            let sum = two.sums.entry(key).or_insert(SumChange { sum: Default::default(), joint: 0, newest: change.newest });
            sum.sum.add(&change.sum).unwrap();
            sum.joint += change.joint;
            sum.newest = sum.newest.max(change.newest);
        }
        for definition in Definition::all() {
            for origins in [&[7][..], &[8, 9], &[7, 8, 9]] {
                let one = reading(&one, definition, origins, at(as_of));
                prop_assert_eq!(one, reading(&two, definition, origins, at(as_of)));
            }
        }
    }
}
