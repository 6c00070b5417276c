use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Subject, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::{TenantId, Timestamp, Uuid, World};

use super::post::ledger_lock;
use super::told::tell;
use crate::domain::{
    Answer, EntryKind, Invitation, InvitationName, Key, Occasion, ProgramState, TransactionName, UnitKind,
};
use crate::error::decided;
use crate::events::invitation_changed;
use crate::store::{
    Books, Catalogs, InvitationRow, Wanted, books_load, books_save, invitation_hold, invitation_update, sealing,
};

/// Records what somebody says to an invitation.
#[derive(Clone, Debug)]
pub(crate) struct RespondToInvitation {
    /// The invitation.
    pub(crate) id: Uuid,
    /// What they say.
    pub(crate) answer: Answer,
    /// What they said with it; empty when nothing.
    pub(crate) note: String,
    /// When they said so; the time of the record when that was not told.
    pub(crate) occurred_at: Option<Timestamp>,
    /// The memberships that may gain by it.
    pub(crate) members: Vec<Uuid>,
    /// How many whole social units an acceptance gives.
    pub(crate) units: i64,
    /// Where ids come from.
    pub(crate) world: World,
    /// Programmes as they are known.
    pub(crate) catalogs: Arc<Catalogs>,
}

impl RespondToInvitation {
    /// Gives the social units of an acceptance, in every programme that has such units: advocates are not paid, what they
    /// build is standing. The first of the transactions.
    fn reward(
        &self,
        tenant: &TenantId,
        invitation: &Invitation,
        books: &mut Books,
        now: Timestamp,
        out: &mut Outbox,
    ) -> Option<TransactionName> {
        let mut first = None;
        for member in &self.members {
            let Some((holder, catalog)) = books.of(&(tenant.clone(), *member)) else { continue };
            let published = catalog.program.state == ProgramState::Published;
            for unit in catalog.units.values().filter(|unit| published && unit.kind == UnitKind::Social) {
                let minor = u32::try_from(unit.minor_digits).ok().and_then(|digits| 10_i64.checked_pow(digits));
                let amount = minor.and_then(|minor| self.units.checked_mul(minor)).unwrap_or(0);
                if amount == 0 {
                    continue;
                }
                let transaction = self.world.next_id();
                let occasion = Occasion {
                    transaction,
                    lot: self.world.next_id(),
                    source: invitation.name().to_string(),
                    occurred_at: invitation.answered_at.unwrap_or(now),
                };
                // A balance that is full takes nothing away from the answer.
                if let Ok(done) = holder.give(&catalog, unit, EntryKind::Accrual, amount, None, occasion, now) {
                    tell(out, tenant, &holder.member, &done);
                    first.get_or_insert(TransactionName::new(transaction));
                }
            }
        }
        first
    }
}

/// What a group of answers needs and leaves.
pub(crate) struct State {
    /// The invitations as they stand.
    rows: BTreeMap<Key, InvitationRow>,
    /// The keys of those who said something.
    keys: SubjectKeys,
    /// The accounts of those who may gain.
    books: Books,
    /// What is to be written.
    changed: BTreeSet<Key>,
}

#[async_trait]
impl Command for RespondToInvitation {
    type State = State;
    type Reply = InvitationRow;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        let mut locks = vec![LockKey::of(tenant, "invitation", self.id.as_bytes())];
        locks.extend(self.members.iter().map(|member| ledger_lock(tenant, *member)));
        locks
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let ids = items.iter().map(|item| (item.scope.tenant.clone(), item.command.id)).collect();
        let rows = invitation_hold(tx, &ids).await?;
        let said = |item: &Item<Self>| -> Option<Subject> {
            let row = rows.get(&(item.scope.tenant.clone(), item.command.id))?;
            (!item.command.note.is_empty()).then(|| sealing::subject(&row.tenant, row.invitation.origin))
        };
        let said: Vec<Subject> = items.iter().filter_map(said).collect();
        let keys = tx.keys(&said).await?;
        let member = |item: &Item<Self>| {
            let tenant = item.scope.tenant.clone();
            item.command.members.iter().map(move |member| (tenant.clone(), *member)).collect::<Vec<Key>>()
        };
        let wanted = Wanted { members: items.iter().flat_map(member).collect(), ..Wanted::default() };
        let Some(first) = items.first() else {
            return Ok(State { rows, keys, books: Books::default(), changed: BTreeSet::new() });
        };
        let books = books_load(tx.db(), &wanted, &first.command.catalogs, tx.now()).await?;
        Ok(State { rows, keys, books, changed: BTreeSet::new() })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<InvitationRow, Error> {
        let Item { scope, command, now } = item;
        let key = (scope.tenant.clone(), command.id);
        let Some(row) = state.rows.get_mut(&key) else {
            return Err(Error::not_found(InvitationName::new(command.id)));
        };
        // Without a time of the caller's the answer is never before the invitation, whatever the clock does.
        let at = command.occurred_at.unwrap_or_else(|| row.invitation.sent_at.map_or(*now, |sent| sent.max(*now)));
        let mut answered = row.invitation.clone();
        if !answered.answer(command.answer, at, *now)? {
            return Ok(row.clone());
        }
        row.note = sealing::note(&state.keys, &scope.tenant, answered.origin, &command.note).map_err(decided)?;
        if command.answer == Answer::Accepted {
            answered.reward = command.reward(&scope.tenant, &answered, &mut state.books, *now, out);
        }
        row.invitation = answered;
        invitation_changed(out, &scope.tenant, &row.invitation);
        let row = row.clone();
        state.changed.insert(key);
        Ok(row)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        let State { rows, changed, books, .. } = state;
        let rows: Vec<InvitationRow> =
            rows.into_iter().filter(|(key, _)| changed.contains(key)).map(|(_, row)| row).collect();
        invitation_update(tx.db(), &rows).await?;
        // Only those accounts that something was given to: the others are as they were.
        Ok(books_save(tx.db(), books).await?)
    }
}
