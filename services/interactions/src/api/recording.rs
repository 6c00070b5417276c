use std::sync::Arc;

use rapport_proto::interactions::v1 as proto;
use rapport_rpc::{Call, wire};
use rapport_store::{Scope, Store};
use rapport_types::TenantId;
use rapport_types::error::{Collector, Error};

use super::convert;
use crate::commands::{Receipt, RecordInteraction};
use crate::domain::{Named, NewInteraction, Route};

/// The method under which request ids of records are remembered, by whichever way they come: an item of a stream that
/// broke may be sent again by a unary call.
const METHOD: &str = "/rapport.interactions.v1.InteractionService/RecordInteraction";

/// A record that is ready to be submitted.
pub(crate) struct Ready {
    /// Who asks, and under which request id.
    pub(crate) scope: Scope,
    /// The write.
    pub(crate) command: RecordInteraction,
    /// What is recorded, for the answer.
    pub(crate) interaction: Arc<NewInteraction>,
}

/// Reads one record. `path` leads to the message that holds `interaction` and `request_id`; empty for the request
/// itself.
///
/// # Errors
/// Invalid, with everything that is wrong.
pub(crate) fn ready(
    store: &Store,
    call: &Call,
    path: &str,
    message: Option<&proto::Interaction>,
    request_id: &str,
) -> Result<Ready, Error> {
    let root = Collector::new();
    let fields = if path.is_empty() { root.clone() } else { root.at(path) };
    let id = fields.check("request_id", wire::request_id(request_id));
    let interaction = fields
        .required("interaction", message)
        .and_then(|message| convert::interaction(&fields.at("interaction"), message, store.world().now()));
    root.finish()?;
    let (Some(interaction), Some(message), Some(_)) = (interaction, message, id) else {
        return Err(Error::bug("a record was refused without a reason"));
    };
    let scope = call.scope(METHOD, request_id, message)?;
    let interaction = Arc::new(interaction);
    let routes =
        interaction.participants.iter().map(|participant| route(store, call.tenant(), &participant.named)).collect();
    let command = RecordInteraction { id: store.world().next_id(), interaction: Arc::clone(&interaction), routes };
    Ok(Ready { scope, command, interaction })
}

/// How the origin of somebody is found.
pub(crate) fn route(store: &Store, tenant: &TenantId, named: &Named) -> Route {
    Route::of(named, |comparable| index(store, tenant, comparable), || store.world().next_id())
}

/// The blind index of a comparable identifier.
pub(crate) fn index(store: &Store, tenant: &TenantId, comparable: &str) -> rapport_types::Uuid {
    store.blind(tenant, "identifier", comparable)
}

/// What the server gave a recorded interaction.
pub(crate) fn to_receipt(receipt: &Receipt, replayed: bool) -> proto::RecordReceipt {
    proto::RecordReceipt {
        name: crate::domain::InteractionName::new(receipt.id).to_string(),
        recorded_time: Some(wire::to_timestamp(receipt.recorded_at)),
        replayed,
        parties: receipt.origins.iter().map(|origin| convert::to_party(origin.party)).collect(),
    }
}
