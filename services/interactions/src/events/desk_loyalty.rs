use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use prost::Message;
use rapport_events::{Consumer, Event};
use rapport_proto::loyalty::v1 as proto;
use rapport_server::Context;
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use super::pace::Pace;
use crate::domain::{PartyName, SectionKind};
use crate::queries::Asking;
use crate::store::{Known, SectionKey, section_put};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many parties are asked about at once: a membership takes some questions of its own.
const SIDE_BY_SIDE: usize = 8;

/// Learns a party's standing in loyalty programmes whenever it changes. However often it changes within a batch, it is
/// asked for once.
pub(crate) struct DeskLoyalty {
    cx: Context,
    pace: Pace,
}

impl DeskLoyalty {
    /// The consumer over its parts.
    pub(crate) fn new(cx: Context) -> DeskLoyalty {
        DeskLoyalty { cx, pace: Pace::default() }
    }
}

impl DeskLoyalty {
    async fn standing(
        &self,
        tenant: &TenantId,
        party: Uuid,
        position: i64,
        trace: Option<&str>,
    ) -> Result<(SectionKey, Known), Error> {
        let as_of = self.cx.world.now();
        let section = Asking::new(&self.cx, tenant, PATIENCE, trace).loyalty(party).await?;
        let key = SectionKey { tenant: tenant.clone(), party, kind: SectionKind::Loyalty, facet: String::new() };
        Ok((key, Known { position, as_of, plain: section.encode_to_vec() }))
    }
}

/// The party whose standing an event changed.
fn concerned(event: &Event) -> Option<Result<String, Error>> {
    macro_rules! any {
        ($($message:ident),+) => {
            $(
                if let Some(told) = event.decode::<proto::$message>() {
                    return Some(told.map(|told| told.party));
                }
            )+
        };
    }
    any!(AccrualPosted, TierChanged, MemberEnrolled, BalanceAdjusted, UnitsExpired);
    None
}

#[async_trait]
impl Consumer for DeskLoyalty {
    type Gathered = BTreeMap<SectionKey, Known>;

    fn name(&self) -> &'static str {
        "desk"
    }

    fn source(&self) -> &'static str {
        "loyalty"
    }

    async fn gather(&self, events: &[Event]) -> Result<BTreeMap<SectionKey, Known>, Error> {
        self.pace.keep().await;
        let position = events.last().map_or(0, |event| event.position);
        let trace = events.last().and_then(|event| event.traceparent.as_deref());
        let mut parties: BTreeSet<(TenantId, Uuid)> = BTreeSet::new();
        for event in events {
            let Some(party) = concerned(event) else { continue };
            let party = party?;
            if !party.is_empty() {
                let name = PartyName::parse(&party).map_err(|error| error.at("party"))?;
                parties.insert((event.tenant.clone(), name.uuid()));
            }
        }
        let parties: Vec<(TenantId, Uuid)> = parties.into_iter().collect();
        let mut learned = BTreeMap::new();
        for some in parties.chunks(SIDE_BY_SIDE) {
            let mut asked = Vec::with_capacity(some.len());
            for (tenant, party) in some {
                asked.push(self.standing(tenant, *party, position, trace));
            }
            learned.extend(try_join_all(asked).await?);
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
