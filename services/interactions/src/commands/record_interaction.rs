use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use rapport_store::{Command, Item, Outbox, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};
use serde::{Deserialize, Serialize};

use crate::domain::{Held, InteractionName, NewInteraction, Origin, Route};
use crate::events;
use crate::store::{identifier_find, interaction_insert, sealing};

/// Records an interaction. The one hot write: unary calls, batches and streams all come here, and whatever queued while
/// the last commit ran is written by a handful of statements.
#[derive(Clone)]
pub(crate) struct RecordInteraction {
    /// The interaction's id, given by the server.
    pub(crate) id: Uuid,
    /// What happened.
    pub(crate) interaction: Arc<NewInteraction>,
    /// How the origin of each participant is found, in their order.
    pub(crate) routes: Vec<Route>,
}

/// What a recorded interaction was given. No personal data: the answer is put together from this and the request, whose
/// body is the same whenever the answer is given again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// The id.
    pub(crate) id: Uuid,
    /// When it was recorded.
    pub(crate) recorded_at: Timestamp,
    /// The origin of each participant, in their order.
    pub(crate) origins: Vec<Origin>,
}

/// An interaction that is to be written.
pub(crate) struct Recorded {
    /// Whose it is.
    pub(crate) tenant: TenantId,
    /// Its id.
    pub(crate) id: Uuid,
    /// What happened.
    pub(crate) interaction: Arc<NewInteraction>,
    /// The origin of each participant, in their order.
    pub(crate) origins: Vec<Origin>,
    /// When it is recorded.
    pub(crate) recorded_at: Timestamp,
}

/// What a group of records needs and leaves.
pub(crate) struct State {
    /// What is known of the identifiers that stand alone.
    held: HashMap<(TenantId, Uuid), Held>,
    /// The keys of all origins under which something is sealed.
    keys: SubjectKeys,
    /// What is to be written.
    rows: Vec<Recorded>,
}

#[async_trait]
impl Command for RecordInteraction {
    type State = State;
    type Reply = Receipt;

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let mut indexes = HashSet::new();
        for item in items {
            let routes = item.command.routes.iter().filter_map(|route| route.index());
            indexes.extend(routes.map(|index| (item.scope.tenant.clone(), index)));
        }
        let held = identifier_find(tx.db(), &indexes).await?;
        let mut subjects = Vec::new();
        for item in items {
            let origins = resolve(&item.scope.tenant, &item.command.routes, &held);
            sealing::subjects(&item.scope.tenant, &item.command.interaction, &origins, &mut subjects);
        }
        let keys = tx.keys(&subjects).await?;
        Ok(State { held, keys, rows: Vec::with_capacity(items.len()) })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Receipt, Error> {
        let command = &item.command;
        let tenant = &item.scope.tenant;
        let origins = resolve(tenant, &command.routes, &state.held);
        let mut subjects = Vec::new();
        sealing::subjects(tenant, &command.interaction, &origins, &mut subjects);
        sealing::refuse_erased(&state.keys, &subjects)?;
        out.event(
            tenant,
            InteractionName::new(command.id),
            1,
            command.interaction.occurred_at,
            &events::interaction_recorded(command.id, &command.interaction, &origins, item.now),
        );
        state.rows.push(Recorded {
            tenant: tenant.clone(),
            id: command.id,
            interaction: Arc::clone(&command.interaction),
            origins: origins.clone(),
            recorded_at: item.now,
        });
        Ok(Receipt { id: command.id, recorded_at: item.now, origins })
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        interaction_insert(tx, &state.rows, &state.keys).await
    }
}

/// The origins of all participants.
fn resolve(tenant: &TenantId, routes: &[Route], held: &HashMap<(TenantId, Uuid), Held>) -> Vec<Origin> {
    let known = |index: Uuid| held.get(&(tenant.clone(), index)).copied();
    routes.iter().map(|route| route.resolve(route.index().and_then(known))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_proto::interactions::v1 as proto;
    use rapport_store::{Scope, Sql};
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;
    use rapport_types::error::Collector;
    use rapport_types::reason;

    use super::*;
    use crate::api::{interaction, route};
    use crate::fixture::{by_party, by_tel, complaint, context, erase, scope, tenant};

    /// A write as the API makes it.
    fn write(cx: &rapport_server::Context, of: &str, message: &proto::Interaction) -> (Scope, RecordInteraction) {
        let fields = Collector::new();
        let interaction = Arc::new(interaction(&fields, message, cx.world.now()).unwrap());
        let routes = interaction.participants.iter().map(|one| route(&cx.store, &tenant(of), &one.named)).collect();
        (scope(of), RecordInteraction { id: cx.world.next_id(), interaction, routes })
    }

    each_store! {
        async fn many_at_once_are_each_their_own(place: StorePlace) {
            let cx = context(&place).await;
            let mut writes = Vec::new();
            for number in 0..600i64 {
                let of = if number % 3 == 0 { "other" } else { "acme" };
                let who = if number % 2 == 0 { by_party(1) } else { by_tel("+351912345678") };
                writes.push(write(&cx, of, &complaint(who, number)));
            }
            let ids: Vec<Uuid> = writes.iter().map(|(_, command)| command.id).collect();
            let receipts = cx.store.submit_many(writes).await;
            let mut positions: Vec<i64> = Vec::new();
            for (id, receipt) in ids.iter().zip(receipts) {
                let receipt = receipt.unwrap();
                assert_eq!(receipt.reply.id, *id);
                positions.push(receipt.position);
            }
            positions.sort_unstable();
            assert_eq!(positions, (1..=600).collect::<Vec<_>>());
            cx.store.close().await;
        }

        async fn nothing_personal_is_readable_in_the_tables(place: StorePlace) {
            let cx = context(&place).await;
            let (scope, command) = write(&cx, "acme", &complaint(by_tel("+351912345678"), 0));
            cx.store.submit(scope, command).await.unwrap();
            let db = cx.store.reader();
            for (table, column) in
                [("interaction", "detail"), ("interaction", "sealed"), ("outbox", "payload")]
            {
                let rows = Sql::new(db, &format!("SELECT {column} FROM {table}")).all(db).await.unwrap();
                assert_eq!(rows.len(), 1);
                let bytes: Vec<u8> = rows[0].try_get_by_index(0).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                for secret in ["912345678", "vase", "Parcel"] {
                    assert!(!text.contains(secret), "{table}.{column} holds {secret}");
                }
            }
            cx.store.close().await;
        }

        async fn erased_stays_erased(place: StorePlace) {
            let cx = context(&place).await;
            let message = complaint(by_party(1), 0);
            let (first, command) = write(&cx, "acme", &message);
            cx.store.submit(first, command).await.unwrap();
            erase(&cx, "acme", Uuid::from_u128(1)).await;
            let good = write(&cx, "acme", &complaint(by_party(2), 0));
            let results = cx.store.submit_many(vec![write(&cx, "acme", &message), good]).await;
            assert_eq!(results[0].as_ref().unwrap_err().reason, reason::ERASED);
            assert!(results[1].is_ok());
            cx.store.close().await;
        }
    }
}
