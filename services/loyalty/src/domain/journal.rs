//! What the ledger keeps: rows that are only ever added, and lots.

use rapport_types::{Timestamp, Uuid};
use serde::{Deserialize, Serialize};

use super::code::coded;

coded! {
    /// Why units moved.
    EntryKind {
        /// They were earned.
        Accrual = 1,
        /// They were given or taken by hand.
        Adjustment = 2,
        /// They expired.
        Expiry = 3,
    }
}

coded! {
    /// The accounts that units move between.
    Account {
        /// The member's own.
        Member = 1,
        /// Where units come from.
        Issuance = 2,
        /// Where expired units go.
        Breakage = 3,
        /// Where units go that were taken away by hand.
        Correction = 4,
    }
}

/// A row of the journal: one account gives, another takes the same amount, so that it sums to zero by its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Grows by one with each entry of the member.
    pub(crate) sequence: i64,
    pub(crate) unit_type: Uuid,
    pub(crate) kind: EntryKind,
    /// The posting it belongs to; none for an expiry.
    pub(crate) transaction: Option<Uuid>,
    pub(crate) giver: Account,
    pub(crate) taker: Account,
    /// More than 0.
    pub(crate) amount: i64,
    /// The member's balance of the unit type before and after, pending units included.
    pub(crate) previous: i64,
    pub(crate) next: i64,
    pub(crate) rule: Option<Uuid>,
    pub(crate) source: String,
    pub(crate) effective_at: Timestamp,
    pub(crate) recorded_at: Timestamp,
}

impl Entry {
    /// What each of its accounts got: the sum is zero.
    pub(crate) fn legs(&self) -> [(Account, i64); 2] {
        [(self.taker, self.amount), (self.giver, -self.amount)]
    }

    /// What the member got.
    pub(crate) fn change(&self) -> i64 {
        if self.taker == Account::Member { self.amount } else { -self.amount }
    }
}

/// Units that were earned together and expire together. Lots are used in the order of this type: earliest expiry, then
/// earliest earned, then id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Lot {
    /// [`Timestamp::MAX`] for never.
    pub(crate) expires_at: Timestamp,
    pub(crate) earned_at: Timestamp,
    pub(crate) id: Uuid,
    pub(crate) unit_type: Uuid,
    pub(crate) available_at: Timestamp,
    pub(crate) amount: i64,
    /// What is booked as left of it: an expiry may not be booked yet.
    pub(crate) remaining: i64,
    /// What was left of it when it expired, once that is booked.
    pub(crate) expired: i64,
    pub(crate) recorded_at: Timestamp,
}

impl Lot {
    /// What of it can be used then.
    pub(crate) fn available(&self, at: Timestamp) -> i64 {
        if self.available_at <= at && at < self.expires_at { self.remaining } else { 0 }
    }

    /// What of it waits then.
    pub(crate) fn pending(&self, at: Timestamp) -> i64 {
        if self.earned_at <= at && at < self.available_at && at < self.expires_at { self.remaining } else { 0 }
    }

    /// Where it stands then.
    pub(crate) fn state(&self, at: Timestamp) -> LotState {
        if self.remaining == 0 && self.expired == 0 {
            LotState::Used
        } else if self.expires_at <= at {
            LotState::Expired
        } else if at < self.available_at {
            LotState::Pending
        } else {
            LotState::Available
        }
    }
}

coded! {
    /// Where a lot stands.
    LotState {
        /// It will become available.
        Pending = 1,
        /// It can be used.
        Available = 2,
        /// Nothing is left of it.
        Used = 3,
        /// What was left of it has expired.
        Expired = 4,
    }
}

/// How much of a lot an entry used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Use {
    /// The entry.
    pub(crate) sequence: i64,
    /// The lot.
    pub(crate) lot: Uuid,
    /// More than 0.
    pub(crate) amount: i64,
    /// When: that of the entry.
    pub(crate) effective_at: Timestamp,
}

/// What a member has of one unit type at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    pub(crate) available: i64,
    pub(crate) pending: i64,
    /// What of the available units expires before a time that was asked for.
    pub(crate) expiring: i64,
    /// When the next of the available units expire.
    pub(crate) next_expires_at: Option<Timestamp>,
}

impl Balance {
    /// What these lots, all of one unit type, are worth at a time.
    pub(crate) fn of<'a>(lots: impl IntoIterator<Item = &'a Lot>, at: Timestamp, soon: Timestamp) -> Balance {
        let mut balance = Balance::default();
        for lot in lots {
            let available = lot.available(at);
            // A balance was checked to fit when it was posted.
            balance.available = balance.available.saturating_add(available);
            balance.pending = balance.pending.saturating_add(lot.pending(at));
            if available > 0 && lot.expires_at < Timestamp::MAX {
                if lot.expires_at <= soon {
                    balance.expiring = balance.expiring.saturating_add(available);
                }
                balance.next_expires_at =
                    Some(balance.next_expires_at.map_or(lot.expires_at, |next| next.min(lot.expires_at)));
            }
        }
        balance
    }
}
