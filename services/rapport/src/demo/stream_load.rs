//! Sends interactions over StreamInteractions and follows the acknowledgements.

use futures::stream;
use rapport_proto::interactions::v1 as ix;
use rapport_rpc::error_of;
use rapport_types::error::Kind;
use std::time::Duration;

use super::clients::Clients;
use super::screen::Show;
use super::trouble::Trouble;

/// Items of one message.
const CHUNK: usize = 500;
/// How often a broken stream is opened again.
const TRIES: u32 = 6;

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
    let mut tries = 0;
    while through < total {
        let before = through;
        match once(clients, &items, &mut through, show).await? {
            None => {}
            Some(error) => {
                tries = if through > before { 1 } else { tries + 1 };
                if tries >= TRIES || !matches!(error.kind, Kind::Unavailable | Kind::Exhausted | Kind::Conflict) {
                    return Err(Trouble::Call { method: METHOD, error: Box::new(error) });
                }
                tokio::time::sleep(error.retry_after.unwrap_or(Duration::from_millis(50 << tries))).await;
            }
        }
    }
    Ok(())
}

/// One stream: until everything is acknowledged (None), or it broke (the error).
async fn once(
    clients: &Clients,
    items: &[ix::StreamItem],
    through: &mut usize,
    show: &mut dyn Show,
) -> Result<Option<rapport_types::error::Error>, Trouble> {
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
                return Ok(Some(rapport_types::error::Error::unavailable(
                    "the stream ended before everything was acknowledged",
                    Duration::from_millis(200),
                )));
            }
            Ok(None) => return Ok(None),
            Err(status) => return Ok(Some(error_of(status))),
        };
        if let Some(failed) = answer.errors.first() {
            return Err(refused(items, failed));
        }
        clients.remember(&answer.position);
        *through = usize::try_from(answer.committed_through).unwrap_or(0).clamp(*through, items.len());
        show.progress("interactions", *through, items.len());
    }
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
