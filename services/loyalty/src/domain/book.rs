//! The ledger's arithmetic: what postings do to the accounts of members, in the order they come.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rapport_types::{TenantId, Timestamp, Uuid};

use super::journal::{Account, Entry, EntryKind, Lot, Use};

/// A member of a tenant.
pub(crate) type Key = (TenantId, Uuid);

/// One unit type of a member: what is booked, and the open lots that were read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Holding {
    /// Pending units included, expiries that are not booked too.
    pub(crate) balance: i64,
    /// The open lots that are known, in the order in which they are used. All of them when units may be taken, or when
    /// one has expired; else those that came since.
    pub(crate) lots: BTreeSet<Lot>,
    /// The earliest expiry of the open lots that were not read; none when all were, or when none expires.
    pub(crate) unread: Option<Timestamp>,
}

/// What a posting left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posted {
    /// Expiries that were booked before it.
    pub(crate) expired: Vec<Entry>,
    /// Its own entry.
    pub(crate) entry: Entry,
    /// The lot it made, when units were given.
    pub(crate) lot: Option<Lot>,
    /// The lots it used, in order, when units were taken.
    pub(crate) uses: Vec<Use>,
}

/// Why a posting is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// More than is available.
    Insufficient { available: i64 },
    /// The balance would not fit.
    TooLarge,
}

/// What is to be posted.
#[derive(Clone, Debug)]
pub(crate) struct Posting {
    pub(crate) transaction: Uuid,
    pub(crate) kind: EntryKind,
    pub(crate) unit_type: Uuid,
    pub(crate) rule: Option<Uuid>,
    pub(crate) source: String,
}

/// A lot that is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewLot {
    pub(crate) id: Uuid,
    pub(crate) amount: i64,
    pub(crate) earned_at: Timestamp,
    pub(crate) available_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// One member's accounts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct File {
    /// The sequence of the last entry.
    pub(crate) sequence: i64,
    pub(crate) holdings: BTreeMap<Uuid, Holding>,
}

/// What changed in one member's accounts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes {
    pub(crate) entries: Vec<Entry>,
    pub(crate) new_lots: Vec<Uuid>,
    pub(crate) uses: Vec<Use>,
    pub(crate) lots: HashMap<Uuid, Lot>,
    pub(crate) touched: BTreeSet<Uuid>,
}

impl Changes {
    /// Whether nothing changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Holding {
    /// The earliest expiry of all open lots; none when none expires.
    pub(crate) fn next_expires_at(&self) -> Option<Timestamp> {
        let known = self.lots.first().map(|lot| lot.expires_at).filter(|time| *time < Timestamp::MAX);
        known.into_iter().chain(self.unread).min()
    }

    /// Whether an open lot has expired and that is not booked.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.next_expires_at().is_some_and(|next| next <= now)
    }

    fn expired(&self, now: Timestamp) -> i64 {
        self.lots.iter().take_while(|lot| lot.expires_at <= now).map(|lot| lot.remaining).sum()
    }

    fn available(&self, now: Timestamp) -> i64 {
        self.lots.iter().map(|lot| lot.available(now)).sum()
    }
}

impl File {
    /// Gives units: makes a lot of them.
    ///
    /// # Errors
    /// TooLarge; nothing has changed then.
    pub(crate) fn give(
        &mut self,
        changes: &mut Changes,
        posting: Posting,
        lot: NewLot,
        now: Timestamp,
    ) -> Result<Posted, Refused> {
        let holding = self.holdings.entry(posting.unit_type).or_default();
        let left = holding.balance - holding.expired(now);
        left.checked_add(lot.amount).ok_or(Refused::TooLarge)?;
        let expired = self.expire(changes, posting.unit_type, now);
        let NewLot { id, amount, earned_at, available_at, expires_at } = lot;
        let unit_type = posting.unit_type;
        let lot = Lot {
            expires_at,
            earned_at,
            id,
            unit_type,
            available_at,
            amount,
            remaining: amount,
            expired: 0,
            recorded_at: now,
        };
        let entry = self.enter(changes, posting, (Account::Issuance, Account::Member), amount, (earned_at, now));
        self.holdings.entry(unit_type).or_default().lots.insert(lot.clone());
        changes.new_lots.push(id);
        changes.lots.insert(id, lot.clone());
        Ok(Posted { expired, entry, lot: Some(lot), uses: Vec::new() })
    }

    /// Takes available units, from the lots in their order. All open lots must have been read.
    ///
    /// # Errors
    /// Insufficient; nothing has changed then.
    pub(crate) fn take(
        &mut self,
        changes: &mut Changes,
        posting: Posting,
        amount: i64,
        now: Timestamp,
    ) -> Result<Posted, Refused> {
        let unit_type = posting.unit_type;
        let available = self.holdings.get(&unit_type).map_or(0, |holding| holding.available(now));
        if amount > available {
            return Err(Refused::Insufficient { available });
        }
        let expired = self.expire(changes, unit_type, now);
        let entry = self.enter(changes, posting, (Account::Member, Account::Correction), amount, (now, now));
        let holding = self.holdings.entry(unit_type).or_default();
        let mut uses = Vec::new();
        let mut wanted = amount;
        let mut used = Vec::new();
        for lot in &holding.lots {
            if wanted == 0 {
                break;
            }
            let some = lot.available(now).min(wanted);
            if some > 0 {
                wanted -= some;
                used.push((lot.clone(), some));
            }
        }
        for (lot, some) in used {
            holding.use_up(changes, &lot, some, 0);
            uses.push(Use { sequence: entry.sequence, lot: lot.id, amount: some, effective_at: now });
        }
        changes.uses.extend_from_slice(&uses);
        Ok(Posted { expired, entry, lot: None, uses })
    }

    /// Takes back what was given by mistake, as far as it is there: first what is left of the lot it made, pending or not,
    /// then what else is available, so that nothing is taken below zero. All open lots must have been read. None when
    /// nothing of it is left.
    pub(crate) fn take_back(
        &mut self,
        changes: &mut Changes,
        posting: Posting,
        given: &Entry,
        now: Timestamp,
    ) -> Option<Posted> {
        let unit_type = posting.unit_type;
        let expired = self.expire(changes, unit_type, now);
        let holding = self.holdings.get(&unit_type)?;
        // Lots that were made alike are alike: it does not matter which of them it is.
        let made = |lot: &&Lot| {
            (lot.earned_at, lot.recorded_at, lot.amount) == (given.effective_at, given.recorded_at, given.amount)
        };
        let own = holding.lots.iter().find(made);
        let mut wanted = given.amount;
        let mut used = Vec::new();
        for (lot, some) in own
            .map(|lot| (lot, lot.remaining))
            .into_iter()
            .chain(holding.lots.iter().filter(|lot| own != Some(*lot)).map(|lot| (lot, lot.available(now))))
        {
            let some = some.min(wanted);
            if some > 0 {
                wanted -= some;
                used.push((lot.clone(), some));
            }
        }
        let amount = given.amount - wanted;
        if amount == 0 {
            return None;
        }
        let entry = self.enter(changes, posting, (Account::Member, Account::Correction), amount, (now, now));
        let holding = self.holdings.entry(unit_type).or_default();
        let mut uses = Vec::new();
        for (lot, some) in used {
            holding.use_up(changes, &lot, some, 0);
            uses.push(Use { sequence: entry.sequence, lot: lot.id, amount: some, effective_at: now });
        }
        changes.uses.extend_from_slice(&uses);
        Some(Posted { expired, entry, lot: None, uses })
    }

    /// Books what has expired: as of the instant it did, whenever that is done. All open lots must have been read if
    /// [`Holding::is_due`].
    pub(crate) fn expire(&mut self, changes: &mut Changes, unit_type: Uuid, now: Timestamp) -> Vec<Entry> {
        let mut entries = Vec::new();
        let Some(holding) = self.holdings.get_mut(&unit_type).filter(|holding| holding.is_due(now)) else {
            return entries;
        };
        let due: Vec<Lot> = holding.lots.iter().take_while(|lot| lot.expires_at <= now).cloned().collect();
        for lot in &due {
            holding.use_up(changes, lot, lot.remaining, lot.remaining);
        }
        for lot in due {
            let posting =
                Posting { transaction: lot.id, kind: EntryKind::Expiry, unit_type, rule: None, source: String::new() };
            let accounts = (Account::Member, Account::Breakage);
            let entry = self.enter(changes, posting, accounts, lot.remaining, (lot.expires_at, now));
            changes.uses.push(Use {
                sequence: entry.sequence,
                lot: lot.id,
                amount: lot.remaining,
                effective_at: lot.expires_at,
            });
            entries.push(entry);
        }
        entries
    }

    fn enter(
        &mut self,
        changes: &mut Changes,
        posting: Posting,
        (giver, taker): (Account, Account),
        amount: i64,
        (effective_at, recorded_at): (Timestamp, Timestamp),
    ) -> Entry {
        let Posting { transaction, kind, unit_type, rule, source } = posting;
        self.sequence += 1;
        let holding = self.holdings.entry(unit_type).or_default();
        let previous = holding.balance;
        let mut entry = Entry {
            sequence: self.sequence,
            unit_type,
            kind,
            transaction: (kind != EntryKind::Expiry).then_some(transaction),
            giver,
            taker,
            amount,
            previous,
            next: previous,
            rule,
            source,
            effective_at,
            recorded_at,
        };
        // Checked by whoever calls: it fits, and is not below zero.
        entry.next = previous.saturating_add(entry.change());
        holding.balance = entry.next;
        changes.touched.insert(unit_type);
        changes.entries.push(entry.clone());
        entry
    }
}

impl Holding {
    fn use_up(&mut self, changes: &mut Changes, lot: &Lot, some: i64, expired: i64) {
        self.lots.remove(lot);
        let left = Lot { remaining: lot.remaining - some, expired, ..lot.clone() };
        if left.remaining > 0 {
            self.lots.insert(left.clone());
        }
        changes.lots.insert(left.id, left);
    }
}

#[cfg(test)]
mod laws;
