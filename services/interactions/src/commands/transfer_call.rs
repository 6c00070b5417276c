use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::{Pii, TenantId, Uuid};

use super::settle::{row_of, share};
use super::talks::{Leg, Talks, WEIGHT, Wanted, lost, place, talk_locks};
use crate::domain::{Handover, Route, Told};
use crate::store::{CallRow, CallText, TransferText};

/// Hands a call on. It is a leg of the same conversation that goes on, or the same leg with somebody else; what has ended
/// stays so.
pub(crate) struct TransferCall {
    /// The call that is handed on, and what the telephony calls it.
    pub(crate) id: Uuid,
    pub(crate) call_id: Pii<String>,
    pub(crate) leg: Pii<String>,
    /// The call that goes on, where it is a new leg.
    pub(crate) to: Option<Uuid>,
    /// The conversation of both.
    pub(crate) talk: Uuid,
    /// What is told of it.
    pub(crate) handover: Handover,
}

#[async_trait]
impl Command for TransferCall {
    type State = Talks;
    type Reply = CallRow;
    const WEIGHT: usize = WEIGHT;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        talk_locks(tenant, self.talk, &[])
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<Talks, StoreError> {
        let wanted: Vec<Wanted<'_>> = items
            .iter()
            .map(|Item { scope, command, .. }| Wanted {
                tenant: &scope.tenant,
                talk: command.talk,
                call: Some(command.id),
                // One that was never begun here is known by its conversation alone.
                route: Some(Route::Withheld(command.talk)),
                party: None,
                follow_up: None,
            })
            .collect();
        Talks::load(tx, &wanted).await
    }

    fn decide(item: &Item<Self>, state: &mut Talks, _: &mut Outbox) -> Result<CallRow, Error> {
        let TransferCall { id, call_id, leg, to, talk, handover } = &item.command;
        let tenant = &item.scope.tenant;
        if let Some(row) = state.stray(tenant, *id) {
            return Ok(row);
        }
        let key = (tenant.clone(), *talk);
        let mut legs = state.legs(&key);
        let at = place(&mut legs, &key, *id, item.now);
        let from = legs.get_mut(at).ok_or_else(lost)?;
        called(from, call_id, leg);
        let mut text = from.text.take().ok_or_else(crate::error::erased)?;
        let mut transfer = TransferText::new(*id, *to, handover.at.unwrap_or(item.now), handover.at.is_some());
        text.agent_of(*id).clone_into(&mut transfer.from_agent);
        transfer.to_agent.clone_from(handover.to_agent.expose());
        transfer.note.clone_from(handover.note.expose());
        text.hand_on(transfer);
        from.write(text);
        if let Some(to) = to {
            let at = place(&mut legs, &key, *to, item.now);
            called(legs.get_mut(at).ok_or_else(lost)?, call_id, &handover.to_leg);
        }
        // Whom the conversation is with is as it was before: nothing that was recorded changes.
        share(state, &key, &mut legs)?;
        let row = row_of(&legs, to.unwrap_or(*id))?;
        state.put(&key, legs);
        Ok(row)
    }

    async fn apply(tx: &Tx, state: Talks) -> Result<(), StoreError> {
        Talks::apply(tx, state).await
    }
}

/// What the telephony calls a leg of which nothing was told yet.
fn called(leg: &mut Leg, call_id: &Pii<String>, name: &Pii<String>) {
    if leg.row.sealed.is_empty() && leg.text == Some(CallText::default()) {
        let told = Told::bare(call_id.clone(), name.clone());
        let text = leg.row.tell(&told, &CallText::default());
        leg.write(text);
    }
}
