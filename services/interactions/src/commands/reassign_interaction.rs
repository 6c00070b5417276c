use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid, reason};

use super::revision::{Change, Made};
use super::settle::{By, share, whose};
use super::talks::{Key, Talks, Wanted, talk_locks};
use crate::domain::{Function, InteractionName, Origin};
use crate::store::sealing::Rewording;
use crate::store::{InteractionRow, StoredParticipant};

/// Says who a participant really was. What came with a call goes with it: its legs, and the case that it opened; and what was
/// promised in the interaction.
pub(crate) struct ReassignInteraction {
    /// Which one, and why.
    pub(crate) change: Change,
    /// Which participant; the other side when nobody says.
    pub(crate) participant: Option<usize>,
    /// Who it was.
    pub(crate) to: Reassign,
    /// The cases that were opened with the call.
    pub(crate) cases: Vec<Uuid>,
}

/// Who a participant was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reassign {
    /// This party.
    Party(Uuid),
    /// Whoever the fact came by.
    Undo,
}

#[async_trait]
impl Command for ReassignInteraction {
    type State = Talks;
    type Reply = Made;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        talk_locks(tenant, self.change.id, &self.cases)
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<Talks, StoreError> {
        let wanted: Vec<Wanted<'_>> = items
            .iter()
            .map(|Item { scope, command, .. }| Wanted {
                tenant: &scope.tenant,
                talk: command.change.id,
                call: None,
                route: None,
                party: match command.to {
                    Reassign::Party(party) => Some(party),
                    Reassign::Undo => None,
                },
                follow_up: None,
            })
            .collect();
        Talks::load(tx, &wanted).await
    }

    fn decide(item: &Item<Self>, state: &mut Talks, out: &mut Outbox) -> Result<Made, Error> {
        let ReassignInteraction { change, participant, to, .. } = &item.command;
        let tenant = &item.scope.tenant;
        let (row, standing) = state.revision.standing(tenant, change)?;
        standing.amend(InteractionName::new(change.id))?;
        let row = row.clone();
        let ordinal = participant.unwrap_or_else(|| other_side(&row));
        let one = row.detail.participants.get(ordinal).ok_or_else(|| {
            Error::field("participant", reason::OUT_OF_RANGE, "must be the place of one who took part")
        })?;
        let now = state.owner(tenant, origin_of(one));
        if let Reassign::Party(party) = to {
            if now == Some(*party) {
                return Ok(Made { id: row.id, version: row.version });
            }
            if state.erased(tenant, *party) {
                return Err(crate::error::erased());
            }
            let same = |(at, other): (usize, &StoredParticipant)| {
                at != ordinal && other.function == one.function && state.owner(tenant, origin_of(other)) == Some(*party)
            };
            if row.detail.participants.iter().enumerate().any(same) {
                return Err(Error::field("party", reason::DUPLICATE, "takes part in the same function already"));
            }
        }
        let key = (tenant.clone(), change.id);
        if state.legs(&key).is_empty() {
            return single(item, state, &row, ordinal, out);
        }
        conversation(item, state, &key, &row, out)
    }

    async fn apply(tx: &Tx, state: Talks) -> Result<(), StoreError> {
        Talks::apply(tx, state).await
    }
}

/// Who is at the other side: the first who dealt with the tenant.
fn other_side(row: &InteractionRow) -> usize {
    let deals = |one: &StoredParticipant| {
        let function = Function::from_code(i64::from(one.function));
        matches!(function, Some(Function::Initiator | Function::Recipient | Function::Subject))
    };
    row.detail.participants.iter().position(deals).unwrap_or_default()
}

fn origin_of(one: &StoredParticipant) -> Origin {
    Origin { id: one.origin(), party: one.named.then(|| one.origin()) }
}

/// An interaction that is no call.
fn single(
    item: &Item<ReassignInteraction>,
    state: &mut Talks,
    row: &InteractionRow,
    ordinal: usize,
    out: &mut Outbox,
) -> Result<Made, Error> {
    let tenant = &item.scope.tenant;
    let change = &item.command.change;
    let came_by = row.detail.participants.get(ordinal).and_then(StoredParticipant::came_by);
    let (origin, named) = match (item.command.to, came_by) {
        (Reassign::Undo, None) => return Ok(Made { id: row.id, version: row.version }),
        (Reassign::Undo, Some(first)) => first,
        (Reassign::Party(party), first) => {
            // Back to whom the fact came by: under the origin that it came by.
            let back = first.filter(|(origin, named)| {
                let origin = Origin { id: *origin, party: named.then_some(*origin) };
                state.owner(tenant, origin) == Some(party)
            });
            back.unwrap_or((party, true))
        }
    };
    if state.erased(tenant, origin) {
        return Err(crate::error::erased());
    }
    let given = state.given(tenant, row, ordinal, origin, named)?;
    let rewording = Rewording { subject_line: None, body: None, provenance: change.provenance.as_ref() };
    let after = state.revision.next(tenant, &given, change, &rewording, item.now)?;
    state.reassigned(tenant, after, ordinal, By::of(item), out)
}

/// An interaction that a conversation became: all its legs are with whoever it was.
fn conversation(
    item: &Item<ReassignInteraction>,
    state: &mut Talks,
    key: &Key,
    row: &InteractionRow,
    out: &mut Outbox,
) -> Result<Made, Error> {
    let mut legs = state.legs(key);
    let first = whose(state, key, &legs, None);
    let corrected = match item.command.to {
        Reassign::Undo => None,
        Reassign::Party(party) => Some(party).filter(|_| state.owner(&key.0, first.origin) != Some(party)),
    };
    for leg in &mut legs {
        leg.row.corrected = corrected;
    }
    let whose = share(state, key, &mut legs)?;
    let settled = state.settle(key, &legs, &whose, None, &item.command.change, item.now)?;
    let made = state.settled(key, settled, By::of(item), out)?;
    state.put(key, legs);
    Ok(made.unwrap_or(Made { id: row.id, version: row.version }))
}
