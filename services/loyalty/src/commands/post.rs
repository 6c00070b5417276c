use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::money::Money;
use rapport_types::{TenantId, Timestamp, Uuid};
use serde::{Deserialize, Serialize};

use super::told::tell;
use crate::domain::{
    Catalog, Done, Entry, EntryKind, Holder, Key, Lot, MemberName, Occasion, ProgramName, RuleName, Unearned, UnitType,
    UnitTypeName, Use,
};
use crate::error::{earned_before, nothing, refused};
use crate::store::sealing::{grounds_seal, subject};
use crate::store::{Books, Catalogs, Wanted, books_load, books_save};

/// Posts to the ledger: gives units, or takes them away. The hot write: whatever queued while the last commit ran is
/// decided one after the other, each seeing what the ones before left, and written with a fixed number of statements.
pub(crate) struct Post {
    /// The transaction's id, and the lot's if it makes one: given by the server.
    pub(crate) transaction: Uuid,
    pub(crate) lot: Uuid,
    pub(crate) member: MemberName,
    pub(crate) what: What,
    /// What caused it.
    pub(crate) source: String,
    /// When it happened; now when none.
    pub(crate) occurred_at: Option<Timestamp>,
    /// Programmes as they are known.
    pub(crate) catalogs: Arc<Catalogs>,
}

/// What is to be posted.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Units that are given by hand.
    Give { unit_type: Uuid, amount: i64 },
    /// Units that are earned by a rule.
    Earn { rule: Uuid, money: Option<Money> },
    /// A correction: units given, or taken when the amount is below zero. Never 0.
    Adjust { unit_type: Uuid, amount: i64, grounds: String },
}

/// What a posting did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Posted {
    pub(crate) transaction: Uuid,
    pub(crate) entry: Entry,
    pub(crate) lot: Option<Lot>,
    pub(crate) uses: Vec<Use>,
}

/// What a group of postings needs and leaves.
pub(crate) struct State {
    books: Books,
    keys: Option<SubjectKeys>,
}

/// What nobody else may do to a member's units meanwhile.
pub(crate) fn ledger_lock(tenant: &TenantId, member: Uuid) -> LockKey {
    LockKey::of(tenant, "ledger", member.as_bytes())
}

#[async_trait]
impl Command for Post {
    type State = State;
    type Reply = Posted;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![ledger_lock(tenant, self.member.uuid())]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let mut wanted = Wanted::default();
        let mut texts = HashSet::new();
        for Item { scope, command, .. } in items {
            let key = (scope.tenant.clone(), command.member.uuid());
            match &command.what {
                What::Give { .. } => {}
                What::Earn { rule, .. } => {
                    wanted.sources.insert((key.0.clone(), key.1, *rule, command.source.clone()));
                }
                What::Adjust { amount, .. } => {
                    texts.insert(key.clone());
                    if *amount < 0 {
                        wanted.takers.insert(key.clone());
                    }
                }
            }
            wanted.members.insert(key);
        }
        let Some(first) = items.first() else { return Ok(State { books: Books::default(), keys: None }) };
        let books = books_load(tx.db(), &wanted, &first.command.catalogs, tx.now()).await?;
        let subjects: Vec<_> =
            texts.iter().filter_map(|key| Some(subject(&key.0, books.holders.get(key)?.member.party))).collect();
        let keys = if subjects.is_empty() { None } else { Some(tx.keys(&subjects).await?) };
        Ok(State { books, keys })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Posted, Error> {
        let Item { scope, command, now } = item;
        let key = (scope.tenant.clone(), command.member.uuid());
        let State { books, keys } = state;
        let (holder, catalog) = books
            .of(&key)
            .filter(|(holder, _)| ProgramName::new(holder.member.program) == command.member.parent())
            .ok_or_else(|| Error::not_found(command.member))?;
        let sealed = seal(command, keys.as_ref(), &key, holder)?;
        let done = post(command, holder, &catalog, *now)?;
        tell(out, &scope.tenant, &holder.member, &done);
        out.keep_request();
        let Done { posted, .. } = done;
        books.notes.insert((key, posted.entry.sequence), (scope.principal.clone(), sealed));
        Ok(Posted { transaction: command.transaction, entry: posted.entry, lot: posted.lot, uses: posted.uses })
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        books_save(tx.db(), state.books).await?;
        Ok(())
    }
}

fn seal(command: &Post, keys: Option<&SubjectKeys>, key: &Key, holder: &Holder) -> Result<Option<Vec<u8>>, Error> {
    match (&command.what, keys) {
        (What::Adjust { grounds, .. }, Some(keys)) => {
            grounds_seal(keys, &subject(&key.0, holder.member.party), grounds).map(Some)
        }
        _ => Ok(None),
    }
}

fn post(command: &Post, holder: &mut Holder, catalog: &Catalog, now: Timestamp) -> Result<Done, Error> {
    let occasion = Occasion {
        transaction: command.transaction,
        lot: command.lot,
        source: command.source.clone(),
        occurred_at: command.occurred_at.unwrap_or(now),
    };
    match command.what {
        What::Give { unit_type, amount } => {
            let unit = find_unit(catalog, unit_type)?;
            holder
                .give(catalog, unit, EntryKind::Accrual, amount, None, occasion, now)
                .map_err(|why| refused(why, amount))
        }
        What::Earn { rule, money } => {
            let name = || RuleName::new(ProgramName::new(catalog.program.id), rule);
            let rule = catalog.rules.get(&rule).ok_or_else(|| Error::not_found(name()))?;
            holder.earn(catalog, rule, money, occasion, now).map_err(|why| match why {
                Unearned::Before(transaction) => earned_before(transaction),
                Unearned::Nothing(why) => nothing(why),
                Unearned::Refused(why) => refused(why, 0),
            })
        }
        What::Adjust { unit_type, amount, .. } => {
            let unit = find_unit(catalog, unit_type)?;
            if amount > 0 {
                holder.give(catalog, unit, EntryKind::Adjustment, amount, None, occasion, now)
            } else {
                // The least number has no opposite; nobody has so much anyway.
                let amount = amount.checked_neg().unwrap_or(i64::MAX);
                holder.take(catalog, unit, amount, occasion, now)
            }
            .map_err(|why| refused(why, amount.saturating_neg()))
        }
    }
}

fn find_unit(catalog: &Catalog, id: Uuid) -> Result<&UnitType, Error> {
    let name = || UnitTypeName::new(ProgramName::new(catalog.program.id), id);
    catalog.units.get(&id).ok_or_else(|| Error::not_found(name()))
}
