//! The order history: what each interaction says about an order or a return, and the sums of each day.

use std::collections::BTreeMap;

use rapport_types::money::Currency;
use rapport_types::{TenantId, Uuid};

use super::{Day, Key};

/// Which way money moved. The codes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PurchaseKind {
    /// Something was ordered.
    Order,
    /// Something was returned.
    Return,
}

impl PurchaseKind {
    /// The number stored.
    pub(crate) const fn code(self) -> i16 {
        match self {
            PurchaseKind::Order => 1,
            PurchaseKind::Return => 2,
        }
    }

    /// The kind with this number.
    pub(crate) const fn from_code(code: i16) -> Option<PurchaseKind> {
        match code {
            1 => Some(PurchaseKind::Order),
            2 => Some(PurchaseKind::Return),
            _ => None,
        }
    }
}

/// An order or a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Purchase {
    /// Which.
    pub(crate) kind: PurchaseKind,
    /// Whose: the id under which the fact came.
    pub(crate) origin: Uuid,
    /// The type of the role they acted in; empty when unknown.
    pub(crate) role_type: String,
    /// The day in the tenant's zone.
    pub(crate) day: Day,
    /// The currency.
    pub(crate) currency: Currency,
    /// How much, in billionths of a unit; not negative.
    pub(crate) nanos: i128,
}

/// One version of an interaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// The interaction.
    pub(crate) interaction: Uuid,
    /// The number of the version; the greatest one holds.
    pub(crate) number: i64,
    /// Another interaction that this one takes the place of.
    pub(crate) supersedes: Option<Uuid>,
    /// What it says; nothing if it is about something else, or was retracted.
    pub(crate) purchase: Option<Purchase>,
}

/// What is known of an interaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BookLine {
    /// The greatest version seen; 0 if only that it was superseded is known.
    pub(crate) version: i64,
    /// Whether another interaction took its place, for good.
    pub(crate) superseded: bool,
    /// What counts of it.
    pub(crate) purchase: Option<Purchase>,
}

/// The key of one row of sums.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DayKey {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// The id under which the facts came.
    pub(crate) origin: Uuid,
    /// The currency.
    pub(crate) currency: Currency,
    /// The type of the role.
    pub(crate) role_type: String,
    /// The day.
    pub(crate) day: Day,
}

/// What was ordered and returned on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DaySum {
    /// How many orders.
    pub(crate) orders: i64,
    /// Their amounts, in billionths of a unit.
    pub(crate) ordered: i128,
    /// How many returns.
    pub(crate) returns: i64,
    /// Their amounts.
    pub(crate) returned: i128,
}

impl DaySum {
    /// The sums of both.
    pub(crate) fn plus(self, other: DaySum) -> DaySum {
        DaySum {
            orders: self.orders + other.orders,
            ordered: self.ordered + other.ordered,
            returns: self.returns + other.returns,
            returned: self.returned + other.returned,
        }
    }

    fn of(purchase: &Purchase, sign: i64) -> DaySum {
        let nanos = purchase.nanos * i128::from(sign);
        match purchase.kind {
            PurchaseKind::Order => DaySum { orders: sign, ordered: nanos, ..DaySum::default() },
            PurchaseKind::Return => DaySum { returns: sign, returned: nanos, ..DaySum::default() },
        }
    }
}

/// What a batch needs to know of what is stored, and what it changes. Versions may come in any order and more than once: what
/// counts in the end is the greatest version of each interaction that nothing took the place of.
#[derive(Debug, Default)]
pub(crate) struct OrderBook {
    lines: BTreeMap<Key, BookLine>,
    changed: BTreeMap<Key, BookLine>,
    sums: BTreeMap<DayKey, DaySum>,
}

impl OrderBook {
    /// Takes note of stored lines: of each interaction that the batch names.
    pub(crate) fn know(&mut self, lines: impl IntoIterator<Item = (Key, BookLine)>) {
        self.lines.extend(lines);
    }

    /// A version arrived. Gives the origins whose purchases it adds or takes back.
    pub(crate) fn record(&mut self, tenant: &TenantId, version: &Version) -> Vec<Uuid> {
        let mut origins = Vec::new();
        if let Some(older) = version.supersedes {
            let key = (tenant.clone(), older);
            let mut line = self.lines.get(&key).cloned().unwrap_or_default();
            if !line.superseded {
                line.superseded = true;
                let before = line.purchase.take();
                origins.extend(before.as_ref().map(|purchase| purchase.origin));
                self.count(tenant, before.as_ref(), -1);
                self.keep(key, line);
            }
        }
        let key = (tenant.clone(), version.interaction);
        let known = self.lines.get(&key);
        // Nothing comes before a first version: one that is about something else leaves no trace.
        if known.is_none() && version.number <= 1 && version.purchase.is_none() {
            return origins;
        }
        let mut line = known.cloned().unwrap_or_default();
        if version.number <= line.version {
            return origins;
        }
        line.version = version.number;
        let now = version.purchase.clone().filter(|_| !line.superseded);
        let before = std::mem::replace(&mut line.purchase, now);
        origins.extend(before.iter().chain(&line.purchase).map(|purchase| purchase.origin));
        self.count(tenant, before.as_ref(), -1);
        self.count(tenant, line.purchase.as_ref(), 1);
        self.keep(key, line);
        origins
    }

    fn keep(&mut self, key: Key, line: BookLine) {
        self.lines.insert(key.clone(), line.clone());
        self.changed.insert(key, line);
    }

    fn count(&mut self, tenant: &TenantId, purchase: Option<&Purchase>, sign: i64) {
        let Some(purchase) = purchase else {
            return;
        };
        let key = DayKey {
            tenant: tenant.clone(),
            origin: purchase.origin,
            currency: purchase.currency,
            role_type: purchase.role_type.clone(),
            day: purchase.day,
        };
        let sum = self.sums.entry(key).or_default();
        *sum = sum.plus(DaySum::of(purchase, sign));
    }

    /// The lines that changed, and what is added to the sums.
    pub(crate) fn into_changes(self) -> (BTreeMap<Key, BookLine>, BTreeMap<DayKey, DaySum>) {
        let mut sums = self.sums;
        sums.retain(|_, sum| *sum != DaySum::default());
        (self.changed, sums)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn tenant() -> TenantId {
        TenantId::parse("acme").unwrap()
    }

    fn purchase(kind: u8, origin: u8, day: u8, amount: u16) -> Option<Purchase> {
        let kind = match kind {
            0 => return None,
            1 => PurchaseKind::Return,
            _ => PurchaseKind::Order,
        };
        Some(Purchase {
            kind,
            origin: Uuid::from_u128(origin.into()),
            role_type: String::new(),
            day: Day::from_number(day.into()),
            currency: Currency::parse("EUR").unwrap(),
            nanos: amount.into(),
        })
    }

    /// Interactions 1 to 8; a retraction is a version without a purchase.
    fn versions() -> impl Strategy<Value = Vec<Version>> {
        let one = (1..9_u8, 1..5_i64, 0..12_u8, 0..5_u8, 0..3_u8, 0..4_u8, 0..1000_u16);
        prop::collection::vec(one, 0..40).prop_map(|all| {
            let mut seen = BTreeSet::new();
            all.into_iter()
                // A version is one fact: it does not come with two contents.
                .filter(|(id, number, ..)| seen.insert((*id, *number)))
                .map(|(id, number, older, kind, origin, day, amount)| Version {
                    interaction: Uuid::from_u128(id.into()),
                    number,
                    supersedes: (1..9)
                        .contains(&older)
                        .then_some(older)
                        .filter(|older| *older != id && number == 1)
                        .map(|older| Uuid::from_u128(older.into())),
                    purchase: purchase(kind, origin, day, amount),
                })
                .collect()
        })
    }

    /// What counts, straight from the words of the rule.
    fn brute_force(versions: &[Version]) -> BTreeMap<DayKey, DaySum> {
        let gone: BTreeSet<Uuid> = versions.iter().filter_map(|version| version.supersedes).collect();
        let mut newest: BTreeMap<Uuid, &Version> = BTreeMap::new();
        for version in versions {
            let known = newest.entry(version.interaction).or_insert(version);
            if version.number > known.number {
                *known = version;
            }
        }
        let mut sums: BTreeMap<DayKey, DaySum> = BTreeMap::new();
        for purchase in newest
            .values()
            .filter(|version| !gone.contains(&version.interaction))
            .filter_map(|version| version.purchase.as_ref())
        {
            let key = DayKey {
                tenant: tenant(),
                origin: purchase.origin,
                currency: purchase.currency,
                role_type: String::new(),
                day: purchase.day,
            };
            let sum = sums.entry(key).or_default();
            *sum = sum.plus(DaySum::of(purchase, 1));
        }
        sums
    }

    #[test]
    fn an_order_goes_with_its_interaction_to_whom_it_was_of() {
        let version = |number: i64, origin: u8| Version {
            interaction: Uuid::from_u128(1),
            number,
            supersedes: None,
            purchase: purchase(2, origin, 3, 12),
        };
        let mut book = OrderBook::default();
        book.record(&tenant(), &version(1, 7));
        book.record(&tenant(), &version(2, 8));
        // The version before it, late.
        book.record(&tenant(), &version(1, 7));
        let (lines, sums) = book.into_changes();
        assert_eq!(lines.values().next().unwrap().purchase, purchase(2, 8, 3, 12));
        let whose: Vec<(u128, DaySum)> = sums.into_iter().map(|(key, sum)| (key.origin.as_u128(), sum)).collect();
        assert_eq!(whose, [(8, DaySum { orders: 1, ordered: 12, ..DaySum::default() })]);
    }

    proptest! {
        #[test]
        fn any_order_any_batches_and_repeats_give_what_brute_force_gives(
            versions in versions(),
            order in any::<prop::sample::Index>(),
            seed in any::<u64>(),
            cut in 1..7_usize,
        ) {
            let expected = brute_force(&versions);
            // A shuffle with repeats: every version comes at least once.
            let mut arrivals: Vec<&Version> = versions.iter().chain(versions.iter().take(seed as usize % 8)).collect();
            if !arrivals.is_empty() {
                let turn = order.index(arrivals.len());
                arrivals.rotate_left(turn);
                let mut state = seed | 1;
                for at in (1..arrivals.len()).rev() {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    arrivals.swap(at, (state >> 33) as usize % (at + 1));
                }
            }
            let mut stored: BTreeMap<Key, BookLine> = BTreeMap::new();
            let mut sums: BTreeMap<DayKey, DaySum> = BTreeMap::new();
            for batch in arrivals.chunks(cut) {
                let mut book = OrderBook::default();
                book.know(stored.clone());
                for version in batch {
                    book.record(&tenant(), version);
                }
                let (lines, changes) = book.into_changes();
                stored.extend(lines);
                for (key, change) in changes {
                    let sum = sums.entry(key).or_default();
                    *sum = sum.plus(change);
                }
            }
            sums.retain(|_, sum| *sum != DaySum::default());
            prop_assert_eq!(sums, expected);
        }
    }
}
