//! Interactions: recorded in batches. Participants named by an identifier are resolved by the service itself.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rapport::patience::tried;
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::interactions::v1::record_result::Result as Recorded;
use rapport_proto::interactions::v1::{BatchRecordInteractionsRequest, Interaction, RecordItem, RecordResult};
use rapport_rpc::Transport;
use rapport_types::error::Error;

use super::key::Keys;
use super::request::patient;
use super::rows::Reject;
use super::{Outcome, Record, refusal};

/// Lookups at once for a preview.
const PREVIEWS: usize = 64;

/// Imports interactions.
pub(crate) struct Contacts {
    pub(crate) transport: Transport,
    pub(crate) keys: Keys,
}

impl Contacts {
    /// Brings a batch in.
    ///
    /// # Errors
    /// The server refuses whatever it is sent, or is away for too long.
    pub(crate) async fn settle(&self, records: &[Record<Interaction>]) -> Result<Vec<Outcome>, Error> {
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(records.len());
        let mut items: Vec<(usize, RecordItem)> = Vec::with_capacity(records.len());
        for (at, record) in records.iter().enumerate() {
            match self.resolved(record).await? {
                Ok(interaction) => {
                    outcomes.push(None);
                    items.push((
                        at,
                        RecordItem { interaction: Some(interaction), request_id: record.request_id.to_string() },
                    ));
                }
                Err(outcome) => outcomes.push(Some(outcome)),
            }
        }
        let mut tries = 0;
        while !items.is_empty() {
            tries += 1;
            let results = self.sent(&items, false).await?;
            let mut again = Vec::new();
            for ((at, item), result) in items.into_iter().zip(results) {
                let outcome = match result.result {
                    Some(Recorded::Receipt(receipt)) if receipt.replayed => Outcome::Unchanged,
                    Some(Recorded::Receipt(_)) => Outcome::Created,
                    Some(Recorded::Error(error)) if matches!(error.code, 8 | 10 | 14) && tries < 100 => {
                        again.push((at, item));
                        continue;
                    }
                    Some(Recorded::Error(error)) => Outcome::Rejected(refusal::of_interaction(&error)),
                    None => Outcome::Rejected(Reject::malformed("", "the server answered nothing")),
                };
                if let Some(slot) = outcomes.get_mut(at) {
                    *slot = Some(outcome);
                }
            }
            if !again.is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(20 * tries)).await;
            }
            items = again;
        }
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Unchanged)).collect())
    }

    /// What would come of rows: the server reads them as it would to record them. Whether one was recorded before only the
    /// request id tells, which no read takes.
    ///
    /// # Errors
    /// The server refuses the lookup, or whoever asks may not write.
    pub(crate) async fn preview(&self, records: &[Record<Interaction>]) -> Result<Vec<Outcome>, Error> {
        let resolved = stream::iter(records).map(|record| self.resolved(record)).buffered(PREVIEWS);
        let resolved: Vec<Result<Interaction, Outcome>> = resolved.try_collect().await?;
        let mut outcomes = vec![Outcome::Created; records.len()];
        let mut items = Vec::with_capacity(records.len());
        for (at, (record, resolved)) in records.iter().zip(resolved).enumerate() {
            match (resolved, outcomes.get_mut(at)) {
                (Ok(interaction), _) => {
                    let request_id = record.request_id.to_string();
                    items.push((at, RecordItem { interaction: Some(interaction), request_id }));
                }
                (Err(outcome), Some(slot)) => *slot = outcome,
                (Err(_), None) => {}
            }
        }
        if items.is_empty() {
            return Ok(outcomes);
        }
        let results = self.sent(&items, true).await?;
        for ((at, _), result) in items.iter().zip(results) {
            if let (Some(Recorded::Error(error)), Some(slot)) = (result.result, outcomes.get_mut(*at)) {
                *slot = Outcome::Rejected(refusal::of_interaction(&error));
            }
        }
        Ok(outcomes)
    }

    async fn sent(&self, items: &[(usize, RecordItem)], validate_only: bool) -> Result<Vec<RecordResult>, Error> {
        let items = items.iter().map(|(_, item)| item.clone()).collect();
        let request = BatchRecordInteractionsRequest { items, validate_only };
        let answer = tried(async || {
            InteractionServiceClient::new(self.transport.clone())
                .batch_record_interactions(patient(request.clone()))
                .await
        });
        Ok(answer.await?.into_inner().results)
    }

    /// The interaction with names of parties where the file has keys.
    async fn resolved(&self, record: &Record<Interaction>) -> Result<Result<Interaction, Outcome>, Error> {
        let mut interaction = record.message.clone();
        for (at, participant) in interaction.participants.iter_mut().enumerate() {
            if participant.party.is_empty() {
                continue;
            }
            let place = format!("participants[{at}].party");
            match self.keys.name(&participant.party).await? {
                Ok(Some(name)) => participant.party = name,
                Ok(None) => {
                    let message =
                        format!("no party holds {}; import the parties first, or name another", participant.party);
                    return Ok(Err(Outcome::Unresolved(Reject { place, reason: "UNKNOWN_PARTY".to_owned(), message })));
                }
                Err(reject) => return Ok(Err(Outcome::Rejected(Reject { place, ..reject }))),
            }
        }
        Ok(Ok(interaction))
    }
}
