use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use prost::Message;
use rapport_events::{Consumer, Event};
use rapport_proto::scoring::v1 as proto;
use rapport_server::Context;
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::error::{Error, Kind};
use rapport_types::{TenantId, Uuid};

use super::pace::Pace;
use crate::domain::{PartyName, SectionKind};
use crate::queries::Asking;
use crate::store::{Known, SectionKey, section_put};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Up to so many parties of a batch are asked about in full, with what moved their scores and what they are worth. In a
/// storm, as an import makes one, the values alone are learned: the rest is asked for when somebody calls.
const IN_FULL: usize = 5;

/// Learns the scores that the desk shows, whenever they move. However often a party's scores move within a batch, they
/// are asked for once.
pub(crate) struct DeskScores {
    cx: Context,
    pace: Pace,
}

impl DeskScores {
    /// The consumer over its parts.
    pub(crate) fn new(cx: Context) -> DeskScores {
        DeskScores { cx, pace: Pace::default() }
    }
}

/// The parties whose scores moved. Those of an origin that belongs to nobody are nobody's.
fn moved(events: &[Event]) -> Result<BTreeMap<TenantId, BTreeSet<Uuid>>, Error> {
    let mut parties: BTreeMap<TenantId, BTreeSet<Uuid>> = BTreeMap::new();
    for event in events {
        let Some(moved) = event.decode::<proto::ScoreMoved>() else { continue };
        let moved = moved?;
        if !moved.party.is_empty() {
            let party = PartyName::parse(&moved.party).map_err(|error| error.at("party"))?;
            parties.entry(event.tenant.clone()).or_default().insert(party.uuid());
        }
    }
    Ok(parties)
}

#[async_trait]
impl Consumer for DeskScores {
    type Gathered = BTreeMap<SectionKey, Known>;

    fn name(&self) -> &'static str {
        "desk"
    }

    fn source(&self) -> &'static str {
        "scoring"
    }

    async fn gather(&self, events: &[Event]) -> Result<BTreeMap<SectionKey, Known>, Error> {
        self.pace.keep().await;
        let position = events.last().map_or(0, |event| event.position);
        let trace = events.last().and_then(|event| event.traceparent.as_deref());
        let mut learned = BTreeMap::new();
        for (tenant, parties) in moved(events)? {
            let as_of = self.cx.world.now();
            let asking = Asking::new(&self.cx, &tenant, PATIENCE, trace);
            let parties: Vec<Uuid> = parties.into_iter().collect();
            let in_full = parties.len() <= IN_FULL;
            let key = |party: Uuid, kind: SectionKind| SectionKey {
                tenant: tenant.clone(),
                party,
                kind,
                facet: String::new(),
            };
            for (party, scores) in asking.scores(&parties, in_full).await? {
                let plain = scores.encode_to_vec();
                learned.insert(key(party, SectionKind::Scores), Known { position, as_of, plain });
            }
            if !in_full {
                continue;
            }
            for party in parties {
                match asking.value(party).await {
                    Ok(Ok(value)) => {
                        let plain = value.encode_to_vec();
                        learned.insert(key(party, SectionKind::Value), Known { position, as_of, plain });
                    }
                    // There is nothing to say of the party.
                    Ok(Err(_)) => {}
                    Err(error) if matches!(error.kind, Kind::NotFound | Kind::Unimplemented | Kind::Precondition) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(learned)
    }

    async fn apply(
        &self,
        tx: &Tx,
        _events: &[Event],
        learned: &BTreeMap<SectionKey, Known>,
        _out: &mut Outbox,
    ) -> Result<(), StoreError> {
        section_put(tx, learned).await
    }
}
