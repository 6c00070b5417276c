use std::collections::BTreeMap;

use async_trait::async_trait;
use rapport_events::{Consumer, Event};
use rapport_proto::loyalty::v1 as proto;
use rapport_server::Context;
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::error::Error;

use super::desk::{BATCH, DESK, learn_few, spoken};
use super::pace::Pace;
use crate::domain::SectionKind;
use crate::store::{Known, SectionKey, section_mark, section_put};

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

/// The party whose standing an event changed; empty where it is nobody's.
pub(super) fn concerned(event: &Event) -> Option<Result<String, Error>> {
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

/// What a batch spoke of, and what was learned of it.
pub(crate) struct Learned {
    wanted: BTreeMap<SectionKey, i64>,
    sections: BTreeMap<SectionKey, Known>,
}

#[async_trait]
impl Consumer for DeskLoyalty {
    type Gathered = Learned;

    fn name(&self) -> &'static str {
        DESK
    }

    fn source(&self) -> &'static str {
        "loyalty"
    }

    fn batch(&self) -> usize {
        BATCH
    }

    async fn gather(&self, events: &[Event]) -> Result<Learned, Error> {
        self.pace.keep().await;
        let mut wanted = BTreeMap::new();
        for event in events {
            if let Some(key) = spoken(event)? {
                wanted.insert(key, event.position);
            }
        }
        let sections = learn_few(&self.cx, &[], events, &wanted, &[SectionKind::Loyalty]).await?;
        Ok(Learned { wanted, sections })
    }

    async fn apply(&self, tx: &Tx, _events: &[Event], learned: &Learned, _out: &mut Outbox) -> Result<(), StoreError> {
        section_mark(tx, &learned.wanted).await?;
        section_put(tx, &learned.sections).await
    }
}
