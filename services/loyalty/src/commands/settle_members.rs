use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rapport_store::{LockKey, Outbox, StoreError, Tx, Work};

use super::post::ledger_lock;
use super::told::{tell_expired, tell_tier};
use crate::domain::Key;
use crate::store::{Catalogs, Wanted, books_load, books_save};

/// Books what has expired of these members, and tells tiers that fell. It changes no answer: it writes down what is true.
/// Late, or run twice, it writes the same rows.
pub(crate) struct SettleMembers {
    pub(crate) members: BTreeSet<Key>,
    /// Programmes as they are known.
    pub(crate) catalogs: Arc<Catalogs>,
}

#[async_trait]
impl Work for SettleMembers {
    /// How many entries were booked.
    type Output = usize;

    fn locks(&self) -> Vec<LockKey> {
        self.members.iter().map(|(tenant, member)| ledger_lock(tenant, *member)).collect()
    }

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<usize, StoreError> {
        let wanted = Wanted { members: self.members.clone(), ..Wanted::default() };
        let mut books = books_load(tx.db(), &wanted, &self.catalogs, tx.now()).await?;
        let mut booked = 0;
        for key in &self.members {
            let Some((holder, catalog)) = books.of(key) else { continue };
            let (expired, tier) = holder.settle(&catalog, tx.now());
            booked += expired.len();
            tell_expired(out, &key.0, &holder.member, &expired);
            tell_tier(out, &key.0, &holder.member, tier, holder.file.sequence, tx.now());
        }
        books_save(tx.db(), books).await?;
        Ok(booked)
    }
}
