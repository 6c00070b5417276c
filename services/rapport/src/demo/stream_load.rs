//! Sends interactions over StreamInteractions and follows the acknowledgements.

use std::time::Duration;

use futures::stream;
use rapport_proto::interactions::v1 as ix;
use rapport_rpc::error_of;
use rapport_types::error::Error;
use tonic::{Code, Status};

use super::clients::Clients;
use super::screen::Show;
use super::trouble::Trouble;
use crate::patience::{Patience, passing};

/// Items of one message.
const CHUNK: usize = 500;
const METHOD: &str = "StreamInteractions";

/// Sends all items and returns when each is durable. A stream that breaks is opened again and goes on after what was
/// acknowledged; the request ids make that safe.
pub(super) async fn send(
    clients: &Clients,
    mut items: Vec<ix::StreamItem>,
    show: &mut dyn Show,
) -> Result<(), Trouble> {
    for (sequence, item) in (1..).zip(items.iter_mut()) {
        item.sequence = sequence;
    }
    let total = items.len();
    let mut through = 0;
    let mut patience = Patience::new();
    while through < total {
        let before = through;
        let Some(error) = once(clients, &items, &mut through, show).await? else { continue };
        if through > before {
            patience = Patience::new();
        }
        patience.bear(error).await.map_err(Trouble::refused(METHOD))?;
    }
    Ok(())
}

/// One stream: until everything is acknowledged (None), or it broke or an item was refused for now (the error).
async fn once(
    clients: &Clients,
    items: &[ix::StreamItem],
    through: &mut usize,
    show: &mut dyn Show,
) -> Result<Option<Error>, Trouble> {
    let messages: Vec<ix::StreamInteractionsRequest> = items[*through..]
        .chunks(CHUNK)
        .map(|chunk| ix::StreamInteractionsRequest { items: chunk.to_vec(), receipts: false })
        .collect();
    let mut answers = match clients.interactions().stream_interactions(stream::iter(messages)).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Ok(Some(error_of(status))),
    };
    loop {
        let answer = match answers.message().await {
            Ok(Some(answer)) => answer,
            Ok(None) if *through < items.len() => {
                return Ok(Some(Error::unavailable(
                    "the stream ended before everything was acknowledged",
                    Duration::from_millis(200),
                )));
            }
            Ok(None) => return Ok(None),
            Err(status) => return Ok(Some(error_of(status))),
        };
        if let Some(failed) = answer.errors.first() {
            let error = refusal(failed);
            if !passing(error.kind) {
                return Err(refused(items, failed));
            }
            // All from that item on is sent again; the request ids tell what is there already.
            *through = usize::try_from(failed.sequence - 1).unwrap_or(0).clamp(*through, items.len());
            return Ok(Some(error));
        }
        clients.remember(&answer.position);
        *through = usize::try_from(answer.committed_through).unwrap_or(0).clamp(*through, items.len());
        show.progress("interactions", *through, items.len());
    }
}

/// The refusal of one item, as a call would have been refused.
fn refusal(failed: &ix::StreamItemError) -> Error {
    let (code, message) = failed.error.as_ref().map_or((0, ""), |error| (error.code, error.message.as_str()));
    error_of(Status::new(Code::from_i32(code), message))
}

fn refused(items: &[ix::StreamItem], failed: &ix::StreamItemError) -> Trouble {
    let record = usize::try_from(failed.sequence - 1)
        .ok()
        .and_then(|n| items.get(n))
        .and_then(|item| item.interaction.as_ref()?.provenance.as_ref())
        .map_or("an item", |provenance| provenance.source_record_id.as_str());
    let what = failed.error.as_ref().map_or_else(
        || format!("an error for {record}"),
        |error| {
            let fields: Vec<String> = error
                .violations
                .iter()
                .map(|violation| format!("; {}: {}", violation.field, violation.description))
                .collect();
            format!("for {record}: {} ({}){}", error.message, error.reason, fields.concat())
        },
    );
    Trouble::Answer { method: METHOD, what }
}
