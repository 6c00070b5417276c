//! The book against a model that keeps every lot and every use for ever and computes everything anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::domain::journal::Balance;

const UNIT: Uuid = Uuid::from_u128(1);

#[derive(Clone, Debug)]
enum Step {
    Give { amount: i64, ago: i64, wait: i64, life: Option<i64> },
    Take { amount: i64 },
    Sweep,
    Wait { time: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1i64..100, 0i64..20, 0i64..10, prop::option::weighted(0.8, 11i64..60))
            .prop_map(|(amount, ago, wait, life)| Step::Give { amount, ago, wait, life }),
        4 => (1i64..150).prop_map(|amount| Step::Take { amount }),
        1 => Just(Step::Sweep),
        4 => (0i64..15).prop_map(|time| Step::Wait { time }),
    ]
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn posting(n: u128, kind: EntryKind) -> Posting {
    Posting { transaction: Uuid::from_u128(1_000 + n), kind, unit_type: UNIT, rule: None, source: String::new() }
}

/// What happened, and nothing else.
#[derive(Default)]
struct Model {
    lots: Vec<Lot>,
    uses: Vec<(Uuid, i64, i64)>,
}

impl Model {
    fn left(&self, lot: &Lot, time: i64) -> i64 {
        lot.amount
            - self
                .uses
                .iter()
                .filter(|(id, _, when)| *id == lot.id && *when <= time)
                .map(|(_, some, _)| some)
                .sum::<i64>()
    }

    fn available(&self, time: i64) -> i64 {
        let open = |lot: &&Lot| lot.available_at <= at(time) && at(time) < lot.expires_at;
        self.lots.iter().filter(open).map(|lot| self.left(lot, time)).sum()
    }

    fn pending(&self, time: i64) -> i64 {
        let waits = |lot: &&Lot| lot.earned_at <= at(time) && at(time) < lot.available_at;
        self.lots.iter().filter(waits).map(|lot| self.left(lot, time)).sum()
    }

    fn take(&mut self, amount: i64, now: i64) -> Option<Vec<(Uuid, i64)>> {
        if self.available(now) < amount {
            return None;
        }
        let mut order: Vec<Lot> = self.lots.clone();
        order.sort_by_key(|lot| (lot.expires_at, lot.earned_at, lot.id));
        let mut wanted = amount;
        let mut used = Vec::new();
        for lot in order {
            let free = if lot.available_at <= at(now) && at(now) < lot.expires_at { self.left(&lot, now) } else { 0 };
            let some = free.min(wanted);
            if some > 0 {
                used.push((lot.id, some));
                wanted -= some;
            }
        }
        self.uses.extend(used.iter().map(|(id, some)| (*id, *some, now)));
        Some(used)
    }
}

/// The book as rows would keep it.
struct Kept {
    file: File,
    entries: Vec<Entry>,
    uses: Vec<Use>,
    lots: BTreeMap<Uuid, Lot>,
    sloppy: bool,
}

impl Kept {
    fn new(sloppy: bool) -> Kept {
        Kept { file: File::default(), entries: Vec::new(), uses: Vec::new(), lots: BTreeMap::new(), sloppy }
    }

    /// A posting reads its accounts anew, and lots only when it has to.
    fn post<T>(&mut self, takes: bool, now: i64, work: impl FnOnce(&mut File, &mut Changes) -> T) -> T {
        let open: BTreeSet<Lot> = self.lots.values().filter(|lot| lot.remaining > 0).cloned().collect();
        let next = open.first().map(|lot| lot.expires_at).filter(|time| *time < Timestamp::MAX);
        let due = next.is_some_and(|next| next <= at(now));
        if let Some(holding) = self.file.holdings.get_mut(&UNIT) {
            let read = takes || due || !self.sloppy;
            holding.lots = if read { open } else { BTreeSet::new() };
            holding.unread = if read { None } else { next };
        }
        let mut changes = Changes::default();
        let result = work(&mut self.file, &mut changes);
        self.entries.extend(changes.entries);
        self.uses.extend(changes.uses);
        self.lots.extend(changes.lots);
        result
    }

    /// The lots as they were then: what was used later is put back.
    fn lots_at(&self, time: i64) -> Vec<Lot> {
        let later = |lot: Uuid| -> i64 {
            self.uses.iter().filter(|one| one.lot == lot && one.effective_at > at(time)).map(|one| one.amount).sum()
        };
        let known = self.lots.values().filter(|lot| lot.earned_at <= at(time));
        known.map(|lot| Lot { remaining: lot.remaining + later(lot.id), ..lot.clone() }).collect()
    }

    fn balance(&self, time: i64) -> Balance {
        Balance::of(&self.lots_at(time), at(time), at(time))
    }

    fn check(&self, model: &Model, now: i64) {
        let holding = self.file.holdings.get(&UNIT).cloned().unwrap_or_default();
        // Three ways to the same balance.
        let fold: i64 = self.entries.iter().map(Entry::change).sum();
        let open: i64 = self.lots.values().map(|lot| lot.remaining).sum();
        assert_eq!((holding.balance, open), (fold, fold));
        for (n, entry) in self.entries.iter().enumerate() {
            assert_eq!(entry.sequence, n as i64 + 1);
            assert_eq!(entry.legs().iter().map(|(_, amount)| amount).sum::<i64>(), 0);
            assert_eq!(entry.next - entry.previous, entry.change());
            assert!(entry.previous >= 0 && entry.next >= 0 && entry.amount > 0);
            assert_eq!(entry.previous, n.checked_sub(1).map_or(0, |before| self.entries[before].next));
        }
        for time in (0..now + 70).step_by(7).chain([now]) {
            let balance = self.balance(time);
            assert_eq!((balance.available, balance.pending), (model.available(time), model.pending(time)), "{time}");
            // What is in the journal by then, less what expired by then and is not booked.
            let booked: i64 =
                self.entries.iter().filter(|entry| entry.effective_at <= at(time)).map(Entry::change).sum();
            let unbooked: i64 =
                self.lots_at(time).iter().filter(|lot| lot.expires_at <= at(time)).map(|lot| lot.remaining).sum();
            assert_eq!(booked - unbooked, balance.available + balance.pending, "{time}");
        }
    }

    fn expiries(&self) -> BTreeSet<(Uuid, i64, Timestamp)> {
        let expiries: Vec<&Entry> = self.entries.iter().filter(|entry| entry.kind == EntryKind::Expiry).collect();
        let of = |entry: &Entry| self.uses.iter().find(|one| one.sequence == entry.sequence).unwrap().lot;
        let set: BTreeSet<_> = expiries.iter().map(|entry| (of(entry), entry.amount, entry.effective_at)).collect();
        assert_eq!(set.len(), expiries.len(), "a lot expires once");
        set
    }
}

fn run(steps: &[Step], sweeps: bool, sloppy: bool) -> (Kept, Model, i64) {
    let (mut kept, mut model) = (Kept::new(sloppy), Model::default());
    let mut now = 100;
    for (n, step) in steps.iter().enumerate() {
        let n = n as u128;
        match *step {
            Step::Give { amount, ago, wait, life } => {
                let earned_at = at(now - ago);
                let available_at = at(now - ago + wait);
                let expires_at = life.map_or(Timestamp::MAX, |life| at(now - ago + life));
                let lot = NewLot { id: Uuid::from_u128(n), amount, earned_at, available_at, expires_at };
                let posted = kept
                    .post(false, now, |file, changes| file.give(changes, posting(n, EntryKind::Accrual), lot, at(now)))
                    .unwrap();
                model.lots.push(posted.lot.unwrap());
            }
            Step::Take { amount } => {
                let before = (kept.file.clone(), kept.entries.len());
                let taken = kept.post(true, now, |file, changes| {
                    file.take(changes, posting(n, EntryKind::Adjustment), amount, at(now))
                });
                match model.take(amount, now) {
                    Some(used) => {
                        let uses = taken.unwrap().uses;
                        assert_eq!(uses.iter().map(|one| (one.lot, one.amount)).collect::<Vec<_>>(), used);
                    }
                    None => {
                        let available = model.available(now);
                        assert_eq!(taken.unwrap_err(), Refused::Insufficient { available });
                        assert_eq!((kept.file.sequence, kept.entries.len()), (before.0.sequence, before.1));
                    }
                }
            }
            Step::Sweep if sweeps => {
                for _ in 0..2 {
                    kept.post(false, now, |file, changes| file.expire(changes, UNIT, at(now)));
                }
            }
            Step::Sweep => {}
            Step::Wait { time } => now += time,
        }
        kept.check(&model, now);
    }
    (kept, model, now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_book_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        run(&steps, true, true);
    }

    #[test]
    fn an_expiry_booked_late_or_twice_is_the_same(steps in prop::collection::vec(step(), 1..40)) {
        let (mut swept, _, now) = run(&steps, true, true);
        let (mut late, _, _) = run(&steps, false, false);
        for kept in [&mut swept, &mut late] {
            kept.post(false, now + 100, |file, changes| file.expire(changes, UNIT, at(now + 100)));
        }
        prop_assert_eq!(swept.expiries(), late.expiries());
        for time in 0..now + 100 {
            prop_assert_eq!(swept.balance(time), late.balance(time));
        }
    }

    #[test]
    fn what_is_given_at_one_time_may_come_in_any_order(
        lots in prop::collection::vec((1i64..50, 0i64..5, 20i64..25), 1..8).prop_shuffle(),
        amount in 1i64..200,
    ) {
        let give = |order: &[(usize, &(i64, i64, i64))]| {
            let mut kept = Kept::new(true);
            for (n, (amount, ago, life)) in order {
                let id = Uuid::from_u128(*n as u128);
                let earned_at = at(100 - ago);
                let lot = NewLot { id, amount: *amount, earned_at, available_at: earned_at, expires_at: at(100 + life) };
                kept.post(false, 100, |file, changes| file.give(changes, posting(0, EntryKind::Accrual), lot, at(100))).unwrap();
            }
            let uses = kept.post(true, 110, |file, changes| file.take(changes, posting(9, EntryKind::Adjustment), amount, at(110)));
            uses.map(|posted| posted.uses.into_iter().map(|one| (one.lot, one.amount)).collect::<Vec<_>>())
        };
        let order: Vec<_> = lots.iter().enumerate().collect();
        let mut other = order.clone();
        other.reverse();
        prop_assert_eq!(give(&order), give(&other));
    }
}

#[test]
fn a_balance_that_does_not_fit_is_refused_and_nothing_changes() {
    let mut kept = Kept::new(true);
    let lot = |n, amount| NewLot {
        id: Uuid::from_u128(n),
        amount,
        earned_at: at(100),
        available_at: at(100),
        expires_at: at(200),
    };
    let give = |kept: &mut Kept, n, amount, now| {
        kept.post(false, now, |file, changes| {
            file.give(changes, posting(n, EntryKind::Accrual), lot(n, amount), at(now)).map(|posted| posted.entry.next)
        })
    };
    assert_eq!(give(&mut kept, 1, i64::MAX, 100), Ok(i64::MAX));
    assert_eq!(give(&mut kept, 2, 1, 100), Err(Refused::TooLarge));
    assert_eq!(kept.entries.len(), 1);
    // Once it has expired there is room again.
    assert_eq!(give(&mut kept, 3, 5, 200), Ok(5));
    assert_eq!(kept.entries.iter().map(|entry| entry.kind.code()).collect::<Vec<_>>(), [1, 3, 1]);
}

/// What was given by mistake is taken from its own lot first, then from what else is available, and never below zero.
#[test]
fn what_is_taken_back_is_never_more_than_is_left() {
    let mut kept = Kept::new(false);
    let give = |kept: &mut Kept, n: u128, amount: i64, available: i64, expires: i64| {
        let lot = NewLot {
            id: Uuid::from_u128(n),
            amount,
            earned_at: at(0),
            available_at: at(available),
            expires_at: at(expires),
        };
        let now = i64::try_from(n).unwrap();
        kept.post(false, now, |file, changes| {
            file.give(changes, posting(n, EntryKind::Accrual), lot, at(now)).unwrap().entry
        })
    };
    let pending = give(&mut kept, 1, 10, 50, 100);
    let open = give(&mut kept, 2, 20, 2, 90);
    let back = |kept: &mut Kept, n: u128, given: &Entry, now: i64| {
        let given = given.clone();
        kept.post(true, now, |file, changes| {
            file.take_back(changes, posting(n, EntryKind::Adjustment), &given, at(now))
        })
    };
    // It waited still: it is taken all the same, and no other lot is touched.
    let taken = back(&mut kept, 11, &pending, 10).unwrap();
    assert_eq!(taken.uses.iter().map(|one| (one.lot.as_u128(), one.amount)).collect::<Vec<_>>(), [(1, 10)]);
    assert_eq!((taken.entry.amount, taken.entry.next, taken.entry.effective_at), (10, 20, at(10)));
    // Part of it was used: the rest of it, and what else there is.
    kept.post(true, 12, |file, changes| file.take(changes, posting(12, EntryKind::Adjustment), 15, at(12)).unwrap());
    let other = give(&mut kept, 13, 8, 13, 95);
    let taken = back(&mut kept, 14, &open, 14).unwrap();
    assert_eq!(taken.uses.iter().map(|one| (one.lot.as_u128(), one.amount)).collect::<Vec<_>>(), [(2, 5), (13, 8)]);
    assert_eq!((taken.entry.amount, taken.entry.next), (13, 0));
    assert_eq!(back(&mut kept, 15, &other, 15), None, "nothing is left");
}
