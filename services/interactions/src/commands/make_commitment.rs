use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use rapport_store::{Command, Item, Outbox, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use crate::domain::{CaseName, Commitment, Held, InteractionName, NewCommitment, Origin, Route};
use crate::events;
use crate::store::{
    CommitmentRow, case_known, commitment_insert, commitment_text, identifier_find, interaction_known, sealing,
};

/// Records a promise.
pub(crate) struct MakeCommitment {
    /// The commitment's id, given by the server.
    pub(crate) id: Uuid,
    /// What is promised.
    pub(crate) commitment: NewCommitment,
    /// How the origin is found.
    pub(crate) route: Route,
}

/// What a group of promises needs and leaves.
pub(crate) struct State {
    /// What is known of the identifiers that stand alone.
    held: HashMap<(TenantId, Uuid), Held>,
    /// Those of the cases that exist.
    cases: HashSet<(TenantId, Uuid)>,
    /// Those of the interactions that exist.
    interactions: HashSet<(TenantId, Uuid)>,
    /// The keys of all origins.
    keys: SubjectKeys,
    /// What is to be written.
    rows: Vec<CommitmentRow>,
}

#[async_trait]
impl Command for MakeCommitment {
    type State = State;
    type Reply = CommitmentRow;

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let (mut indexes, mut cases, mut interactions) = (HashSet::new(), HashSet::new(), HashSet::new());
        for Item { scope, command, .. } in items {
            let named = |id: Uuid| (scope.tenant.clone(), id);
            indexes.extend(command.route.index().map(named));
            cases.extend(command.commitment.case.map(named));
            interactions.extend(command.commitment.interaction.map(named));
        }
        let held = identifier_find(tx.db(), &indexes).await?;
        let cases = case_known(tx.db(), &cases).await?;
        let interactions = interaction_known(tx.db(), &interactions).await?;
        let subjects: Vec<_> = items
            .iter()
            .map(|item| {
                let tenant = &item.scope.tenant;
                sealing::subject(tenant, resolve(tenant, item.command.route, &held).id)
            })
            .collect();
        let keys = tx.keys(&subjects).await?;
        Ok(State { held, cases, interactions, keys, rows: Vec::with_capacity(items.len()) })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<CommitmentRow, Error> {
        let MakeCommitment { id, commitment: new, route } = &item.command;
        let tenant = &item.scope.tenant;
        let missing = |known: &HashSet<(TenantId, Uuid)>, id: Option<Uuid>| {
            id.filter(|id| !known.contains(&(tenant.clone(), *id)))
        };
        if let Some(case) = missing(&state.cases, new.case) {
            return Err(Error::not_found(CaseName::new(case)));
        }
        if let Some(interaction) = missing(&state.interactions, new.interaction) {
            return Err(Error::not_found(InteractionName::new(interaction)));
        }
        let origin = resolve(tenant, *route, &state.held);
        let row = CommitmentRow {
            tenant: tenant.clone(),
            id: *id,
            commitment: Commitment::make(new.made_at, new.due_at),
            side: new.side.code(),
            origin,
            named: new.named.party().is_some(),
            role_type: new.role_type.as_ref().map(ToString::to_string).unwrap_or_default(),
            owner: new.owner.clone(),
            case: new.case,
            interaction: new.interaction,
            source_system: new.provenance.source_system.clone(),
            made_by: item.scope.principal.clone(),
            ended_by: String::new(),
            sealed: commitment_text(&state.keys, tenant, origin.id, new)?,
            ending: None,
            recorded_at: item.now,
            updated_at: item.now,
            came_by: None,
        };
        out.event(tenant, row.name(), row.commitment.version, new.made_at, &events::commitment_made(&row));
        state.rows.push(row.clone());
        Ok(row)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        commitment_insert(tx, &state.rows).await
    }
}

fn resolve(tenant: &TenantId, route: Route, held: &HashMap<(TenantId, Uuid), Held>) -> Origin {
    route.resolve(route.index().and_then(|index| held.get(&(tenant.clone(), index)).copied()))
}
