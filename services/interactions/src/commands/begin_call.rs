use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Subject, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use crate::domain::{CallName, Held, Match, Origin, Resolution, Route, Told};
use crate::events;
use crate::store::{CallRow, alias_insert, call_find, call_put, identifier_find, sealing};

/// Tells that a call has begun. Who it is was found out before: other services are not asked within a transaction.
pub(crate) struct BeginCall {
    /// The call's id: the same for the same call, however often it is told.
    pub(crate) id: Uuid,
    /// What is told.
    pub(crate) told: Told,
    /// Who it is, as far as anybody said in time.
    pub(crate) resolution: Resolution,
    /// How the origin is found.
    pub(crate) route: Route,
}

/// What must not happen to a call at the same time.
pub(super) fn call_lock(tenant: &TenantId, id: Uuid) -> LockKey {
    LockKey::of(tenant, "call", id.as_bytes())
}

/// The keys of `subjects` and of the origins `found`; where the key of an origin was destroyed, that of the call too.
pub(super) async fn with_refuge(
    tx: &Tx,
    subjects: &mut Vec<Subject>,
    found: Vec<(Subject, Subject)>,
) -> Result<SubjectKeys, StoreError> {
    subjects.extend(found.iter().map(|(origin, _)| origin.clone()));
    let keys = tx.keys(subjects).await?;
    let erased: Vec<Subject> =
        found.into_iter().filter(|(origin, _)| keys.is_destroyed(origin)).map(|(_, call)| call).collect();
    if erased.is_empty() {
        return Ok(keys);
    }
    subjects.extend(erased);
    tx.keys(subjects).await
}

/// The origin, or the call itself where the data of the origin was erased: somebody who was erased may call, and the
/// call is then nobody's.
pub(super) fn refuge(tenant: &TenantId, call: Uuid, origin: Origin, keys: &SubjectKeys) -> Origin {
    if keys.is_destroyed(&sealing::subject(tenant, origin.id)) { Origin { id: call, party: None } } else { origin }
}

/// What a group of beginnings needs and leaves.
pub(crate) struct State {
    calls: HashMap<(TenantId, Uuid), CallRow>,
    held: HashMap<(TenantId, Uuid), Held>,
    keys: SubjectKeys,
    /// The calls that changed.
    changed: HashSet<(TenantId, Uuid)>,
    /// Origins that now belong to a party: tenant, origin, party.
    attributed: Vec<(TenantId, Uuid, Uuid)>,
}

#[async_trait]
impl Command for BeginCall {
    type State = State;
    type Reply = CallRow;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![call_lock(tenant, self.id)]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let names = items.iter().map(|item| (item.scope.tenant.clone(), item.command.id)).collect();
        let indexes: HashSet<(TenantId, Uuid)> =
            items.iter().filter_map(|item| Some((item.scope.tenant.clone(), item.command.route.index()?))).collect();
        let calls = call_find(tx.db(), &names).await?;
        let held = identifier_find(tx.db(), &indexes).await?;
        let mut subjects: Vec<_> = calls.values().map(|row| sealing::subject(&row.tenant, row.subject)).collect();
        let mut found = Vec::with_capacity(items.len());
        for item in items {
            let tenant = &item.scope.tenant;
            let origin = resolve(tenant, item.command.route, &held).id;
            found.push((sealing::subject(tenant, origin), sealing::subject(tenant, item.command.id)));
        }
        let keys = with_refuge(tx, &mut subjects, found).await?;
        Ok(State { calls, held, keys, changed: HashSet::new(), attributed: Vec::new() })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<CallRow, Error> {
        let BeginCall { id, told, resolution, route } = &item.command;
        let tenant = &item.scope.tenant;
        let key = (tenant.clone(), *id);
        let origin = refuge(tenant, *id, resolve(tenant, *route, &state.held), &state.keys);
        // What the index says inside the transaction is newer than what was read before it.
        let resolution = match (route, origin.party) {
            (Route::Identifier(_), Some(party)) if resolution.party != Some(party) => {
                Resolution::resolved(party, "holds this identifier")
            }
            // Erased stays erased: the call is kept, and is nobody's.
            (Route::Party(_) | Route::Identifier(_), None) if resolution.party.is_some() => {
                Resolution::new(Match::Unknown, "nobody is known by this identifier", Vec::new())
            }
            _ => resolution.clone(),
        };
        let row = match state.calls.get(&key) {
            Some(row) if row.begun => return Ok(row.clone()),
            Some(row) => ended_before(row, told, resolution, &state.keys)?,
            None => begun(item, origin, resolution, &state.keys)?,
        };
        let known = state.calls.get(&key).is_some_and(|before| before.origin.party.is_some());
        if let (true, false, Some(party)) = (row.ended(), known, row.origin.party) {
            let attributed = events::origin_attributed(row.origin.id, party);
            out.event(tenant, format!("origins/{}", row.origin.id), 1, item.now, &attributed);
            state.attributed.push((tenant.clone(), row.origin.id, party));
        }
        state.changed.insert(key.clone());
        state.calls.insert(key, row.clone());
        Ok(row)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        let changed = state.calls.values().filter(|row| state.changed.contains(&(row.tenant.clone(), row.id)));
        call_put(tx, changed).await?;
        // A call's own origin comes by no identifier: to whom it belongs is all there is to write.
        alias_insert(tx, &state.attributed).await?;
        Ok(())
    }
}

/// A call that nobody told of before.
fn begun(item: &Item<BeginCall>, origin: Origin, resolution: Resolution, keys: &SubjectKeys) -> Result<CallRow, Error> {
    let BeginCall { id, told, route, .. } = &item.command;
    let tenant = &item.scope.tenant;
    let mut row = CallRow {
        tenant: tenant.clone(),
        id: *id,
        begun: true,
        direction: 0,
        medium: 0,
        origin,
        named: matches!(route, Route::Party(_)) && origin.party.is_some(),
        subject: origin.id,
        started_at: None,
        ended_at: None,
        disposition: 0,
        interaction: None,
        case: None,
        resolution,
        source_system: String::new(),
        sealed: Vec::new(),
        recorded_at: item.now,
    };
    let mut told = told.clone();
    told.started_at = told.started_at.or(Some(item.now));
    row.tell(&told, origin.id, keys)?;
    Ok(row)
}

/// A call whose end was told first: its interaction stands, and the beginning adds who it was. Where the interaction
/// is known by the call alone, it is given to the party.
fn ended_before(row: &CallRow, told: &Told, resolution: Resolution, keys: &SubjectKeys) -> Result<CallRow, Error> {
    let mut row = row.clone();
    row.begun = true;
    let Some(text) = row.text(keys)? else {
        // Its texts were erased, and stay so.
        return Ok(row);
    };
    let before = row.told(text);
    let subject = row.subject;
    row.tell(&before.or(told), subject, keys)?;
    if row.resolution.matched() != Match::Resolved {
        row.resolution = resolution;
    }
    if row.origin.id == row.id && row.origin.party.is_none() {
        row.origin.party = row.resolution.party;
    }
    Ok(row)
}

fn resolve(tenant: &TenantId, route: Route, held: &HashMap<(TenantId, Uuid), Held>) -> Origin {
    route.resolve(route.index().and_then(|index| held.get(&(tenant.clone(), index)).copied()))
}

impl CallRow {
    /// Its name.
    pub(crate) fn name(&self) -> CallName {
        CallName::new(self.id)
    }
}
