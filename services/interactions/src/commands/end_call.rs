use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use super::Recorded;
use super::begin_call::{call_lock, refuge, with_refuge};
use crate::domain::{Case, CaseName, Ending, Held, InteractionName, Match, NewCase, Origin, Resolution, Route, Told};
use crate::events;
use crate::store::{
    CallRow, CaseRow, alias_find, call_find, call_put, case_insert, identifier_find, interaction_insert, sealing,
};

/// Ends a call: the interaction that it becomes, the case that is opened with it and the call's own end are written
/// together or not at all. A call that has ended stays as it is.
pub(crate) struct EndCall {
    /// The call's id: the same for the same call, however often it is told.
    pub(crate) id: Uuid,
    /// What is told of the call; it counts where its beginning did not say it.
    pub(crate) told: Told,
    /// How it ended.
    pub(crate) ending: Ending,
    /// How the origin is found where no beginning told who it was.
    pub(crate) route: Route,
    /// The id of the interaction, given by the server.
    pub(crate) interaction: Uuid,
    /// The id of the case, given by the server.
    pub(crate) case: Uuid,
}

/// What a group of ends needs and leaves.
pub(crate) struct State {
    calls: HashMap<(TenantId, Uuid), CallRow>,
    held: HashMap<(TenantId, Uuid), Held>,
    keys: SubjectKeys,
    changed: HashSet<(TenantId, Uuid)>,
    recorded: Vec<Recorded>,
    /// The cases that are opened, each with who opened it.
    cases: Vec<(CaseRow, String)>,
}

#[async_trait]
impl Command for EndCall {
    type State = State;
    type Reply = CallRow;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![call_lock(tenant, self.id)]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let names = items.iter().map(|item| (item.scope.tenant.clone(), item.command.id)).collect();
        let indexes: HashSet<(TenantId, Uuid)> =
            items.iter().filter_map(|item| Some((item.scope.tenant.clone(), item.command.route.index()?))).collect();
        let mut calls = call_find(tx.db(), &names).await?;
        attribute(tx, &mut calls).await?;
        let held = identifier_find(tx.db(), &indexes).await?;
        let mut subjects = Vec::new();
        let mut found = Vec::with_capacity(items.len());
        for item in items {
            let tenant = &item.scope.tenant;
            let before = calls.get(&(tenant.clone(), item.command.id));
            subjects.extend(before.map(|row| sealing::subject(tenant, row.subject)));
            let origin = whose(item, before, &held).0.id;
            found.push((sealing::subject(tenant, origin), sealing::subject(tenant, item.command.id)));
        }
        let keys = with_refuge(tx, &mut subjects, found).await?;
        let changed = HashSet::new();
        Ok(State { calls, held, keys, changed, recorded: Vec::new(), cases: Vec::new() })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<CallRow, Error> {
        let EndCall { id, told, ending, interaction, .. } = &item.command;
        let tenant = &item.scope.tenant;
        let key = (tenant.clone(), *id);
        let before = state.calls.get(&key);
        if let Some(row) = before.filter(|row| row.ended()) {
            return Ok(row.clone());
        }
        let (origin, named) = whose(item, before, &state.held);
        let origin = refuge(tenant, *id, origin, &state.keys);
        let named = named && origin.party.is_some();
        let told = told_of(before, told, &state.keys)?;
        let mut row = ended(item, before, &told, origin, named);
        let ended_at = ending.ended_at.unwrap_or(item.now);
        // An end that nobody timed is not before a beginning that was.
        let ended_at = told.started_at.map_or(ended_at, |started| ended_at.max(started));
        row.ended_at = Some(ended_at);
        row.tell(&told, origin.id, &state.keys)?;

        let party = origin.party.filter(|_| named);
        let new = ending.interaction(&told, party, item.now);
        out.event(
            tenant,
            InteractionName::new(*interaction),
            1,
            new.occurred_at,
            &events::interaction_recorded(*interaction, &new, &[origin], item.now),
        );
        if let Some(case) = ending.case(&told, party, *interaction, ended_at) {
            row.case = Some(item.command.case);
            let opened = opened(item, &case, origin, &state.keys)?;
            out.event(
                tenant,
                CaseName::new(opened.id),
                opened.case.version,
                opened.case.opened_at,
                &events::case_opened(opened.id, &case, &opened.case, origin, item.now),
            );
            state.cases.push((opened, item.scope.principal.clone()));
        }
        state.recorded.push(Recorded {
            tenant: tenant.clone(),
            id: *interaction,
            interaction: Arc::new(new),
            origins: vec![origin],
            recorded_at: item.now,
        });
        state.changed.insert(key.clone());
        state.calls.insert(key, row.clone());
        Ok(row)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        let changed = state.calls.values().filter(|row| state.changed.contains(&(row.tenant.clone(), row.id)));
        call_put(tx, changed).await?;
        interaction_insert(tx, &state.recorded, &state.keys).await?;
        case_insert(tx, &state.cases).await
    }
}

/// Fills in to whom calls that go on belong now: an identifier may have been claimed since its call began.
async fn attribute(tx: &Tx, calls: &mut HashMap<(TenantId, Uuid), CallRow>) -> Result<(), StoreError> {
    let mut origins: HashMap<TenantId, HashSet<Uuid>> = HashMap::new();
    for row in calls.values().filter(|row| !row.ended() && row.origin.party.is_none()) {
        origins.entry(row.tenant.clone()).or_default().insert(row.origin.id);
    }
    for (tenant, origins) in origins {
        let owners = alias_find(tx.db(), &tenant, &origins).await?;
        for row in calls.values_mut().filter(|row| row.tenant == tenant && !row.ended()) {
            row.origin.party = row.origin.party.or_else(|| owners.get(&row.origin.id).copied());
        }
    }
    Ok(())
}

/// Under which origin the call is recorded, and whether that names the party: whom the agent found, else whom the
/// beginning found, else whose the identifier is that the end tells; with no identifier at all the call stands for
/// itself.
fn whose(item: &Item<EndCall>, before: Option<&CallRow>, held: &HashMap<(TenantId, Uuid), Held>) -> (Origin, bool) {
    if let Some(party) = item.command.ending.party {
        return (Origin { id: party, party: Some(party) }, true);
    }
    match before {
        Some(row) if !withheld(row) => (row.origin, row.named),
        _ => {
            let route = item.command.route;
            let known = route.index().and_then(|index| held.get(&(item.scope.tenant.clone(), index)).copied());
            (route.resolve(known), matches!(route, Route::Party(_)))
        }
    }
}

/// Whether the beginning told no identifier, so that the call stands for itself until its end tells one.
fn withheld(row: &CallRow) -> bool {
    row.origin.id == row.id && row.resolution.matched() == Match::Withheld
}

/// Everything that was told of the call, the beginning first.
fn told_of(before: Option<&CallRow>, told: &Told, keys: &SubjectKeys) -> Result<Told, Error> {
    let Some(row) = before else { return Ok(told.clone()) };
    match row.text(keys)? {
        Some(text) => Ok(row.told(text).or(told)),
        None => Ok(told.clone()),
    }
}

/// The call's row once it has ended, without its texts.
fn ended(item: &Item<EndCall>, before: Option<&CallRow>, told: &Told, origin: Origin, named: bool) -> CallRow {
    let ending = &item.command.ending;
    // What was told of a call whose texts were erased since is gone, but not that it was told.
    let numbered = told.identifier.is_some() || before.is_some_and(|row| row.resolution.matched() != Match::Withheld);
    let resolution = match (ending.party.filter(|_| origin.party.is_some()), before) {
        (Some(party), _) => Resolution::resolved(party, "the agent said so"),
        (None, Some(row)) if row.origin.id == origin.id => match origin.party {
            Some(party) if row.resolution.party != Some(party) => Resolution::claimed(party),
            _ => row.resolution.clone(),
        },
        (None, _) => match origin.party {
            Some(party) => Resolution::resolved(party, "holds this identifier"),
            None if numbered => Resolution::new(Match::Unknown, "nobody is known by this identifier", Vec::new()),
            None => Resolution::new(Match::Withheld, "no identifier was told", Vec::new()),
        },
    };
    CallRow {
        tenant: item.scope.tenant.clone(),
        id: item.command.id,
        begun: before.is_some_and(|row| row.begun),
        direction: 0,
        medium: 0,
        origin,
        named,
        subject: origin.id,
        started_at: None,
        ended_at: None,
        disposition: ending.disposition.code(),
        interaction: Some(item.command.interaction),
        case: None,
        resolution,
        source_system: String::new(),
        sealed: Vec::new(),
        recorded_at: before.map_or(item.now, |row| row.recorded_at),
    }
}

fn opened(item: &Item<EndCall>, new: &NewCase, origin: Origin, keys: &SubjectKeys) -> Result<CaseRow, Error> {
    let tenant = &item.scope.tenant;
    Ok(CaseRow {
        tenant: tenant.clone(),
        id: item.command.case,
        case: Case::open(new.opened_at.unwrap_or(item.now)),
        origin,
        named: new.named.party().is_some(),
        role_type: new.role_type.as_ref().map(ToString::to_string),
        kind: new.kind.to_string(),
        priority: new.priority.code(),
        source_system: new.provenance.source_system.clone(),
        sealed: sealing::case_text(keys, tenant, origin.id, new)?,
        interactions: new.interactions.clone(),
        recorded_at: item.now,
        updated_at: item.now,
    })
}
