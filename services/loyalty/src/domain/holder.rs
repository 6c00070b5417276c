//! A member with its accounts and its tier: what postings do to both.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rapport_types::money::Money;
use rapport_types::{Timestamp, Uuid};

use super::book::{Changes, File, NewLot, Posted, Posting, Refused};
use super::catalog::Catalog;
use super::journal::{Entry, EntryKind};
use super::member::Member;
use super::rule::{Nothing, Rule};
use super::tier::Months;
use super::unit::{UnitKind, UnitType};

/// A member, what it holds, and what a batch does to it.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) member: Member,
    pub(crate) file: File,
    /// What was earned per qualifying unit type and month.
    pub(crate) months: BTreeMap<Uuid, Months>,
    pub(crate) standing: Announced,
    /// Whether `standing` changed.
    pub(crate) told: bool,
    /// What was earned by which rule from which source, as far as it was asked for.
    pub(crate) earned_by: HashMap<(Uuid, String), Uuid>,
    pub(crate) changes: Changes,
    pub(crate) changed_months: BTreeSet<(Uuid, i32)>,
    pub(crate) new_sources: Vec<(Uuid, String, Uuid)>,
    /// What was taken back, and may be earned once more: rule and source.
    pub(crate) gone_sources: Vec<(Uuid, String)>,
}

/// The tier that was told last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) tier: Option<Uuid>,
    /// The end of the window: it may have to be told anew then.
    pub(crate) until: Option<Timestamp>,
}

/// A tier that was left or reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TierMove {
    pub(crate) from: Option<Uuid>,
    pub(crate) to: Option<Uuid>,
}

/// What a posting did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) posted: Posted,
    pub(crate) tier: Option<TierMove>,
}

/// What an accrual is, beside what it gives.
#[derive(Clone, Debug)]
pub(crate) struct Occasion {
    pub(crate) transaction: Uuid,
    pub(crate) lot: Uuid,
    pub(crate) source: String,
    pub(crate) occurred_at: Timestamp,
}

/// Why nothing is earned by a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unearned {
    /// It was earned before, by this transaction.
    Before(Uuid),
    /// The rule gives nothing for it.
    Nothing(Nothing),
    /// The ledger refuses it.
    Refused(Refused),
}

impl Holder {
    /// A member as it was read.
    pub(crate) fn new(member: Member, file: File, standing: Announced) -> Holder {
        Holder {
            member,
            file,
            months: BTreeMap::new(),
            standing,
            told: false,
            earned_by: HashMap::new(),
            changes: Changes::default(),
            changed_months: BTreeSet::new(),
            new_sources: Vec::new(),
            gone_sources: Vec::new(),
        }
    }

    /// Gives units by a rule, once for each source.
    ///
    /// # Errors
    /// Why not; nothing has changed then.
    pub(crate) fn earn(
        &mut self,
        catalog: &Catalog,
        rule: &Rule,
        money: Option<Money>,
        occasion: Occasion,
        now: Timestamp,
    ) -> Result<Done, Unearned> {
        let key = (rule.id, occasion.source.clone());
        if let Some(before) = self.earned_by.get(&key) {
            return Err(Unearned::Before(*before));
        }
        let amount = rule.earns(money).map_err(Unearned::Nothing)?;
        let unit = catalog.units.get(&rule.unit_type).ok_or(Unearned::Nothing(Nothing::TooLittle))?;
        let transaction = occasion.transaction;
        let done = self
            .give(catalog, unit, EntryKind::Accrual, amount, Some(rule.id), occasion, now)
            .map_err(Unearned::Refused)?;
        self.new_sources.push((key.0, key.1.clone(), transaction));
        self.earned_by.insert(key, transaction);
        Ok(done)
    }

    /// Gives units. What is said to have happened later than now is earned now: clocks differ.
    ///
    /// # Errors
    /// TooLarge; nothing has changed then.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn give(
        &mut self,
        catalog: &Catalog,
        unit: &UnitType,
        kind: EntryKind,
        amount: i64,
        rule: Option<Uuid>,
        occasion: Occasion,
        now: Timestamp,
    ) -> Result<Done, Refused> {
        let earned_at = occasion.occurred_at.min(now);
        let (available_at, expires_at) = unit.times(&catalog.program.zone, earned_at);
        let posting =
            Posting { transaction: occasion.transaction, kind, unit_type: unit.id, rule, source: occasion.source };
        let lot = NewLot { id: occasion.lot, amount, earned_at, available_at, expires_at };
        let posted = self.file.give(&mut self.changes, posting, lot, now)?;
        self.count(catalog, unit, amount, earned_at);
        Ok(Done { posted, tier: self.announce(catalog, unit.kind, now) })
    }

    /// Takes units away by hand.
    ///
    /// # Errors
    /// Insufficient; nothing has changed then.
    pub(crate) fn take(
        &mut self,
        catalog: &Catalog,
        unit: &UnitType,
        amount: i64,
        occasion: Occasion,
        now: Timestamp,
    ) -> Result<Done, Refused> {
        let posting = Posting {
            transaction: occasion.transaction,
            kind: EntryKind::Adjustment,
            unit_type: unit.id,
            rule: None,
            source: occasion.source,
        };
        let posted = self.file.take(&mut self.changes, posting, amount, now)?;
        self.count(catalog, unit, -amount, now);
        Ok(Done { posted, tier: self.announce(catalog, unit.kind, now) })
    }

    /// Takes back what was earned by a rule from a source, `given` by it: it was somebody else's. What of it was used since
    /// stays used. Earned once more, it counts once more. None when nothing was left to take.
    pub(crate) fn unearn(
        &mut self,
        catalog: &Catalog,
        rule: Uuid,
        given: &Entry,
        transaction: Uuid,
        now: Timestamp,
    ) -> Option<Done> {
        let key = (rule, given.source.clone());
        self.earned_by.remove(&key)?;
        self.new_sources.retain(|(by, source, _)| (*by, source) != (rule, &key.1));
        self.gone_sources.push(key);
        let unit = catalog.units.get(&given.unit_type)?;
        let posting = Posting {
            transaction,
            kind: EntryKind::Adjustment,
            unit_type: given.unit_type,
            rule: Some(rule),
            source: given.source.clone(),
        };
        let posted = self.file.take_back(&mut self.changes, posting, given, now)?;
        // For tiers it counts no longer where it was earned.
        self.count(catalog, unit, -posted.entry.amount, given.effective_at);
        Some(Done { posted, tier: self.announce(catalog, unit.kind, now) })
    }

    /// Books what has expired and tells a tier that fell.
    pub(crate) fn settle(&mut self, catalog: &Catalog, now: Timestamp) -> (Vec<Entry>, Option<TierMove>) {
        let units: Vec<Uuid> = self.file.holdings.keys().copied().collect();
        let mut entries = Vec::new();
        for unit in units {
            entries.extend(self.file.expire(&mut self.changes, unit, now));
        }
        (entries, self.announce(catalog, UnitKind::Qualifying, now))
    }

    /// Counts for tiers, which run on what was earned, never on what is left.
    fn count(&mut self, catalog: &Catalog, unit: &UnitType, amount: i64, earned_at: Timestamp) {
        if unit.kind == UnitKind::Qualifying {
            let month = catalog.program.zone.month(earned_at);
            let units = self.months.entry(unit.id).or_default().entry(month).or_default();
            *units = units.saturating_add(amount);
            self.changed_months.insert((unit.id, month));
        }
    }

    fn announce(&mut self, catalog: &Catalog, kind: UnitKind, now: Timestamp) -> Option<TierMove> {
        let ladder = &catalog.ladder;
        let unit = ladder.unit_type().filter(|_| kind == UnitKind::Qualifying)?;
        let zone = &catalog.program.zone;
        let standing = ladder.standing(self.months.get(&unit).unwrap_or(&Months::new()), zone.month(now));
        let to = ladder.tier(standing.current).map(|tier| tier.id);
        let from = self.standing.tier;
        let told = Announced { tier: to, until: to.map(|_| zone.month_start(standing.window.1)) };
        self.told |= told != self.standing;
        self.standing = told;
        (from != to).then_some(TierMove { from, to })
    }
}
