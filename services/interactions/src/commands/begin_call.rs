use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::error::{Error, Kind};
use rapport_types::{TenantId, Uuid, reason};

use super::settle::{By, row_of, share, told_change};
use super::talks::{Talks, WEIGHT, Wanted, lost, place, talk_locks};
use crate::domain::{CallName, Match, Resolution, Route, Told};
use crate::store::{CallRow, CallText};

/// Tells that a call has begun. Who it is was found out before: other services are not asked within a transaction.
pub(crate) struct BeginCall {
    /// The call's id: the same for the same call, however often it is told.
    pub(crate) id: Uuid,
    /// The conversation that it is a leg of.
    pub(crate) talk: Uuid,
    /// What is told.
    pub(crate) told: Told,
    /// Who it is, as far as anybody said in time; none where the own index is to say it, which is a conflict if it does not.
    pub(crate) resolution: Option<Resolution>,
    /// How the origin is found.
    pub(crate) route: Route,
    /// The cases that were opened with the conversation, as far as they are known.
    pub(crate) cases: Vec<Uuid>,
}

#[async_trait]
impl Command for BeginCall {
    type State = Talks;
    type Reply = CallRow;
    const WEIGHT: usize = WEIGHT;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        talk_locks(tenant, self.talk, &self.cases)
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<Talks, StoreError> {
        let wanted: Vec<Wanted<'_>> = items
            .iter()
            .map(|Item { scope, command, .. }| Wanted {
                tenant: &scope.tenant,
                talk: command.talk,
                call: Some(command.id),
                route: Some(command.route),
                party: None,
                follow_up: None,
            })
            .collect();
        Talks::load(tx, &wanted).await
    }

    fn decide(item: &Item<Self>, state: &mut Talks, out: &mut Outbox) -> Result<CallRow, Error> {
        let BeginCall { id, talk, told, resolution, route, .. } = &item.command;
        let tenant = &item.scope.tenant;
        if let Some(row) = state.stray(tenant, *id) {
            return Ok(row);
        }
        let key = (tenant.clone(), *talk);
        let mut legs = state.legs(&key);
        let indexed = || Resolution::new(Match::Unknown, "", Vec::new());
        let found = state.found(&key, *route, &resolution.clone().unwrap_or_else(indexed));
        let at = place(&mut legs, &key, *id, item.now);
        let leg = legs.get_mut(at).ok_or_else(lost)?;
        if leg.row.begun {
            return Ok(state.known(&leg.row));
        }
        if resolution.is_none() && found.0.party.is_none() {
            return Err(Error::new(Kind::Conflict, reason::CONTENTION, "the identifier leads to nobody any more"));
        }
        leg.row.begun = true;
        // The beginning says how it began, whatever else was told before it. What was erased stays so.
        if let Some(text) = leg.text.take() {
            let first = leg.row.sealed.is_empty();
            let mut told = if first { told.clone() } else { told.clone().or(&leg.row.told(text.clone())) };
            if !leg.row.ended() {
                told.started_at = told.started_at.or(Some(item.now));
            }
            let text = leg.row.tell(&told, &text);
            leg.write(text);
            if found.2.matched() != Match::Withheld || !leg.identified() {
                leg.identify(found);
            }
        }
        let whose = share(state, &key, &mut legs)?;
        // What was recorded before is with whoever this says it is, and nothing else of it changes.
        let change = told_change(*talk, "identified");
        let settled = state.settle(&key, &legs, &whose, None, &change, item.now)?;
        let row = row_of(&legs, *id)?;
        state.settled(&key, settled, By::of(item), out)?;
        state.put(&key, legs);
        Ok(row)
    }

    async fn apply(tx: &Tx, state: Talks) -> Result<(), StoreError> {
        Talks::apply(tx, state).await
    }
}

impl CallRow {
    /// Its name.
    pub(crate) fn name(&self) -> CallName {
        CallName::new(self.id)
    }

    /// What was told of it, from its texts where they can be read.
    pub(super) fn told_of(&self, text: Option<&CallText>) -> Option<Told> {
        text.filter(|_| !self.sealed.is_empty()).map(|text| self.told(text.clone()))
    }
}
