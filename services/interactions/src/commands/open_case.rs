use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use rapport_store::{Command, Item, Outbox, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use crate::domain::{Case, CaseName, Held, InteractionName, NewCase, Origin, Route};
use crate::events;
use crate::store::{CaseRow, case_insert, identifier_find, interaction_known, sealing};

/// Opens a case.
pub(crate) struct OpenCase {
    /// The case's id, given by the server.
    pub(crate) id: Uuid,
    /// What is to be opened.
    pub(crate) case: NewCase,
    /// How the origin is found.
    pub(crate) route: Route,
}

/// What a group of new cases needs and leaves.
pub(crate) struct State {
    /// What is known of the identifiers that stand alone.
    held: HashMap<(TenantId, Uuid), Held>,
    /// Those of the linked interactions that exist.
    interactions: HashSet<(TenantId, Uuid)>,
    /// The keys of all origins.
    keys: SubjectKeys,
    /// What is to be written, each with who opened it.
    rows: Vec<(CaseRow, String)>,
}

#[async_trait]
impl Command for OpenCase {
    type State = State;
    type Reply = CaseRow;

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let mut indexes = HashSet::new();
        let mut linked = HashSet::new();
        for Item { scope, command, .. } in items {
            indexes.extend(command.route.index().map(|index| (scope.tenant.clone(), index)));
            linked.extend(command.case.interactions.iter().map(|id| (scope.tenant.clone(), *id)));
        }
        let held = identifier_find(tx.db(), &indexes).await?;
        let interactions = interaction_known(tx.db(), &linked).await?;
        let mut subjects = Vec::new();
        for item in items {
            let origin = resolve(&item.scope.tenant, item.command.route, &held);
            subjects.push(sealing::subject(&item.scope.tenant, origin.id));
        }
        let keys = tx.keys(&subjects).await?;
        Ok(State { held, interactions, keys, rows: Vec::with_capacity(items.len()) })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<CaseRow, Error> {
        let OpenCase { id, case: new, route } = &item.command;
        let tenant = &item.scope.tenant;
        let missing = new.interactions.iter().find(|id| !state.interactions.contains(&(tenant.clone(), **id)));
        if let Some(missing) = missing {
            return Err(Error::not_found(InteractionName::new(*missing)));
        }
        let origin = resolve(tenant, *route, &state.held);
        let case = Case::open(new.opened_at.unwrap_or(item.now));
        let row = CaseRow {
            tenant: tenant.clone(),
            id: *id,
            case,
            origin,
            named: new.named.party().is_some(),
            role_type: new.role_type.as_ref().map(ToString::to_string),
            kind: new.kind.to_string(),
            priority: new.priority.code(),
            source_system: new.provenance.source_system.clone(),
            sealed: sealing::case_text(&state.keys, tenant, origin.id, new)?,
            interactions: new.interactions.clone(),
            recorded_at: item.now,
            updated_at: item.now,
            assignment: None,
        };
        out.event(
            tenant,
            CaseName::new(*id),
            case.version,
            case.opened_at,
            &events::case_opened(*id, new, &case, origin, item.now),
        );
        state.rows.push((row.clone(), item.scope.principal.clone()));
        Ok(row)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        case_insert(tx, &state.rows).await
    }
}

fn resolve(tenant: &TenantId, route: Route, held: &HashMap<(TenantId, Uuid), Held>) -> Origin {
    route.resolve(route.index().and_then(|index| held.get(&(tenant.clone(), index)).copied()))
}
